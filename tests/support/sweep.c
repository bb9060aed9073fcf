#include "support/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "support/guarded.h"

#define POISONED 0xa5

static void count(struct sweep_counts *counts, int result)
{
	if (result > 0)
		counts->taken++;
	else if (result == 0)
		counts->none++;
	else
		counts->refused++;
}

int sweep_whole(struct bytes vector, sweep_decode_fn decode, void *context)
{
	struct guarded *g = guarded_new(vector.len);
	int result = decode(guarded_copy(g, vector), context);

	guarded_free(g);
	return result;
}

/* The bytes arrive one by one at a fixed place; the decoder must not read those that are to come.
 */
static struct sweep_counts sweep_growing(struct bytes vector, struct guarded *g,
					 sweep_decode_fn decode, void *context)
{
	struct sweep_counts counts = {0};
	uint8_t *room = guarded_room(g, vector.len);

	for (size_t len = 0; len < vector.len; len++) {
		count(&counts, decode(bytes_from(room, len), context));
		room[len] = vector.data[len];
	}
	return counts;
}

struct sweep_counts sweep_truncated(struct bytes vector, sweep_decode_fn decode, void *context)
{
	struct sweep_counts cut = {0};
	struct guarded *g = guarded_new(vector.len);

	for (size_t len = 0; len < vector.len; len++)
		count(&cut, decode(guarded_copy(g, bytes_from(vector.data, len)), context));
	struct sweep_counts growing = sweep_growing(vector, g, decode, context);
	guarded_free(g);
	assert_int_equal(cut.taken, growing.taken);
	assert_int_equal(cut.none, growing.none);
	assert_int_equal(cut.refused, growing.refused);
	return cut;
}

struct sweep_counts sweep_flipped(struct bytes vector, sweep_decode_fn decode, void *context)
{
	static const uint8_t patterns[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20,
					   0x40, 0x80, 0xff, 0x0f, 0xf0, 0x7f};
	struct sweep_counts counts = {0};
	struct guarded *g = guarded_new(vector.len);

	for (size_t at = 0; at < vector.len; at++) {
		for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
			uint8_t *room = guarded_room(g, vector.len);
			memcpy(room, vector.data, vector.len);
			room[at] ^= patterns[i];
			count(&counts, decode(bytes_from(room, vector.len), context));
		}
	}
	guarded_free(g);
	return counts;
}

struct sweep_counts sweep_decoder(struct bytes vector, sweep_decode_fn decode, void *context)
{
	(void)sweep_flipped(vector, decode, context);
	struct sweep_counts truncated = sweep_truncated(vector, decode, context);
	assert_int_equal(sweep_whole(vector, decode, context), 1);
	return truncated;
}

static void assert_full_sticks(struct writer *w)
{
	size_t len = w->len;

	writer_put_u8(w, 0);
	assert_true(w->full);
	assert_int_equal(w->len, len);
}

void sweep_encoder(struct bytes expected, sweep_put_fn put, const void *context)
{
	struct guarded *g = guarded_new(expected.len);

	for (size_t size = 0; size <= expected.len; size++) {
		struct writer w = writer_on(guarded_room(g, size), size);
		put(&w, context);
		assert_true(w.len <= size);
		guarded_assert_front(g, size);
		if (size == expected.len) {
			assert_false(w.full);
			assert_bytes_equal(writer_bytes(&w), expected);
		} else {
			assert_true(w.full);
			assert_full_sticks(&w);
		}
	}
	guarded_free(g);
}

void assert_poisoned(const void *object, size_t len)
{
	const uint8_t *bytes = object;

	for (size_t i = 0; i < len; i++)
		if (bytes[i] != POISONED)
			fail_msg("an out-parameter was written to, at its byte %zu of %zu", i, len);
}

void assert_nothing_taken(struct bytes from, struct bytes input)
{
	assert_ptr_equal(from.data, input.data);
	assert_int_equal(from.len, input.len);
}

void assert_rest_of(struct bytes from, struct bytes input)
{
	assert_true(from.len <= input.len);
	assert_ptr_equal(from.data, input.data + (input.len - from.len));
}

void assert_view_of(struct bytes view, struct bytes input)
{
	uintptr_t offset = (uintptr_t)view.data - (uintptr_t)input.data;

	if (view.len == 0)
		return;
	assert_true(offset <= input.len);
	assert_true(view.len <= input.len - offset);
}

void assert_bytes_equal(struct bytes got, struct bytes expected)
{
	assert_int_equal(got.len, expected.len);
	if (expected.len > 0)
		assert_memory_equal(got.data, expected.data, expected.len);
}

void assert_bytes_text(struct bytes got, const char *expected)
{
	assert_bytes_equal(got, bytes_from_text(expected));
}
