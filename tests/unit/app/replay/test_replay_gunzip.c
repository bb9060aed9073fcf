#include "app/replay/replay_gunzip.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"

/* What zlib makes of `text`, in `memory`: one gzip member. */
static struct bytes zip(struct bytes text, uint8_t *memory, size_t max)
{
	z_stream stream = {.next_in = (z_const Bytef *)text.data,
			   .avail_in = (uInt)text.len,
			   .next_out = memory,
			   .avail_out = (uInt)max};

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&stream), Z_OK);
	return bytes_from(memory, max - stream.avail_out);
}

/* Feeds `zipped` in pieces of `step` bytes; the output has room for `room` at a time. */
static bool gunzip(struct bytes zipped, size_t step, size_t room, struct writer *all,
		   bool *ret_is_inside)
{
	struct replay_gunzip gunzip;
	uint8_t memory[256];
	bool is_good = true;
	struct err err;

	assert_true(replay_gunzip_init(&gunzip));
	while (is_good && (zipped.len > 0 || gunzip.has_more)) {
		struct bytes piece = bytes_from(zipped.data, zipped.len < step ? zipped.len : step);
		size_t given = piece.len;
		struct writer output = writer_on(memory, room);
		is_good = replay_gunzip_more(&gunzip, &piece, &output, &err);
		writer_put(all, writer_bytes(&output));
		zipped = bytes_skip(zipped, given - piece.len);
	}
	if (!is_good)
		assert_true(strlen(err.text) > 0);
	*ret_is_inside = gunzip.is_inside;
	replay_gunzip_release(&gunzip);
	return is_good;
}

TEST(replay_gunzip_more_any_pieces_make_the_same_text)
{
	static const char text[] = "one line\nanother line\nanother line\nanother line\n";
	static const size_t steps[] = {1, 2, 7, 1000}, rooms[] = {1, 3, 256};
	uint8_t memory[512];
	struct bytes first = zip(bytes_from_text(text), memory, sizeof memory);
	struct bytes second = zip(BYTES("the end"), memory + first.len, sizeof memory - first.len);
	struct bytes both = bytes_from(memory, first.len + second.len);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		for (size_t j = 0; j < ARRAY_SIZE(rooms); j++) {
			char found[512];
			struct writer all = writer_on(found, sizeof found);
			bool is_inside;
			assert_true(gunzip(both, steps[i], rooms[j], &all, &is_inside));
			assert_false(is_inside);
			assert_int_equal(all.len, strlen(text) + strlen("the end"));
			assert_memory_equal(found, text, strlen(text));
			assert_memory_equal(found + strlen(text), "the end", strlen("the end"));
		}
}

TEST(replay_gunzip_more_each_cut_is_inside_and_zeros_behind_the_end_are_nothing)
{
	uint8_t memory[256] = {0};
	struct bytes zipped = zip(BYTES("a line"), memory, sizeof memory);
	char found[256];
	bool is_inside;

	for (size_t len = 0; len < zipped.len; len++) {
		struct writer all = writer_on(found, sizeof found);
		assert_true(gunzip(bytes_from(memory, len), 1, 9, &all, &is_inside));
		assert_true(is_inside);
	}
	struct writer all = writer_on(found, sizeof found);
	assert_true(gunzip(bytes_from(memory, zipped.len + 9), 5, 9, &all, &is_inside));
	assert_false(is_inside);
	assert_int_equal(all.len, strlen("a line"));
}

TEST(replay_gunzip_more_what_is_broken_is_refused)
{
	uint8_t memory[256] = {0};
	struct bytes zipped = zip(BYTES("a line"), memory, sizeof memory);
	char found[256];
	bool is_inside;

	for (size_t at = zipped.len - 8; at < zipped.len; at++) { /* the check sum and the length */
		struct writer all = writer_on(found, sizeof found);
		memory[at] ^= 1;
		assert_false(gunzip(zipped, 100, 100, &all, &is_inside));
		memory[at] ^= 1;
	}
	struct writer all = writer_on(found, sizeof found);
	memory[zipped.len + 3] = 'x';
	assert_false(gunzip(bytes_from(memory, zipped.len + 4), 100, 100, &all, &is_inside));
	memory[zipped.len] = 'x';
	assert_false(gunzip(bytes_from(memory, zipped.len + 4), 1, 100, &all, &is_inside));
}
