/*
 * leases.h - the units that this agent has taken ahead of need, of balances whose policy has a
 * lease, and until when it may spend them.
 *
 * When the agent asks the server about such a balance, it takes as many units as its requests
 * needed in the last lease's time. It allows further requests out of these units, until they are
 * used up or the lease's time is over. It gives back what is left: with its next question about the
 * balance, or soon after the end by an op of its own (docs/reference.md, section "Leases"). For
 * example, with a lease of 100 ms and 400 requests a second:
 *
 *     at 0 ms     a question takes 40 units: 1 for its request, 39 are held
 *     ..90 ms     36 requests are allowed out of them
 *     at 100 ms   the lease is over, and 3 units are left
 *     at 102 ms   the next question gives 3 back, and takes 37 for the next 100 ms
 *
 * Only one question about a balance at a time brings units; others that are asked meanwhile take
 * their cost alone. So there is one taking of which units can be held, and what is given back goes
 * by its time.
 *
 * When a lease is over. A reply says that the units were taken at the server's time t, and the
 * server's clock showed t after the question was asked. So it has not come to t + lease as long as
 * less than that has passed here since the question was asked. For the difference between the two
 * clocks LEASE_DRIFT_IN is taken off. The lease of a window ends with its window.
 *
 * Callers pass the time, and this module asks no store: lease_store.h decides what to ask, and
 * when.
 */
#ifndef STORE_LEASES_H
#define STORE_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "store/store.h"

#define LEASES_MAX 16384
/* A lease that has ended waits for so long for the next question, to be given back by it. */
#define LEASES_GRACE_US INT64_C(10000)
/* The server's clock gains at most 1 us in so many. */
#define LEASE_DRIFT_IN 1000

struct leases;

/* Units of a lease that has ended, which are to be given back now. */
struct lease_back {
	struct key_hash id;
	size_t key_len;
	char key[CHECK_KEY_MAX];
	struct quota quota;
	int64_t units;
	int64_t taken_us; /* by the server's clock */
};

/* NULL when memory is short. */
struct leases *leases_new(void);
void leases_free(struct leases *leases);
/* Whether units are held. Then leases_next_back is to be asked from time to time. */
bool leases_are_held(const struct leases *leases);

/*
 * Answers all checks of the op when this agent holds the units for each of them, and takes these;
 * else it returns false and nothing has changed. A look (is_look) takes nothing.
 */
MUST_CHECK bool leases_spend(struct leases *leases, const struct store_op *op, int64_t mono_us);
/*
 * Says what a question about the check takes and gives back. What is given back is not held from
 * now on. leases_learn or leases_undo follows for each part that is_leased, but not for a look.
 */
struct lease_part leases_begin(struct leases *leases, const struct check *check, bool is_look,
			       int64_t mono_us);
/* The question was not asked, or the server did nothing of it. */
void leases_undo(struct leases *leases, const struct check *check, const struct lease_part *part,
		 int64_t mono_us);
/* The question, which was asked at `asked_us` or later, was answered, whatever came of it. */
void leases_learn(struct leases *leases, const struct check *check, const struct lease_part *part,
		  int64_t asked_us, int64_t mono_us);
/* A check that was asked without a part, or was answered by one, took so much. */
void leases_note_need(struct leases *leases, const struct check *check, int64_t mono_us);

/*
 * Takes out the units of one lease that ended LEASES_GRACE_US ago. False: there is none, or
 * `looks_left` is 0. Each lease that is taken out counts one off `looks_left`, also those of
 * windows that are over, which are dropped here: up to LEASES_MAX of these may end at one moment,
 * and the caller's turn of the loop is not to wait for all of them.
 */
MUST_CHECK bool leases_next_back(struct leases *leases, int64_t mono_us, size_t *looks_left,
				 struct lease_back *ret_back);
/* These could not be given back: they are offered again later, if the balance has none by now. */
void leases_hold_back(struct leases *leases, const struct lease_back *back, int64_t mono_us);

/* All units are dropped. What questions bring that are under way is dropped too. */
void leases_forget(struct leases *leases);

#endif
