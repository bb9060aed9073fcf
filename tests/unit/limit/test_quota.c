#include <stdint.h>
#include <string.h>

#include "limit/quota.h"
#include "support/test.h"

static struct ratio rate(const char *text)
{
	struct ratio ratio;

	assert_true(refill_rate_parse(bytes_from_text(text), &ratio));
	return ratio;
}

TEST(refill_rate_parse_is_tokens_a_microsecond_in_lowest_terms)
{
	static const struct {
		const char *text;
		int64_t tokens, us;
	} cases[] = {
		{"1", 1, 1000000},     {"0.5", 1, 2000000},
		{"1000/1m", 1, 60000}, {"1/3s", 1, 3000000},
		{"1e6", 1, 1},         {"3e6", 3, 1},
		{"60/1m", 1, 1000000}, {"1/1d", 1, INT64_C(86400000000)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(rate(cases[i].text).num, cases[i].tokens);
		assert_int_equal(rate(cases[i].text).den, cases[i].us);
	}
}

TEST(refill_rate_parse_refuses_what_is_no_rate)
{
	static const char *const texts[] = {"",    "0",      "-1", "1/",   "/1m",  "1/0s",
					    "1/m", "1/2/3s", "1m", "x/1m", "1/ 1m"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct ratio ratio;
		assert_false(refill_rate_parse(bytes_from_text(texts[i]), &ratio));
	}
}

TEST(set_bucket_keeps_what_is_exact_and_refuses_the_rest)
{
	struct quota quota = {.limit = 7};
	struct err err;

	assert_true(quota_set_bucket(&quota, TOKEN_BUCKET, 1000000, rate("1/3s"), &err));
	assert_int_equal(quota_full_us(&quota), INT64_C(3000000000000));
	/* 2 * capacity * 86400000000 + 1 <= 2^53 */
	assert_true(quota_set_bucket(&quota, TOKEN_BUCKET, 52124, rate("1/1d"), &err));
	assert_false(quota_set_bucket(&quota, TOKEN_BUCKET, 52125, rate("1/1d"), &err));
	assert_non_null(strstr(err.text, "refill_rate: "));
	assert_non_null(strstr(err.text, "1000/1m"));
	assert_false(quota_set_bucket(&quota, TOKEN_BUCKET, INT64_MAX, rate("1"), &err));
	assert_false(quota_set_bucket(&quota, TOKEN_BUCKET, 0, rate("1"), &err));
	assert_non_null(strstr(err.text, "capacity: "));
	assert_false(quota_set_bucket(&quota, TOKEN_BUCKET, INT64_C(1000000000000000),
				      rate("1000000"), &err));
	assert_string_equal(err.text, "capacity: must be at most 999999999999999");
	assert_int_equal(quota.limit, 52124);
	assert_true(quota_set_bucket(&quota, TOKEN_BUCKET, INT64_C(999999999999999),
				     rate("1000000"), &err));
}

TEST(set_window_checks_each_bound)
{
	static const struct {
		enum algorithm algorithm;
		int64_t limit, window_us;
		const char *refused; /* the field, or NULL */
	} cases[] = {
		{FIXED_WINDOW, 1, 1000, NULL},
		{FIXED_WINDOW, 1, 999, "window: "},
		{FIXED_WINDOW, 1, QUOTA_WINDOW_MAX_US, NULL},
		{FIXED_WINDOW, 1, QUOTA_WINDOW_MAX_US + 1, "window: "},
		{FIXED_WINDOW, 0, 1000, "limit: "},
		{FIXED_WINDOW, INT64_C(999999999999999), 1000, NULL},
		{FIXED_WINDOW, INT64_C(1000000000000000), 1000, "limit: "},
		{FIXED_WINDOW, INT64_MAX, 1000, "limit: "},
		{SLIDING_WINDOW, 1000000, 1000, NULL},
		{SLIDING_WINDOW, 1000001, 1000, "limit: "},
		{SLIDING_WINDOW_COUNTER, INT64_C(4503599627), 1000000, NULL},
		{SLIDING_WINDOW_COUNTER, INT64_C(4503599628), 1000000, "limit: "},
		{SLIDING_WINDOW_COUNTER, INT64_MAX, 1000, "limit: "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct quota quota;
		struct err err;
		bool is_good = quota_set_window(&quota, cases[i].algorithm, cases[i].limit,
						cases[i].window_us, &err);
		assert_int_equal(is_good, cases[i].refused == NULL);
		if (!is_good)
			assert_ptr_equal(strstr(err.text, cases[i].refused), err.text);
	}
}

TEST(set_window_refused_leaves_the_quota_and_says_what_fits)
{
	struct quota quota;
	struct err err;

	assert_true(quota_set_window(&quota, FIXED_WINDOW, 5, 1000, &err));
	assert_false(quota_set_window(&quota, SLIDING_WINDOW_COUNTER, INT64_C(4503599628), 1000000,
				      &err));
	assert_non_null(strstr(err.text, " 4503599627 "));
	assert_int_equal(quota.algorithm, FIXED_WINDOW);
	assert_int_equal(quota.limit, 5);
	assert_int_equal(quota.window_us, 1000);
}

TEST(full_us_is_a_window_or_the_whole_refill_rounded_up)
{
	struct quota quota;
	struct err err;

	assert_true(quota_set_bucket(&quota, TOKEN_BUCKET, 1, rate("3e6"), &err));
	assert_int_equal(quota_full_us(&quota), 1);
	assert_true(quota_set_bucket(&quota, TOKEN_BUCKET, 10, rate("7/1s"), &err));
	assert_int_equal(quota_full_us(&quota), 1428572);
	assert_true(quota_set_window(&quota, FIXED_WINDOW, 5, 1500, &err));
	assert_int_equal(quota_full_us(&quota), 1500);
	assert_true(quota_set_window(&quota, SLIDING_WINDOW, 5, 1500, &err));
	assert_int_equal(quota_full_us(&quota), 1500);
	assert_true(quota_set_window(&quota, SLIDING_WINDOW_COUNTER, 5, 1500, &err));
	assert_int_equal(quota_full_us(&quota), 3000);
}

TEST(ticks_of_a_window_are_at_most_a_million)
{
	static const struct {
		int64_t window_us, tick_us, ticks;
	} cases[] = {
		{1000, 1, 1000},      {1000000, 1, 1000000},   {1000001, 2, 500001},
		{1500000, 2, 750000}, {60000000, 60, 1000000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct quota quota = {.window_us = cases[i].window_us};
		assert_int_equal(quota_tick_us(&quota), cases[i].tick_us);
		assert_int_equal(quota_ticks(&quota), cases[i].ticks);
	}
}

TEST(algorithm_find_knows_the_four)
{
	enum algorithm algorithm;

	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		const char *name = algorithm_name((enum algorithm)i);
		assert_true(algorithm_find(bytes_from_text(name), &algorithm));
		assert_int_equal(algorithm, i);
	}
	assert_false(algorithm_find(BYTES("Token_bucket"), &algorithm));
	assert_false(algorithm_find(BYTES(""), &algorithm));
}
