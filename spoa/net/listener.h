/*
 * listener.h - a listening socket in the loop.
 *
 * The owner gets each accepted socket, non-blocking and close-on-exec, and closes it. While the
 * owner is full, or the process has no descriptor left, the listener pauses and new connections
 * wait in the kernel's backlog. It accepts again after listener_resume, at the latest a second
 * later.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>

#include "base/err.h"
#include "net/address.h"

struct ev_loop;
struct listener;

struct listener_owner {
	void (*accept)(void *owner, int fd); /* takes the descriptor */
	bool (*pause_if_full)(void *owner);  /* is asked before each accept */
	void *owner;
};

/*
 * The file of a Unix socket on which nobody listens is replaced. An inherited socket is taken as it
 * is, and listener_free leaves its file: whoever made the socket goes on listening there. NULL when
 * the address can't be listened on: `err` says which address and why.
 */
struct listener *listener_new(struct ev_loop *loop, const struct address *address,
			      const struct listener_owner *owner, struct err *err);
/* Accepts again, if the listener pauses. */
void listener_resume(struct listener *listener);
/* Removes the file of a Unix socket of ours too, unless another one stands there by now. */
void listener_free(struct listener *listener);
/* The address as it was given, with the port that the kernel chose in place of port 0. */
const char *listener_address(const struct listener *listener);

#endif
