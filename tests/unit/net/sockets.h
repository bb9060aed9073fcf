/*
 * sockets.h - connections of a test with itself, and system calls that fail when the test says so.
 */
#ifndef NET_SOCKETS_H
#define NET_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Two ends of a connection: ours is what the tested code gets, the other one plays the client. */
struct pair {
	int ours;
	int theirs;
};

/* Both ends are non-blocking. */
struct pair pair_unix(void);
struct pair pair_tcp(void);
/* Connects to `port` on the loopback interface; -1 with errno when that is refused. */
int connect_to_port(uint16_t port);

/* All of the bytes must be taken. */
void send_bytes(int fd, struct bytes bytes);
void send_text(int fd, const char *text);

enum received { RECEIVED_SOME = 0, RECEIVED_END, RECEIVED_RESET };

/* Reads what is there now, at most `max` bytes, and says what stands behind it. */
enum received receive(int fd, void *data, size_t max, size_t *ret_len);
void assert_receives(int fd, const char *text);
void assert_receives_nothing(int fd);
void assert_receives_end(int fd);
/* The kernel's buffers between the ends are made as small as they can be. */
void make_buffers_small(struct pair pair);
/* Closes so that the other side gets a reset (RST); TCP only. */
void close_by_reset(int fd);
bool is_open(int fd);

/*
 * System calls of the tested code, which sockets.c defines: while `..._error` is not 0 they fail
 * with it, `..._errors` times or, when that is 0, always.
 */
struct faults {
	int send_error;
	size_t send_max; /* a send takes at most so many bytes; 0: as many as the kernel takes */
	size_t sends;    /* how many there were */
	int read_error;
	int accept_error;
	unsigned accept_errors;
	size_t accepts;              /* how many there were, those that failed too */
	bool has_no_ipv6;            /* a socket for it fails with EAFNOSUPPORT */
	void (*before_listen)(void); /* is called by the next listen() and by all after it */
};

extern struct faults faults;

#endif
