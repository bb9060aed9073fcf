/*
 * linger.h - ends connections whose other side may still be sending.
 *
 * A socket that is closed with unread input makes the kernel discard what was written last (RST),
 * which is the answer that says why. So our side is shut down, and what still comes is thrown away
 * for a moment.
 */
#ifndef NET_LINGER_H
#define NET_LINGER_H

struct ev_loop;
struct lingerers;

/* NULL when memory is short. */
struct lingerers *lingerers_new(struct ev_loop *loop);
/* Takes the descriptor. There is a limit to how many linger; above it, it is closed. */
void lingerers_add(struct lingerers *lingerers, int fd);
/* Closes those that are left. */
void lingerers_free(struct lingerers *lingerers);

#endif
