/*
 * redis_target.h - the Redis that keeps the balances, as --store says.
 *
 *     redis://[user:password@]host[:port][/db]
 *     redis+unix:///path[?db=N]
 *     rediss://[user:password@]host[:port][/db]      over TLS
 *
 * In user, password and path, characters that mean something in a URL are escaped as %XX (RFC 3986,
 * 2.1). Neither an error nor the text of a target ever has a part of the password in it.
 */
#ifndef STORE_REDIS_TARGET_H
#define STORE_REDIS_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define REDIS_HOST_MAX     256
#define REDIS_PATH_MAX     108 /* sockaddr_un */
#define REDIS_USER_MAX     128
#define REDIS_PASSWORD_MAX 1024
#define REDIS_TARGET_MAX   512

/* What TLS needs; constants. NULL: the system's CAs, no certificate of ours, the host's name. */
struct redis_tls_files {
	const char *ca_file;
	const char *cert_file;
	const char *key_file;
	const char *name; /* that the server's certificate must have */
};

struct redis_target {
	bool is_unix;
	bool is_tls;
	struct redis_tls_files tls; /* what the URL does not have: set apart from it */
	char host[REDIS_HOST_MAX];  /* TCP: a name or an address */
	char port[6];
	char path[REDIS_PATH_MAX]; /* Unix socket */
	uint32_t db;
	char user[REDIS_USER_MAX];         /* empty: the default user */
	char password[REDIS_PASSWORD_MAX]; /* empty: none */
	char text[REDIS_TARGET_MAX];       /* the URL, without user and password */
};

/* Whether it is a host name, or an address in numbers without brackets, as --redis-tls-name has. */
bool redis_target_is_host(struct bytes text);

MUST_CHECK bool redis_target_parse(struct bytes url, struct redis_target *ret_target,
				   struct err *err);

#endif
