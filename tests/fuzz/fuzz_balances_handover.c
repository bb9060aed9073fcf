/*
 * fuzz_balances_handover.c - memory with balances that another process left, as anybody may have
 * changed it. A store with balances of all algorithms is left; then each 6 bytes of the input
 * change a word of the memory: of the head, whose hash is made right again, of a cell, or of the
 * index. What opens is taken, by the keys and in the order of use, and decides.
 */
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "base/compiler.h"
#include "limit/request.h"
#include "store/memory.h"

#define NOW_US      INT64_C(1700000000000000)
#define KEYS        24
#define EDIT_BYTES  6
#define EDITS_MAX   200
#define CELLS_USED  128
#define INDEX_USED  64
#define HEAD_WORDS  (sizeof(struct handover_head) / sizeof(uint32_t))
#define CELL_WORDS  (CELLS_USED * CELL_BYTES / sizeof(uint32_t))
#define EDITED_MOST (HEAD_WORDS + CELL_WORDS + INDEX_USED)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct quota quotas[] = {
	{.algorithm = TOKEN_BUCKET, .limit = 10, .refill_tokens = 1, .refill_us = 1000000},
	{.algorithm = SLIDING_WINDOW, .limit = 40, .window_us = 60000000},
	{.algorithm = SLIDING_WINDOW_COUNTER, .limit = 10, .window_us = 60000000},
	{.algorithm = FIXED_WINDOW, .limit = 5, .window_us = 60000000},
};

static void decide(struct store *store, unsigned key, int64_t cost, int64_t now_us)
{
	const struct quota *quota = &quotas[key % ARRAY_SIZE(quotas)];
	struct check check = {
		.quota = quota,
		.cost = cost,
		.hash = {.low = key * UINT64_C(0x9e3779b97f4a7c15), .high = key},
	};
	struct store_op op = {.checks = (struct check *[]){&check}, .count = 1, .now_us = now_us};

	ASSERT(store_ask(store, &op) == STORE_DONE);
	ASSERT(check.is_decided ? check.error == STORE_OK : check.error == STORE_OOM);
	if (!check.is_decided)
		return;
	ASSERT(check.outcome.remaining >= 0 && check.outcome.remaining <= quota->limit);
	ASSERT(check.outcome.retry_after_us >= -1 && check.outcome.reset_us >= 0);
}

/* Makes the memory that another process left, in which each run changes something. */
static void leave_balances(uint8_t *ret_memory, size_t bytes)
{
	struct store *store = memory_store_new_shared(MEMORY_LIMIT_MIN);

	ASSERT(store != NULL);
	for (unsigned key = 0; key < KEYS; key++)
		for (unsigned i = 0; i <= key; i++)
			decide(store, key, 1, NOW_US + i);
	balances_handover_leave(memory_store_balances(store), NOW_US);
	ASSERT(memory_store_balances(store)->memory_bytes == bytes);
	memcpy(ret_memory, memory_store_balances(store)->memory, bytes);
	store_free(store);
}

static void edit(uint8_t *memory, const struct balances_places *places, const uint8_t *at)
{
	size_t word = (size_t)(at[0] | at[1] << 8) % EDITED_MOST;
	size_t offset = word * sizeof(uint32_t);

	if (word >= HEAD_WORDS + CELL_WORDS)
		offset = places->index + (word - HEAD_WORDS - CELL_WORDS) * sizeof(uint32_t);
	else if (word >= HEAD_WORDS)
		offset = places->cells + (word - HEAD_WORDS) * sizeof(uint32_t);
	memcpy(memory + offset, at + 2, sizeof(uint32_t));
}

static void seal_head(uint8_t *memory)
{
	struct handover_head head;

	memcpy(&head, memory, sizeof head);
	uint64_t mark = head.mark;
	head.mark = 0;
	crypto_generichash(head.hash, sizeof head.hash, (const uint8_t *)&head,
			   offsetof(struct handover_head, hash), NULL, 0);
	head.mark = mark;
	memcpy(memory, &head, sizeof head);
}

static void take_and_decide(struct balances_handover *from)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);

	ASSERT(store != NULL);
	balances_handover_begin(from, memory_store_balances(store));
	memory_store_inherit(store, from);
	for (unsigned key = 0; key < KEYS / 2; key++)
		decide(store, key, 1, NOW_US);
	while (balances_handover_take_some(from, memory_store_balances(store), NOW_US, 5))
		;
	memory_store_inherit(store, NULL);
	for (unsigned key = 0; key < KEYS; key++)
		decide(store, key, 2, NOW_US + key);
	store_free(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t left[MEMORY_LIMIT_MIN + 8 * BALANCES_HEAD_BYTES];
	static bool is_left;
	struct balances_places places = balances_places(balances_cells_max(MEMORY_LIMIT_MIN));
	struct balances_handover from;
	struct shared_memory memory;

	if (sodium_init() < 0)
		return 0;
	ASSERT(places.end <= sizeof left);
	if (!is_left)
		leave_balances(left, places.end);
	is_left = true;
	ASSERT(shared_memory_make(&memory, "fuzz", places.end));
	memcpy(memory.data, left, places.end);
	for (size_t i = 0; i < EDITS_MAX && size - i * EDIT_BYTES >= EDIT_BYTES; i++)
		edit(memory.data, &places, data + i * EDIT_BYTES);
	seal_head(memory.data);
	if (balances_handover_open(&from, memory.fd, 0) == HANDOVER_GOOD) {
		memory.fd = -1; /* it is the handover's now */
		ASSERT(balances_handover_claim(&from));
		take_and_decide(&from);
		while (balances_handover_release_some(&from))
			;
	}
	shared_memory_release(&memory);
	return 0;
}
