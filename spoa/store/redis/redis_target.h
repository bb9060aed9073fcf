/*
 * redis_target.h - the Redis that keeps the balances, as --store says.
 *
 *     redis://[user:password@]host[:port][/db]
 *     redis+unix:///path[?db=N]
 *     redis+sentinel://[user:password@]host[:port][,host[:port]...]/NAME[/db]
 *     redis+cluster://[user:password@]host[:port][,host[:port]...]
 *
 * and all but redis+unix with TLS: rediss://, rediss+sentinel://, rediss+cluster://.
 *
 * In user, password and path, characters that mean something in a URL are escaped as %XX (RFC 3986,
 * 2.1). Neither an error nor the text of a target ever has a part of the password in it.
 */
#ifndef STORE_REDIS_TARGET_H
#define STORE_REDIS_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/writer.h"

#define REDIS_HOST_MAX     256
#define REDIS_PATH_MAX     108 /* sockaddr_un */
#define REDIS_USER_MAX     128
#define REDIS_PASSWORD_MAX 1024
#define REDIS_MASTER_MAX   128  /* of the name of a master */
#define REDIS_PLACES_MAX   16   /* Sentinels, or nodes to learn a cluster from */
#define REDIS_LIST_MAX     1024 /* of all these places together, as text */
#define REDIS_TARGET_MAX   1536

/* What TLS needs; constants. NULL: the system's CAs, no certificate of ours, the host's name. */
struct redis_tls_files {
	const char *ca_file;
	const char *cert_file;
	const char *key_file;
	const char *name; /* that the server's certificate must have */
};

enum redis_topology {
	REDIS_ONE_SERVER = 0,
	REDIS_SENTINEL, /* the Sentinels at the places know which server is the master */
	REDIS_CLUSTER,  /* each of the nodes at the places knows all nodes */
};

/* Where a server listens. */
struct redis_place {
	char host[REDIS_HOST_MAX]; /* a name or an address */
	char port[6];
};

struct redis_target {
	enum redis_topology topology;
	bool is_unix;
	bool is_tls;
	struct redis_tls_files tls; /* what the URL does not have: set apart from it */
	char host[REDIS_HOST_MAX];  /* TCP: a name or an address; of several places the first */
	char port[6];
	struct redis_place places[REDIS_PLACES_MAX]; /* of Sentinels or nodes; all differ */
	size_t place_count;                          /* 0: it is one server */
	char master[REDIS_MASTER_MAX];               /* the master's name, with Sentinels */
	char path[REDIS_PATH_MAX];                   /* Unix socket */
	uint32_t db;
	char user[REDIS_USER_MAX];         /* empty: the default user */
	char password[REDIS_PASSWORD_MAX]; /* empty: none */
	/* For the Sentinels, which have users of their own; the URL does not have them. */
	char sentinel_user[REDIS_USER_MAX];
	char sentinel_password[REDIS_PASSWORD_MAX];
	char text[REDIS_TARGET_MAX]; /* the URL, without user and password */
};

/* Whether it is a host name, or an address in numbers without brackets, as --redis-tls-name has. */
bool redis_target_is_host(struct bytes text);
/* Puts "host:port" or "[v6]:port". */
void redis_place_put(const struct redis_place *place, struct writer *w);
bool redis_place_equal(const struct redis_place *place, const struct redis_place *other);

MUST_CHECK bool redis_target_parse(struct bytes url, struct redis_target *ret_target,
				   struct err *err);

#endif
