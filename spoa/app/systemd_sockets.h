/*
 * systemd_sockets.h - listening sockets that systemd made before it started the agent, and keeps
 * while the agent is restarted: sd_listen_fds(3), without libsystemd.
 *
 * A socket's name, FileDescriptorName= of its .socket unit, says which option it stands for: `spop`
 * for --spop-listen, `http` for --http-listen, `admin` for --admin-listen. The addresses of that
 * option are then not listened on, whatever they are.
 *
 * Behind the sockets come the descriptors that the process before this one had systemd keep
 * (systemd_notify_keep). Their names begin with SYSTEMD_BALANCES; handover.h uses them.
 */
#ifndef APP_SYSTEMD_SOCKETS_H
#define APP_SYSTEMD_SOCKETS_H

#include <stdbool.h>

#include "app/options.h"
#include "base/compiler.h"
#include "base/err.h"

#define SYSTEMD_BALANCES "balances-"

/*
 * Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, and puts the inherited sockets and the kept
 * descriptors into `options`. True when there are none. False when there is one that the agent
 * can't use: another name, or no stream socket that listens.
 */
MUST_CHECK bool systemd_sockets_take(struct options *options, struct err *err);
/*
 * Whether the agent that comes next gets the sockets that HAProxy connects to (or HTTP's where
 * HAProxy does not connect), so that connections wait for it there.
 */
bool systemd_sockets_outlive(const struct options *options);

#endif
