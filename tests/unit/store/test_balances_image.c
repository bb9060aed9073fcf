#include "store/balances_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "contract.h"
#include "limit/request.h"
#include "store/memory.h"
#include "support/chance.h"
#include "support/image_buffer.h"
#include "support/test.h"

#define START_US INT64_C(1700000000000000)
#define SECOND   INT64_C(1000000)
#define HOUR     (3600 * SECOND)
#define WORD     16 /* the word in an item, and the numbers of its state */
#define NUMBERS  24

static struct image_buffer image, other;

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

static struct balances_image_counts write_to(struct image_buffer *to, const struct store *store,
					     int64_t now_us)
{
	struct balances_image_counts counts;

	to->len = to->at = 0;
	to->piece = to->max = IMAGE_MAX;
	assert_true(memory_store_write_image(store, now_us, image_buffer_append, to, &counts));
	assert_int_equal(counts.bytes, to->len);
	return counts;
}

static enum balances_image_state check_image(struct image_buffer *from,
					     struct balances_image_counts *ret)
{
	struct balances_image_reader reader = {.read = image_buffer_read, .owner = from};

	from->at = 0;
	enum balances_image_state state = balances_image_read(&reader);
	if (ret != NULL)
		*ret = reader.counts;
	return state;
}

static struct balances_image_counts read_from(struct image_buffer *from, struct store *store,
					      int64_t now_us)
{
	struct balances_image_counts counts;

	from->at = 0;
	memory_store_read_image(store, now_us, image_buffer_read, from, &counts);
	return counts;
}

/* Makes the end of an image right for what is in front of it. */
static void seal(struct image_buffer *of)
{
	crypto_generichash(of->data + of->len - 24, 24, of->data, of->len - 24, NULL, 0);
}

static void put_u64(uint8_t *at, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static struct outcome take(struct store *store, const char *key, const struct quota *quota,
			   int64_t cost, int64_t now_us)
{
	struct check check;

	ask(store, (struct check *[]){check_make(&check, key, quota, cost)}, 1, now_us);
	assert_true(check.is_decided);
	return check.outcome;
}

static struct store *make(void)
{
	struct store *store = memory_store_new(1 << 20);

	assert_non_null(store);
	return store;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->allowed, b->allowed);
	assert_int_equal(a->remaining, b->remaining);
	assert_int_equal(a->retry_after_us, b->retry_after_us);
	assert_int_equal(a->reset_us, b->reset_us);
	assert_int_equal(a->grows_us, b->grows_us);
}

/* ---- what comes back ---- */

/* A store that lives on, and one that is written and read again and again, decide the same. */
TEST(image_that_is_read_decides_as_the_store_that_was_written)
{
	struct chance chance = {(uint64_t)environment_number("IMAGE_SEED", 1)};
	struct store *lives = make(), *moves = make();
	struct quota quotas[ALGORITHM_COUNT];
	int64_t now_us = START_US;

	for (size_t i = 0; i < ALGORITHM_COUNT; i++)
		quotas[i] = quota_of((enum algorithm)i, 20, 60 * SECOND);
	for (int step = 0; step < 20000; step++) {
		char key[32];
		size_t algorithm = (size_t)chance_between(&chance, 0, ALGORITHM_COUNT - 1);
		int64_t cost = chance_between(&chance, 0, 5);
		snprintf(key, sizeof key, "%zu-%d", algorithm, (int)chance_between(&chance, 0, 9));
		now_us += chance_between(&chance, 0, SECOND);
		if (chance_is_one_in(&chance, 50)) {
			struct store *next = make();
			struct balances_image_counts written = write_to(&image, moves, now_us);
			image.piece = (size_t)chance_between(&chance, 1, 100);
			struct balances_image_counts read = read_from(&image, next, now_us);
			assert_int_equal(read.balances, written.balances);
			assert_int_equal(read.dropped, 0);
			store_free(moves);
			moves = next;
		}
		struct outcome a = take(lives, key, &quotas[algorithm], cost, now_us);
		struct outcome b = take(moves, key, &quotas[algorithm], cost, now_us);
		assert_same(&a, &b);
	}
	store_free(lives);
	store_free(moves);
}

TEST(image_leaves_out_what_is_full_when_it_is_written_and_when_it_is_read)
{
	struct store *from = make(), *to = make();
	struct quota hour = quota_of(FIXED_WINDOW, 5, HOUR), soon = bucket_of(1, "1");
	struct quota minute = bucket_of(1, "1/1m");

	take(from, "hour", &hour, 3, START_US);
	take(from, "soon", &soon, 1, START_US);
	take(from, "minute", &minute, 1, START_US);
	struct balances_image_counts written = write_to(&image, from, START_US + 2 * SECOND);
	struct balances_image_counts read = read_from(&image, to, START_US + 61 * SECOND);

	assert_int_equal(written.balances, 2);
	assert_int_equal(written.full, 1);
	assert_int_equal(read.balances, 1);
	assert_int_equal(read.full, 1);
	assert_int_equal(memory_store_stats(to).balances, 1);
	assert_int_equal(take(to, "hour", &hour, 0, START_US + 61 * SECOND).remaining, 2);
	store_free(from);
	store_free(to);
}

TEST(image_of_nothing_is_good)
{
	struct store *from = make(), *to = make();

	assert_int_equal(write_to(&image, from, START_US).balances, 0);

	assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_GOOD);
	assert_int_equal(read_from(&image, to, START_US).balances, 0);
	store_free(from);
	store_free(to);
}

/* The clock may have been set back while no process ran: nothing refills, as in one that runs. */
TEST(image_from_a_clock_that_was_ahead_is_taken)
{
	struct store *from = make(), *to = make();
	struct quota day = quota_of(SLIDING_WINDOW, 5, 24 * HOUR);

	take(from, "k", &day, 4, START_US);
	write_to(&image, from, START_US);
	read_from(&image, to, START_US - HOUR);

	assert_int_equal(take(to, "k", &day, 0, START_US - HOUR).remaining, 1);
	store_free(from);
	store_free(to);
}

TEST(image_that_does_not_fit_loses_what_the_store_would_forget)
{
	struct store *from = make(), *to = memory_store_new(MEMORY_LIMIT_MIN);
	int fits = (int)(MEMORY_LIMIT_MIN / BALANCE_BYTES) - 1;
	struct quota one = quota_of(FIXED_WINDOW, 1, 1000 * HOUR);
	struct quota many = quota_of(FIXED_WINDOW, 100, 1000 * HOUR);
	char key[32];

	take(from, "exhausted", &one, 1, START_US);
	for (int i = 0; i < 2 * fits; i++) {
		snprintf(key, sizeof key, "k%d", i);
		take(from, key, &many, 1, START_US);
	}
	write_to(&image, from, START_US);
	struct balances_image_counts read = read_from(&image, to, START_US);

	assert_int_equal(read.balances, fits);
	assert_int_equal(read.dropped, 2 * fits + 1 - fits);
	assert_int_equal(memory_store_stats(to).balances, fits);
	assert_int_equal(memory_store_stats(to).evicted, 0);
	assert_int_equal(take(to, "exhausted", &one, 0, START_US).remaining, 0);
	assert_int_equal(take(to, "k0", &many, 0, START_US).remaining, 100);
	assert_int_equal(take(to, key, &many, 0, START_US).remaining, 99); /* the newest */
	store_free(from);
	store_free(to);
}

TEST(image_with_a_log_that_does_not_fit_is_read_without_it)
{
	struct store *from = make(), *to = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota log = quota_of(SLIDING_WINDOW, 20000, HOUR);

	for (int i = 0; i < 10000; i++)
		take(from, "log", &log, 1, START_US + i);
	write_to(&image, from, START_US);
	struct balances_image_counts read = read_from(&image, to, START_US);

	assert_int_equal(read.balances, 0);
	assert_int_equal(read.dropped, 1);
	assert_int_equal(memory_store_stats(to).balances, 0);
	store_free(from);
	store_free(to);
}

TEST(image_keeps_a_bucket_full_under_the_old_terms_full_under_new_ones)
{
	struct store *from = make(), *to = make();
	struct quota before = bucket_of(2, "1"), after = bucket_of(1000, "1");

	take(from, "k", &before, 2, START_US);
	write_to(&image, from, START_US);
	read_from(&image, to, START_US);

	assert_int_equal(take(to, "k", &after, 0, START_US + 3 * SECOND).remaining, 1000);
	store_free(from);
	store_free(to);
}

TEST(image_brings_the_secrets_of_its_hashes)
{
	uint8_t secrets[KEY_HASH_SECRETS_BYTES], others[KEY_HASH_SECRETS_BYTES] = {1};
	struct store *from = make(), *to = make();
	struct quota hour = quota_of(FIXED_WINDOW, 5, HOUR);

	key_hash_get_secrets(secrets);
	take(from, "k", &hour, 3, START_US);
	write_to(&image, from, START_US);
	key_hash_set_secrets(others); /* another process */
	assert_int_equal(take(from, "k", &hour, 0, START_US).remaining, 5);
	read_from(&image, to, START_US);

	assert_int_equal(take(to, "k", &hour, 0, START_US).remaining, 2);
	key_hash_get_secrets(others);
	assert_memory_equal(secrets, others, sizeof secrets);
	store_free(from);
	store_free(to);
}

TEST(image_that_can_not_be_written_is_no_image)
{
	struct store *from = make();
	struct quota hour = quota_of(FIXED_WINDOW, 5, HOUR);
	struct balances_image_counts counts;

	take(from, "k", &hour, 3, START_US);
	image.len = 0;
	image.max = 100;
	assert_false(
		memory_store_write_image(from, START_US, image_buffer_append, &image, &counts));
	store_free(from);
}

/* ---- what is refused ---- */

/* Balances of all algorithms, and the log with some entries. */
static void write_some(void)
{
	struct store *from = make();

	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota quota = quota_of((enum algorithm)i, 20, HOUR);
		char key[8];
		snprintf(key, sizeof key, "k%zu", i);
		for (int n = 0; n < 3; n++)
			take(from, key, &quota, 1, START_US + n);
	}
	assert_int_equal(write_to(&image, from, START_US).balances, ALGORITHM_COUNT);
	store_free(from);
}

/* Whatever it is, it can be read into a store, which then decides. */
static void assert_reads_safely(struct image_buffer *from)
{
	struct store *to = memory_store_new(MEMORY_LIMIT_MIN);

	(void)read_from(from, to, START_US);
	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota quota = quota_of((enum algorithm)i, 20, HOUR);
		char key[8];
		snprintf(key, sizeof key, "k%zu", i);
		struct outcome outcome = take(to, key, &quota, 1, START_US + 5);
		assert_in_range(outcome.remaining, 0, 20);
	}
	store_free(to);
}

TEST(image_cut_after_any_byte_is_refused)
{
	uint8_t secrets[KEY_HASH_SECRETS_BYTES];

	write_some();
	key_hash_get_secrets(secrets);
	size_t whole = image.len;
	assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_GOOD);
	for (image.len = 0; image.len < whole; image.len++) {
		assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_DAMAGED);
		assert_reads_safely(&image);
	}
	key_hash_set_secrets(secrets);
}

TEST(image_with_any_bit_changed_is_refused)
{
	uint8_t secrets[KEY_HASH_SECRETS_BYTES];

	write_some();
	key_hash_get_secrets(secrets);
	for (size_t bit = 0; bit < 8 * image.len; bit++) {
		image.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(check_image(&image, NULL), BALANCES_IMAGE_GOOD);
		assert_reads_safely(&image);
		image.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		key_hash_set_secrets(secrets);
	}
	assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_GOOD);
}

/* The same, where the end was made to fit: what is accepted then has states that can be. */
TEST(image_with_any_bit_changed_and_sealed_again_harms_nobody)
{
	uint8_t secrets[KEY_HASH_SECRETS_BYTES];

	write_some();
	key_hash_get_secrets(secrets);
	memcpy(&other, &image, sizeof other);
	for (size_t bit = 0; bit < 8 * (image.len - 24); bit++) {
		memcpy(other.data, image.data, image.len);
		other.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		seal(&other);
		assert_reads_safely(&other);
		key_hash_set_secrets(secrets);
	}
}

TEST(image_with_more_balances_than_its_head_says_is_refused)
{
	write_some();
	put_u64(image.data + IMAGE_HEAD - 8, ALGORITHM_COUNT - 1);
	seal(&image);

	assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_DAMAGED);
}

TEST(image_that_promises_more_than_it_has_is_good)
{
	write_some();
	put_u64(image.data + IMAGE_HEAD - 8, UINT64_MAX);
	seal(&image);

	assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_GOOD);
	assert_reads_safely(&image);
}

TEST(image_with_a_byte_behind_its_end_is_refused)
{
	write_some();
	image.data[image.len++] = 0;

	assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_DAMAGED);
}

TEST(image_of_another_version_is_told_from_a_damaged_one)
{
	write_some();
	image.data[8]++;
	seal(&image);

	assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_OF_ANOTHER_VERSION);
}

/* An image with one balance, which is then changed. */
static const struct {
	const char *name;
	enum algorithm algorithm;
	size_t at;
	uint64_t value;
} impossible[] = {
	{"an algorithm that there is not", FIXED_WINDOW, WORD, (uint64_t)START_US << 8 | 0xf0},
	{"a time of 2^54", FIXED_WINDOW, WORD, UINT64_C(1) << 62 | FIXED_WINDOW << 4},
	{"a window with less than nothing used", FIXED_WINDOW, NUMBERS, UINT64_MAX},
	{"a window with more than any limit", FIXED_WINDOW, NUMBERS, UINT64_C(1) << 53},
	{"a window with a third number", FIXED_WINDOW, NUMBERS + 16, 1},
	{"a bucket without a unit", TOKEN_BUCKET, NUMBERS + 8, 0},
	{"a bucket with a level below 0", TOKEN_BUCKET, NUMBERS, UINT64_MAX},
	{"a bucket of a time below 0", TOKEN_BUCKET, NUMBERS + 16, UINT64_MAX},
	{"a count above any limit", SLIDING_WINDOW_COUNTER, NUMBERS, UINT64_C(1) << 43},
	{"a second count above any limit", SLIDING_WINDOW_COUNTER, NUMBERS + 8, UINT64_C(1) << 43},
	{"a log with more entries than there are", SLIDING_WINDOW, NUMBERS + 8, 4},
	{"a log with fewer entries than there are", SLIDING_WINDOW, NUMBERS + 8, 2},
	{"a log with 2^40 entries", SLIDING_WINDOW, NUMBERS + 8, UINT64_C(1) << 40},
	{"a log with a total before it that is larger", SLIDING_WINDOW, NUMBERS, 100},
	{"a log with a third number", SLIDING_WINDOW, NUMBERS + 16, 1},
	{"a log whose times fall", SLIDING_WINDOW, IMAGE_ITEM + 16, 1},
	{"a log whose totals stay", SLIDING_WINDOW, IMAGE_ITEM + 24, 1},
};

TEST_ROWS(impossible)
{
	struct store *from = make();
	struct quota quota = quota_of(row->algorithm, 20, HOUR);

	for (int n = 0; n < 3; n++)
		take(from, "k", &quota, 1, START_US + n);
	write_to(&image, from, START_US);
	store_free(from);
	put_u64(image.data + IMAGE_HEAD + row->at, row->value);
	seal(&image);

	assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_DAMAGED);
	assert_reads_safely(&image);
}

TEST(image_with_the_state_of_another_algorithm_under_a_key_makes_the_key_new)
{
	struct quota quotas[ALGORITHM_COUNT];

	for (size_t i = 0; i < ALGORITHM_COUNT; i++)
		quotas[i] = quota_of((enum algorithm)i, 20, HOUR);
	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		for (size_t n = 0; n < ALGORITHM_COUNT; n++) {
			struct store *from = make(), *to = make();
			take(from, "k", &quotas[i], 7, START_US);
			write_to(&image, from, START_US);
			assert_int_equal(read_from(&image, to, START_US).balances, 1);
			assert_int_equal(take(to, "k", &quotas[n], 1, START_US).remaining,
					 i == n ? 12 : 19);
			store_free(from);
			store_free(to);
		}
	}
}

TEST(image_with_the_same_key_twice_gives_it_once)
{
	struct store *from = make(), *to = make();
	struct quota hour = quota_of(FIXED_WINDOW, 5, HOUR);

	take(from, "k", &hour, 3, START_US);
	write_to(&image, from, START_US);
	memmove(image.data + IMAGE_HEAD + IMAGE_ITEM, image.data + IMAGE_HEAD,
		image.len - IMAGE_HEAD);
	image.len += IMAGE_ITEM;
	put_u64(image.data + IMAGE_HEAD - 8, 2);
	put_u64(image.data + IMAGE_HEAD + 2 * IMAGE_ITEM, 2);
	seal(&image);

	assert_int_equal(check_image(&image, NULL), BALANCES_IMAGE_GOOD);
	struct balances_image_counts read = read_from(&image, to, START_US);
	assert_int_equal(read.balances, 1);
	assert_int_equal(read.dropped, 1);
	assert_int_equal(take(to, "k", &hour, 0, START_US).remaining, 2);
	store_free(from);
	store_free(to);
}
