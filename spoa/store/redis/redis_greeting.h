/*
 * redis_greeting.h - the first commands on a connection to Redis: AUTH, INFO, SELECT, PTTL and
 * SCRIPT LOAD, all in one write. Their replies say whether this server can keep balances. Only a
 * server that has a setting by which scripts are not atomic (redis_kind.h) is asked for it then.
 */
#ifndef STORE_REDIS_GREETING_H
#define STORE_REDIS_GREETING_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "store/redis/redis_connection.h"
#include "store/redis/redis_credentials.h"
#include "store/redis/redis_kind.h"
#include "store/store_error.h"

#define REDIS_HASH_LEN    40 /* of a script, in hex */
#define REDIS_REFUSAL_MAX 160

#define REDIS_EVICTION_MAX 32 /* of the name of a maxmemory-policy, with its NUL */

/* A maxmemory-policy by which a full server forgets clients that are exhausted. */
struct redis_forgetful {
	const char *policy;
	const char *hint; /* which clients, and what to do */
};

/* Embedded by who uses the connection. It must not move before the last command is replied to. */
struct redis_greeting {
	/*
	 * Called once a greeting. With STORE_OK the server is usable and `hash` is the script's;
	 * otherwise `error` and `why` say what is wrong with the server. When the connection is
	 * lost this is not called: the connection itself says that it failed.
	 */
	void (*ended)(struct redis_greeting *greeting, enum store_error error, struct bytes why);
	/*
	 * NULL: the server is no node of a cluster, or of one whose keys all share a slot. Else
	 * the server has to be one, and its reply to CLUSTER SLOTS is handed over here, also that
	 * of a replica, which is then refused. Returns what is wrong with the reply, a constant, or
	 * NULL. The caller sets it before redis_greeting_begin.
	 */
	const char *(*told_slots)(struct redis_greeting *greeting, const struct redis_reply *reply);
	char hash[REDIS_HASH_LEN + 1];
	const struct redis_forgetful *forgets; /* what redis_greeting_forgets said of INFO */
	char eviction[REDIS_EVICTION_MAX];     /* maxmemory-policy; "": INFO does not say */
	bool lacks_pttl;                       /* the user may not call it */
	bool takes_cluster;                    /* a node of a cluster is good */
	bool is_over;
	struct redis_asked auth, auth_good, slots, select, info, pttl, script, setting;
	struct redis_connection *connection;
	uint32_t db;
	const struct redis_kind *kind; /* of the server, as far as INFO says */
	/*
	 * The password that was tried first, and whether the server took it. If not, the server
	 * took the other one (redis_credentials.h), and the reason is `refusal`.
	 */
	struct redis_password_try tried;
	bool is_password_taken;
	bool has_other;
	enum store_error refusal_error;
	char refusal[REDIS_REFUSAL_MAX];
};

/* Selects database `db`. `prefix` is that of the keys. */
void redis_greeting_begin(struct redis_greeting *greeting, struct redis_connection *connection,
			  const struct redis_credentials *credentials, uint32_t db,
			  struct bytes prefix, struct bytes script);

/*
 * Whether the server that replied `info` to INFO can keep balances. It can't if it is a Sentinel,
 * a replica, too old, or still loads its data, or, unless `takes_cluster`, is a node of a Cluster;
 * *ret_why, a constant, says which.
 */
MUST_CHECK bool redis_greeting_accepts(struct bytes info, bool takes_cluster,
				       enum store_error *ret_error, const char **ret_why);
/*
 * The policy of the server that replied `info` to INFO, a constant, if that server has a maxmemory
 * and a policy that forgets exhausted clients. NULL if not, or if `info` does not say.
 */
const struct redis_forgetful *redis_greeting_forgets(struct bytes info);

#endif
