#include "unusable.h"

#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/writer.h"
#include "support/test.h"

#define T         UNUSABLE_TIME_US
#define TOO_LARGE ((INT64_C(1) << 53) + 2) /* the next one that a double can hold */
#define VALUE_MAX 1024

/*
 * `numbers`, of 8 bytes each, then so many bytes of `fill`. A ring is a header of four (slots,
 * head, count, base) and then (time, total) in each slot; from 512 bytes on it is taken for one.
 */
struct value {
	struct unusable unusable;
	int64_t cost;
	int64_t numbers[8];
	size_t number_count;
	size_t fill_len;
	uint8_t fill;
};

#define NUMBERS(...) \
	.numbers = {__VA_ARGS__}, .number_count = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)
#define FILL(byte, len) .fill = (byte), .fill_len = (len)
#define RING(...)       NUMBERS(__VA_ARGS__), FILL(0, 1024 - sizeof((int64_t[]){__VA_ARGS__}))

static const struct value values[] = {
	{{"bucket: 1 byte", TOKEN_BUCKET}, FILL('x', 1)},
	{{"bucket: short", TOKEN_BUCKET}, NUMBERS(1, 1), FILL(0, 7)},
	{{"bucket: long", TOKEN_BUCKET}, NUMBERS(1, 1, T), FILL(0, 1)},
	{{"bucket: another number", TOKEN_BUCKET}, NUMBERS(1, 1, T, T)},
	{{"bucket: very long", TOKEN_BUCKET}, FILL(0, 1000)},
	{{"bucket: ones", TOKEN_BUCKET}, FILL(0xff, 24)},
	{{"bucket: large level", TOKEN_BUCKET}, NUMBERS(TOO_LARGE, 1000000, T)},
	{{"bucket: negative level", TOKEN_BUCKET}, NUMBERS(-1, 1000000, T)},
	{{"bucket: large unit", TOKEN_BUCKET}, NUMBERS(1, TOO_LARGE, T)},
	{{"bucket: no unit", TOKEN_BUCKET}, NUMBERS(1, 0, T)},
	{{"bucket: large time", TOKEN_BUCKET}, NUMBERS(1, 1000000, TOO_LARGE)},

	{{"fixed: 1 byte", FIXED_WINDOW}, FILL('x', 1)},
	{{"fixed: short", FIXED_WINDOW}, NUMBERS(1), FILL(0, 7)},
	{{"fixed: long", FIXED_WINDOW}, NUMBERS(1, T), FILL(0, 1)},
	{{"fixed: another number", FIXED_WINDOW}, NUMBERS(1, T, T)},
	{{"fixed: ones", FIXED_WINDOW}, FILL(0xff, 16)},
	{{"fixed: large use", FIXED_WINDOW}, NUMBERS(TOO_LARGE, T)},
	{{"fixed: negative use", FIXED_WINDOW}, NUMBERS(-1, T)},
	{{"fixed: large time", FIXED_WINDOW}, NUMBERS(1, TOO_LARGE)},

	{{"counter: 1 byte", SLIDING_WINDOW_COUNTER}, FILL('x', 1)},
	{{"counter: short", SLIDING_WINDOW_COUNTER}, NUMBERS(1, 1), FILL(0, 7)},
	{{"counter: long", SLIDING_WINDOW_COUNTER}, NUMBERS(1, 1, T), FILL(0, 1)},
	{{"counter: ones", SLIDING_WINDOW_COUNTER}, FILL(0xff, 24)},
	{{"counter: large previous", SLIDING_WINDOW_COUNTER}, NUMBERS(TOO_LARGE, 1, T)},
	{{"counter: large current", SLIDING_WINDOW_COUNTER}, NUMBERS(1, TOO_LARGE, T)},
	{{"counter: large time", SLIDING_WINDOW_COUNTER}, NUMBERS(1, 1, TOO_LARGE)},

	{{"log: 1 byte", SLIDING_WINDOW}, FILL('x', 1)},
	{{"log: no entry", SLIDING_WINDOW}, NUMBERS(0)},
	{{"log: half an entry", SLIDING_WINDOW}, NUMBERS(0, T)},
	{{"log: cut entry", SLIDING_WINDOW}, NUMBERS(0, T, 1, T), FILL(0, 7)},
	{{"log: 511 bytes", SLIDING_WINDOW}, FILL(0, 511)},
	{{"log: ones", SLIDING_WINDOW}, FILL(0xff, 24)},
	{{"log: large base", SLIDING_WINDOW}, NUMBERS(TOO_LARGE, T, TOO_LARGE + 1)},
	{{"log: large total", SLIDING_WINDOW}, NUMBERS(0, T, TOO_LARGE)},
	{{"log: large total after a base", SLIDING_WINDOW}, NUMBERS(5, T, TOO_LARGE)},
	{{"log: an entry of nothing", SLIDING_WINDOW}, NUMBERS(5, T, 5)},
	{{"log: a negative use", SLIDING_WINDOW}, NUMBERS(5, T, 3)},
	{{"log: totals that shrink", SLIDING_WINDOW}, NUMBERS(5, T, 8, T + 1, 3)},
	{{"log: times that shrink", SLIDING_WINDOW}, NUMBERS(0, T + 9000000, 1, T, 3)},

	/* Of 10 units in an hour: the first two must leave for so many. */
	{{"log: a time ahead of the newest", SLIDING_WINDOW},
	 .cost = 8,
	 NUMBERS(0, T, 1, T + 9000000, 3, T + 1, 4)},
	{{"log: a time before the window", SLIDING_WINDOW},
	 .cost = 8,
	 NUMBERS(0, T, 1, T - 7200000000, 3, T + 1, 4)},

	{{"ring: zeros", SLIDING_WINDOW}, FILL(0, 600)},
	{{"ring: ones", SLIDING_WINDOW}, FILL(0xff, 600)},
	{{"ring: text", SLIDING_WINDOW}, FILL('x', 1000)},
	{{"ring: 512 bytes of zeros", SLIDING_WINDOW}, FILL(0, 512)},
	{{"ring: no entry", SLIDING_WINDOW}, RING(64, 0, 0, 0)},
	{{"ring: more entries than slots", SLIDING_WINDOW}, RING(40, 0, 41, 0)},
	{{"ring: a head behind the slots", SLIDING_WINDOW}, RING(40, 40, 1, 0)},
	{{"ring: a slot that is not there", SLIDING_WINDOW}, RING(64, 0, 63, 0)},
	{{"ring: a wrap that is not there", SLIDING_WINDOW}, RING(64, 60, 40, 0)},
	{{"ring: slots beyond numbers", SLIDING_WINDOW}, RING(-1, -2, 1, 0)},
	{{"ring: large base", SLIDING_WINDOW}, RING(62, 0, 1, TOO_LARGE, T, TOO_LARGE + 1)},
	{{"ring: large total", SLIDING_WINDOW}, RING(62, 0, 1, 0, T, TOO_LARGE)},
	{{"ring: an entry of nothing", SLIDING_WINDOW}, RING(62, 0, 1, 5, T, 5)},
	{{"ring: a negative use", SLIDING_WINDOW}, RING(62, 0, 1, 5, T, 3)},
	{{"ring: totals that shrink", SLIDING_WINDOW}, RING(62, 0, 2, 5, T, 8, T + 1, 3)},
};

/* Of other types than a string. */
static const struct {
	struct unusable unusable;
	const char *command;
} others[] = {
	{{"bucket: a list", TOKEN_BUCKET}, "RPUSH %s%s x"},
	{{"fixed: a hash", FIXED_WINDOW}, "HSET %s%s used 1"},
	{{"counter: a set", SLIDING_WINDOW_COUNTER}, "SADD %s%s x"},
	{{"log: a sorted set", SLIDING_WINDOW}, "ZADD %s%s 1 x"},
	{{"log: a stream", SLIDING_WINDOW}, "XADD %s%s 1-1 x y"},
};

static struct bytes dumps[ARRAY_SIZE(values) + ARRAY_SIZE(others)];
static uint8_t memory[ARRAY_SIZE(dumps)][2 * VALUE_MAX];

size_t unusable_count(void)
{
	return ARRAY_SIZE(dumps);
}

struct unusable unusable_at(size_t index)
{
	return index < ARRAY_SIZE(values) ? values[index].unusable
					  : others[index - ARRAY_SIZE(values)].unusable;
}

int64_t unusable_cost(size_t index)
{
	return index < ARRAY_SIZE(values) ? values[index].cost : 0;
}

static void put_u64_be(struct writer *w, uint64_t number)
{
	writer_put_u32_be(w, (uint32_t)(number >> 32));
	writer_put_u32_be(w, (uint32_t)number);
}

static void write_value(struct redis_server *server, const char *prefix, const struct value *value)
{
	uint8_t bytes[VALUE_MAX];
	struct writer w = writer_on(bytes, sizeof bytes);

	for (size_t i = 0; i < value->number_count; i++)
		put_u64_be(&w, (uint64_t)value->numbers[i]);
	for (size_t i = 0; i < value->fill_len; i++)
		writer_put_u8(&w, value->fill);
	assert_false(w.full);
	(void)redis_server_ask_number(server, "SET %s%s %b", prefix, value->unusable.key, w.data,
				      w.len);
}

static const redisReply *dump(struct redis_server *server, const char *prefix, size_t index)
{
	const redisReply *reply =
		redis_server_ask(server, "DUMP %s%s", prefix, unusable_at(index).key);

	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	return reply;
}

void unusable_write(struct redis_server *server, const char *prefix)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		write_value(server, prefix, &values[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_not_equal(
			redis_server_ask(server, others[i].command, prefix, others[i].unusable.key)
				->type,
			REDIS_REPLY_ERROR);
	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		const redisReply *reply = dump(server, prefix, i);
		assert_true(reply->len <= sizeof memory[i]);
		memcpy(memory[i], reply->str, reply->len);
		dumps[i] = bytes_from(memory[i], reply->len);
	}
}

void unusable_assert_untouched(struct redis_server *server, const char *prefix)
{
	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		const redisReply *reply = dump(server, prefix, i);
		if (!bytes_equal(bytes_from(reply->str, reply->len), dumps[i]))
			fail_msg("%s was written to", unusable_at(i).key);
	}
}
