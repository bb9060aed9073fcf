/*
 * redis_script.h - writes calls of the limiters that run in Redis, and reads their replies.
 * lua/contract.lua says what a call and a reply look like.
 *
 * One call asks for several requests. The reply has the state of each balance; from it the outcome
 * of each check is derived, by the same code that the memory store uses. A reply is not trusted:
 * one of another shape, or with a number that is impossible, becomes an error (STORE_OTHER) of the
 * requests that it was for.
 *
 * Nothing is sent here.
 */
#ifndef STORE_REDIS_SCRIPT_H
#define STORE_REDIS_SCRIPT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/list.h"
#include "base/writer.h"
#include "limit/check.h"
#include "store/redis/redis_reply.h"
#include "store/redis/redis_terms.h"
#include "store/store.h"

#define REDIS_CALL_OPS_MAX 32
#define REDIS_STATE_MAX    5  /* numbers that a reply has for one check, at most */
#define REDIS_PREFIX_MAX   88 /* --key-prefix, and what replay adds */

/*
 * Bytes of a call: what stands around its ops; of an op, how many checks it has and how many are in
 * shadow; of a check, "$5\r\nlease\r\n", the longest name, "$22\r\nsliding_window_counter\r\n",
 * eight numbers of at most 16 digits, and the length and line ends of the key.
 */
#define REDIS_CALL_BYTES  128
#define REDIS_OP_BYTES    16
#define REDIS_CHECK_BYTES (11 + 29 + 8 * 23 + 8)
/* The most: each op has one check, and prefix and keys are the longest. */
#define REDIS_CALL_MAX                                                                 \
	(REDIS_CALL_BYTES + REDIS_CALL_OPS_MAX * (REDIS_OP_BYTES + REDIS_CHECK_BYTES + \
						  REDIS_PREFIX_MAX + CHECK_KEY_MAX))

/* Then all keys share a slot in a Redis Cluster. */
static inline bool redis_prefix_has_hash_tag(struct bytes prefix)
{
	return prefix.len > 0 && memchr(prefix.data, '{', prefix.len) != NULL;
}

/* The script, put together from lua/ at build time. */
struct bytes redis_script_text(void);

/* What the ops of a call have in common. */
struct redis_call_form {
	const char *hash; /* of the script, as SCRIPT LOAD replied */
	struct bytes prefix;
	bool is_time_given; /* count by time_us; otherwise by the clock of Redis */
	int64_t time_us;
	struct redis_terms_memory *terms;
};

/* Puts EVALSHA for `ops`, a list of store_op.link. All of them give back (taken_us), or none does.
 */
void redis_call_put(struct writer *w, const struct redis_call_form *form, const struct list *ops);

/* Reads the reply to a call, op by op. */
struct redis_call_reader {
	const struct redis_item *next, *end;
	int64_t now_us;
};

/* False when the reply is none of the script. */
MUST_CHECK bool redis_call_read(struct redis_call_reader *reader, const struct redis_reply *reply);
/* Whether the reply has exactly the items that these ops need. To be asked before the first. */
MUST_CHECK bool redis_call_is_for(const struct redis_call_reader *reader, const struct list *ops);
/*
 * Answers the checks of the next op, by outcomes or by errors; *ret_why is the text of an error,
 * for the log. False when the items can't be the answer to this op. Then the rest of the reply is
 * of no use either.
 */
MUST_CHECK bool redis_call_next(struct redis_call_reader *reader, struct store_op *op,
				struct bytes *ret_why);

#endif
