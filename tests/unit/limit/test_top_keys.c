#include "limit/top_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit/tally.h"
#include "support/test.h"

#define KEYS    1000
#define STEPS   20000
#define STREAMS 40

/* ---- streams of keys, counted exactly beside ---- */

struct stream {
	struct top_keys top;
	uint64_t exact[KEYS];
};

static uint64_t random_state;

/* xorshift64: the same every time. */
static uint64_t draw(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static uint64_t hash_of(size_t key)
{
	return (key + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void add(struct stream *stream, size_t key)
{
	char text[16];
	int len = snprintf(text, sizeof text, "k%zu", key);

	top_keys_add(&stream->top, bytes_from(text, (size_t)len), hash_of(key), (int64_t)key);
	stream->exact[key]++;
}

static size_t key_of(const struct top_key *key)
{
	char text[16] = "";

	assert_true(key->len >= 2 && key->len < sizeof text);
	memcpy(text, key->text, key->len);
	assert_int_equal(text[0], 'k');
	return strtoul(text + 1, NULL, 10);
}

enum shape { EVEN = 0, SKEWED, IN_TURN, BURSTS, SHAPES };

static size_t draw_key(enum shape shape, size_t step)
{
	switch (shape) {
	case EVEN:
		return draw(KEYS);
	case SKEWED: /* most of it to few */
		return draw(draw(draw(KEYS) + 1) + 1);
	case IN_TURN: /* the worst for the sketch: each takes the place of another */
		return step % KEYS;
	case BURSTS:
		return (step / 500 * 37 + draw(3)) % KEYS;
	case SHAPES:
		break;
	}
	return 0;
}

static struct stream *stream_of(enum shape shape, uint64_t seed, size_t steps)
{
	struct stream *stream = calloc(1, sizeof *stream);

	assert_non_null(stream);
	random_state = seed * 2 + 1;
	for (size_t i = 0; i < steps; i++)
		add(stream, draw_key(shape, i));
	return stream;
}

/* What top_keys.h states, against the exact counts. */
static void assert_bounds(const struct stream *stream)
{
	const struct top_key *keys[TOP_KEYS_MAX];
	size_t count = top_keys_sorted(&stream->top, keys);
	bool is_there[KEYS] = {false};
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		size_t key = key_of(keys[i]);
		assert_false(is_there[key]);
		is_there[key] = true;
		assert_true(keys[i]->count >= stream->exact[key]);
		assert_true(top_key_certain(keys[i]) <= stream->exact[key]);
		assert_true(keys[i]->error <= stream->top.total / TOP_KEYS_MAX);
	}
	for (size_t i = 0; i < KEYS; i++) {
		total += stream->exact[i];
		if (stream->exact[i] > stream->top.total / TOP_KEYS_MAX)
			assert_true(is_there[i]);
	}
	assert_int_equal(stream->top.total, total);
}

TEST(top_keys_add_any_stream_keeps_the_stated_bounds)
{
	for (uint64_t seed = 1; seed <= STREAMS; seed++) {
		struct stream *stream = stream_of(seed % SHAPES, seed, STEPS);
		assert_bounds(stream);
		free(stream);
	}
}

TEST(top_keys_add_bounds_hold_at_every_step)
{
	struct stream *stream = calloc(1, sizeof *stream);

	random_state = 77;
	for (size_t i = 0; i < 2000; i++) {
		add(stream, draw_key(SKEWED, i));
		assert_bounds(stream);
	}
	free(stream);
}

TEST(top_keys_add_as_many_as_fit_are_exact)
{
	struct stream *stream = calloc(1, sizeof *stream);
	const struct top_key *keys[TOP_KEYS_MAX];

	for (size_t i = 0; i < TOP_KEYS_MAX; i++)
		for (size_t j = 0; j <= i; j++)
			add(stream, i);

	assert_int_equal(top_keys_sorted(&stream->top, keys), TOP_KEYS_MAX);
	for (size_t i = 0; i < TOP_KEYS_MAX; i++) {
		assert_int_equal(keys[i]->count, TOP_KEYS_MAX - i);
		assert_int_equal(keys[i]->error, 0);
	}
	free(stream);
}

TEST(top_keys_sorted_is_by_what_is_certain)
{
	struct stream *stream = stream_of(SKEWED, 3, STEPS);
	const struct top_key *keys[TOP_KEYS_MAX];
	size_t count = top_keys_sorted(&stream->top, keys);

	assert_int_equal(count, TOP_KEYS_MAX);
	for (size_t i = 1; i < count; i++)
		assert_true(top_key_certain(keys[i - 1]) >= top_key_certain(keys[i]));
	free(stream);
}

/* Of two that are certain of the same, the higher count; of two that are equal, the place. */
TEST(top_keys_sorted_ties_have_an_order)
{
	static const struct {
		uint64_t count, error;
	} entries[] = {{4, 2}, {9, 7}, {2, 0}, {9, 7}, {8, 5}};
	static const size_t expected[] = {4, 1, 3, 0, 2};
	struct top_keys *top = calloc(1, sizeof *top);
	const struct top_key *keys[TOP_KEYS_MAX];

	for (; top->count < ARRAY_SIZE(entries); top->count++) {
		top->keys[top->count].count = entries[top->count].count;
		top->keys[top->count].error = entries[top->count].error;
	}
	assert_int_equal(top_keys_sorted(top, keys), ARRAY_SIZE(entries));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_ptr_equal(keys[i], &top->keys[expected[i]]);
	free(top);
}

TEST(top_keys_add_one_who_comes_late_gets_to_the_front)
{
	struct stream *stream = stream_of(IN_TURN, 1, STEPS);
	const struct top_key *keys[TOP_KEYS_MAX];

	for (size_t i = 0; i < 1000; i++)
		add(stream, 7);

	assert_int_equal(top_keys_sorted(&stream->top, keys), TOP_KEYS_MAX);
	assert_int_equal(key_of(keys[0]), 7);
	assert_true(top_key_certain(keys[0]) >= 1000);
	free(stream);
}

TEST(top_keys_add_remaining_is_the_last_answers)
{
	struct top_keys *top = calloc(1, sizeof *top);

	top_keys_add(top, BYTES("a"), 1, 9);
	top_keys_add(top, BYTES("a"), 1, 8);

	assert_int_equal(top->keys[0].remaining, 8);
	free(top);
}

TEST(top_keys_add_too_long_text_is_cut)
{
	struct top_keys *top = calloc(1, sizeof *top);
	char text[TOP_KEY_TEXT_MAX + 10];

	memset(text, 'x', sizeof text);
	top_keys_add(top, bytes_from(text, sizeof text), 1, 0);
	top_keys_add(top, bytes_from(text, 0), 2, 0);

	assert_int_equal(top->keys[0].len, TOP_KEY_TEXT_MAX);
	assert_int_equal(top->keys[1].len, 0);
	free(top);
}

TEST(tally_forget_keys_keeps_the_counts)
{
	struct tally *tally = tally_new();

	tally->checks[TALLY_DENIED] = 5;
	tally->seen = calloc(1, sizeof *tally->seen);
	tally_forget_keys(tally);

	assert_null(tally->seen);
	assert_int_equal(tally->checks[TALLY_DENIED], 5);
	tally_unref(tally);
}
