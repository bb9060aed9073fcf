/* A bucket whose numbers change keeps its level. test_balance_model.c has the same at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "limit/balance.h"
#include "support/test.h"

static struct quota bucket(int64_t capacity, int64_t tokens, int64_t us)
{
	return (struct quota){TOKEN_BUCKET, capacity, tokens, us, 0};
}

/* The level of a bucket by other numbers, at the time at which it was written. */
static int64_t level_by(struct token_bucket written, struct quota quota)
{
	struct balance b = {.plain.bucket = written};

	balance_look(&b, &quota, written.last_us);
	assert_int_equal(b.plain.bucket.unit_us, quota.refill_us);
	return b.plain.bucket.level;
}

TEST(level_is_converted_and_rounded_down)
{
	static const struct {
		int64_t level, unit, to_unit, expected;
	} cases[] = {
		{2500000, 1000000, 3000000, 7500000}, /* 2.5 tokens */
		{2500000, 1000000, 3, 7},             /* 2 1/3 */
		{2333333, 1000000, 3, 6},             /* a bit less than that */
		{2999999, 1000000, 1, 2},
		{0, 1000000, 3, 0},
		/* 3599999999 * 999983000000 has 72 bits; 128-bit arithmetic says the rest. */
		{3599999999, 3600000000, 999983000000, 999982999722},
		{7 * INT64_C(3600000000) + 1234567891, 3600000000, 999983000000, 7342810695373},
		{INT64_C(345600000000000) - 1, INT64_C(345600000000000), INT64_C(45000000000001),
		 INT64_C(45000000000000)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(level_by((struct token_bucket){cases[i].level, cases[i].unit, 1},
					  bucket(10, 1, cases[i].to_unit)),
				 cases[i].expected);
}

TEST(level_is_cut_to_a_lower_capacity)
{
	struct token_bucket written = {5500000, 1000000, 1};

	assert_int_equal(level_by(written, bucket(5, 1, 1000000)), 5000000);
	assert_int_equal(level_by(written, bucket(5, 1, 3000000)), 15000000);
	assert_int_equal(level_by(written, bucket(4, 1, 3)), 12);
	written.level = 5000001; /* less above it than a refill adds */
	assert_int_equal(level_by(written, bucket(5, 3, 1000000)), 5000000);
	written.level = 5500000;
	assert_int_equal(level_by(written, bucket(6, 1, 1000000)), 5500000);
}
