/*
 * redis_reply.h - a reply of Redis' as a flat list, without an allocation, whatever comes.
 *
 * The items stand in the order of the wire: an array is an item that says how many follow for it.
 * So
 * ["a", [1, 2]] is ARRAY 2, TEXT a, ARRAY 2, NUMBER 1, NUMBER 2. What does not fit is left out and
 * sets `is_cut`; texts are then shorter than they were. It is good until the next reply.
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
	int64_t number; /* of an array: its elements */
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

/* The kind of an error, by the first word of its text, as Redis names them. */
enum store_error redis_error_kind(struct bytes text);

/* Where replies are collected: one for each connection. */
struct redis_replies;
struct redisReader;

/* NULL when memory is short. */
struct redis_replies *redis_replies_new(void);
void redis_replies_free(struct redis_replies *replies);
/* From now on the reader's replies come here; it must not outlive `replies`. */
void redis_replies_collect(struct redis_replies *replies, struct redisReader *reader);
/*
 * How many replies are waited for. One that nobody has asked for becomes an error, since hiredis
 * asserts that there is none, and gives the connection up for an error.
 */
void redis_replies_expect(struct redis_replies *replies, const size_t *outstanding);
/* The one that is being read has more elements than it is worth to wait for. */
bool redis_replies_is_too_long(const struct redis_replies *replies);
/* The one that was read last. */
struct redis_reply redis_replies_last(const struct redis_replies *replies);

#endif
