/*
 * store.h - the contract of everything that keeps balances.
 *
 * A store is asked for a whole request, once: all its checks are charged together or not at all.
 * It answers each check with an outcome (is_decided) or an error. The checks in shadow stand behind
 * the others in the op and have no say in that: each of them is decided alone, stops nothing, and
 * is charged if it passes by itself and the request is allowed.
 *
 * store_ask returns STORE_DONE when every check is answered. Or it returns STORE_PENDING and the
 * store answers later: then it calls `answered` exactly once, never inside store_ask, also when its
 * link is lost or it is freed. Until then the op and its checks stay where they are, however long
 * that takes. Deadlines are the engine's: it sets `is_late`, tells the store (store_expired), gives
 * the checks that the store has not answered the error STORE_TIMEOUT, and decides the request in
 * the meantime. For that the engine writes into the checks, so a store keeps nothing of its own in
 * them. A store that asks several servers for one op answers the checks as their replies come: a
 * check without an outcome that counts has neither is_decided nor an error.
 *
 * To look is an argument of asking (`is_look`), so that a look can't say something else than what
 * happens.
 *
 * A store that does not ask (its link is down, or the answer would be late) says so at once:
 * STORE_DONE, with errors.
 *
 * A store may know that a request is denied, and by which of its checks. Then it answers only the
 * checks that it knows of, marks the others as skipped, and returns STORE_DONE (denials.h).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/list.h"
#include "limit/check.h"
#include "store/store_error.h"

enum store_state { STORE_DONE = 0, STORE_PENDING };

struct record;
struct records;
struct store;
struct store_op;
struct parted;

typedef void store_seen_fn(struct store_op *op, const struct check *check,
			   const struct balance *balance, bool is_charged, int64_t now_us);

/*
 * What is leased (leases.h) of the balance of a check: what the question takes beyond the check's
 * cost and gives back, and what came of it.
 */
struct lease_part {
	bool is_leased; /* false: nothing else means anything */
	uint32_t round; /* of leases.c */
	int64_t wanted; /* so many units are taken if they are there, at least the cost; or 0 */
	int64_t back;   /* so many are given back first, also if the request is denied ... */
	int64_t back_taken_us; /* ... which were taken then, by the server's clock */
	int64_t got;           /* were taken beyond the cost; 0 before the answer */
	int64_t got_us;        /* when they were, by the server's clock */
};

struct store_op {
	struct check *const *checks;
	size_t count;    /* at least 1 */
	size_t shadow;   /* how many of the checks, the last ones, are in shadow */
	bool is_denied;  /* the request is denied already: look at the balances, charge nothing */
	int64_t now_us;  /* since the epoch; a store with a clock of its own does not look at it */
	int64_t mono_us; /* when it was asked, or earlier, by the clock of clock_mono_us */
	bool is_late;    /* it was answered without the store: don't send it, don't repeat it */
	/* The asked store stands in for another one: it notes what it grants (see `keep`). */
	bool is_stand_in;
	/*
	 * The checks get the outcomes that they would have, costs included, and the store is as it
	 * was: nothing is written, forgotten or counted as used.
	 */
	bool is_look;
	/*
	 * The balances of all checks become full. Each check costs 0, and its outcome is of the
	 * balance as it was before.
	 */
	bool is_reset;
	/*
	 * The op charges units that another store granted in this one's place: of each check's cost
	 * as much as is left. The check passes, and its cost becomes what was charged. Nobody waits
	 * for the answer, so nothing is counted or logged for it. It is asked only where
	 * `room_behind` more checks fit into the store's window: those of the request behind it.
	 */
	bool is_settling;
	uint8_t room_behind;
	/*
	 * Set with an error, or left: the op was sent, and it is not known whether it was charged.
	 * Where it is not set, nothing was charged for a check that has an error.
	 */
	bool is_unsure;
	/*
	 * NULL, or the op gives back what checks of an earlier op took: each check its cost, and
	 * taken_us[i] is when it was taken, by the server's clock. Checks are left as they are,
	 * whatever comes of it; each is on its own, and what no longer counts does not come back.
	 * All else but `count` and `checks` means nothing then.
	 */
	const int64_t *taken_us;
	/* NULL, or one for each check. Of a check in shadow it is not leased. */
	struct lease_part *leases;
	void (*answered)(struct store_op *op);
	/*
	 * Called before `answered` with each balance that a store with a clock of its own found,
	 * after what was taken, at `now_us` by that clock; `is_charged`: the check's cost was
	 * taken. Of a check in shadow maybe twice, first as not charged, and the last one holds.
	 * May be NULL, and is in an op for a store without such a clock.
	 */
	store_seen_fn *seen;
	struct list link; /* the store's, while the op is pending */
	/*
	 * A store that is made of another one, while the op is with the other one: itself, and what
	 * `seen` was before it put its own there.
	 */
	struct {
		struct store *store;
		store_seen_fn *seen;
	} wrapped;
	/* The store's too, of a Redis Cluster; zeros before it is asked. */
	uint16_t slot;         /* of all its keys */
	uint8_t redirects;     /* how often a server sent the op to another one */
	bool is_asking;        /* it goes to a server that does not own the slot yet */
	bool is_alone;         /* in a call of its own, since TRYAGAIN came to a call of several */
	bool is_part;          /* of another op, whose error is counted in place of the parts' */
	struct parted *parted; /* the parts that the op is in; NULL: in none */
	/*
	 * While `seen` is called: which of the store's servers says so, below STORE_SERVERS_MAX.
	 * Each has a clock of its own.
	 */
	uint16_t server;
};

#define STORE_PASSWORD_MAX 1024 /* of a server's password, with its NUL */
#define STORE_OPS_BESIDE   64   /* that can be pending beside the engine's: an operator's */
#define STORE_BACKS_BESIDE 8    /* and those by which ended leases are given back */
#define STORE_SERVERS_MAX  528
#define STORE_BATCH_BOUNDS 6 /* 1, 2, 4 .. 32 requests */

/* What a store counts that asks somebody else for its answers. */
struct store_stats {
	uint64_t connects;                  /* times that its link came up */
	uint64_t ups, downs;                /* how often the store came up, and went down */
	uint64_t errors[STORE_ERROR_COUNT]; /* requests that got an error, by error */
	struct histogram latency;           /* of calls */
	uint64_t
		batches[STORE_BATCH_BOUNDS]; /* calls of at most so many requests, not cumulative */
	uint64_t calls, requests;
	uint64_t shed;            /* requests that it did not ask, since the answer would be late */
	size_t window;            /* checks that it may have on their way at once */
	int64_t heartbeat_us;     /* what the last question whether the server is there took */
	uint64_t deny_cache_hits; /* requests that denials.h answered */
	uint64_t lease_hits;      /* requests that were allowed out of leases (leases.h) */
	unsigned agents;          /* that share the server; 0: they are not counted, or not yet */
};

#define STORE_SENTINELS_MAX 16

struct store_sentinel {
	const char *address;
	const char *why; /* it is of no use; "": it is of use */
};

/* What there is to say of a store, whatever its kind. The texts live as long as the store. */
struct store_description {
	const char *kind;    /* "memory", "redis" */
	const char *address; /* as --store has it, without user and password */
	bool is_up;          /* it can be asked */
	bool is_shedding;    /* not every request was asked, within the last second */
	/* Why it is not up, or was not when it was last down; STORE_OK and "" if it always was. */
	enum store_error error;
	const char *why;
	int64_t since_us; /* is_up is what it is since then, by the clock of clock_mono_us */
	struct store_stats stats; /* zeros for a store that asks nobody else */
	/* With Sentinels: the server that they name, "" while they name none; else NULL. */
	const char *master;
	uint64_t master_epoch;
	struct store_sentinel sentinels[STORE_SENTINELS_MAX];
	size_t sentinel_count;
};

struct store {
	enum store_state (*ask)(struct store *store, struct store_op *op);
	/*
	 * Answers an op that can be answered without asking anybody, whether or not there is room
	 * to ask; false for any other op. NULL for a store that knows nothing by itself.
	 */
	bool (*answer_known)(struct store *store, struct store_op *op);
	/*
	 * Balances may be others than they were, or terms have changed: nothing that the store
	 * remembers of them holds any more. NULL for a store that remembers nothing.
	 */
	void (*forget_known)(struct store *store);
	/*
	 * By which connection the answers come: another number for each, 0 while there is none.
	 * When it ends, what was learnt by it is worth nothing, since balances may be lost with the
	 * server. NULL for a store without a server.
	 */
	uint64_t (*connection)(const struct store *store);
	/*
	 * Units may come back into a balance at any time, and not by its algorithm alone: so it is
	 * with requests over several servers, of which one took what another one then denied.
	 */
	bool gives_back;
	/*
	 * Whether the checks of the op are asked for in several calls, each of which is answered by
	 * itself. Such an op brings no units for leases. NULL for a store that never does so.
	 */
	bool (*divides)(const struct store *store, const struct store_op *op);
	/*
	 * Some op is about to become late: takes the answers that have come already, though the
	 * loop did not hand them over yet. NULL for a store that always answers at once.
	 */
	void (*catch_up)(struct store *store);
	/*
	 * The op has become late. Answers nothing, and leaves its checks as they are. NULL for a
	 * store that always answers at once.
	 */
	void (*expired)(struct store *store, struct store_op *op, int64_t mono_us);
	/*
	 * The request of a late op was decided, by the checks that were answered and by the
	 * on_error of the others. Answers nothing. NULL for a store that asks one server.
	 */
	void (*settled)(struct store *store, struct store_op *op, bool is_denied);
	/*
	 * Another store says that this is the balance of the check, at `now_us` by its clock. From
	 * now on this store has that balance, and grants its share of it, less what it granted in
	 * place of the other one. NULL for a store that can't stand in.
	 */
	void (*keep)(struct store *store, const struct check *check, const struct balance *balance,
		     int64_t now_us);
	/*
	 * This store granted the check in place of another store, at `granted_us` by the op's time,
	 * and the other one now says that it charged the check too. So the cost is in what it says
	 * of the balance, and `keep` is not to take it off once more. To be called before `keep`.
	 * NULL where `keep` is.
	 */
	void (*forget_grant)(struct store *store, const struct check *check, int64_t granted_us,
			     int64_t now_us);
	/*
	 * How many units of the balance this store granted in place of the other one, as far as
	 * they would still count there if the other one charged them now. NULL where `keep` is.
	 */
	int64_t (*granted)(struct store *store, struct key_hash balance, const struct quota *quota,
			   int64_t now_us);
	/*
	 * Another password for the server, shorter than STORE_PASSWORD_MAX: the connection that is
	 * there is authenticated by it, and so are later ones. NULL for a store without a server.
	 */
	void (*set_password)(struct store *store, const char *password);
	/* The same for its Sentinels, for connections that are made from now on. */
	void (*set_sentinel_password)(struct store *store, const char *password);
	/*
	 * Files that the target names (certificates, a key) have changed: they are read again
	 * beside the loop, and count from the next connection on. NULL for a store without a
	 * server.
	 */
	void (*reread_files)(struct store *store);
	/*
	 * Whether agents that share the server announce themselves there and count each other; at
	 * first they do not. NULL for a store without a server.
	 */
	void (*count_agents)(struct store *store, bool is_counting);
	struct store_description (*describe)(const struct store *store);
	/*
	 * What an operator changes, kept in the server for all agents; the store frees it. NULL for
	 * a store without a server.
	 */
	struct records *records;
	void (*free)(struct store *store);
};

/* How a store that asks somebody else is set up. */
struct store_config {
	struct bytes prefix;  /* of every key; a constant */
	int64_t timeout_us;   /* the engine's, of every op */
	size_t max_in_flight; /* the engine's: the most ops of it that can be pending */
	/* For tests and replay: balances are as of op.now_us, not of the server's clock. */
	bool is_time_given;
	int64_t silence_us; /* without any reply for so long the link is lost; 0: half a second */
	/* The longest that a denial is answered without asking again; 0: every request is asked. */
	int64_t deny_cache_us;
	/*
	 * The store can be asked, or it can't: called once a change, and while it can't also for a
	 * reason of another name, or another text after a minute.
	 */
	void (*changed)(void *owner, bool is_up, enum store_error error, const char *why);
	/*
	 * One of several servers can be asked, or it can't, while others can: `node` is its
	 * address. May be NULL.
	 */
	void (*node_changed)(void *owner, const char *node, bool is_up, enum store_error error,
			     const char *why);
	/*
	 * The server forgets exhausted clients when it is full, since its maxmemory-policy is that
	 * one; the hint says which clients, and what to do. Called once a connection; may be NULL.
	 */
	void (*forgets)(void *owner, const char *policy, const char *hint);
	/*
	 * The server refuses a command, without which the store works, but for what the hint says.
	 * Called once a connection; may be NULL.
	 */
	void (*lacks_right)(void *owner, const char *command, const char *hint);
	/* What lacks_right said with this hint, which is a constant, is mended. May be NULL. */
	void (*regained_right)(void *owner, const char *hint);
	/*
	 * What the server deletes when it is full: its maxmemory-policy, or "" if it does not say.
	 * Called once a connection; may be NULL.
	 */
	void (*told_eviction)(void *owner, const char *policy);
	/* So many agents share the server, as store_count_agents has them counted. May be NULL. */
	void (*counted)(void *owner, unsigned agents);
	/*
	 * The server took a password that store_set_password had set, or refused it in these words;
	 * in both cases the connection goes on. Of one password each of the two is told once. May
	 * be NULL.
	 */
	void (*authenticated)(void *owner, bool is_taken, struct bytes why);
	/*
	 * The files of store_reread_files were read: `why` is empty, or says why they can't be
	 * used, and then those from before stay in force. `may_pass`: a descriptor or a thread was
	 * missing, so another store_reread_files may succeed later. May be NULL.
	 */
	void (*reread)(void *owner, const char *why, bool may_pass);
	/*
	 * The store follows a master that the Sentinels name: the first one, or another one than
	 * before. `is_reset`: its epoch is lower, since the Sentinels were set up anew. May be
	 * NULL.
	 */
	void (*master_named)(void *owner, const char *master, uint64_t epoch, bool is_reset);
	/* A Sentinel gave no usable answer, and why; or it gives answers again. May be NULL. */
	void (*sentinel_changed)(void *owner, const char *sentinel, bool is_up, const char *why);
	/*
	 * The server does not have the records that it had (records.h): the agents bring back what
	 * they know. `why` is a constant; the numbers are of the changes that this agent knows, and
	 * of those that the server has. May be NULL.
	 */
	void (*records_lost)(void *owner, const char *why, uint64_t known, uint64_t found);
	/*
	 * The server has another record in place of this one of the state file, or none. May be
	 * NULL.
	 */
	void (*record_outdated)(void *owner, const struct record *record);
	/* The server can't keep records, for this reason. Called once a connection; may be NULL. */
	void (*records_failed)(void *owner, struct bytes why);
	/* The server answered a request by an error, in these words. */
	void (*refused)(void *owner, const struct store_op *op, enum store_error error,
			struct bytes why);
	void *owner;
};

static inline enum store_state store_ask(struct store *store, struct store_op *op)
{
	return store->ask(store, op);
}

static inline bool store_answer_known(struct store *store, struct store_op *op)
{
	return store->answer_known != NULL && store->answer_known(store, op);
}

static inline void store_forget_known(struct store *store)
{
	if (store->forget_known != NULL)
		store->forget_known(store);
}

static inline uint64_t store_connection(const struct store *store)
{
	return store->connection == NULL ? 0 : store->connection(store);
}

static inline bool store_divides(const struct store *store, const struct store_op *op)
{
	return store->divides != NULL && store->divides(store, op);
}

static inline void store_expired(struct store *store, struct store_op *op, int64_t mono_us)
{
	if (store->expired != NULL)
		store->expired(store, op, mono_us);
}

static inline void store_settled(struct store *store, struct store_op *op, bool is_denied)
{
	if (store->settled != NULL)
		store->settled(store, op, is_denied);
}

static inline void store_catch_up(struct store *store)
{
	if (store->catch_up != NULL)
		store->catch_up(store);
}

static inline void store_set_password(struct store *store, const char *password)
{
	if (store->set_password != NULL)
		store->set_password(store, password);
}

static inline void store_set_sentinel_password(struct store *store, const char *password)
{
	if (store->set_sentinel_password != NULL)
		store->set_sentinel_password(store, password);
}

static inline void store_reread_files(struct store *store)
{
	if (store->reread_files != NULL)
		store->reread_files(store);
}

static inline void store_count_agents(struct store *store, bool is_counting)
{
	if (store->count_agents != NULL)
		store->count_agents(store, is_counting);
}

static inline struct store_description store_describe(const struct store *store)
{
	return store->describe(store);
}

static inline void store_free(struct store *store)
{
	if (store != NULL)
		store->free(store);
}

/* Whether a request waits for the op, for which errors are counted and logged. */
static inline bool store_op_is_request(const struct store_op *op)
{
	return op->taken_us == NULL && !op->is_settling;
}

/* "up", "shedding" or "down", as people see it. */
static inline const char *store_state_text(const struct store_description *store)
{
	return !store->is_up ? "down" : store->is_shedding ? "shedding" : "up";
}

static inline void store_op_fail(struct store_op *op, enum store_error error)
{
	for (size_t i = 0; i < op->count && op->taken_us == NULL; i++) {
		op->checks[i]->error = error;
		op->checks[i]->is_decided = false;
	}
}

/* The error of the first check that has one; STORE_OK when all were answered. Not of an op that
 * gives back. */
static inline enum store_error store_op_error(const struct store_op *op)
{
	unsigned error = STORE_OK;

	for (size_t i = 0; i < op->count && error == STORE_OK; i++)
		error = op->checks[i]->error;
	return (enum store_error)error;
}

#endif
