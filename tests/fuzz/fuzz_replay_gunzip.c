/*
 * fuzz_replay_gunzip.c - any bytes as a compressed log, in pieces and with rooms of any size. Bytes
 * are taken until the room is full or none are left, and the pieces make no difference.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/replay/replay_gunzip.h"

#define OUTPUT_MAX 65536 /* the rest of what a few bytes may mean is not looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns how long the output is; *ret_is_good is false when the bytes were refused. */
static size_t gunzip(struct bytes zipped, size_t step, size_t room, uint8_t *all, bool *ret_is_good)
{
	struct replay_gunzip gunzip;
	struct writer output = writer_on(all, 0);
	struct err err;

	*ret_is_good = true;
	ASSERT(replay_gunzip_init(&gunzip));
	while (*ret_is_good && (zipped.len > 0 || gunzip.has_more) && output.len < OUTPUT_MAX) {
		struct bytes piece = bytes_from(zipped.data, zipped.len < step ? zipped.len : step);
		size_t given = piece.len, rest = OUTPUT_MAX - output.len;
		output.max = output.len + (rest < room ? rest : room);
		*ret_is_good = replay_gunzip_more(&gunzip, &piece, &output, &err);
		ASSERT(output.len <= output.max && piece.len <= given);
		ASSERT(!*ret_is_good || output.len == output.max ||
		       (piece.len == 0 && !gunzip.has_more));
		zipped = bytes_skip(zipped, given - piece.len);
	}
	replay_gunzip_release(&gunzip);
	return output.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t whole[OUTPUT_MAX], pieces[OUTPUT_MAX];
	bool is_good, is_good_in_pieces;

	if (size < 2)
		return 0;
	struct bytes zipped = bytes_from(data + 2, size - 2);
	size_t len = gunzip(zipped, size, OUTPUT_MAX, whole, &is_good);
	size_t len_in_pieces =
		gunzip(zipped, data[0] + 1U, data[1] + 1U, pieces, &is_good_in_pieces);
	if (len == OUTPUT_MAX || len_in_pieces == OUTPUT_MAX)
		return 0;
	ASSERT(is_good == is_good_in_pieces);
	ASSERT(!is_good || (len == len_in_pieces && memcmp(whole, pieces, len) == 0));
	return 0;
}
