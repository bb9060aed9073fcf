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
#include "support/image_buffer.h"
#include "support/quotas.h"

#define NOW_US    INT64_C(1700000000000000)
#define KEYS_MAX  8
#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

static void read_and_decide(struct image_buffer *image)
{
	static struct image_buffer written;
	struct balances_image_reader reader = {.read = image_buffer_read, .owner = image};
	struct balances_image_counts counts;

	image->at = 0;
	enum balances_image_state state = balances_image_read(&reader);
	for (size_t q = 0; q < ARRAY_SIZE(quotas); q++) {
		struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
		ASSERT(store != NULL);
		image->at = 0;
		memory_store_read_image(store, NOW_US, image_buffer_read, image, &counts);
		ASSERT(state != BALANCES_IMAGE_GOOD ||
		       reader.counts.balances + reader.counts.full ==
			       counts.balances + counts.full + counts.dropped);
		ASSERT(memory_store_stats(store).balances == counts.balances);
		size_t at = IMAGE_HEAD;
		for (size_t i = 0; i < KEYS_MAX && at + IMAGE_ITEM <= image->len;
		     i++, at += IMAGE_ITEM)
			decide(store,
			       (struct key_hash){get_u64(image->data + at),
						 get_u64(image->data + at + 8)},
			       &quotas[q]);
		written.len = written.at = 0;
		written.piece = written.max = sizeof written.data;
		if (memory_store_write_image(store, NOW_US, image_buffer_append, &written,
					     &counts)) {
			struct balances_image_reader again = {.read = image_buffer_read,
							      .owner = &written};
			ASSERT(balances_image_read(&again) == BALANCES_IMAGE_GOOD);
			ASSERT(again.counts.balances == counts.balances);
		}
		store_free(store);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image_buffer image;

	if (sodium_init() < 0 || size < 1 || size > INPUT_MAX)
		return 0;
	image.piece = data[0] % 2 == 0 ? INPUT_MAX : 1 + data[0];
	image.len = size - 1;
	memcpy(image.data, data + 1, size - 1);
	read_and_decide(&image);
	uint8_t *end = image.data + image.len;
	memset(end, 0, 16);
	end[0] = data[0];
	memset(end + 16, 0xff, 8);
	image.len += IMAGE_ITEM;
	crypto_generichash(end + 24, 24, image.data, image.len - 24, NULL, 0);
	read_and_decide(&image);
	return 0;
}
