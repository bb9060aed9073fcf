#include "store/redis/redis_terms.h"

#include "script_calls.h"
#include "store/redis/redis_command.h"
#include "support/sweep.h"
#include "support/test.h"

static struct redis_terms_memory memory;

BEFORE_EACH
{
	memory = (struct redis_terms_memory){.places[0].len = 0};
}

/* Word by word, from the numbers. */
static void put_plainly(struct writer *w, const struct quota *quota, int64_t cost)
{
	redis_command_put(w, bytes_from_text(algorithm_name(quota->algorithm)));
	redis_command_put_number(w, cost);
	redis_command_put_number(w, quota->limit);
	if (algorithm_traits(quota->algorithm)->is_by_rate) {
		redis_command_put_number(w, quota->refill_tokens);
		redis_command_put_number(w, quota->refill_us);
	} else {
		redis_command_put_number(w, quota->window_us);
	}
}

static void assert_put(const struct quota *quota, int64_t cost)
{
	uint8_t expected[512], put[512];
	struct writer plain = writer_on(expected, sizeof expected), w = writer_on(put, sizeof put);

	put_plainly(&plain, quota, cost);
	redis_terms_put(&w, &memory, quota, cost);

	assert_false(plain.full || w.full);
	assert_int_equal(w.len, plain.len);
	assert_memory_equal(put, expected, w.len);
}

TEST(redis_terms_put_any_cost_twice_puts_the_same_words)
{
	static const int64_t costs[] = {0, 1, 9, 10, 99, 1234567, QUOTA_UNITS_MAX + 1, -1};
	struct quota quotas[] = {BUCKET, LOG, COUNTER, FIXED};

	for (size_t i = 0; i < ARRAY_SIZE(quotas); i++)
		for (size_t k = 0; k < 2 * ARRAY_SIZE(costs); k++)
			assert_put(&quotas[i], costs[k % ARRAY_SIZE(costs)]);
}

/* The numbers are few, so that most quotas were there before and many share a place. */
TEST(redis_terms_put_quotas_that_take_turns_are_never_mixed_up)
{
	for (int i = 0; i < 100000; i++) {
		enum algorithm algorithm = (enum algorithm)random_below(ALGORITHM_COUNT);
		bool is_by_rate = algorithm_traits(algorithm)->is_by_rate;
		struct quota quota = {
			.algorithm = algorithm,
			.limit = 1 + (int64_t)random_below(8),
			.refill_tokens = is_by_rate ? 1 + (int64_t)random_below(8) : 0,
			.refill_us = is_by_rate ? 1 + (int64_t)random_below(8) : 0,
			.window_us = is_by_rate ? 0 : 1 + (int64_t)random_below(64),
		};
		assert_put(&quota, (int64_t)random_below(12));
	}
}

TEST(redis_terms_put_longest_words_fit)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++)
		assert_put(&(struct quota){.algorithm = (enum algorithm)i,
					   .limit = EXACT,
					   .refill_tokens = EXACT,
					   .refill_us = EXACT,
					   .window_us = EXACT},
			   EXACT);
}

struct put {
	struct quota quota;
	int64_t cost;
};

static void put_terms(struct writer *w, const void *context)
{
	const struct put *put = context;

	redis_terms_put(w, &memory, &put->quota, put->cost);
}

TEST(redis_terms_put_too_little_room_is_noticed)
{
	struct put one = {BUCKET, 1}, many = {BUCKET, 12};

	sweep_encoder(BYTES("$12\r\ntoken_bucket\r\n$1\r\n1\r\n$2\r\n10\r\n$1\r\n1\r\n"
			    "$7\r\n1000000\r\n"),
		      put_terms, &one);
	sweep_encoder(BYTES("$12\r\ntoken_bucket\r\n$2\r\n12\r\n$2\r\n10\r\n$1\r\n1\r\n"
			    "$7\r\n1000000\r\n"),
		      put_terms, &many);
}
