/*
 * fuzz_balances_image.c - an image of balances as anybody may have made it. It is read as it came,
 * and again with an end that fits what is in front of it; the first byte says how many balances
 * this end counts, and in what pieces the image comes. Then the store decides checks about the keys
 * that the image has, under quotas of all algorithms, and is written, and what it wrote is good.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/compiler.h"
#include "limit/request.h"
#include "store/memory.h"

#define NOW_US   INT64_C(1700000000000000)
#define HEAD     64
#define ITEM     48
#define KEYS_MAX 8
#define MAX      65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct quota quotas[] = {
	{.algorithm = TOKEN_BUCKET, .limit = 10, .refill_tokens = 1, .refill_us = 1000000},
	{.algorithm = SLIDING_WINDOW, .limit = 5, .window_us = 60000000},
	{.algorithm = SLIDING_WINDOW_COUNTER, .limit = 10, .window_us = 60000000},
	{.algorithm = FIXED_WINDOW, .limit = 5, .window_us = 60000000},
	{.algorithm = TOKEN_BUCKET,
	 .limit = QUOTA_EXACT_MAX / 2 - 1,
	 .refill_tokens = 1,
	 .refill_us = 1},
	{.algorithm = SLIDING_WINDOW, .limit = 1000000, .window_us = QUOTA_WINDOW_MAX_US},
	{.algorithm = SLIDING_WINDOW_COUNTER,
	 .limit = QUOTA_EXACT_MAX / 2 / 1000000,
	 .window_us = QUOTA_WINDOW_MAX_US},
	{.algorithm = SLIDING_WINDOW_COUNTER,
	 .limit = QUOTA_EXACT_MAX / 2 / 1000,
	 .window_us = QUOTA_WINDOW_MIN_US},
	{.algorithm = FIXED_WINDOW, .limit = QUOTA_EXACT_MAX / 2, .window_us = QUOTA_WINDOW_MAX_US},
};

struct image {
	size_t len, at, piece;
	uint8_t data[MAX + 2 * ITEM];
};

static bool append(void *owner, struct bytes piece)
{
	struct image *to = owner;

	if (piece.len > sizeof to->data - to->len)
		return false;
	memcpy(to->data + to->len, piece.data, piece.len);
	to->len += piece.len;
	return true;
}

static size_t read_piece(void *owner, uint8_t *to, size_t max)
{
	struct image *from = owner;
	size_t len = from->len - from->at;

	if (len > from->piece)
		len = from->piece;
	if (len > max)
		len = max;
	memcpy(to, from->data + from->at, len);
	from->at += len;
	return len;
}

static void decide(struct store *store, struct key_hash hash, const struct quota *quota)
{
	static const int64_t costs[] = {0, 1, 3, INT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(costs); i++) {
		struct check check = {.quota = quota, .cost = costs[i], .hash = hash};
		struct store_op op = {
			.checks = (struct check *[]){&check}, .count = 1, .now_us = NOW_US};
		ASSERT(store_ask(store, &op) == STORE_DONE);
		ASSERT(check.is_decided && check.error == STORE_OK);
		ASSERT(check.outcome.remaining >= 0 && check.outcome.remaining <= quota->limit);
		ASSERT(check.outcome.retry_after_us >= -1 && check.outcome.reset_us >= 0);
	}
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

static void read_and_decide(struct image *image)
{
	static struct image written;
	struct balances_image_reader reader = {.read = read_piece, .owner = image};
	struct balances_image_counts counts;

	image->at = 0;
	enum balances_image_state state = balances_image_read(&reader);
	for (size_t q = 0; q < ARRAY_SIZE(quotas); q++) {
		struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
		ASSERT(store != NULL);
		image->at = 0;
		memory_store_read_image(store, NOW_US, read_piece, image, &counts);
		ASSERT(state != BALANCES_IMAGE_GOOD ||
		       reader.counts.balances + reader.counts.full ==
			       counts.balances + counts.full + counts.dropped);
		ASSERT(memory_store_stats(store).balances == counts.balances);
		size_t at = HEAD;
		for (size_t i = 0; i < KEYS_MAX && at + ITEM <= image->len; i++, at += ITEM)
			decide(store,
			       (struct key_hash){get_u64(image->data + at),
						 get_u64(image->data + at + 8)},
			       &quotas[q]);
		written.len = written.at = 0;
		written.piece = sizeof written.data;
		if (memory_store_write_image(store, NOW_US, append, &written, &counts)) {
			struct balances_image_reader again = {.read = read_piece,
							      .owner = &written};
			ASSERT(balances_image_read(&again) == BALANCES_IMAGE_GOOD);
			ASSERT(again.counts.balances == counts.balances);
		}
		store_free(store);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image image;

	if (sodium_init() < 0 || size < 1 || size > MAX)
		return 0;
	image.piece = data[0] % 2 == 0 ? MAX : 1 + data[0];
	image.len = size - 1;
	memcpy(image.data, data + 1, size - 1);
	read_and_decide(&image);
	uint8_t *end = image.data + image.len;
	memset(end, 0, 16);
	end[0] = data[0];
	memset(end + 16, 0xff, 8);
	image.len += ITEM;
	crypto_generichash(end + 24, 24, image.data, image.len - 24, NULL, 0);
	read_and_decide(&image);
	return 0;
}
