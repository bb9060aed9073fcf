/*
 * How the balances come from one process to the next:
 *
 *     the old process                      the new process
 *
 *     a check changes cells of its block
 *     the last answer
 *     leave: the head, with the mark
 *     it exits; systemd keeps the block
 *                                          open: the head is checked
 *                                          claim: the mark is removed
 *                                          a check: its balance is found in the old index,
 *                                             checked, and copied into the new block
 *                                          each turn of the loop: some more, class by class,
 *                                             from the newest one to the oldest one
 *                                          release_some: the old block is unmapped
 *
 * A balance that comes beside the loop was used before all that are here already, so it becomes the
 * oldest of its class. That is why the most recently used ones come first: the order stays as it
 * was, and if the memory is too small, those are left out that would have gone first.
 *
 * `seen` has a bit for each cell of the old block. A balance that was taken may be forgotten again,
 * because it is full, or because an operator reset it: then it must not come back from the old
 * block.
 */
#include "store/balances_handover.h"

#include <string.h>

#include <sodium.h>

#include "base/pool.h"
#include "limit/quota.h"

#define MAGIC         "rl-cells"
#define LAYOUT        UINT64_C(1)
#define MARK          UINT64_C(0x656e6465642e6f6b)
#define CHAIN_MAX     1000 /* steps in one place of the index, where there are one or two */
#define LEVELS_MAX    6    /* of a log: more than 1,000,000 entries need */
#define LEAF_ENTRIES  4
#define NODE_CHILDREN 16
#define PIECE_BYTES   ((size_t)4 << 20)
#define HASHED_BYTES  offsetof(struct handover_head, hash)

_Static_assert(sizeof(struct handover_head) <= BALANCES_HEAD_BYTES, "the head has a page");
_Static_assert(offsetof(struct handover_head, newest) + sizeof(uint32_t) * BALANCE_CLASSES ==
		       HASHED_BYTES,
	       "no padding is hashed");

/* ---- the head ---- */

static void hash_head(const struct handover_head *head, uint8_t *ret_hash)
{
	struct handover_head hashed = *head;

	hashed.mark = 0;
	crypto_generichash(ret_hash, sizeof hashed.hash, (const uint8_t *)&hashed, HASHED_BYTES,
			   NULL, 0);
}

void balances_handover_leave(const struct balances *b, int64_t now_us)
{
	struct handover_head head = {
		.layout = LAYOUT,
		.bytes = b->memory_bytes,
		.ended_us = now_us,
		.cells_max = b->cells.max,
		.cells_touched = b->cells.touched,
		.index_size = b->index_size,
		.count = b->count,
	};

	memcpy(head.magic, MAGIC, sizeof head.magic);
	key_hash_get_secrets(head.secrets);
	for (size_t i = 0; i < BALANCE_CLASSES; i++)
		head.newest[i] = b->classes[i].newest;
	hash_head(&head, head.hash);
	memcpy(b->memory, &head, sizeof head);
	/* Last, so that the mark is never there before what it vouches for. */
	__atomic_store_n(&((struct handover_head *)b->memory)->mark, MARK, __ATOMIC_RELEASE);
}

static bool sizes_are_sane(const struct handover_head *head, size_t bytes)
{
	return head->bytes == bytes && balances_places(head->cells_max).end == bytes &&
	       head->cells_touched >= 1 && head->cells_touched <= head->cells_max &&
	       head->index_size >= BALANCES_INDEX_START && head->index_size <= head->cells_max &&
	       head->count < head->cells_touched;
}

static enum handover_state check_head(const struct handover_head *head, size_t bytes)
{
	uint8_t hash[sizeof head->hash];

	if (head->mark != MARK)
		return HANDOVER_WITHOUT_MARK;
	if (memcmp(head->magic, MAGIC, sizeof head->magic) != 0)
		return HANDOVER_DAMAGED;
	if (head->layout != LAYOUT)
		return HANDOVER_OF_ANOTHER_LAYOUT;
	hash_head(head, hash);
	if (memcmp(hash, head->hash, sizeof hash) != 0 || !sizes_are_sane(head, bytes))
		return HANDOVER_DAMAGED;
	return HANDOVER_GOOD;
}

static size_t seen_bytes(const struct balances_handover *h)
{
	return h->head.cells_touched / 8 + 1;
}

enum handover_state balances_handover_open(struct balances_handover *h, int fd,
					   int64_t keep_full_us)
{
	*h = (struct balances_handover){.keep_full_us = keep_full_us};
	if (!shared_memory_map(&h->memory, fd))
		return HANDOVER_NO_MEMORY;
	enum handover_state state = HANDOVER_DAMAGED;
	if (h->memory.size >= BALANCES_HEAD_BYTES) {
		memcpy(&h->head, h->memory.data, sizeof h->head);
		state = check_head(&h->head, h->memory.size);
	}
	if (state == HANDOVER_GOOD) {
		h->places = balances_places(h->head.cells_max);
		h->seen = pages_reserve(seen_bytes(h));
		if (h->seen != NULL)
			return state;
		state = HANDOVER_NO_MEMORY;
	}
	h->memory.fd = -1; /* it stays the caller's */
	balances_handover_release(h);
	return state;
}

bool balances_handover_claim(struct balances_handover *h)
{
	const uint64_t none = 0;

	return shared_memory_put(&h->memory, offsetof(struct handover_head, mark), &none,
				 sizeof none);
}

void balances_handover_begin(const struct balances_handover *h, struct balances *to)
{
	balances_expect(to, h->head.count);
}

void balances_handover_release(struct balances_handover *h)
{
	pages_release(h->seen, seen_bytes(h));
	shared_memory_release(&h->memory);
	*h = (struct balances_handover){0};
}

bool balances_handover_release_some(struct balances_handover *h)
{
	shared_memory_shrink(&h->memory, PIECE_BYTES);
	if (h->memory.size > 0)
		return true;
	balances_handover_release(h);
	return false;
}

/* ---- what is in the old block ---- */

/* Whether a number from the block names a cell that was used. */
static bool is_cell(const struct balances_handover *h, uint32_t cell)
{
	return cell > 0 && cell < h->head.cells_touched;
}

static const void *old_cell(const struct balances_handover *h, uint32_t cell)
{
	ASSERT(is_cell(h, cell));
	return h->memory.data + h->places.cells + (size_t)cell * CELL_BYTES;
}

static bool is_seen(const struct balances_handover *h, uint32_t cell)
{
	return h->seen[cell / 8] >> cell % 8 & 1;
}

static void note_seen(struct balances_handover *h, uint32_t cell)
{
	h->seen[cell / 8] |= (uint8_t)(1 << cell % 8);
}

/* 0 when there is none, or the chain leads elsewhere. */
static uint32_t find_old(const struct balances_handover *h, struct key_hash id)
{
	const uint32_t *index = (const uint32_t *)(h->memory.data + h->places.index);
	uint32_t cell = index[balances_place_of(h->head.index_size, id)];

	for (int i = 0; i < CHAIN_MAX && is_cell(h, cell); i++) {
		const struct balance_cell *entry = old_cell(h, cell);
		if (entry->id.low == id.low && entry->id.high == id.high)
			return cell;
		cell = entry->chain;
	}
	return 0;
}

static bool is_number(int64_t number)
{
	return number >= 0 && number <= QUOTA_EXACT_MAX;
}

/* The same bounds as in an image (balances_image.h). Numbers that the state has not are zeroed. */
static bool is_plain_state(union plain_state *state, const struct algorithm_traits *traits)
{
	for (size_t i = 0; i < PLAIN_STATE_NUMBERS; i++) {
		if (i >= traits->state_count)
			state->numbers[i] = 0;
		if (!is_number(state->numbers[i]))
			return false;
	}
	return traits->is_state(state);
}

static bool is_log_state(const struct balances_handover *h, const struct balance_cell *cell)
{
	const struct cell_log *log = &cell->log;
	uint64_t span = LEAF_ENTRIES;

	if (!is_number(cell->total_before) || log->levels > LEVELS_MAX)
		return false;
	if (log->count == 0)
		return true;
	for (uint32_t i = 0; i < log->levels; i++)
		span *= NODE_CHILDREN;
	return log->count <= QUOTA_LOG_LIMIT_MAX && (uint64_t)log->head + log->count <= span &&
	       is_cell(h, log->root);
}

static bool is_balance(const struct balances_handover *h, struct balance_cell *cell)
{
	if (cell->is_kept || cell->is_grant || cell->full_us < 0)
		return false;
	/* Of 2 bits, and there are four algorithms: each value is one. */
	_Static_assert(ALGORITHM_COUNT == 4, "else the number is to be checked here");
	const struct algorithm_traits *traits = algorithm_traits((enum algorithm)cell->algorithm);
	if (cell->is_log != traits->is_log)
		return false;
	return cell->is_log ? is_log_state(h, cell) : is_plain_state(&cell->plain, traits);
}

/* ---- taking ---- */

/*
 * Makes room as a full memory does. A balance that is older than all others of its class is left
 * out when one of its class would have to go for it.
 */
static bool make_room(struct balances *to, const struct balance_cell *cell, bool is_oldest,
		      uint32_t cells, int64_t now_us)
{
	while (to->cells.unused < cells) {
		if (is_oldest && balances_class_to_forget(to) == (int)cell->share)
			return false;
		if (!balances_forget_one(to, now_us))
			return false;
	}
	return true;
}

/* The leaf with the entry at `position` of a log; NULL when there is no way to it. */
static const struct window_entry *find_leaf(const struct balances_handover *h,
					    const struct cell_log *log, uint32_t position)
{
	uint32_t cell = log->root;

	for (uint32_t level = log->levels; level > 0; level--) {
		uint32_t shift = 2 + 4 * (level - 1);
		const uint32_t *children = old_cell(h, cell);
		cell = children[position >> shift & (NODE_CHILDREN - 1)];
		if (!is_cell(h, cell))
			return NULL;
	}
	return old_cell(h, cell);
}

/* What came of one cell. */
enum taking { TAKING_DAMAGED = 0, TAKING_DROPPED, TAKING_TAKEN };

/* Times and totals of a log grow with each entry; of one that is damaged they may not. */
static enum taking take_log(const struct balances_handover *h, struct balances *to,
			    const struct balance_cell *old, bool is_oldest, uint32_t at,
			    int64_t now_us)
{
	struct window_entry last = {.time_us = -1, .total = old->total_before};
	const struct window_entry *leaf = NULL;

	for (uint32_t i = 0; i < old->log.count; i++) {
		uint32_t position = old->log.head + i;
		if (leaf == NULL || position % LEAF_ENTRIES == 0)
			leaf = find_leaf(h, &old->log, position);
		if (leaf == NULL)
			return TAKING_DAMAGED;
		struct window_entry entry = leaf[position % LEAF_ENTRIES];
		if (!is_number(entry.time_us) || !is_number(entry.total) ||
		    entry.time_us <= last.time_us || entry.total <= last.total)
			return TAKING_DAMAGED;
		if (!make_room(to, old, is_oldest, CELL_LOG_APPEND_MAX, now_us))
			return TAKING_DROPPED;
		cell_log_append(&to->cells, &balances_at(to, at)->log, entry);
		last = entry;
	}
	return TAKING_TAKEN;
}

static enum taking copy_balance(const struct balances_handover *h, struct balances *to,
				const struct balance_cell *old, bool is_oldest, int64_t now_us)
{
	enum taking taking = TAKING_TAKEN;

	if (balances_find(to, old->id) != 0)
		return TAKING_DAMAGED; /* two cells of one balance */
	if (!make_room(to, old, is_oldest, 1, now_us))
		return TAKING_DROPPED;
	uint32_t at = balances_remember(to, old->id);
	balances_set_full(to, at, old->full_us);
	struct balance_cell *cell = balances_at(to, at);
	cell->share = old->share;
	cell->algorithm = old->algorithm;
	cell->is_log = old->is_log;
	if (old->is_log) {
		cell->total_before = old->total_before;
		taking = take_log(h, to, old, is_oldest, at, now_us);
	} else {
		cell->plain = old->plain;
	}
	if (taking != TAKING_TAKEN)
		balances_forget(to, at);
	else if (is_oldest)
		balances_let_go_as_oldest(to, at);
	else
		balances_let_go(to, at);
	return taking;
}

static void take_cell(struct balances_handover *h, struct balances *to, uint32_t at, bool is_oldest,
		      int64_t now_us)
{
	struct balance_cell old;

	if (is_seen(h, at))
		return;
	note_seen(h, at);
	memcpy(&old, old_cell(h, at), sizeof old);
	if (!is_balance(h, &old)) {
		h->counts.damaged++;
		return;
	}
	if (old.full_us <= now_us - h->keep_full_us) {
		h->counts.full++;
		return;
	}
	enum taking taking = copy_balance(h, to, &old, is_oldest, now_us);
	h->counts.balances += taking == TAKING_TAKEN;
	h->counts.dropped += taking == TAKING_DROPPED;
	h->counts.damaged += taking == TAKING_DAMAGED;
}

void balances_handover_take(struct balances_handover *h, struct balances *to, struct key_hash id,
			    int64_t now_us)
{
	uint32_t at = find_old(h, id);

	if (at != 0)
		take_cell(h, to, at, false, now_us);
}

/* The next cell in the order of the classes; 0 when there are no more. */
static uint32_t next_cell(struct balances_handover *h)
{
	while (h->class < BALANCE_CLASSES) {
		uint32_t at = h->cell == 0
				      ? h->head.newest[h->class]
				      : ((const struct balance_cell *)old_cell(h, h->cell))->older;
		/* Links that go in a circle end here as well. */
		if (is_cell(h, at) && h->steps < h->head.cells_touched) {
			h->cell = at;
			h->steps++;
			return at;
		}
		h->counts.damaged += at != 0;
		h->cell = 0;
		h->class ++;
	}
	return 0;
}

/* A long log counts as several balances. */
static unsigned weight_of(const struct balances_handover *h, uint32_t at)
{
	const struct balance_cell *cell = old_cell(h, at);

	return cell->is_log && cell->log.count <= QUOTA_LOG_LIMIT_MAX ? 1 + cell->log.count / 16
								      : 1;
}

bool balances_handover_take_some(struct balances_handover *h, struct balances *to, int64_t now_us,
				 unsigned most)
{
	uint64_t evicted = to->evicted;
	uint32_t at = 1;

	balances_forget_due(to, now_us - h->keep_full_us);
	for (unsigned done = 0; done < most;) {
		at = next_cell(h);
		if (at == 0)
			break;
		done += weight_of(h, at);
		take_cell(h, to, at, true, now_us);
	}
	/* As if they had been there for long: no check has to look for full ones because of these,
	 * and what was forgotten for them was too much for this memory, not pushed out by a key. */
	to->looks_due = 0;
	h->counts.dropped += to->evicted - evicted;
	to->evicted = evicted;
	return at != 0;
}
