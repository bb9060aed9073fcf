#include "limit/top_panes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/chance.h"
#include "support/test.h"

#define SECOND INT64_C(1000000)
#define KEYS   3000

static const struct policy policy = {.name = "login"};
static struct top_panes *panes;

BEFORE_EACH
{
	panes = top_panes_new(0);
	assert_non_null(panes);
}

AFTER_EACH
{
	top_panes_free(panes);
}

static struct check check_of(size_t key, int64_t remaining)
{
	static const struct quota quota = {.limit = 7};
	struct check check = {
		.policy = &policy,
		.terms = &policy.terms,
		.quota = &quota,
		.is_decided = true,
		.outcome = {.allowed = remaining > 0, .remaining = remaining},
	};

	check.key_len = (size_t)snprintf(check.key, sizeof check.key, "k%zu", key);
	return check;
}

static uint64_t hash_of(size_t key)
{
	struct chance chance = {.state = key};

	return chance_bits(&chance);
}

static void add(size_t key, int64_t times, int64_t mono_us)
{
	struct check check = check_of(key, 3);

	for (int64_t i = 0; i < times; i++)
		top_panes_add(panes, TOP_BY_ASKED, &check, hash_of(key), mono_us);
}

/* "k1 5, k2 3" */
static const char *asked(enum top_last last, int64_t mono_us)
{
	static char text[1024];
	int64_t us;
	const struct top_sketch *sum = top_panes_sum(panes, TOP_BY_ASKED, last, mono_us, &us);
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sum->count && i < 5; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s %llu",
					i > 0 ? ", " : "", (int)sum->entries[i].key_len,
					sum->entries[i].key,
					(unsigned long long)sum->entries[i].count);
	return text;
}

TEST(sum_is_of_the_last_minute_to_ten_seconds)
{
	add(1, 5, 0);
	add(2, 3, 15 * SECOND);

	assert_string_equal(asked(TOP_LAST_MINUTE, 59 * SECOND), "k1 5, k2 3");
	assert_string_equal(asked(TOP_LAST_MINUTE, 60 * SECOND), "k2 3");
	assert_string_equal(asked(TOP_LAST_MINUTE, 75 * SECOND), "");
	assert_string_equal(asked(TOP_LAST_MINUTES, 75 * SECOND), "k1 5, k2 3");
	assert_string_equal(asked(TOP_LAST_EVER, 75 * SECOND), "k1 5, k2 3");
}

TEST(sum_is_of_the_last_five_minutes)
{
	for (int64_t minute = 0; minute < 5; minute++)
		add(1, minute + 1, (60 * minute + 30) * SECOND);

	assert_string_equal(asked(TOP_LAST_MINUTES, 299 * SECOND), "k1 15");
	assert_string_equal(asked(TOP_LAST_MINUTES, 300 * SECOND), "k1 14");
	assert_string_equal(asked(TOP_LAST_MINUTES, 540 * SECOND), "");
	assert_string_equal(asked(TOP_LAST_EVER, 540 * SECOND), "k1 15");
}

TEST(sum_after_a_long_pause_is_of_now)
{
	add(1, 5, 0);
	add(2, 1, 100000 * SECOND);
	add(2, 1, 100011 * SECOND);

	assert_string_equal(asked(TOP_LAST_MINUTE, 100012 * SECOND), "k2 2");
	assert_string_equal(asked(TOP_LAST_MINUTES, 100012 * SECOND), "k2 2");
	assert_string_equal(asked(TOP_LAST_EVER, 100012 * SECOND), "k1 5, k2 2");
}

TEST(sum_says_its_time)
{
	int64_t us;

	(void)top_panes_sum(panes, TOP_BY_DENIED, TOP_LAST_MINUTE, 7 * SECOND, &us);
	assert_int_equal(us, 7 * SECOND);
	(void)top_panes_sum(panes, TOP_BY_DENIED, TOP_LAST_MINUTE, 127 * SECOND, &us);
	assert_int_equal(us, 57 * SECOND);
	(void)top_panes_sum(panes, TOP_BY_DENIED, TOP_LAST_MINUTES, 607 * SECOND, &us);
	assert_int_equal(us, 247 * SECOND);
	(void)top_panes_sum(panes, TOP_BY_DENIED, TOP_LAST_EVER, 607 * SECOND, &us);
	assert_int_equal(us, 607 * SECOND);
}

TEST(the_last_request_is_shown)
{
	struct check first = check_of(1, 6), last = check_of(1, 0);
	int64_t us;

	last.outcome.retry_after_us = 1500;
	top_panes_add(panes, TOP_BY_DENIED, &first, 1, 0);
	top_panes_add(panes, TOP_BY_DENIED, &last, 1, 10 * SECOND);
	const struct top_entry *entry =
		top_panes_sum(panes, TOP_BY_DENIED, TOP_LAST_MINUTE, 11 * SECOND, &us)->entries;

	assert_int_equal(entry->count, 2);
	assert_string_equal(entry->policy, "login");
	assert_int_equal(entry->limit, 7);
	assert_int_equal(entry->remaining, 0);
	assert_int_equal(entry->retry_after_us, 1500);
}

/* Far more keys than there are places, some of them often, over all panes. */
TEST(counts_are_never_too_low_and_errors_are_true)
{
	static uint64_t truth[KEYS];
	struct chance chance = {.state = 5};
	uint64_t total = 0;
	int64_t us;

	memset(truth, 0, sizeof truth);
	for (int64_t i = 0; i < 200000; i++) {
		size_t key = (size_t)chance_between(&chance, 0, KEYS - 1);
		if (chance_is_one_in(&chance, 3))
			key = key % 10; /* heavy ones */
		add(key, 1, i * 1000);
		truth[key]++;
		total++;
	}
	const struct top_sketch *sum =
		top_panes_sum(panes, TOP_BY_ASKED, TOP_LAST_EVER, 200 * SECOND, &us);

	assert_int_equal(sum->total, total);
	for (size_t i = 0; i < sum->count; i++) {
		const struct top_entry *entry = &sum->entries[i];
		char text[16] = "";
		memcpy(text, entry->key, entry->key_len);
		uint64_t count = truth[strtoul(text + 1, NULL, 10)];
		assert_true(count <= entry->count && entry->count - entry->error <= count);
		truth[strtoul(text + 1, NULL, 10)] = 0;
	}
	for (size_t key = 0; key < KEYS; key++) /* those that are not in it */
		assert_true(truth[key] <= sum->floor);
	assert_in_range(sum->floor, 1, 2 * total / TOP_PANE_KEYS);
	for (size_t key = 0; key < 10; key++)
		assert_int_equal(truth[key], 0);
}
