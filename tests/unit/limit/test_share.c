#include "limit/share.h"

#include <stdio.h>

#include "base/clock.h"
#include "support/chance.h"
#include "support/test.h"

static struct ratio parsed(const char *text)
{
	struct ratio share = {0, 0};

	assert_true(share_parse(bytes_from_text(text), &share));
	return share;
}

static const struct written {
	const char *name;
	int64_t num, den; /* 0: it is no share */
} written_shares[] = {
	{"1", 1, 1},
	{"1/1", 1, 1},
	{"4/4", 1, 1},
	{"1/4", 1, 4},
	{"2/8", 1, 4},
	{"0.25", 1, 4},
	{"0.75", 3, 4},
	{"1.00", 1, 1},
	{"1/1000000", 1, 1000000},
	{"0.000001", 1, 1000000},
	{"1/1000001", 0, 0},
	{"0.0000001", 0, 0},
	{"", 0, 0},
	{"0", 0, 0},
	{"0/1", 0, 0},
	{"1/0", 0, 0},
	{"5/4", 0, 0},
	{"1.1", 0, 0},
	{"1/2/2", 0, 0},
	{"/2", 0, 0},
	{"1/", 0, 0},
	{" 1/2", 0, 0},
	{"1/4x", 0, 0},
	{"-1/4", 0, 0},
	{"50%", 0, 0},
};
TEST_ROWS(written_shares)
{
	struct ratio share = {0, 0};
	bool is_share = share_parse(bytes_from_text(row->name), &share);

	assert_int_equal(is_share, row->den > 0);
	assert_int_equal(share.num, row->num);
	assert_int_equal(share.den, row->den);
}

static struct quota bucket(int64_t capacity, const char *rate)
{
	struct ratio tokens_per_us;
	struct quota quota;
	struct err err;

	assert_true(refill_rate_parse(bytes_from_text(rate), &tokens_per_us));
	assert_true(quota_set_bucket(&quota, TOKEN_BUCKET, capacity, tokens_per_us, &err));
	return quota;
}

TEST(share_of_quota_of_a_bucket_has_the_share_of_capacity_and_rate)
{
	struct quota quota = bucket(10, "3/1m");
	struct quota part = share_of_quota(parsed("1/4"), &quota);

	assert_int_equal(part.limit, 2);
	/* 3 a minute are 1 every 20 s; a quarter of that is 1 every 80 s. */
	assert_int_equal(part.refill_tokens, 1);
	assert_int_equal(part.refill_us, 80 * US_PER_SECOND);
}

TEST(share_of_quota_is_at_least_one_unit)
{
	struct quota quota = bucket(3, "3/1m");

	assert_int_equal(share_of_quota(parsed("1/10"), &quota).limit, 1);
	assert_int_equal(share_of_quota(parsed("1"), &quota).limit, 3);
}

/* Whatever the numbers, they can be kept exactly, and the rate is no higher than the share. */
TEST(share_of_quota_of_any_bucket_can_be_kept)
{
	struct chance chance = {1};
	int checked = 0;

	for (int i = 0; i < 100000; i++) {
		struct ratio rate = {chance_between(&chance, 1, INT64_C(1) << (i % 53)),
				     chance_between(&chance, 1, INT64_C(1) << (i / 53 % 52))};
		struct ratio share;
		struct quota quota;
		struct err err;
		char text[48];
		int64_t den = chance_between(&chance, 1, SHARE_WHOLE_MAX);
		if (!quota_set_bucket(&quota, TOKEN_BUCKET,
				      chance_between(&chance, 1, INT64_C(1) << (i % 30)), rate,
				      &err))
			continue;
		snprintf(text, sizeof text, "%lld/%lld", (long long)chance_between(&chance, 1, den),
			 (long long)den);
		assert_true(share_parse(bytes_from_text(text), &share));

		struct quota part = share_of_quota(share, &quota);

		assert_true(part.limit >= 1 && part.limit <= quota.limit);
		assert_true(part.refill_tokens >= 1 && part.refill_us >= 1);
		assert_true(2 * (__int128)part.limit * part.refill_us + part.refill_tokens <=
			    QUOTA_EXACT_MAX);
		/* Slower than one token in 30 years it can't be kept with any limit. */
		if (part.refill_us < QUOTA_EXACT_MAX / 8 / part.limit)
			assert_true((__int128)part.refill_tokens * quota.refill_us * share.den <=
				    (__int128)part.refill_us * quota.refill_tokens * share.num);
		checked++;
	}
	assert_in_range(checked, 10000, 100000);
}
