/*
 * store.h - the contract of everything that keeps balances.
 *
 * A store is asked for a whole request, once: all its checks are charged together or not at all.
 * It answers each check with an outcome (is_decided) or an error kind. Checks in shadow stand
 * behind the others and take no part in that: each is decided alone, stops nothing, and is charged
 * if it would allow and the request is allowed.
 *
 * store_ask returns STORE_DONE when all is answered. Or it returns STORE_PENDING and answers later:
 * then `answered` is called exactly once, never inside store_ask, also when the link is lost or the
 * store is freed. Until then the op and its checks stay where they are, however long that takes;
 * deadlines are the engine's, which sets `is_late`, tells the store (store_expired) and answers by
 * on_error in the meantime. It writes into the checks then, so a store keeps no progress in them.
 *
 * A store that has no way to ask (no link) says so at once: STORE_DONE with errors.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "limit/check.h"
#include "store/store_error.h"

enum store_state { STORE_DONE = 0, STORE_PENDING };

struct store_op {
	struct check *const *checks;
	size_t count;   /* at least 1 */
	size_t shadow;  /* how many of them, the last ones, are in shadow */
	bool is_denied; /* whatever they come to: nothing is charged */
	int64_t now_us; /* the epoch's time; a store with a clock of its own does not look at it */
	bool is_late;   /* nobody waits any more: what was not sent yet need not be, nor repeated */
	void (*answered)(struct store_op *op);
	struct list link; /* the store's, while the op is pending */
};

struct store {
	enum store_state (*ask)(struct store *store, struct store_op *op);
	/* An op has become late; NULL for a store that always answers at once. Answers nothing. */
	void (*expired)(struct store *store, int64_t mono_us);
	void (*free)(struct store *store);
};

static inline enum store_state store_ask(struct store *store, struct store_op *op)
{
	return store->ask(store, op);
}

static inline void store_expired(struct store *store, int64_t mono_us)
{
	if (store->expired != NULL)
		store->expired(store, mono_us);
}

static inline void store_free(struct store *store)
{
	if (store != NULL)
		store->free(store);
}

static inline void store_op_fail(struct store_op *op, enum store_error error)
{
	for (size_t i = 0; i < op->count; i++) {
		op->checks[i]->error = error;
		op->checks[i]->is_decided = false;
	}
}

/* Why a check was not answered, the first; STORE_OK when all were. */
static inline enum store_error store_op_error(const struct store_op *op)
{
	unsigned error = STORE_OK;

	for (size_t i = 0; i < op->count && error == STORE_OK; i++)
		error = op->checks[i]->error;
	return (enum store_error)error;
}

#endif
