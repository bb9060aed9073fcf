/*
 * redis_reply.h - a reply of Redis as a flat list of items, read without any allocation.
 *
 * The items stand in the order in which they came. An array is one item that says how many elements
 * follow it. For example, ["a", [1, 2]] is read as:
 *
 *     ARRAY 2, TEXT "a", ARRAY 2, NUMBER 1, NUMBER 2
 *
 * There is room for the longest reply that the agent asks for. When a reply does not fit, `is_cut`
 * is set: items are missing at its end, or a text is shorter than it came. A reply stays valid
 * until the next one comes.
 */
#ifndef STORE_REDIS_REPLY_H
#define STORE_REDIS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/store_error.h"

enum redis_item_kind { REDIS_NIL = 0, REDIS_NUMBER, REDIS_TEXT, REDIS_ERROR, REDIS_ARRAY };

struct redis_item {
	enum redis_item_kind kind;
	int64_t number; /* of an array: how many elements follow */
	struct bytes text;
};

struct redis_reply {
	const struct redis_item *items; /* at least one */
	size_t count;
	bool is_cut;
};

static inline bool redis_reply_is_error(const struct redis_reply *reply)
{
	return reply->items[0].kind == REDIS_ERROR;
}

/* By the first word of the text, which is Redis' name of the error. */
enum store_error redis_error_kind(struct bytes text);

/* Collects the replies of one connection. */
struct redis_replies;
struct redisReader;

/* NULL when memory is short. */
struct redis_replies *redis_replies_new(void);
/* With room for longer replies. Room that no reply has used costs address space only. */
struct redis_replies *redis_replies_new_with(size_t items_max, size_t text_max);
void redis_replies_free(struct redis_replies *replies);
/* From now on the replies of `reader` are collected. The reader must not outlive `replies`. */
void redis_replies_collect(struct redis_replies *replies, struct redisReader *reader);
/*
 * *outstanding is the number of commands that wait. A reply that comes while it is 0 is turned into
 * an error: hiredis closes the connection for an error that nobody asked for, but for any other
 * reply it fails an assert, which would end the agent.
 */
void redis_replies_expect(struct redis_replies *replies, const size_t *outstanding);
/* Whether the reply that is being read says to have more elements than any that is asked for. */
bool redis_replies_is_too_long(const struct redis_replies *replies);
/* The reply that was read last. */
struct redis_reply redis_replies_last(const struct redis_replies *replies);

#endif
