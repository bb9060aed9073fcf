/*
 * No key stays in Redis for ever: every write sets a TTL, which is the time until the balance is
 * full again, rounded up to a millisecond. Redis says when a key expires (PEXPIRETIME) and what
 * time it is before and after a request, so the test compares times of one clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/writer.h"
#include "stage.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define KEY         "rl:key"
#define HOUR_MS     INT64_C(3600000)
#define HOUR_US     (HOUR_MS * US_PER_MS)
#define START_US    INT64_C(1700000000000000)
#define PATIENCE_US (20 * US_PER_SECOND)

BEFORE_EACH
{
	*state = stage_new(false);
}

static void begin_with_given_time(TEST_STATE)
{
	*state = stage_new(true);
}

AFTER_EACH
{
	stage_free(*state);
}

/* ---- what Redis says ---- */

static int64_t number(struct stage *stage, const char *command)
{
	return redis_server_ask_number(stage_server(stage), command);
}

static int64_t server_ms(struct stage *stage)
{
	const redisReply *reply = redis_server_ask(stage_server(stage), "TIME");

	assert_int_equal(reply->elements, 2);
	return strtoll(reply->element[0]->str, NULL, 10) * 1000 +
	       strtoll(reply->element[1]->str, NULL, 10) / 1000;
}

/* A key in Redis: its value, and when it expires. */
struct content {
	uint8_t dump[16384];
	size_t len; /* 0: the key does not exist */
	int64_t ends_ms;
};

static void read_content(struct stage *stage, struct content *content)
{
	content->ends_ms = number(stage, "PEXPIRETIME " KEY);
	const redisReply *reply = redis_server_ask(stage_server(stage), "DUMP " KEY);
	content->len = 0;
	if (reply->type == REDIS_REPLY_NIL)
		return;
	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	assert_true(reply->len <= sizeof content->dump);
	memcpy(content->dump, reply->str, reply->len);
	content->len = reply->len;
}

/* ---- asking ---- */

/* Of one key, and when it ended before and after, between two times of Redis'. */
struct answer {
	struct outcome outcome;
	int64_t before_ms, after_ms;
	int64_t ended_ms, ends_ms; /* -2: there is none */
};

static struct answer ask_between_times(struct stage *stage, const struct quota *quota, int64_t cost,
				       int64_t now_us)
{
	struct answer answer = {.ended_ms = number(stage, "PEXPIRETIME " KEY)};

	answer.before_ms = server_ms(stage);
	answer.outcome = stage_ask_one(stage, "key", quota, cost, now_us);
	answer.ends_ms = number(stage, "PEXPIRETIME " KEY);
	answer.after_ms = server_ms(stage);
	return answer;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/*
 * Of what was written; `least_ms` is what its TTL is at least, whatever it is to be. When the key
 * was to end later, it still does.
 */
static void assert_ends_when_full(const struct answer *answer, int64_t least_ms)
{
	/* One more: Redis counts from the begin of the millisecond that it is. */
	int64_t ttl_ms = divide_up(answer->outcome.reset_us, US_PER_MS) + 1;

	assert_true(answer->outcome.reset_us > 0);
	ttl_ms = ttl_ms < least_ms ? least_ms : ttl_ms;
	/* Less than 0: there is no TTL, or no key; one of a few ms may be gone by now. */
	if (answer->after_ms >= answer->before_ms + ttl_ms && answer->ends_ms == -2)
		return;
	/* Redis 7.0 reads the clock for each command of a script, so the end may be a bit later. */
	int64_t took_ms = answer->after_ms - answer->before_ms;
	assert_in_range(answer->ends_ms, later(answer->before_ms + ttl_ms, answer->ended_ms),
			later(answer->after_ms + ttl_ms, answer->ended_ms + took_ms));
}

static struct outcome ask_and_compare_ttl(struct stage *stage, const struct quota *quota,
					  int64_t cost)
{
	struct answer answer = ask_between_times(stage, quota, cost, 0);

	if (answer.outcome.allowed && cost > 0)
		assert_ends_when_full(&answer, 1);
	return answer.outcome;
}

TEST(write_ends_a_key_when_it_is_full)
{
	const struct quota quotas[] = {
		bucket_of(10, "7"),
		bucket_of(1000, "1000/1h"),
		bucket_of(100000, "123.456"),
		window_of(SLIDING_WINDOW, 100, 1007),
		window_of(SLIDING_WINDOW, 1000, 999999),
		window_of(SLIDING_WINDOW, 1000, 24 * HOUR_US + 1),
		window_of(SLIDING_WINDOW_COUNTER, 100, 1007),
		window_of(SLIDING_WINDOW_COUNTER, 1000, 1234567),
		window_of(SLIDING_WINDOW_COUNTER, 1000, 24 * HOUR_US + 1),
		window_of(FIXED_WINDOW, 100, 1007),
		window_of(FIXED_WINDOW, 1000, 1234567),
		window_of(FIXED_WINDOW, 1000, 24 * HOUR_US + 1),
	};
	int64_t allowed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(quotas); i++) {
		for (int n = 0; n < 200; n++)
			allowed += ask_and_compare_ttl(*state, &quotas[i], 1 + n % 3).allowed;
		(void)number(*state, "FLUSHALL");
	}
	assert_true(allowed > 1000);
}

/* Of one balance whose time is given. Denied is [0], allowed [1], also of what is mended. */
struct course {
	int64_t now_us, last_us; /* the clock's, the balance's own */
	int64_t count[2], behind[2], mended[2];
};

/* A time that is given may be any, while Redis' own goes on: what it says is kept for an hour. */
static void ask_at_given_time(struct stage *stage, struct course *course, const struct quota *quota,
			      int64_t cost)
{
	struct answer answer = ask_between_times(stage, quota, cost, course->now_us);
	bool is_allowed = answer.outcome.allowed;
	bool is_mended = course->last_us - course->now_us > quota_full_us(quota);

	course->count[is_allowed]++;
	course->mended[is_allowed] += is_mended;
	course->behind[is_allowed] += !is_mended && course->last_us > course->now_us;
	if (!is_allowed && !is_mended) {
		assert_int_equal(answer.ends_ms, answer.ended_ms);
		return;
	}
	assert_ends_when_full(&answer, HOUR_MS);
	if (is_mended || course->last_us < course->now_us)
		course->last_us = course->now_us;
}

TEST_BEFORE(write_with_a_given_time_ends_a_key_when_it_is_full, begin_with_given_time)
{
	const struct quota quotas[] = {
		bucket_of(100, "7"),
		bucket_of(1000, "1000/1d"),
		bucket_of(1000, "7/13s"),
		window_of(SLIDING_WINDOW, 200, US_PER_SECOND),
		window_of(SLIDING_WINDOW, 200, 2 * HOUR_US + 1),
		window_of(SLIDING_WINDOW_COUNTER, 200, US_PER_SECOND),
		window_of(SLIDING_WINDOW_COUNTER, 200, 2 * HOUR_US + 1),
		window_of(FIXED_WINDOW, 200, US_PER_SECOND),
		window_of(FIXED_WINDOW, 200, 2 * HOUR_US + 1),
	};
	struct chance chance = {1};

	for (size_t i = 0; i < ARRAY_SIZE(quotas); i++) {
		const struct quota *quota = &quotas[i];
		int64_t full_us = quota_full_us(quota);
		struct course course = {.now_us = START_US};
		for (int n = 0; n < 300; n++) {
			bool is_all = chance_is_one_in(&chance, 3);
			course.now_us += chance_between(&chance, 0, full_us / 10);
			if (chance_is_one_in(&chance, 16)) /* the clock steps back */
				course.now_us -= chance_between(&chance, 0, full_us);
			if (chance_is_one_in(&chance, 16)) /* and is mended */
				course.now_us -= 2 * full_us;
			ask_at_given_time(*state, &course, quota,
					  is_all ? quota->limit : chance_between(&chance, 1, 3));
		}
		for (int is_allowed = 0; is_allowed < 2; is_allowed++) {
			assert_in_range(course.count[is_allowed], 60, 240);
			assert_in_range(course.behind[is_allowed], 10, 100);
			assert_in_range(course.mended[is_allowed], 3, 30);
		}
		(void)number(*state, "FLUSHALL");
	}
}

static void await_end(struct stage *stage)
{
	redis_server_await_number(stage_server(stage), "EXISTS " KEY, 0);
}

TEST(key_is_gone_when_it_is_full)
{
	const struct quota quotas[] = {
		bucket_of(1, "3/3.001ms"), /* full in 1000 1/3 us */
		bucket_of(2, "40"),
		bucket_of(100, "1000"),
		window_of(SLIDING_WINDOW, 200, 50 * US_PER_MS),
		window_of(SLIDING_WINDOW, 200, 100 * US_PER_MS),
		window_of(SLIDING_WINDOW_COUNTER, 200, 20 * US_PER_MS),
		window_of(SLIDING_WINDOW_COUNTER, 200, 50 * US_PER_MS),
		window_of(FIXED_WINDOW, 200, 20 * US_PER_MS),
		window_of(FIXED_WINDOW, 200, 100 * US_PER_MS),
	};

	for (size_t i = 0; i < ARRAY_SIZE(quotas); i++) {
		for (int n = 0; n < 100; n++)
			(void)ask_and_compare_ttl(*state, &quotas[i], 1);
		await_end(*state);
		(void)ask_and_compare_ttl(*state, &quotas[i], quotas[i].limit);
		await_end(*state);
	}
	assert_int_equal(number(*state, "DBSIZE"), 0);
}

/* Windows so long that none ends while the test runs; one more sliding_window, for a hash. */
static const struct quota *long_quotas(size_t *ret_count)
{
	static struct quota all[5];

	all[0] = bucket_of(200, "200/1000d");
	all[1] = window_of(SLIDING_WINDOW, 200, 24000 * HOUR_US);
	all[2] = window_of(SLIDING_WINDOW, 200, 24000 * HOUR_US);
	all[3] = window_of(SLIDING_WINDOW_COUNTER, 200, 24000 * HOUR_US);
	all[4] = window_of(FIXED_WINDOW, 200, 24000 * HOUR_US);
	*ret_count = ARRAY_SIZE(all);
	return all;
}

static bool is_hash(struct stage *stage)
{
	return strcmp(redis_server_ask(stage_server(stage), "TYPE " KEY)->str, "hash") == 0;
}

static void take_some(struct stage *stage, const struct quota *quota, bool until_it_is_a_hash)
{
	do
		assert_true(ask_and_compare_ttl(stage, quota, 1).allowed);
	while (until_it_is_a_hash && !is_hash(stage));
}

TEST(key_without_a_ttl_has_one_after_the_next_write)
{
	size_t count;
	const struct quota *all = long_quotas(&count);

	for (size_t i = 0; i < count; i++) {
		take_some(*state, &all[i], i == 2);
		assert_int_equal(number(*state, "PERSIST " KEY), 1);
		assert_int_equal(number(*state, "PEXPIRETIME " KEY), -1);
		assert_true(ask_and_compare_ttl(*state, &all[i], 1).allowed);
		(void)number(*state, "FLUSHALL");
	}
}

/* Asked with a cost of 0, one that does not pass, and one that never will. */
static void assert_asking_changes_nothing(struct stage *stage, const struct quota *quota)
{
	static struct content before, after;
	const int64_t costs[] = {0, quota->limit, quota->limit + 1};

	read_content(stage, &before);
	for (size_t i = 0; i < ARRAY_SIZE(costs); i++) {
		struct outcome outcome = stage_ask_one(stage, "key", quota, costs[i], 0);
		assert_true(outcome.allowed == (costs[i] == 0));
		read_content(stage, &after);
		assert_int_equal(after.len, before.len);
		assert_memory_equal(after.dump, before.dump, before.len);
		assert_int_equal(after.ends_ms, before.ends_ms);
	}
}

TEST(denied_or_without_a_cost_changes_nothing)
{
	size_t count;
	const struct quota *all = long_quotas(&count);

	for (size_t i = 0; i < count; i++) {
		take_some(*state, &all[i], i == 2);
		assert_asking_changes_nothing(*state, &all[i]);
		(void)number(*state, "FLUSHALL");
	}
}

TEST(denied_or_without_a_cost_creates_nothing)
{
	size_t count;
	const struct quota *all = long_quotas(&count);

	for (size_t i = 0; i < count; i++) {
		assert_true(stage_ask_one(*state, "key", &all[i], 0, 0).allowed);
		assert_false(stage_ask_one(*state, "key", &all[i], 201, 0).allowed);
		assert_int_equal(number(*state, "DBSIZE"), 0);
	}
}

/* A fixed window of an hour ends with the hour, by the clock that Redis shows to others too. */
TEST(time_is_that_of_redis_from_the_epoch_on)
{
	struct quota quota = window_of(FIXED_WINDOW, 10, HOUR_US);
	int64_t before_us = server_ms(*state) * US_PER_MS;
	int64_t reset_us = stage_ask_one(*state, "key", &quota, 1, 0).reset_us;
	int64_t after_us = (server_ms(*state) + 1) * US_PER_MS;

	int64_t end_us = (after_us + reset_us) / HOUR_US * HOUR_US;
	assert_in_range(end_us, before_us + reset_us, after_us + reset_us);
}

static void put_number(struct writer *w, uint64_t value)
{
	writer_put_u32_be(w, (uint32_t)(value >> 32));
	writer_put_u32_be(w, (uint32_t)value);
}

/* A large log as an earlier version wrote it, of a unit a millisecond. */
static void put_ring(struct stage *stage, int64_t now_us)
{
	static const uint64_t header[] = {40, 0, 40, 0};
	uint8_t bytes[32 + 16 * 40];
	struct writer w = writer_on(bytes, sizeof bytes);

	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		put_number(&w, header[i]);
	for (uint64_t i = 1; i <= 40; i++) {
		put_number(&w, (uint64_t)now_us - (41 - i) * US_PER_MS);
		put_number(&w, i);
	}
	assert_false(w.full);
	(void)redis_server_ask_number(stage_server(stage), "SET " KEY " %b PX 1000000", w.data,
				      w.len);
}

/*
 * What an earlier version left behind ends a minute after the log, so that no check finds it at its
 * end; and as soon as its last entry has left. Redis itself then frees it.
 */
TEST(ring_of_before_ends_after_its_log_and_when_it_is_over)
{
	/* So long that what was there is not over before 50 were asked, on a busy machine too. */
	struct quota quota = window_of(SLIDING_WINDOW, 200, 4 * US_PER_SECOND);
	const char *ring_ends = "PEXPIRETIME " KEY "{" KEY "}";

	put_ring(*state, server_ms(*state) * US_PER_MS);
	for (int i = 0; i < 50; i++) {
		struct answer answer = ask_between_times(*state, &quota, 1, 0);
		assert_true(answer.outcome.allowed);
		assert_ends_when_full(&answer, 1);
		assert_true(is_hash(*state));
		/* Redis 7.0 reads the clock for each of the script's two commands. */
		int64_t took_ms = answer.after_ms - answer.before_ms;
		int64_t minute_ms = number(*state, ring_ends) - answer.ends_ms;
		assert_in_range(minute_ms, 60000 - took_ms, 60000 + took_ms);
	}

	int64_t until_us = clock_mono_us() + PATIENCE_US;
	while (number(*state, "DBSIZE") > 1) {
		assert_true(clock_mono_us() < until_us);
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		(void)ask_and_compare_ttl(*state, &quota, 1);
	}
}
