/*
 * sliding_window with many entries: Redis keeps them in a hash of pieces of which a call reads few,
 * the memory store keeps them in a tree, and both say the same while the log fills, expires,
 * shrinks, is asked by another limit, and meets a clock that steps back. The same holds for a log
 * that an earlier version left behind as a ring in a string, from its first write until the last of
 * its entries has left. LOG_ENTRIES in the environment chooses how many entries the large log has
 * (from a thousand to 400,000, with which it comes to the limit of its units), LOG_MILLION how many
 * the largest has.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>
#include <sodium.h>

#include "base/clock.h"
#include "base/writer.h"
#include "stage.h"
#include "store/memory.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/store/contract.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

#define LIMIT    QUOTA_LOG_LIMIT_MAX
#define HOUR_US  (3600 * US_PER_SECOND)
#define START_US INT64_C(1700000000000000)
#define NEWEST   31  /* entries at most in the field `log` of a hash, and in a small log */
#define PIECE    744 /* entries in a full numbered field */

struct pair {
	struct stage *stage;
	struct store *memory;
	struct chance chance;
	char key[16];
	int64_t window_us;
	int64_t now_us;
	int64_t used; /* of LIMIT, when that was asked for last */
};

BEFORE_EACH
{
	static struct pair pair;

	pair = (struct pair){
		.stage = stage_new(true),
		.memory = memory_store_new(UINT64_C(64) << 20),
		.chance = {(uint64_t)environment_number("MODEL_SEED", 5)},
		.key = "log",
		.window_us = HOUR_US,
		.now_us = START_US,
	};
	assert_non_null(pair.memory);
	*state = &pair;
}

AFTER_EACH
{
	struct pair *pair = *state;

	stage_free(pair->stage);
	store_free(pair->memory);
}

/* ---- asking both ---- */

/* Returns whether it passes. */
static bool ask_with_limit(struct pair *pair, int64_t limit, int64_t cost)
{
	struct question *question = stage_question(pair->stage, pair->now_us);
	struct quota quota = window_of(SLIDING_WINDOW, limit, pair->window_us);

	(void)question_add(question, pair->key, &quota, cost);
	question_expect(question, pair->memory);
	pair->used = limit == LIMIT ? limit - question->outcomes[0].remaining : pair->used;
	bool is_allowed = question->outcomes[0].allowed;
	stage_ask(pair->stage, question);
	return is_allowed;
}

static bool take(struct pair *pair, int64_t cost)
{
	return ask_with_limit(pair, LIMIT, cost);
}

/*
 * Costs that a few of the units, many, and all must leave for, and the same of a lower limit. None
 * passes: each asks for more than what remains.
 */
static void ask_about_waits(struct pair *pair)
{
	assert_true(take(pair, 0));
	int64_t used = pair->used;

	for (int i = 0; i < 20; i++) {
		int64_t kept = chance_between(&pair->chance, 0, used - 1);
		int64_t limit = chance_between(&pair->chance, kept + 1, used);
		assert_false(take(pair, LIMIT - kept));
		assert_false(ask_with_limit(pair, limit, limit - kept));
	}
	assert_false(take(pair, LIMIT));
	assert_false(take(pair, LIMIT + 1));
	assert_false(ask_with_limit(pair, 1, 1));
	assert_true(ask_with_limit(pair, used, 0));
}

/* An entry each, a millisecond apart. */
static void fill(struct pair *pair, int64_t entries)
{
	for (int64_t i = 0; i < entries; i++) {
		pair->now_us += US_PER_MS;
		assert_true(take(pair, 1 + i % 2));
	}
	ask_about_waits(pair);
	stage_settle(pair->stage);
}

/* ---- what stands in Redis (lua/sliding_window_pieces.lua) ---- */

/* The numbers of `log`, and what follows from its length. A small log has only a count. */
struct layout {
	bool is_hash, is_ring, has_ring;
	int64_t first, flushed, dropped, moved;
	int64_t newest, count;
	int64_t fields;
};

static int64_t read_number(const char *bytes)
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | (uint8_t)bytes[i];
	return (int64_t)number;
}

static const redisReply *ask_redis(struct pair *pair, const char *command, const char *rest)
{
	char format[128];

	snprintf(format, sizeof format, "%s rl:%%s %s", command, rest);
	const redisReply *reply = redis_server_ask(stage_server(pair->stage), format, pair->key);
	assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
	return reply;
}

static struct layout layout_of_string(struct pair *pair)
{
	const redisReply *reply = ask_redis(pair, "GETRANGE", "0 31");
	struct layout layout = {0};

	if (reply->len > 16)
		layout.count = read_number(reply->str + 16);
	int64_t len = ask_redis(pair, "STRLEN", "")->integer;
	layout.is_ring = len >= 512;
	if (!layout.is_ring)
		layout.count = len == 0 ? 0 : (len - 8) / 16;
	return layout;
}

static struct layout layout_of(struct pair *pair)
{
	struct layout layout = {.is_hash = true};

	if (strcmp(ask_redis(pair, "TYPE", "")->str, "hash") != 0)
		return layout_of_string(pair);
	layout.fields = ask_redis(pair, "HLEN", "")->integer;
	const redisReply *log = ask_redis(pair, "HGET", "log");
	assert_int_equal(log->type, REDIS_REPLY_STRING);
	size_t header = 32 + 11;
	layout.has_ring = (log->len - header) % 11 != 0;
	header += layout.has_ring ? 32 : 0;
	assert_true(log->len > header && (log->len - header) % 11 == 0);
	layout.first = read_number(log->str);
	layout.flushed = read_number(log->str + 8);
	layout.dropped = read_number(log->str + 16);
	layout.moved = layout.has_ring ? read_number(log->str + 32) : 0;
	layout.newest = (int64_t)(log->len - header) / 11;
	layout.count = layout.flushed + layout.newest - layout.first;
	return layout;
}

static int64_t count_of(struct pair *pair)
{
	return layout_of(pair).count;
}

/* Where an earlier version's ring goes. */
static int64_t bytes_of_ring_left(struct pair *pair)
{
	return redis_server_ask_number(stage_server(pair->stage), "STRLEN rl:%s{rl:%s}", pair->key,
				       pair->key);
}

/* Small as a string, else a hash whose numbered fields are there from `dropped` on. */
static void assert_layout(struct pair *pair, int64_t count)
{
	struct layout layout = layout_of(pair);

	assert_int_equal(layout.count, count);
	assert_true(layout.is_hash == (count > NEWEST));
	if (!layout.is_hash)
		return;
	assert_in_range(layout.newest, 1, NEWEST);
	int64_t pieces = (layout.flushed + PIECE - 1) / PIECE - layout.dropped;
	int64_t index = ask_redis(pair, "HEXISTS", "index")->integer;
	assert_int_equal(layout.fields, 1 + pieces + index);
}

/* ---- the tests ---- */

/* Of entries that were made a millisecond apart. One more is taken. */
static void expire_all_but(struct pair *pair, int64_t entries)
{
	assert_true(entries < count_of(pair));
	pair->now_us += pair->window_us - entries * US_PER_MS;
	assert_true(take(pair, 1));
	stage_settle(pair->stage);
}

TEST(large_log_agrees_while_it_fills_expires_and_shrinks)
{
	struct pair *pair = *state;
	int64_t entries = environment_number("LOG_ENTRIES", 110000);

	fill(pair, entries);
	assert_layout(pair, entries);

	expire_all_but(pair, entries / 3);
	ask_about_waits(pair);
	assert_true(layout_of(pair).first > entries / 2);
	fill(pair, entries / 2);
	assert_true(layout_of(pair).dropped > 0);

	expire_all_but(pair, 40);
	ask_about_waits(pair);
	assert_in_range(layout_of(pair).fields, 2, entries);
	fill(pair, 50);
	expire_all_but(pair, 20);
	ask_about_waits(pair);
	assert_layout(pair, 21);
	fill(pair, 100); /* in which time those 20 leave */
	assert_layout(pair, 101);
}

static void put_number(struct writer *w, uint64_t number)
{
	writer_put_u32_be(w, (uint32_t)(number >> 32));
	writer_put_u32_be(w, (uint32_t)number);
}

static void charge_memory(struct pair *pair, int64_t cost, int64_t now_us)
{
	struct quota quota = window_of(SLIDING_WINDOW, LIMIT, pair->window_us);
	struct check check;

	ask(pair->memory, (struct check *[]){check_make(&check, pair->key, &quota, cost)}, 1,
	    now_us);
	assert_true(check.outcome.allowed);
}

static void put_entry(struct writer *w, uint64_t time_us, uint64_t total)
{
	for (int shift = 48; shift >= 0; shift -= 8)
		writer_put_u8(w, (uint8_t)(time_us >> shift));
	writer_put_u32_be(w, (uint32_t)total);
}

/* Position 0 is a millisecond from now; totals pass the 2^32 by which they are counted. */
static void put_entries(struct pair *pair, struct writer *w, int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++)
		put_entry(w, (uint64_t)(pair->now_us + (i + 1) * US_PER_MS),
			  UINT64_C(0xfffff000) + (uint64_t)i + 1);
}

static void set_field(struct pair *pair, const char *field, const struct writer *w)
{
	assert_false(w->full);
	(void)redis_server_ask_number(stage_server(pair->stage), "HSET rl:%s %s %b", pair->key,
				      field, w->data, w->len);
}

/* A hash of so many entries of a unit each, as it is described in sliding_window_pieces.lua. */
static void put_pieces(struct pair *pair, int64_t entries)
{
	static uint8_t bytes[1 << 15];
	int64_t flushed = (entries - 1) / NEWEST * NEWEST;
	const int64_t header[] = {0, flushed, 0, 0xfffff000};
	struct writer w;

	for (int64_t i = 0; i < flushed; i += PIECE) {
		char field[24];
		snprintf(field, sizeof field, "%d", (int)(i / PIECE));
		w = writer_on(bytes, sizeof bytes);
		put_entries(pair, &w, i, i + PIECE < flushed ? i + PIECE : flushed);
		set_field(pair, field, &w);
	}
	w = writer_on(bytes, sizeof bytes);
	for (int64_t i = PIECE; i <= flushed; i += PIECE)
		put_entries(pair, &w, i - 1, i);
	set_field(pair, "index", &w);
	w = writer_on(bytes, sizeof bytes);
	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		put_number(&w, (uint64_t)header[i]);
	put_entries(pair, &w, 0, 1);
	put_entries(pair, &w, flushed, entries);
	set_field(pair, "log", &w);
	(void)ask_redis(pair, "PEXPIRE", "3600000");
}

/* The largest log that there is: it is full, and each further entry takes the place of the oldest.
 */
TEST(log_of_a_million_entries_agrees)
{
	struct pair *pair = *state;
	int64_t entries = environment_number("LOG_MILLION", LIMIT);
	int64_t last_us = START_US + entries * US_PER_MS;

	pair->window_us = entries * US_PER_MS;
	put_pieces(pair, entries);
	for (int64_t i = 1; i <= entries; i++)
		charge_memory(pair, 1, START_US + i * US_PER_MS);
	pair->now_us = last_us;
	ask_about_waits(pair);
	assert_true(take(pair, 1) == (entries < LIMIT));
	for (int i = 0; i < 2 * PIECE; i++) {
		pair->now_us += US_PER_MS;
		assert_true(take(pair, 1));
	}
	ask_about_waits(pair);
	stage_settle(pair->stage);
	assert_layout(pair, entries);

	const int64_t kept[] = {entries - entries / 10, entries / 2, entries / 4, entries / 50};
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		pair->now_us = last_us + pair->window_us - kept[i] * US_PER_MS;
		assert_true(take(pair, 1));
		ask_about_waits(pair);
		fill(pair, 10);
	}
}

TEST(large_log_agrees_with_equal_times_and_other_limits)
{
	struct pair *pair = *state;

	fill(pair, 300);
	for (int i = 0; i < 500; i++) {
		assert_true(take(pair, 1));
		ask_about_waits(pair);
	}
	stage_settle(pair->stage);
	assert_layout(pair, 300);

	pair->now_us += US_PER_MS;
	assert_false(ask_with_limit(pair, 100, 1));
	assert_true(ask_with_limit(pair, 2000, 100));
	assert_true(take(pair, 1000));
	ask_about_waits(pair);
	stage_settle(pair->stage);
	assert_layout(pair, 301);
}

TEST(large_log_agrees_when_the_clock_steps_back)
{
	struct pair *pair = *state;

	fill(pair, 300);
	for (int i = 0; i < 100; i++) { /* all at the balance's own time */
		pair->now_us -= chance_between(&pair->chance, 0, pair->window_us / 101);
		assert_true(take(pair, 1));
		ask_about_waits(pair);
	}
	stage_settle(pair->stage);
	assert_layout(pair, 300);
	pair->now_us += pair->window_us;
	fill(pair, 100);
}

/* Denied, and so written though nothing is taken; then with something taken. */
TEST(large_log_of_the_future_is_mended)
{
	struct pair *pair = *state;

	for (int64_t cost = 1; cost <= LIMIT; cost += LIMIT - 1) {
		fill(pair, 2000);
		pair->now_us -= pair->window_us + 1;
		assert_true(take(pair, cost) == (cost == 1));
		stage_settle(pair->stage);
		assert_layout(pair, 1);
		ask_about_waits(pair);
		fill(pair, 100);
	}
}

/* Fewer cases with a small LOG_ENTRIES. */
static int64_t step(void)
{
	return environment_number("LOG_ENTRIES", 110000) < 10000 ? 9 : 2;
}

/* Logs whose first entry that counts is anywhere, and whose last one is near the end of a field. */
TEST(large_log_agrees_wherever_it_begins_and_ends)
{
	struct pair *pair = *state;
	int64_t number = 0;

	for (int64_t ends = 2 * PIECE - 2; ends < 2 * PIECE + NEWEST + 3; ends += step()) {
		for (int64_t kept = 1; kept < ends; kept += chance_between(&pair->chance, 1, 800)) {
			snprintf(pair->key, sizeof pair->key, "log%d", (int)number++);
			fill(pair, ends);
			expire_all_but(pair, kept);
			ask_about_waits(pair);
			assert_layout(pair, kept + 1);
			fill(pair, 40); /* in which time as many leave */
			assert_layout(pair, (kept > 40 ? kept : 40) + 1);
		}
	}
}

/* So many have not left, of logs that begin anywhere around the end of a field. */
TEST(large_log_becomes_small_wherever_it_begins)
{
	struct pair *pair = *state;
	int64_t number = 0;

	for (int64_t size = PIECE + 20; size < PIECE + 60; size += step()) {
		const int64_t kept[] = {1, 2 + size % 27, 29, 30, 31, 32 + size % 31};
		for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
			snprintf(pair->key, sizeof pair->key, "log%d", (int)number++);
			fill(pair, size);
			expire_all_but(pair, kept[i]);
			assert_layout(pair, kept[i] + 1);
			ask_about_waits(pair);
			fill(pair, 3);
		}
	}
}

TEST(numbered_field_whose_entries_have_left_is_dropped_one_a_call)
{
	struct pair *pair = *state;

	fill(pair, 10 * PIECE + 100);
	expire_all_but(pair, PIECE);
	assert_int_equal(layout_of(pair).dropped, 1);
	for (int64_t dropped = 2; dropped <= 9; dropped++) {
		fill(pair, 1);
		assert_int_equal(layout_of(pair).dropped, dropped);
		assert_int_equal(layout_of(pair).fields, 2 + 11 - dropped);
	}
	fill(pair, 1);
	assert_int_equal(layout_of(pair).dropped, 9);

	fill(pair, 3 * PIECE); /* the index forgets them when the next field is full */
	assert_in_range(ask_redis(pair, "HSTRLEN", "index")->integer, 11, 11 * 5);
}

/* Units of the same time are in the same entry. */
TEST(log_becomes_a_hash_with_31_entries_and_one)
{
	struct pair *pair = *state;

	for (int64_t size = 28; size <= 34; size++) {
		snprintf(pair->key, sizeof pair->key, "log%d", (int)size);
		fill(pair, size);
		for (int i = 0; i < 3; i++) {
			assert_true(take(pair, 1));
			ask_about_waits(pair);
			stage_settle(pair->stage);
			assert_layout(pair, size);
			if (size <= NEWEST)
				assert_int_equal(ask_redis(pair, "STRLEN", "")->integer,
						 8 + 16 * size);
		}
		fill(pair, 5);
	}
}

/* ---- what an earlier version left behind ---- */

/*
 * The memory store takes `count` entries, a millisecond apart; Redis gets the string that the
 * version before wrote for them: a small log, or with `slots` a ring whose oldest entry stands in
 * `head`.
 */
static void put_string(struct pair *pair, int64_t slots, int64_t head, int64_t count)
{
	static uint8_t bytes[1 << 21];
	static int number;
	size_t len = slots == 0 ? 8 + 16 * (size_t)count : 32 + 16 * (size_t)slots;
	uint64_t total = 77;
	const int64_t header[] = {slots, head, count, (int64_t)total};

	snprintf(pair->key, sizeof pair->key, "old%d", number++);
	assert_true(len <= sizeof bytes);
	memset(bytes, 0xff, len);
	struct writer w = writer_on(bytes, sizeof bytes);
	for (size_t i = slots == 0 ? 3 : 0; i < 4; i++)
		put_number(&w, (uint64_t)header[i]);
	size_t header_len = w.len;
	for (int64_t i = 0; i < count; i++) {
		pair->now_us += US_PER_MS;
		charge_memory(pair, 1 + i % 2, pair->now_us);
		total += (uint64_t)(1 + i % 2);
		w.len = header_len + 16 * (size_t)(slots == 0 ? i : (head + i) % slots);
		put_number(&w, (uint64_t)pair->now_us);
		put_number(&w, total);
	}
	(void)redis_server_ask_number(stage_server(pair->stage), "SET rl:%s %b PX 3600000",
				      pair->key, bytes, len);
}

struct content {
	uint8_t dump[4096];
	size_t len;
	int64_t ends_ms;
};

static void read_content(struct pair *pair, const char *key, struct content *content)
{
	const redisReply *reply = redis_server_ask(stage_server(pair->stage), "DUMP %s", key);

	content->len = reply->type == REDIS_REPLY_NIL ? 0 : reply->len;
	assert_true(content->len <= sizeof content->dump);
	memcpy(content->dump, reply->str != NULL ? reply->str : "", content->len);
	content->ends_ms =
		redis_server_ask_number(stage_server(pair->stage), "PEXPIRETIME %s", key);
}

/* Nothing that is denied, or costs nothing, writes to the log or to the ring that it left. */
static void ask_about_waits_only(struct pair *pair)
{
	static struct content before[2], after[2];
	char keys[2][64];

	stage_settle(pair->stage);
	snprintf(keys[0], sizeof keys[0], "rl:%s", pair->key);
	snprintf(keys[1], sizeof keys[1], "rl:%s{rl:%s}", pair->key, pair->key);
	for (size_t i = 0; i < 2; i++)
		read_content(pair, keys[i], &before[i]);
	bool has_ring = layout_of(pair).has_ring;
	ask_about_waits(pair);
	stage_settle(pair->stage);
	for (size_t i = 0; i < (has_ring ? 2 : 1);
	     i++) { /* one that nobody needs is about to end */
		read_content(pair, keys[i], &after[i]);
		assert_int_equal(after[i].len, before[i].len);
		assert_memory_equal(after[i].dump, before[i].dump, before[i].len);
		assert_int_equal(after[i].ends_ms, before[i].ends_ms);
	}
}

/* Entry by entry the ring's leave; what is left of it is gone when the last one is. */
static void outlive_ring(struct pair *pair, int64_t count)
{
	while (count > 0) {
		int64_t step = chance_between(&pair->chance, 1, count < 40 ? count : 40);
		fill(pair, step);
		pair->now_us += chance_between(&pair->chance, 0, 2) * US_PER_MS;
		assert_true(take(pair, 1));
		ask_about_waits_only(pair);
		count -= step;
	}
	assert_false(layout_of(pair).has_ring);
}

/*
 * A ring of each head and of any count, that has its first write 0 to 2 ms after its newest entry:
 * at 0 that one gets more units. Then its entries leave one after the other.
 */
TEST(ring_of_before_agrees_until_its_last_entry_has_left)
{
	struct pair *pair = *state;
	const int64_t slots = 64;

	pair->window_us = 3 * slots * US_PER_MS;
	for (int64_t head = 0; head < slots; head += 3) {
		int64_t count = chance_between(&pair->chance, NEWEST + 1, slots);
		put_string(pair, slots, head, count);
		assert_true(layout_of(pair).is_ring);
		ask_about_waits_only(pair);
		assert_true(layout_of(pair).is_ring);

		pair->now_us += head % 2 * US_PER_MS;
		assert_true(take(pair, 1));
		ask_about_waits_only(pair);
		struct layout layout = layout_of(pair);
		assert_int_equal(layout.count, count + head % 2);
		assert_true(layout.is_hash && layout.has_ring);
		assert_int_equal(layout.dropped, layout.moved / PIECE);
		assert_int_equal(bytes_of_ring_left(pair), 32 + 16 * slots);

		fill(pair, 3 * slots - 2 * count);
		assert_true(layout_of(pair).has_ring);
		outlive_ring(pair, 2 * count + 3);
		fill(pair, 50);
	}
}

/* Its first write comes when all but so many of its entries have left. */
TEST(ring_of_before_of_which_some_have_left_agrees)
{
	struct pair *pair = *state;
	const int64_t slots = 128;

	for (int64_t head = 0; head < slots; head += 9) {
		const int64_t kept[] = {0, 1, 2 + head % 27, 29, 30, 31, 32, 33, 90};
		for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
			put_string(pair, slots, head, 100);
			pair->now_us += pair->window_us - kept[i] * US_PER_MS;
			assert_true(take(pair, 0));
			if (kept[i] > 0)
				ask_about_waits_only(pair);
			assert_true(take(pair, 1));
			stage_settle(pair->stage);
			/* At exactly a window the entry of then has left. */
			int64_t count = kept[i] + 1;
			struct layout layout = layout_of(pair);
			assert_int_equal(layout.count, count);
			assert_true(layout.has_ring == (count > NEWEST));
			assert_true(layout.is_hash == (count > NEWEST));
			ask_about_waits_only(pair);
			fill(pair, 70);
		}
	}
}

/* Of several numbered fields' size, through which the log grows while the ring is still there. */
TEST(large_ring_of_before_agrees)
{
	struct pair *pair = *state;
	const struct {
		int64_t slots, head, count;
	} rings[] = {{1024, 0, 744},        {1024, 1000, 745}, {4096, 4000, 4096},
		     {65536, 60000, 65536}, {65536, 1, 65000}, {65536, 65535, 1488}};

	for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
		put_string(pair, rings[i].slots, rings[i].head, rings[i].count);
		ask_about_waits(pair);
		fill(pair, 2 * PIECE + 50);
		ask_about_waits(pair);
		expire_all_but(pair, 2 * PIECE + 50 + rings[i].count / 2);
		ask_about_waits(pair);
		assert_true(layout_of(pair).has_ring);
		fill(pair, 100);
		expire_all_but(pair, 2 * PIECE + 60);
		ask_about_waits(pair);
		assert_false(layout_of(pair).has_ring);
		fill(pair, PIECE);
		expire_all_but(pair, 10);
		ask_about_waits(pair);
	}
}

TEST(ring_of_before_agrees_when_the_clock_steps)
{
	struct pair *pair = *state;

	for (int is_written = 0; is_written < 2; is_written++) {
		for (int64_t cost = 1; cost <= LIMIT; cost += LIMIT - 1) {
			put_string(pair, 64, 10, 60);
			if (is_written)
				fill(pair, 3);
			for (int i = 0; i < 30; i++) {
				pair->now_us -=
					chance_between(&pair->chance, 0, pair->window_us / 31);
				assert_true(take(pair, 1));
				ask_about_waits(pair);
			}
			pair->now_us -= pair->window_us + 1;
			assert_true(take(pair, cost) == (cost == 1));
			stage_settle(pair->stage);
			assert_layout(pair, 1);
			ask_about_waits(pair);
			fill(pair, 100);
			pair->now_us += pair->window_us + 1;
		}
	}
}

TEST(small_log_of_before_agrees)
{
	struct pair *pair = *state;

	for (int64_t count = 1; count <= NEWEST; count++) {
		put_string(pair, 0, 0, count);
		ask_about_waits_only(pair);
		fill(pair, 40);
		assert_layout(pair, count + 40);
		expire_all_but(pair, 20 + count / 2);
		ask_about_waits_only(pair);
	}
}

/* A lost balance is a full one: what the ring had is free again, what came after it is not. */
TEST(log_whose_ring_was_deleted_has_what_came_after_it)
{
	struct pair *pair = *state;

	for (int64_t later = 1; later < 100; later += 3) {
		put_string(pair, 64, 60, 60);
		int64_t began_us = pair->now_us;
		fill(pair, later);
		stage_settle(pair->stage);
		assert_int_equal(redis_server_ask_number(stage_server(pair->stage),
							 "DEL rl:%s{rl:%s}", pair->key, pair->key),
				 1);

		/* To the memory store it is the log of another key. */
		int64_t now_us = pair->now_us;
		char lost[16];
		snprintf(lost, sizeof lost, "%s", pair->key);
		snprintf(pair->key, sizeof pair->key, "new%d", (int)later);
		(void)redis_server_ask(stage_server(pair->stage), "RENAME rl:%s rl:%s", lost,
				       pair->key);
		for (int64_t i = 0; i < later; i++)
			charge_memory(pair, 1 + i % 2, began_us + (i + 1) * US_PER_MS);
		assert_int_equal(now_us, began_us + later * US_PER_MS);
		ask_about_waits(pair);
		fill(pair, 50);
		assert_layout(pair, later + 50);
	}
}

/* Time goes at another pace in each phase, so that the log has from none to a thousand entries. */
static void random_phase(struct pair *pair)
{
	int64_t pace_us =
		chance_between(&pair->chance, 1, 8) * chance_between(&pair->chance, 1, 2000);
	int64_t steps = chance_between(&pair->chance, 1, 300);

	for (int64_t i = 0; i < steps; i++) {
		if (!chance_is_one_in(&pair->chance, 4))
			pair->now_us += chance_between(&pair->chance, 0, pace_us);
		if (chance_is_one_in(&pair->chance, 64))
			pair->now_us -= chance_between(&pair->chance, 0, 2 * pace_us);
		if (chance_is_one_in(&pair->chance, 4))
			(void)ask_with_limit(pair, chance_between(&pair->chance, 1, 1000),
					     chance_between(&pair->chance, 0, 1000));
		else
			(void)take(pair, chance_between(&pair->chance, 1, 3));
	}
}

static void random_jump(struct pair *pair)
{
	int64_t jump_us = chance_between(&pair->chance, 0, 5);

	if (jump_us == 0)
		pair->now_us -= pair->window_us + chance_between(&pair->chance, -1, 1);
	else if (jump_us < 4)
		pair->now_us += pair->window_us - chance_between(&pair->chance, -1, 100) * 1000;
	(void)take(pair, LIMIT);
}

/* Begins as an earlier version left it, and is put back to that now and then. */
TEST(ring_of_changing_size_agrees)
{
	struct pair *pair = *state;

	pair->window_us = US_PER_SECOND;
	for (int64_t i = environment_number("LOG_ENTRIES", 110000) / 1000; i > 0; i--) {
		int64_t slots = chance_between(&pair->chance, NEWEST + 1, 900);
		stage_settle(pair->stage);
		put_string(pair, slots, chance_between(&pair->chance, 0, slots - 1),
			   chance_between(&pair->chance, 1, slots));
		for (int64_t phases = chance_between(&pair->chance, 1, 5); phases > 0; phases--) {
			random_phase(pair);
			if (chance_is_one_in(&pair->chance, 3))
				random_jump(pair);
		}
	}
	stage_settle(pair->stage);
}

TEST(log_of_changing_size_agrees)
{
	struct pair *pair = *state;

	pair->window_us = US_PER_SECOND;
	for (int64_t i = environment_number("LOG_ENTRIES", 110000) / 200; i > 0; i--) {
		random_phase(pair);
		if (chance_is_one_in(&pair->chance, 2))
			random_jump(pair);
	}
	stage_settle(pair->stage);
}
