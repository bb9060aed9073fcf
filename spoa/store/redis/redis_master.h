/*
 * redis_master.h - which server is the master, by what the Sentinels say.
 *
 * A failover gives the new master a `config-epoch` that is higher than any before. So the answer
 * with the highest epoch is followed, however many Sentinels still name another server: those have
 * not heard of the failover yet. The old master may call itself master for some ten seconds more,
 * and an agent that believed such a Sentinel would count apart from the others.
 *
 * Sentinels that were set up anew begin at epoch 0. The agent follows them when three things hold:
 * a majority of all Sentinels has named the same server by the same lower epoch for
 * REDIS_MASTER_RESET_US, no Sentinel has named the higher epoch in that time, and the server that
 * the agent follows is lost.
 *
 * There is no clock and no I/O here: every time is an argument, in us of the monotonic clock.
 */
#ifndef STORE_REDIS_MASTER_H
#define STORE_REDIS_MASTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "store/redis/redis_reply.h"
#include "store/redis/redis_target.h"

/* All numbers of this module. */
#define REDIS_MASTER_FIRST_US INT64_C(500000)   /* so long the first decision waits for answers */
#define REDIS_MASTER_FRESH_US INT64_C(2000000)  /* so long an answer counts */
#define REDIS_MASTER_RESET_US INT64_C(30000000) /* before a lower epoch is followed */

/* What a Sentinel says. */
struct redis_named {
	struct redis_place place;
	uint64_t epoch;
	/*
	 * The Sentinel is busy with a failover. Until the failover is over this Sentinel names the
	 * old master, though already by the new epoch, so such an answer moves nobody.
	 */
	bool is_failing_over;
};

/* What the Sentinels say together has become something else. */
enum redis_master_change {
	REDIS_MASTER_SAME = 0,
	REDIS_MASTER_MOVED, /* another server is followed, or the first one */
	REDIS_MASTER_RESET, /* a lower epoch is followed, maybe by the same server */
};

/* The last answer of a Sentinel. */
struct redis_vote {
	struct redis_named named;
	bool has_answered; /* else `named` means nothing */
	bool is_tried;     /* it has answered, or could not be asked */
	int64_t heard_us;  /* when it said so last */
	int64_t since_us;  /* since when it says so, without a gap */
};

struct redis_master {
	struct redis_vote votes[REDIS_PLACES_MAX];
	size_t count; /* of all Sentinels */
	int64_t begun_us;
	bool is_known; /* a server is followed: `followed` */
	struct redis_named followed;
	int64_t high_us; /* when the followed epoch, or a higher one, was named last */
};

void redis_master_init(struct redis_master *master, size_t count, int64_t now_us);
/* The Sentinel has answered. */
void redis_master_hear(struct redis_master *master, size_t sentinel,
		       const struct redis_named *named, int64_t now_us);
/* It could not be asked, or its answer is of no use. What it said before counts until it is old. */
void redis_master_miss(struct redis_master *master, size_t sentinel);
/* It does not know the master (any more): what it said before does not count. */
void redis_master_forget(struct redis_master *master, size_t sentinel);
/*
 * Decides by all that was heard; to be called after each answer and from time to time. `is_lost`:
 * the followed server can't be reached, or is no master.
 */
MUST_CHECK enum redis_master_change redis_master_decide(struct redis_master *master, bool is_lost,
							int64_t now_us);
/* What is followed; NULL: nothing yet. */
const struct redis_named *redis_master_followed(const struct redis_master *master);

/* Reads the reply to SENTINEL MASTER. False: it is not such a reply; *ret_named is untouched. */
MUST_CHECK bool redis_master_read(const struct redis_reply *reply, struct redis_named *ret_named);

#endif
