/*
 * listener.h - a listening socket in the loop, which knows when to leave connections in the
 * backlog.
 *
 * Accepted sockets are handed over non-blocking and close-on-exec; the receiver owns them. When
 * descriptors run out, or the owner is full, the listener stops asking the kernel (which would
 * answer at once, again and again) until listener_resume or, at the latest, a second later.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>

#include "base/err.h"
#include "net/address.h"

struct ev_loop;
struct listener;

struct listener_owner {
	void (*accept)(void *owner, int fd);
	bool (*is_full)(void *owner); /* asked before each accept */
	void *owner;
};

/* NULL when it can't listen; `err` names the address and why. */
struct listener *listener_new(struct ev_loop *loop, const struct address *address,
			      const struct listener_owner *owner, struct err *err);
void listener_resume(struct listener *listener);
/* A Unix socket's path is removed with it. */
void listener_free(struct listener *listener);
const char *listener_address(const struct listener *listener);

#endif
