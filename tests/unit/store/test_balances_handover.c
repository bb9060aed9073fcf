#include "store/balances_handover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sodium.h>

#include "contract.h"
#include "limit/request.h"
#include "store/memory.h"
#include "support/chance.h"
#include "support/test.h"

#define START_US INT64_C(1700000000000000)
#define SECOND   INT64_C(1000000)
#define HOUR     (3600 * SECOND)

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

static struct store *make(uint64_t memory_limit)
{
	struct store *store = memory_store_new_shared(memory_limit);

	assert_non_null(store);
	return store;
}

static struct outcome take(struct store *store, const char *key, const struct quota *quota,
			   int64_t cost, int64_t now_us)
{
	struct check check;

	ask(store, (struct check *[]){check_make(&check, key, quota, cost)}, 1, now_us);
	assert_true(check.is_decided);
	return check.outcome;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->allowed, b->allowed);
	assert_int_equal(a->remaining, b->remaining);
	assert_int_equal(a->retry_after_us, b->retry_after_us);
	assert_int_equal(a->reset_us, b->reset_us);
	assert_int_equal(a->grows_us, b->grows_us);
}

/* Ends the store as a process does, of which the descriptor is left. */
static int end_store(struct store *store, int64_t now_us)
{
	int fd = dup(memory_store_descriptor(store));

	assert_true(fd >= 0);
	balances_handover_leave(memory_store_balances(store), now_us);
	store_free(store);
	return fd;
}

static struct store *begin_store(struct balances_handover *from, int fd, uint64_t memory_limit)
{
	struct store *store = make(memory_limit);

	assert_int_equal(balances_handover_open(from, fd, 0), HANDOVER_GOOD);
	balances_handover_begin(from, memory_store_balances(store));
	memory_store_inherit(store, from);
	return store;
}

static void take_rest(struct balances_handover *from, struct store *store, int64_t now_us)
{
	while (balances_handover_take_some(from, memory_store_balances(store), now_us, 7))
		;
	memory_store_inherit(store, NULL);
}

/* ---- what comes back ---- */

/* A store that lives on, and one that is handed over again and again, decide the same. */
TEST(handover_decides_as_the_store_that_was_left)
{
	struct chance chance = {(uint64_t)environment_number("HANDOVER_SEED", 1)};
	struct store *lives = make(1 << 20), *moves = make(1 << 20);
	struct quota quotas[ALGORITHM_COUNT];
	struct balances_handover from = {.seen = NULL};
	int64_t now_us = START_US;
	bool is_taking = false;

	for (size_t i = 0; i < ALGORITHM_COUNT; i++)
		quotas[i] = quota_of((enum algorithm)i, 20, 60 * SECOND);
	for (int step = 0; step < 20000; step++) {
		char key[32];
		size_t algorithm = (size_t)chance_between(&chance, 0, ALGORITHM_COUNT - 1);
		int64_t cost = chance_between(&chance, 0, 5);
		snprintf(key, sizeof key, "%zu-%d", algorithm, (int)chance_between(&chance, 0, 9));
		now_us += chance_between(&chance, 0, SECOND);
		if (!is_taking && chance_is_one_in(&chance, 50)) {
			moves = begin_store(&from, end_store(moves, now_us), 1 << 20);
			is_taking = true;
		}
		struct outcome a = take(lives, key, &quotas[algorithm], cost, now_us);
		struct outcome b = take(moves, key, &quotas[algorithm], cost, now_us);
		assert_same(&a, &b);
		if (is_taking && chance_is_one_in(&chance, 4))
			is_taking = balances_handover_take_some(
				&from, memory_store_balances(moves), now_us,
				(unsigned)chance_between(&chance, 1, 5));
		if (!is_taking && from.seen != NULL) {
			assert_int_equal(from.counts.damaged + from.counts.dropped, 0);
			memory_store_inherit(moves, NULL);
			while (balances_handover_release_some(&from))
				;
		}
	}
	store_free(lives);
	store_free(moves);
	balances_handover_release(&from);
}

TEST(handover_brings_a_long_log_and_its_order)
{
	struct quota quota = quota_of(SLIDING_WINDOW, 5000, HOUR);
	struct store *store = make(1 << 20);
	struct balances_handover from;

	for (int i = 0; i < 3000; i++)
		take(store, "k", &quota, 1, START_US + i * SECOND);
	int64_t now_us = START_US + 3000 * SECOND;
	struct outcome before = take(store, "k", &quota, 0, now_us);
	store = begin_store(&from, end_store(store, now_us), 1 << 20);

	struct outcome after = take(store, "k", &quota, 0, now_us);
	assert_same(&before, &after);
	assert_int_equal(from.counts.balances, 1);
	take_rest(&from, store, now_us);
	assert_int_equal(from.counts.balances, 1);
	balances_handover_release(&from);
	store_free(store);
}

TEST(handover_leaves_out_what_is_full)
{
	struct store *store = make(1 << 20);
	struct quota hour = quota_of(FIXED_WINDOW, 5, HOUR), minute = bucket_of(1, "1/1m");
	struct balances_handover from;

	take(store, "hour", &hour, 3, START_US);
	take(store, "minute", &minute, 1, START_US);
	store = begin_store(&from, end_store(store, START_US), 1 << 20);
	take_rest(&from, store, START_US + 61 * SECOND);

	assert_int_equal(from.counts.balances, 1);
	assert_int_equal(from.counts.full, 1);
	assert_int_equal(memory_store_stats(store).balances, 1);
	balances_handover_release(&from);
	store_free(store);
}

/* What is full, and so forgotten, must not come from the old memory as it was there. */
TEST(handover_gives_no_balance_twice)
{
	struct store *store = make(1 << 20);
	struct quota soon = bucket_of(5, "1"), hour = quota_of(FIXED_WINDOW, 5, HOUR);
	struct balances_handover from;
	struct check check;

	take(store, "soon", &soon, 5, START_US);
	take(store, "hour", &hour, 5, START_US);
	take(store, "other", &hour, 5, START_US);
	store = begin_store(&from, end_store(store, START_US), 1 << 20);

	assert_int_equal(take(store, "soon", &soon, 0, START_US).remaining, 0);
	struct store_op reset = {
		.checks = (struct check *[]){check_make(&check, "hour", &hour, 0)},
		.count = 1,
		.now_us = START_US,
		.is_look = true,
		.is_reset = true,
	};
	assert_int_equal(store_ask(store, &reset), STORE_DONE);
	assert_int_equal(take(store, "hour", &hour, 0, START_US).remaining, 5);
	take_rest(&from, store, START_US + 10 * SECOND);
	assert_int_equal(take(store, "hour", &hour, 0, START_US).remaining, 5);
	assert_int_equal(take(store, "other", &hour, 0, START_US).remaining, 0);
	assert_int_equal(take(store, "soon", &soon, 0, START_US + 10 * SECOND).remaining, 5);
	balances_handover_release(&from);
	store_free(store);
}

/* The store that follows is full, and forgets in the order in which the old one would have. */
TEST(handover_keeps_the_order_of_use)
{
	int fits = (int)(MEMORY_LIMIT_MIN / BALANCE_BYTES) - 1;
	struct quota quota = quota_of(FIXED_WINDOW, 100, HOUR);
	struct store *store = make(MEMORY_LIMIT_MIN);
	struct balances_handover from;
	char key[32];

	for (int i = 0; i < fits; i++) {
		snprintf(key, sizeof key, "k%d", i);
		take(store, key, &quota, 1, START_US);
	}
	store = begin_store(&from, end_store(store, START_US), MEMORY_LIMIT_MIN);
	take(store, "k0", &quota, 0, START_US);
	take_rest(&from, store, START_US);
	assert_int_equal(from.counts.balances, fits);

	take(store, "another", &quota, 1, START_US);

	assert_int_equal(take(store, "k1", &quota, 0, START_US).remaining, 100);
	for (int i = 0; i < fits; i++) {
		snprintf(key, sizeof key, "k%d", i);
		if (i != 1)
			assert_int_equal(take(store, key, &quota, 0, START_US).remaining, 99);
	}
	balances_handover_release(&from);
	store_free(store);
}

TEST(handover_that_does_not_fit_loses_what_the_store_would_forget)
{
	int fits = (int)(MEMORY_LIMIT_MIN / BALANCE_BYTES) - 1;
	struct quota one = quota_of(FIXED_WINDOW, 1, HOUR),
		     many = quota_of(FIXED_WINDOW, 100, HOUR);
	struct store *store = make(1 << 20);
	struct balances_handover from;
	char key[32];

	take(store, "exhausted", &one, 1, START_US);
	for (int i = 0; i < 2 * fits; i++) {
		snprintf(key, sizeof key, "k%d", i);
		take(store, key, &many, 1, START_US);
	}
	store = begin_store(&from, end_store(store, START_US), MEMORY_LIMIT_MIN);
	take_rest(&from, store, START_US);

	assert_int_equal(from.counts.dropped, fits + 1);
	assert_int_equal(memory_store_stats(store).balances, fits);
	assert_int_equal(memory_store_stats(store).evicted, 0);
	assert_int_equal(take(store, "exhausted", &one, 0, START_US).remaining, 0);
	assert_int_equal(take(store, key, &many, 0, START_US).remaining, 99);
	assert_int_equal(take(store, "k0", &many, 0, START_US).remaining, 100);
	balances_handover_release(&from);
	store_free(store);
}

/* ---- what is refused ---- */

/* Of some balances of each algorithm, in a memory that was left. */
static int leave_some(void)
{
	struct store *store = make(MEMORY_LIMIT_MIN);

	for (int i = 0; i < 200; i++) {
		struct quota quota = quota_of((enum algorithm)(i % ALGORITHM_COUNT), 20, HOUR);
		char key[32];
		snprintf(key, sizeof key, "k%d", i);
		for (int n = 0; n <= i % 7; n++)
			take(store, key, &quota, 1, START_US + n);
	}
	return end_store(store, START_US);
}

static enum handover_state state_of(int fd)
{
	struct balances_handover from;
	enum handover_state state = balances_handover_open(&from, fd, 0);

	if (state == HANDOVER_GOOD)
		balances_handover_release(&from);
	else
		close(fd);
	return state;
}

static void put_at(int fd, size_t at, const void *bytes, size_t len)
{
	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
}

TEST(handover_without_the_mark_is_not_used)
{
	struct store *store = make(MEMORY_LIMIT_MIN);
	int running = dup(memory_store_descriptor(store)), fd = leave_some();
	struct balances_handover from;

	assert_int_equal(state_of(running), HANDOVER_WITHOUT_MARK);
	int copy = dup(fd);
	assert_int_equal(balances_handover_open(&from, fd, 0), HANDOVER_GOOD);
	assert_true(balances_handover_claim(&from));
	assert_int_equal(state_of(copy), HANDOVER_WITHOUT_MARK);
	balances_handover_release(&from);
	store_free(store);
}

TEST(handover_of_another_layout_is_not_used)
{
	const uint64_t layout = 2;
	int fd = leave_some();

	put_at(fd, offsetof(struct handover_head, layout), &layout, sizeof layout);

	assert_int_equal(state_of(fd), HANDOVER_OF_ANOTHER_LAYOUT);
}

TEST(handover_with_a_byte_changed_in_its_head_is_not_used)
{
	int fd = leave_some();
	uint8_t head[sizeof(struct handover_head)];

	assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
	for (size_t i = 0; i < sizeof head; i++) {
		uint8_t changed = head[i] ^ 0x40;
		put_at(fd, i, &changed, 1);
		assert_int_not_equal(state_of(dup(fd)), HANDOVER_GOOD);
		put_at(fd, i, &head[i], 1);
	}
	assert_int_equal(state_of(fd), HANDOVER_GOOD);
}

TEST(handover_of_something_else_is_not_used)
{
	int ends[2], unsealed = memfd_create("test", 0),
		     sealed = memfd_create("test", MFD_ALLOW_SEALING);
	struct shared_memory small;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(state_of(ends[0]), HANDOVER_NO_MEMORY);
	close(ends[1]);
	assert_int_equal(ftruncate(unsealed, 1 << 20), 0);
	assert_int_equal(state_of(unsealed), HANDOVER_NO_MEMORY);
	assert_int_equal(state_of(sealed),
			 HANDOVER_NO_MEMORY); /* nothing is in it, and it may grow */
	assert_true(shared_memory_make(&small, "test", BALANCES_HEAD_BYTES));
	assert_int_equal(state_of(dup(small.fd)), HANDOVER_WITHOUT_MARK);
	shared_memory_release(&small);
}

/* ---- damage ---- */

/* Takes all that there is, in all ways, and decides. Nothing that comes out is out of bounds. */
static void take_all_and_decide(int fd, struct chance *chance)
{
	struct balances_handover from;
	struct store *store = begin_store(&from, fd, MEMORY_LIMIT_MIN);

	for (int i = 0; i < 400; i++) {
		struct quota quota = quota_of((enum algorithm)(i % ALGORITHM_COUNT), 20, HOUR);
		char key[32];
		snprintf(key, sizeof key, "k%d", i % 200);
		struct outcome outcome =
			take(store, key, &quota, chance_between(chance, 0, 3), START_US + i);
		assert_in_range(outcome.remaining, 0, 20);
		assert_true(outcome.retry_after_us >= -1 && outcome.reset_us >= 0);
		if (i == 100)
			take_rest(&from, store, START_US + i);
	}
	assert_true(from.counts.balances + from.counts.damaged + from.counts.dropped +
			    from.counts.full <=
		    216 + 16);
	balances_handover_release(&from);
	store_free(store);
}

TEST(handover_with_cells_changed_gives_balances_or_none)
{
	struct chance chance = {(uint64_t)environment_number("HANDOVER_SEED", 1)};
	uint32_t cells_max = balances_cells_max(MEMORY_LIMIT_MIN);
	struct balances_places places = balances_places(cells_max);
	int64_t rounds = environment_number("HANDOVER_ROUNDS", 300);

	for (int64_t round = 0; round < rounds; round++) {
		int fd = leave_some();
		int64_t changes = chance_between(&chance, 1, 200);
		for (int64_t i = 0; i < changes; i++) {
			uint32_t small = (uint32_t)chance_between(&chance, 0, 400);
			uint32_t any = (uint32_t)chance_bits(&chance);
			size_t begin = chance_is_one_in(&chance, 4) ? places.index : places.cells;
			size_t words = begin == places.index ? 200 : 400 * CELL_BYTES / 4;
			size_t word = (size_t)chance_between(&chance, 0, (int64_t)words - 1);
			put_at(fd, begin + 4 * word, chance_is_one_in(&chance, 2) ? &small : &any,
			       4);
		}
		take_all_and_decide(fd, &chance);
	}
}

/* Each link leads to the cell itself: no walk goes on without end. */
TEST(handover_with_links_in_circles_ends)
{
	struct chance chance = {1};
	int fd = leave_some();
	size_t cells = balances_places(balances_cells_max(MEMORY_LIMIT_MIN)).cells;

	for (uint32_t cell = 1; cell < 400; cell++) {
		size_t at = cells + cell * CELL_BYTES;
		put_at(fd, at + offsetof(struct balance_cell, chain), &cell, sizeof cell);
		put_at(fd, at + offsetof(struct balance_cell, older), &cell, sizeof cell);
	}

	take_all_and_decide(fd, &chance);
}
