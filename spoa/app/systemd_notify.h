/*
 * systemd_notify.h - tells systemd what state the agent is in: sd_notify(3), without libsystemd.
 *
 * The protocol is one datagram of lines NAME=VALUE, to the Unix socket that the variable
 * NOTIFY_SOCKET names. Without that variable nothing is sent, so that the agent runs anywhere.
 *
 * While the loop turns, WATCHDOG=1 is sent twice in each WATCHDOG_USEC. A loop that hangs sends
 * none, and systemd then kills the agent and starts another one.
 *
 * No call waits: a datagram that systemd has no room for is dropped. The first failure is logged.
 */
#ifndef APP_SYSTEMD_NOTIFY_H
#define APP_SYSTEMD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include <ev.h>

#include "base/compiler.h"

#define SYSTEMD_STATUS_MAX 512

struct systemd_notify {
	struct ev_loop *loop;
	int fd; /* -1: systemd did not start this process, or does not want to know */
	struct sockaddr_un address;
	socklen_t address_len;
	struct ev_timer watchdog;
	char status[SYSTEMD_STATUS_MAX]; /* what was sent last */
	bool is_ready;                   /* READY=1 was sent, and no RELOADING=1 behind it */
	bool is_stopping;
	bool has_failed;
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Sends nothing yet. */
void systemd_notify_init(struct systemd_notify *notify, struct ev_loop *loop);
/* The agent serves: at the start, and at the end of a reload. */
void systemd_notify_ready(struct systemd_notify *notify);
/* A reload begins. NULL is an agent that nobody asked to tell. */
void systemd_notify_reloading(struct systemd_notify *notify);
/* The agent ends, `within_us` from now at the latest. Nothing but the watchdog is sent after it. */
void systemd_notify_stopping(struct systemd_notify *notify, int64_t within_us);
/* What `systemctl status` shows; one line. Sent when it is another one than before. */
void systemd_notify_status(struct systemd_notify *notify, const char *status);
/*
 * Whether systemd keeps descriptors for the next process: FileDescriptorStoreMax= of the unit,
 * which systemd tells by the variable FDSTORE (the unit does so for systemd before 254). One is too
 * few: when this process gives systemd its memory, systemd still has that of the process before.
 */
bool systemd_notify_can_keep(void);
/* Has systemd keep a copy of the descriptor by that name. False when systemd could not be told. */
MUST_CHECK bool systemd_notify_keep(struct systemd_notify *notify, const char *name, int fd);
/* Has systemd close all descriptors that it keeps by that name. */
void systemd_notify_drop(struct systemd_notify *notify, const char *name);
/* `notify` may be all zeros. */
void systemd_notify_release(struct systemd_notify *notify);

#endif
