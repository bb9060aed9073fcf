/*
 * One call carries many requests of several checks each, and many of them have the same keys. Redis
 * must answer as the memory store does when it is asked one request after the other, also for
 * checks in shadow and for requests that are denied already. A request that meets an unusable value
 * gets an error, charges nothing, and spoils no other request; a check in shadow spoils no other
 * check.
 */
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
#include "store/redis/redis_script.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/store/contract.h"
#include "unusable.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

#define KEYS     20
#define ROUNDS   400 /* of up to 70 requests */
#define PREFIX   "rl:"
#define WINDOW   (10 * US_PER_SECOND)
#define START_US UNUSABLE_TIME_US

struct pair {
	struct stage *stage;
	struct store *memory;
	struct chance chance;
	int64_t now_us;
	bool has_other; /* the last request had other terms */
	/* Requests that passed; that were denied, but one of their checks alone would have passed.
	 */
	int64_t allowed, denied_as_one, unusable;
	/* That passed, and one in shadow would have denied; that did not, and one in shadow would
	 * have passed; that were denied already; with an unusable one in shadow.
	 */
	int64_t shadow_denied, shadow_passed, denied_already, shadow_unusable;
};

BEFORE_EACH
{
	static struct pair pair;

	pair = (struct pair){
		.stage = stage_new(true),
		.memory = memory_store_new(UINT64_C(1) << 24),
		.chance = {(uint64_t)environment_number("MODEL_SEED", 3)},
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

/* Two for each key, as before and after a reload. */
static struct quota quota_of_key(size_t key, bool is_other)
{
	int64_t limit = is_other ? 5 : 30 + (int64_t)key;

	enum algorithm algorithm = (enum algorithm)(key % ALGORITHM_COUNT);

	if (algorithm_traits(algorithm)->is_by_rate)
		return bucket_of(limit, is_other ? "3" : "10/3s");
	return window_of(algorithm, limit, WINDOW);
}

static struct quota quota_for(struct unusable unusable)
{
	return algorithm_traits(unusable.algorithm)->is_by_rate
		       ? quota_of(unusable.algorithm, 10, 10 * US_PER_SECOND)
		       : window_of(unusable.algorithm, 10, 3600 * US_PER_SECOND);
}

/* Some of the keys, each once: the engine adds up what meets in one. */
static void add_checks(struct pair *pair, struct question *question)
{
	size_t count = (size_t)chance_between(&pair->chance, 1, 6);
	size_t key = chance_bits(&pair->chance) % KEYS;
	char name[16];

	if (chance_is_one_in(&pair->chance, 16))
		count = REQUEST_CHECKS_MAX - 1;
	for (size_t i = 0; i < count; i++, key = (key + 1) % KEYS) {
		bool is_other = chance_is_one_in(&pair->chance, 32);
		struct quota quota = quota_of_key(key, is_other);
		pair->has_other = pair->has_other || is_other;
		int64_t cost = chance_between(&pair->chance, 0, 2);
		if (chance_is_one_in(&pair->chance, 64))
			cost = quota.limit + chance_between(&pair->chance, 0, 1);
		snprintf(name, sizeof name, "key%zu", key);
		(void)question_add(question, name, &quota, cost);
	}
}

static void swap_checks(struct question *question, size_t a, size_t b)
{
	struct check *check = question->pointers[a];

	question->pointers[a] = question->pointers[b];
	question->pointers[b] = check;
}

static void choose_shadow(struct pair *pair, struct question *question)
{
	if (chance_is_one_in(&pair->chance, 2))
		question->op.shadow =
			(size_t)chance_between(&pair->chance, 0, (int64_t)question->op.count);
	question->op.is_denied = chance_is_one_in(&pair->chance, 16);
}

static bool is_in_shadow(const struct question *question, size_t place)
{
	return place >= question->op.count - question->op.shadow;
}

static void add_unusable(struct pair *pair, struct question *question)
{
	size_t index = chance_bits(&pair->chance) % unusable_count();
	struct unusable unusable = unusable_at(index);
	struct quota quota = quota_for(unusable);
	size_t last = question->op.count;

	int64_t cost = chance_between(&pair->chance, 0, 3);
	if (unusable_cost(index) > 0)
		cost = unusable_cost(index);
	(void)question_add(question, unusable.key, &quota, cost);
	size_t place = chance_bits(&pair->chance) % question->op.count;
	swap_checks(question, last, place);
	choose_shadow(pair, question);
	pair->unusable++;
	if (!is_in_shadow(question, place)) {
		question_expect_error(question, STORE_OTHER);
		return;
	}
	question->own_errors[last] = STORE_OTHER;
	question_expect(question, pair->memory);
	pair->shadow_unusable++;
}

static void count(struct pair *pair, const struct question *question)
{
	bool is_one_allowed = false, is_one_denied = false;
	bool is_shadow_allowed = false, is_shadow_denied = false;

	for (size_t i = 0; i < question->op.count; i++) {
		const struct check *check = question->pointers[i];
		bool allowed = question->outcomes[check - question->checks].allowed;
		bool is_shadow = is_in_shadow(question, i);
		is_one_allowed |= !is_shadow && allowed && check->cost > 0;
		is_one_denied |= !is_shadow && !allowed;
		is_shadow_allowed |= is_shadow && allowed && check->cost > 0;
		is_shadow_denied |= is_shadow && !allowed;
	}
	pair->denied_already += question->op.is_denied;
	if (question->op.is_denied)
		return;
	pair->allowed += !is_one_denied;
	pair->denied_as_one += is_one_denied && is_one_allowed;
	pair->shadow_denied += !is_one_denied && is_shadow_denied;
	pair->shadow_passed += is_one_denied && is_shadow_allowed;
}

static void ask_randomly(struct pair *pair, bool with_unusable)
{
	struct question *question = stage_question(pair->stage, pair->now_us);

	add_checks(pair, question);
	if (with_unusable && chance_is_one_in(&pair->chance, 6)) {
		add_unusable(pair, question);
	} else {
		choose_shadow(pair, question);
		question_expect(question, pair->memory);
		count(pair, question);
	}
	stage_ask(pair->stage, question);
}

/*
 * All keys have a balance from the start on, so that the memory store never looks for full ones to
 * forget: it would not know them any more when the clock steps back.
 */
static void touch_all_keys(struct pair *pair)
{
	char name[16];

	for (size_t key = 0; key < KEYS; key++) {
		struct quota quota = quota_of_key(key, false);
		struct question *question = stage_question(pair->stage, pair->now_us);
		snprintf(name, sizeof name, "key%zu", key);
		(void)question_add(question, name, &quota, 1);
		question_expect(question, pair->memory);
		stage_ask(pair->stage, question);
	}
}

/* Never before the start, nor an hour after it: the unusable logs would be mended, or forgotten. */
static void step_time(struct pair *pair)
{
	int64_t step_us = chance_between(&pair->chance, 0, WINDOW / 3);

	if (chance_is_one_in(&pair->chance, 8))
		step_us = -chance_between(&pair->chance, 0, 3 * WINDOW);
	if (pair->now_us + step_us >= START_US)
		pair->now_us += step_us;
	if (pair->now_us > START_US + 3000 * US_PER_SECOND)
		pair->now_us = START_US;
}

/* ---- buckets that are full ---- */

/* The state of a bucket in Redis (docs/redis.md). */
struct state {
	uint8_t bytes[24];
	bool is_there;
};

static int64_t number_at(const uint8_t *bytes)
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return (int64_t)number;
}

/* By the terms that it was written by: their unit says which of the two. */
static bool is_full(const struct pair *pair, size_t key, const struct state *state)
{
	struct quota quota = quota_of_key(key, true);
	int64_t level = number_at(state->bytes), unit = number_at(state->bytes + 8);

	if (quota.refill_us != unit)
		quota = quota_of_key(key, false);
	assert_int_equal(quota.refill_us, unit);
	int64_t missing = quota.limit * unit - level;
	return pair->now_us >=
	       number_at(state->bytes + 16) + divide_up(missing, quota.refill_tokens);
}

/* As Redis ends the keys of full buckets. Here the time is given, and ends no key. */
static void end_full_buckets(struct pair *pair, struct state *ended)
{
	struct redis_server *server = stage_server(pair->stage);

	stage_settle(pair->stage);
	for (size_t key = 0; key < KEYS; key++) {
		if (!algorithm_traits(quota_of_key(key, false).algorithm)->is_by_rate)
			continue;
		const redisReply *reply = redis_server_ask(server, "GET " PREFIX "key%d", (int)key);
		if (reply->type == REDIS_REPLY_NIL)
			continue;
		assert_int_equal(reply->len, sizeof ended[key].bytes);
		memcpy(ended[key].bytes, reply->str, reply->len);
		ended[key].is_there = is_full(pair, key, &ended[key]);
		if (ended[key].is_there)
			(void)redis_server_ask_number(server, "DEL " PREFIX "key%d", (int)key);
	}
}

/* The clock may step back to before they were full. */
static void put_back_untouched(struct pair *pair, struct state *ended)
{
	for (size_t key = 0; key < KEYS; key++) {
		if (ended[key].is_there)
			(void)redis_server_ask(stage_server(pair->stage),
					       "SET " PREFIX "key%d %b PX 3600000 NX", (int)key,
					       ended[key].bytes, sizeof ended[key].bytes);
		ended[key].is_there = false;
	}
}

/* A request by other terms may leave a bucket full, when it brings a state back to now. */
static void ask_round(struct pair *pair, bool with_unusable, struct state *ended)
{
	pair->has_other = true;
	for (int64_t left = chance_between(&pair->chance, 1, 70); left > 0; left--) {
		if (pair->has_other)
			end_full_buckets(pair, ended);
		pair->has_other = false;
		ask_randomly(pair, with_unusable);
	}
	stage_settle(pair->stage);
	put_back_untouched(pair, ended);
}

static void play_rounds(struct pair *pair, bool with_unusable)
{
	struct state ended[KEYS] = {0};

	touch_all_keys(pair);
	for (int round = 0; round < ROUNDS; round++) {
		ask_round(pair, with_unusable, ended);
		step_time(pair);
	}
	print_message("%d requests passed, %d were denied as one, %d before they were asked; of "
		      "those in shadow %d would have denied, %d would have passed; %d met what is "
		      "unusable, %d in shadow\n",
		      (int)pair->allowed, (int)pair->denied_as_one, (int)pair->denied_already,
		      (int)pair->shadow_denied, (int)pair->shadow_passed, (int)pair->unusable,
		      (int)pair->shadow_unusable);
	assert_in_range(pair->allowed, 1000, ROUNDS * 70);
	assert_in_range(pair->denied_as_one, 500, ROUNDS * 70);
	assert_in_range(pair->denied_already, 500, ROUNDS * 70);
	assert_in_range(pair->shadow_denied, 500, ROUNDS * 70);
	assert_in_range(pair->shadow_passed, 500, ROUNDS * 70);
}

TEST(random_requests_agree_with_the_memory_store)
{
	play_rounds(*state, false);
}

TEST(random_requests_with_unusable_keys_agree_but_for_those)
{
	struct pair *pair = *state;

	unusable_write(stage_server(pair->stage), PREFIX);
	play_rounds(pair, true);

	assert_in_range(pair->unusable, 1000, ROUNDS * 70);
	assert_in_range(pair->shadow_unusable, 200, ROUNDS * 70);
	unusable_assert_untouched(stage_server(pair->stage), PREFIX);
}

/*
 * "good" is charged before and after the unusable one, and not with it. With it in shadow it is
 * charged; in shadow with it, which is not, it is not.
 */
static void ask_around(struct pair *pair, struct unusable unusable, int64_t cost)
{
	struct quota good = window_of(FIXED_WINDOW, 1000000, WINDOW), bad = quota_for(unusable);

	for (int i = 0; i < 5; i++) {
		struct question *question = stage_question(pair->stage, pair->now_us);
		(void)question_add(question, "good", &good, 1);
		if (i > 0 && i < 4)
			(void)question_add(question, unusable.key, &bad, cost);
		question->op.shadow = i == 2 || i == 3 ? 1 : 0;
		if (i == 3)
			swap_checks(question, 0, 1);
		if (i == 2)
			question->own_errors[1] = STORE_OTHER;
		if (i == 1 || i == 3)
			question_expect_error(question, STORE_OTHER);
		else
			question_expect(question, pair->memory);
		stage_ask(pair->stage, question);
	}
	stage_settle(pair->stage);
}

TEST(each_unusable_value_spoils_its_own_request_only)
{
	struct pair *pair = *state;

	unusable_write(stage_server(pair->stage), PREFIX);
	pair->now_us = START_US + US_PER_SECOND;
	for (size_t i = 0; i < unusable_count(); i++)
		for (int64_t cost = 0; cost <= 11; cost++)
			if (unusable_cost(i) == 0 || unusable_cost(i) == cost)
				ask_around(pair, unusable_at(i), cost);

	unusable_assert_untouched(stage_server(pair->stage), PREFIX);
}

/* Not a time to count by, though it is hardly ahead; further ahead than a window it is mended. */
TEST(log_with_a_time_that_is_not_exact_is_unusable)
{
	static const uint8_t one_unit[24] = {[9] = 0x20, [15] = 2, [23] = 1}; /* at 2^53 + 2 */
	struct pair *pair = *state;

	(void)redis_server_ask_number(stage_server(pair->stage), "SET %slog %b", PREFIX, one_unit,
				      sizeof one_unit);
	pair->now_us = QUOTA_EXACT_MAX;
	ask_around(pair, (struct unusable){"log", SLIDING_WINDOW}, 1);
}

static int64_t strange_number(struct chance *chance)
{
	static const int64_t numbers[] = {0,
					  1,
					  2,
					  5,
					  9,
					  10,
					  11,
					  31,
					  32,
					  64,
					  START_US - 1,
					  START_US,
					  START_US + 1,
					  QUOTA_EXACT_MAX - 1,
					  QUOTA_EXACT_MAX,
					  QUOTA_EXACT_MAX + 2,
					  INT64_MAX,
					  INT64_MIN,
					  -1};

	return chance_is_one_in(chance, 4) ? chance_between(chance, 0, 100)
					   : CHANCE_PICK(chance, numbers);
}

static void put_number(struct writer *w, uint64_t number)
{
	writer_put_u32_be(w, (uint32_t)(number >> 32));
	writer_put_u32_be(w, (uint32_t)number);
}

/* Numbers; or a log of entries that grow, as a limiter writes it, with some numbers changed. */
static size_t make_strange(struct chance *chance, uint8_t *bytes, size_t max)
{
	struct writer w = writer_on(bytes, max);
	size_t numbers = (size_t)chance_between(chance, 1, chance_is_one_in(chance, 2) ? 5 : 140);
	bool is_log = !chance_is_one_in(chance, 3);
	int64_t header[] = {chance_between(chance, 30, 70), chance_between(chance, 0, 40),
			    chance_between(chance, 1, 40), 0};
	size_t header_len = numbers > 64 ? 4 : 1;

	for (size_t i = 0; i < numbers; i++) {
		int64_t number = i < header_len ? header[i + 4 - header_len] : (int64_t)i / 2;
		if (i >= header_len && i % 2 == 1)
			number += START_US;
		if (!is_log || chance_is_one_in(chance, 2 * numbers))
			number = strange_number(chance);
		put_number(&w, (uint64_t)number);
	}
	return w.len - (chance_is_one_in(chance, 16) ? 1 : 0);
}

static void ask_around_strange(struct pair *pair, enum algorithm algorithm)
{
	struct quota strange =
		quota_of(algorithm, 10,
			 algorithm_traits(algorithm)->is_by_rate ? 10 * US_PER_SECOND : WINDOW);
	struct quota good = window_of(FIXED_WINDOW, 1000000, WINDOW);

	for (int i = 0; i < 3; i++) {
		struct question *question = stage_question(pair->stage, pair->now_us);
		if (i == 1) {
			(void)question_add(question, "strange", &strange,
					   chance_between(&pair->chance, 0, 11));
		} else {
			(void)question_add(question, "good", &good, 1);
			question_expect(question, pair->memory);
		}
		stage_ask(pair->stage, question);
	}
	stage_settle(pair->stage);
}

/* Some of them are good enough to be counted by. */
TEST(strange_values_spoil_no_other_request)
{
	struct pair *pair = *state;
	uint8_t bytes[2048];

	for (int i = 0; i < 4000; i++) {
		size_t len = make_strange(&pair->chance, bytes, sizeof bytes);
		(void)redis_server_ask_number(stage_server(pair->stage), "SET %sstrange %b", PREFIX,
					      bytes, len);
		pair->now_us = START_US + chance_between(&pair->chance, 0, 2 * WINDOW);
		ask_around_strange(pair, i % 8 < 4 ? SLIDING_WINDOW
						   : (enum algorithm)(i % ALGORITHM_COUNT));
	}
}

static int64_t calls_of_the_script(struct stage *stage)
{
	const char *name = "cmdstat_evalsha:calls=";
	const redisReply *reply = redis_server_ask(stage_server(stage), "INFO commandstats");

	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	const char *found = strstr(reply->str, name);
	return found != NULL ? strtoll(found + strlen(name), NULL, 10) : 0;
}

TEST(seventy_requests_of_a_turn_are_three_calls)
{
	struct pair *pair = *state;
	struct quota quota = window_of(SLIDING_WINDOW, 50, WINDOW);
	int64_t before = calls_of_the_script(pair->stage);

	for (int i = 0; i < 70; i++) {
		struct question *question = stage_question(pair->stage, pair->now_us);
		(void)question_add(question, "key", &quota, 1);
		question_expect(question, pair->memory);
		stage_ask(pair->stage, question);
	}
	stage_settle(pair->stage);

	assert_int_equal(REDIS_CALL_OPS_MAX, 32);
	assert_int_equal(calls_of_the_script(pair->stage) - before, 3);
}

/* Two keys, so that there is a first write and another one; of `a` it may only ask. */
static void ask_both_keys(struct pair *pair, int64_t cost_a, size_t shadow, bool is_full)
{
	struct question *question = stage_question(pair->stage, pair->now_us);
	struct quota bucket = bucket_of(10, "1"), window = window_of(SLIDING_WINDOW, 10, WINDOW);

	(void)question_add(question, "a", &bucket, cost_a);
	(void)question_add(question, "b", &window, 1);
	question->op.shadow = shadow;
	if (is_full && shadow == 1 && cost_a == 0)
		question->own_errors[1] = STORE_OOM; /* the other one has nothing to write */
	if (is_full && question->own_errors[1] == STORE_OK)
		question_expect_error(question, STORE_OOM);
	else
		question_expect(question, pair->memory);
	stage_ask(pair->stage, question);
	stage_settle(pair->stage);
}

TEST(full_redis_is_an_error_and_charges_nothing)
{
	struct pair *pair = *state;
	struct redis_server *server = stage_server(pair->stage);

	ask_both_keys(pair, 1, 0, false);
	(void)redis_server_ask_number(server, "CONFIG SET maxmemory 1");
	for (int i = 0; i < 3; i++) {
		ask_both_keys(pair, 1, 0, true);
		ask_both_keys(pair, 1, 1, true);
		ask_both_keys(pair, 1, 2, true);
		ask_both_keys(pair, 0, 1, true);
	}
	(void)redis_server_ask_number(server, "CONFIG SET maxmemory 0");

	ask_both_keys(pair, 1, 0, false);
	ask_both_keys(pair, 1, 1, false);
}

/* The user lost the right to a command: looks can't foresee that. */
static void forbid(struct redis_server *server, const char *command)
{
	assert_string_equal(redis_server_ask(server, "ACL SETUSER default -%s", command)->str,
			    "OK");
}

static void allow_all(struct redis_server *server)
{
	assert_string_equal(redis_server_ask(server, "ACL SETUSER default +@all")->str, "OK");
}

/* So many entries, a microsecond apart, in both stores. */
static void fill_log(struct pair *pair, const char *key, const struct quota *quota, int entries)
{
	for (int i = 0; i < entries; i++) {
		pair->now_us++;
		struct question *question = stage_question(pair->stage, pair->now_us);
		(void)question_add(question, key, quota, 1);
		question_expect(question, pair->memory);
		stage_ask(pair->stage, question);
	}
	stage_settle(pair->stage);
	pair->now_us++;
}

TEST(write_that_is_refused_ends_its_request)
{
	struct pair *pair = *state;
	struct redis_server *server = stage_server(pair->stage);
	struct quota bucket = bucket_of(10, "1"),
		     window = window_of(SLIDING_WINDOW, 100000, WINDOW);
	struct check charged;

	fill_log(pair, "log", &window, 100);
	forbid(server, "hset");
	struct question *question = stage_question(pair->stage, pair->now_us);
	(void)question_add(question, "before", &bucket, 1);
	(void)question_add(question, "log", &window, 1);
	(void)question_add(question, "behind", &bucket, 1);
	question_expect_error(question, STORE_OTHER);
	stage_ask(pair->stage, question);
	stage_settle(pair->stage);
	allow_all(server);

	/* What was written before stays, and nothing was behind. */
	ask(pair->memory, (struct check *[]){check_make(&charged, "before", &bucket, 1)}, 1,
	    pair->now_us);
	static const char *const keys[] = {"before", "behind"};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		question = stage_question(pair->stage, pair->now_us);
		(void)question_add(question, keys[i], &bucket, 0);
		question_expect(question, pair->memory);
		stage_ask(pair->stage, question);
	}
	stage_settle(pair->stage);
}

/*
 * With the rights that were enough for an earlier version small logs are counted as before; one
 * that gets its 32nd entry is answered by an error, and stays what it was.
 */
TEST(log_that_must_not_become_a_hash_stays_small)
{
	static const char *const commands[] = {"hset", "unlink", "type"};
	struct pair *pair = *state;
	struct redis_server *server = stage_server(pair->stage);
	struct quota window = window_of(SLIDING_WINDOW, 100000, WINDOW);

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		bool is_enough = strcmp(commands[i], "type") == 0;
		forbid(server, commands[i]);
		fill_log(pair, commands[i], &window, 31);
		for (int n = 0; n < 3; n++) {
			struct question *question = stage_question(pair->stage, pair->now_us);
			(void)question_add(question, commands[i], &window, 1);
			if (is_enough)
				question_expect(question, pair->memory);
			else
				question_expect_error(question, STORE_OTHER);
			stage_ask(pair->stage, question);
		}
		stage_settle(pair->stage);
		allow_all(server);
		fill_log(pair, commands[i], &window, 10);
	}
}

/* As an earlier version left it: of 40 units, the newest a microsecond ago. */
static void put_ring(struct pair *pair, const char *key, const struct quota *quota)
{
	uint8_t bytes[32 + 16 * 40];
	struct writer w = writer_on(bytes, sizeof bytes);
	const uint64_t header[] = {40, 0, 40, 0};

	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		put_number(&w, header[i]);
	for (uint64_t i = 1; i <= 40; i++) {
		struct check check;
		pair->now_us++;
		ask(pair->memory, (struct check *[]){check_make(&check, key, quota, 1)}, 1,
		    pair->now_us);
		put_number(&w, (uint64_t)pair->now_us);
		put_number(&w, i);
	}
	(void)redis_server_ask_number(stage_server(pair->stage), "SET %s%s %b PX 1000000", PREFIX,
				      key, w.data, w.len);
	pair->now_us++;
}

TEST(ring_of_before_that_must_not_be_written_stays)
{
	static const char *const commands[] = {"rename", "hset"};
	struct pair *pair = *state;
	struct redis_server *server = stage_server(pair->stage);
	struct quota window = window_of(SLIDING_WINDOW, 100000, WINDOW);

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		put_ring(pair, commands[i], &window);
		forbid(server, commands[i]);
		struct question *question = stage_question(pair->stage, pair->now_us);
		(void)question_add(question, commands[i], &window, 1);
		question_expect_error(question, STORE_OTHER);
		stage_ask(pair->stage, question);
		question = stage_question(pair->stage, pair->now_us);
		(void)question_add(question, commands[i], &window, 0);
		question_expect(question, pair->memory);
		stage_ask(pair->stage, question);
		stage_settle(pair->stage);
		allow_all(server);
		fill_log(pair, commands[i], &window, 10);
	}
}
