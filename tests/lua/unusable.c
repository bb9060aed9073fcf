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
#define FIELD_MAX 16384
#define DUMP_MAX  32768

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

/*
 * Large logs as hashes, which sliding_window_pieces.lua describes: the numbers of `log`, how many
 * entries stand behind them and in the numbered fields, each a microsecond and a unit after the one
 * before; `log` cut or filled up to `log_len`, if there is one. Of the first of these, 7 units
 * count.
 */
struct hash {
	struct unusable unusable;
	int64_t cost;
	int64_t numbers[8];
	size_t number_count;
	int64_t newest;
	size_t log_len;
	int64_t pieces[2];
	int64_t index;
	int64_t newest_is_off_by; /* in units */
	int64_t oldest_us;        /* in place of its time */
	const char *ring;         /* a command that makes what stands in the ring's place */
};

#define PIECE 744
#define TURN  (INT64_C(1) << 32)

static const struct hash hashes[] = {
	{{"hash: no numbered field", SLIDING_WINDOW}, NUMBERS(57, 62, 0, 5), .newest = 2},
	{{"hash: a short field", SLIDING_WINDOW},
	 NUMBERS(57, 62, 0, 5),
	 .newest = 2,
	 .pieces = {61}},
	{{"hash: a long field", SLIDING_WINDOW},
	 NUMBERS(57, 62, 0, 5),
	 .newest = 2,
	 .pieces = {63}},
	{{"hash: no field where a search begins", SLIDING_WINDOW},
	 NUMBERS(0, 62, 0, 5),
	 .newest = 2},
	{{"hash: a field that is not full", SLIDING_WINDOW},
	 NUMBERS(0, 775, 0, 5),
	 .newest = 2,
	 .pieces = {31, 31},
	 .index = 1},
	{{"hash: no open field when the newest are full", SLIDING_WINDOW},
	 NUMBERS(31, 31, 0, 5),
	 .newest = 31},
	{{"hash: no index", SLIDING_WINDOW},
	 NUMBERS(0, 1488, 0, 5),
	 .newest = 2,
	 .pieces = {PIECE, PIECE}},
	{{"hash: an index that begins too late", SLIDING_WINDOW},
	 NUMBERS(0, 1488, 0, 5),
	 .newest = 2,
	 .pieces = {PIECE, PIECE},
	 .index = 1},
	{{"hash: a long index", SLIDING_WINDOW},
	 NUMBERS(0, 1488, 0, 5),
	 .newest = 2,
	 .pieces = {PIECE, PIECE},
	 .index = 3},
	{{"hash: no index when a field becomes full", SLIDING_WINDOW},
	 NUMBERS(740, 1457, 0, 5),
	 .newest = 31,
	 .pieces = {PIECE, 713}},

	{{"hash: no entry", SLIDING_WINDOW}, NUMBERS(0, 31, 0, 5), .pieces = {31}},
	{{"hash: 32 newest entries", SLIDING_WINDOW},
	 NUMBERS(31, 31, 0, 5),
	 .newest = 32,
	 .pieces = {31}},
	{{"hash: an empty log", SLIDING_WINDOW}, .pieces = {31}},
	{{"hash: a log of a byte", SLIDING_WINDOW}, .log_len = 1, .pieces = {31}},
	{{"hash: a cut entry", SLIDING_WINDOW}, NUMBERS(31, 31, 0, 5), .newest = 3, .log_len = 75},
	{{"hash: a very long log", SLIDING_WINDOW}, .log_len = 10000},
	{{"hash: first behind the last", SLIDING_WINDOW},
	 NUMBERS(33, 31, 0, 5),
	 .newest = 2,
	 .pieces = {31}},
	{{"hash: newest in the middle of a turn", SLIDING_WINDOW},
	 NUMBERS(25, 30, 0, 5),
	 .newest = 2,
	 .pieces = {30}},
	{{"hash: positions beyond numbers", SLIDING_WINDOW},
	 NUMBERS(31 * (INT64_C(1) << 49), 31 * (INT64_C(1) << 49), 0, 5),
	 .newest = 2},
	{{"hash: dropped what counts", SLIDING_WINDOW},
	 NUMBERS(26, 31, 1, 5),
	 .newest = 2,
	 .pieces = {31}},
	{{"hash: large base", SLIDING_WINDOW},
	 NUMBERS(26, 31, 0, TURN),
	 .newest = 2,
	 .pieces = {31}},
	{{"hash: an entry of nothing", SLIDING_WINDOW},
	 NUMBERS(31, 31, 0, 5),
	 .newest = 1,
	 .newest_is_off_by = -1},
	{{"hash: a time ahead of the newest", SLIDING_WINDOW},
	 .cost = 8,
	 NUMBERS(26, 31, 0, 5),
	 .newest = 2,
	 .pieces = {31},
	 .oldest_us = T + 9000000},
	{{"hash: a time that is not exact", SLIDING_WINDOW},
	 .cost = 8,
	 NUMBERS(26, 31, 0, 5),
	 .newest = 2,
	 .pieces = {31},
	 .oldest_us = TOO_LARGE},

	{{"left: no slot", SLIDING_WINDOW},
	 NUMBERS(740, PIECE, 1, 5, PIECE, 0, 0, 9),
	 .newest = 2,
	 .ring = "SETRANGE %s%s{%s%s} 1055 x"},
	{{"left: a slot behind the slots", SLIDING_WINDOW},
	 NUMBERS(740, PIECE, 1, 5, PIECE, 64, 64, 9),
	 .newest = 2,
	 .ring = "SETRANGE %s%s{%s%s} 1055 x"},
	{{"left: slots beyond numbers", SLIDING_WINDOW},
	 NUMBERS(740, PIECE, 1, 5, PIECE, -1, 0, 9),
	 .newest = 2,
	 .ring = "SETRANGE %s%s{%s%s} 1055 x"},
	{{"left: moved in the middle of a field", SLIDING_WINDOW},
	 NUMBERS(740, PIECE, 0, 5, 743, 64, 0, 9),
	 .newest = 2,
	 .ring = "SETRANGE %s%s{%s%s} 1055 x"},
	{{"left: moved behind the newest", SLIDING_WINDOW},
	 NUMBERS(740, PIECE, 1, 5, 2 * PIECE, 64, 0, 9),
	 .newest = 2,
	 .ring = "SETRANGE %s%s{%s%s} 1055 x"},
	{{"left: large total", SLIDING_WINDOW},
	 NUMBERS(740, PIECE, 1, 5, PIECE, 64, 0, TURN),
	 .newest = 2,
	 .ring = "SETRANGE %s%s{%s%s} 1055 x"},
	{{"left: a short ring", SLIDING_WINDOW},
	 .cost = 8,
	 NUMBERS(740, PIECE, 1, 5, PIECE, 64, 0, 9),
	 .newest = 2,
	 .ring = "SETRANGE %s%s{%s%s} 400 x"},
	{{"left: a byte too many", SLIDING_WINDOW},
	 NUMBERS(740, PIECE, 1, 5, PIECE, 64, 0, 9),
	 .newest = 2,
	 .log_len = 98,
	 .ring = "SETRANGE %s%s{%s%s} 1055 x"},
	{{"left: a ring that is a list", SLIDING_WINDOW},
	 NUMBERS(740, PIECE, 1, 5, PIECE, 64, 0, 9),
	 .newest = 2,
	 .ring = "RPUSH %s%s{%s%s} x"},
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
	{{"log: another hash", SLIDING_WINDOW}, "HSET %s%s x y"},
};

static struct bytes dumps[ARRAY_SIZE(values) + ARRAY_SIZE(others) + ARRAY_SIZE(hashes)];
static uint8_t memory[ARRAY_SIZE(dumps)][DUMP_MAX];

size_t unusable_count(void)
{
	return ARRAY_SIZE(dumps);
}

/* The values come first, then the others, then the hashes. */
static const struct hash *hash_at(size_t index)
{
	size_t first = ARRAY_SIZE(values) + ARRAY_SIZE(others);

	return index < first ? NULL : &hashes[index - first];
}

struct unusable unusable_at(size_t index)
{
	if (hash_at(index) != NULL)
		return hash_at(index)->unusable;
	return index < ARRAY_SIZE(values) ? values[index].unusable
					  : others[index - ARRAY_SIZE(values)].unusable;
}

int64_t unusable_cost(size_t index)
{
	if (hash_at(index) != NULL)
		return hash_at(index)->cost;
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

static void put_entry(struct writer *w, const struct hash *hash, int64_t position, int64_t units)
{
	int64_t time_us = T + position, total = hash->numbers[3] + position - hash->numbers[0] + 1;

	if (hash->oldest_us != 0 && position == hash->numbers[0])
		time_us = hash->oldest_us;
	for (int shift = 48; shift >= 0; shift -= 8)
		writer_put_u8(w, (uint8_t)(time_us >> shift));
	writer_put_u32_be(w, (uint32_t)(total + units));
}

static void set_field(struct redis_server *server, const char *prefix, const struct hash *hash,
		      const char *field, const struct writer *w)
{
	assert_false(w->full);
	(void)redis_server_ask_number(server, "HSET %s%s %s %b", prefix, hash->unusable.key, field,
				      w->data, w->len);
}

static void write_log(struct redis_server *server, const char *prefix, const struct hash *hash)
{
	uint8_t bytes[FIELD_MAX];
	struct writer w = writer_on(bytes, sizeof bytes);

	memset(bytes, 0, sizeof bytes);
	for (size_t i = 0; i < hash->number_count; i++)
		put_u64_be(&w, (uint64_t)hash->numbers[i]);
	if (hash->number_count > 0)
		put_entry(&w, hash, hash->numbers[0], 0);
	for (int64_t i = 0; i < hash->newest; i++)
		put_entry(&w, hash, hash->numbers[1] + i, hash->newest_is_off_by);
	if (hash->log_len > 0)
		w.len = hash->log_len;
	set_field(server, prefix, hash, "log", &w);
}

static void write_hash(struct redis_server *server, const char *prefix, const struct hash *hash)
{
	uint8_t bytes[FIELD_MAX];
	struct writer w;
	const char *key = hash->unusable.key;

	write_log(server, prefix, hash);
	for (int64_t piece = 0; piece < 2; piece++) {
		w = writer_on(bytes, sizeof bytes);
		for (int64_t i = 0; i < hash->pieces[piece]; i++)
			put_entry(&w, hash, piece * PIECE + i, 0);
		if (w.len > 0)
			set_field(server, prefix, hash, piece == 0 ? "0" : "1", &w);
	}
	w = writer_on(bytes, sizeof bytes);
	for (int64_t i = 1; i <= hash->index; i++)
		put_entry(&w, hash, i * PIECE - 1, 0);
	if (w.len > 0)
		set_field(server, prefix, hash, "index", &w);
	if (hash->ring != NULL)
		(void)redis_server_ask_number(server, hash->ring, prefix, key, prefix, key);
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
	for (size_t i = 0; i < ARRAY_SIZE(hashes); i++)
		write_hash(server, prefix, &hashes[i]);
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
