/*
 * The image, with all numbers in little-endian order:
 *
 *     head        64 bytes: a text that says what this is, the version, the secrets, the time, and
 *                 how many balances there may be at most
 *     balance     48 bytes: hash of the key (2 x 8), a word (8), the state's three numbers (3 x 8)
 *       entry     16 bytes: time and total; so many as the state of a log says
 *     ...
 *     end         48 bytes: how many balances there are (8), zeros (8), a word of ones (8), and a
 *                 hash of all bytes before it (24)
 *
 *     word:       full_us << 8 | algorithm << 4 | class
 *     numbers:    those of a union plain_state, then zeros
 *                 of a log: the total before its first entry, how many entries it has, and 0
 *
 * A million balances are 48 MB. They are written class by class, and within a class from the least
 * recently used to the most recently used. So the store that reads them has the same order, and a
 * store with less memory forgets the same balances that this store would have forgotten.
 */
#include "store/balances_image.h"

#include <string.h>

#include <sodium.h>

#include "limit/balance.h"
#include "limit/quota.h"

#define MAGIC         "rl-spoa\n"
#define VERSION       1
#define HEAD_BYTES    64
#define ITEM_BYTES    48
#define ENTRY_BYTES   16
#define HASH_BYTES    24
#define HASHED_OF_END (ITEM_BYTES - HASH_BYTES)
#define END_WORD      UINT64_MAX
#define BUFFER_BYTES  32768
#define PREFETCH      8 /* items ahead */

static void put_u64(uint8_t *at, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

/* A number of an image, from 0 to 2^53. */
static bool get_number(const uint8_t *at, int64_t *ret_number)
{
	uint64_t value = get_u64(at);

	if (value > QUOTA_EXACT_MAX)
		return false;
	*ret_number = (int64_t)value;
	return true;
}

/* ---- writing ---- */

struct output {
	balances_image_write_fn *write;
	void *owner;
	bool has_failed;
	uint64_t bytes;
	crypto_generichash_state hash;
	size_t len;
	uint8_t buffer[BUFFER_BYTES];
};

static void flush(struct output *out)
{
	if (!out->has_failed && !out->write(out->owner, bytes_from(out->buffer, out->len)))
		out->has_failed = true;
	out->bytes += out->len;
	out->len = 0;
}

static void hash_and_flush(struct output *out)
{
	crypto_generichash_update(&out->hash, out->buffer, out->len);
	flush(out);
}

/* Where the next `len` bytes go, all of which the caller fills. */
static uint8_t *put_bytes(struct output *out, size_t len)
{
	if (len > sizeof out->buffer - out->len)
		hash_and_flush(out);
	out->len += len;
	return out->buffer + out->len - len;
}

static void put_head(struct output *out, const struct balances_image_head *head, uint64_t most)
{
	uint8_t *at = put_bytes(out, HEAD_BYTES);

	memset(at, 0, HEAD_BYTES);
	memcpy(at, MAGIC, 8);
	put_u64(at + 8, VERSION);
	memcpy(at + 16, head->secrets, KEY_HASH_SECRETS_BYTES);
	put_u64(at + 48, (uint64_t)head->written_us);
	put_u64(at + 56, most);
}

static uint8_t *put_item(struct output *out, const struct balance_cell *cell)
{
	uint8_t *at = put_bytes(out, ITEM_BYTES);

	put_u64(at, cell->id.low);
	put_u64(at + 8, cell->id.high);
	put_u64(at + 16, (uint64_t)cell->full_us << 8 | (uint64_t)cell->algorithm << 4 |
				 (uint64_t)cell->share);
	memset(at + 24, 0, 24);
	return at + 24;
}

static void put_log(struct output *out, const struct balances *b, const struct balance_cell *cell)
{
	uint8_t *at = put_item(out, cell);

	put_u64(at, (uint64_t)cell->total_before);
	put_u64(at + 8, cell->log.count);
	for (size_t i = 0; i < cell->log.count; i++) {
		struct window_entry entry = cell_log_entry(&b->cells, &cell->log, i);
		at = put_bytes(out, ENTRY_BYTES);
		put_u64(at, (uint64_t)entry.time_us);
		put_u64(at + 8, (uint64_t)entry.total);
	}
}

static void put_plain(struct output *out, const struct balance_cell *cell)
{
	const struct algorithm_traits *traits = algorithm_traits((enum algorithm)cell->algorithm);
	uint8_t *at = put_item(out, cell);

	for (size_t i = 0; i < traits->state_count; i++)
		put_u64(at + 8 * i, (uint64_t)cell->plain.numbers[i]);
}

static void put_balance(struct output *out, const struct balances *b,
			const struct balance_cell *cell)
{
	if (cell->is_log)
		put_log(out, b, cell);
	else
		put_plain(out, cell);
}

static void put_end(struct output *out, uint64_t balances)
{
	uint8_t *at = put_bytes(out, HASHED_OF_END);

	put_u64(at, balances);
	put_u64(at + 8, 0);
	put_u64(at + 16, END_WORD);
	hash_and_flush(out);
	crypto_generichash_final(&out->hash, put_bytes(out, HASH_BYTES), HASH_BYTES);
	flush(out);
}

/*
 * What was kept, or granted, in place of another store is nothing without that store. Time does not
 * run backwards in a balance that was written: one from before the epoch is none.
 */
static bool is_own(const struct balance_cell *cell)
{
	return !cell->is_kept && !cell->is_grant && cell->full_us >= 0;
}

bool balances_image_write(const struct balances *b, const struct balances_image_head *head,
			  int64_t full_us, balances_image_write_fn *write, void *owner,
			  struct balances_image_counts *ret_counts)
{
	struct balances_image_counts counts = {0};
	struct output out;

	out.write = write;
	out.owner = owner;
	out.has_failed = false;
	out.bytes = 0;
	out.len = 0;
	crypto_generichash_init(&out.hash, NULL, 0, HASH_BYTES);
	put_head(&out, head, b->count);
	for (size_t i = 0; i < BALANCE_CLASSES; i++) {
		uint32_t at = b->classes[i].oldest;
		for (; at != 0 && !out.has_failed; at = balances_at(b, at)->newer) {
			const struct balance_cell *cell = balances_at(b, at);
			if (!is_own(cell))
				continue;
			if (cell->full_us <= full_us) {
				counts.full++;
				continue;
			}
			put_balance(&out, b, cell);
			counts.balances++;
		}
	}
	put_end(&out, counts.balances);
	counts.bytes = out.bytes;
	*ret_counts = counts;
	return !out.has_failed;
}

/* ---- reading ---- */

struct input {
	struct balances_image_reader *reader;
	uint64_t most; /* balances that there may be */
	crypto_generichash_state hash;
	size_t begin, end; /* of what is in the buffer and was not read */
	size_t hashed;     /* up to here */
	uint8_t buffer[BUFFER_BYTES];
};

static void hash_until(struct input *in, size_t end)
{
	if (end > in->hashed)
		crypto_generichash_update(&in->hash, in->buffer + in->hashed, end - in->hashed);
	in->hashed = end;
}

static void fill_buffer(struct input *in)
{
	struct balances_image_reader *reader = in->reader;
	size_t got;

	hash_until(in, in->begin);
	memmove(in->buffer, in->buffer + in->begin, in->end - in->begin);
	in->end -= in->begin;
	in->begin = in->hashed = 0;
	do {
		got = reader->read(reader->owner, in->buffer + in->end,
				   sizeof in->buffer - in->end);
		ASSERT(got <= sizeof in->buffer - in->end);
		in->end += got;
	} while (got > 0 && in->end < sizeof in->buffer);
}

/* The next `len` bytes, or NULL when there are not so many. */
static const uint8_t *get_bytes(struct input *in, size_t len)
{
	if (in->end - in->begin < len)
		fill_buffer(in);
	if (in->end - in->begin < len)
		return NULL;
	in->begin += len;
	in->reader->counts.bytes += len;
	return in->buffer + in->begin - len;
}

static enum balances_image_state read_head(struct input *in)
{
	struct balances_image_head *head = &in->reader->head;
	const uint8_t *at = get_bytes(in, HEAD_BYTES);

	if (at == NULL || memcmp(at, MAGIC, 8) != 0)
		return BALANCES_IMAGE_DAMAGED;
	if (get_u64(at + 8) != VERSION)
		return BALANCES_IMAGE_OF_ANOTHER_VERSION;
	memcpy(head->secrets, at + 16, KEY_HASH_SECRETS_BYTES);
	in->most = get_u64(at + 56);
	if (!get_number(at + 48, &head->written_us))
		return BALANCES_IMAGE_DAMAGED;
	return BALANCES_IMAGE_GOOD;
}

/* One that was read, without the entries of its log. */
struct item {
	struct key_hash id;
	int64_t full_us;
	enum algorithm algorithm;
	unsigned share;
	bool is_log;
	union plain_state plain;
	int64_t total_before;
	size_t count;
};

static bool read_log_head(const uint8_t *at, struct item *ret_item)
{
	int64_t count;

	if (!get_number(at, &ret_item->total_before) || !get_number(at + 8, &count) ||
	    get_u64(at + 16) != 0)
		return false;
	ret_item->count = (size_t)count;
	return count <= QUOTA_LOG_LIMIT_MAX;
}

static bool read_plain(const uint8_t *at, const struct algorithm_traits *traits,
		       union plain_state *ret_state)
{
	*ret_state = (union plain_state){.numbers = {0}};
	for (size_t i = 0; i < PLAIN_STATE_NUMBERS; i++)
		if (!get_number(at + 8 * i, &ret_state->numbers[i]) ||
		    (i >= traits->state_count && ret_state->numbers[i] != 0))
			return false;
	return traits->is_state(ret_state);
}

static struct key_hash read_id(const uint8_t *at)
{
	return (struct key_hash){.low = get_u64(at), .high = get_u64(at + 8)};
}

static bool read_item(const uint8_t *at, struct item *ret_item)
{
	uint64_t word = get_u64(at + 16);
	uint64_t algorithm = word >> 4 & 15;

	if (algorithm >= ALGORITHM_COUNT || word >> 8 > QUOTA_EXACT_MAX)
		return false;
	const struct algorithm_traits *traits = algorithm_traits((enum algorithm)algorithm);
	*ret_item = (struct item){
		.id = read_id(at),
		.full_us = (int64_t)(word >> 8),
		.algorithm = (enum algorithm)algorithm,
		.share = word & 15,
		.is_log = traits->is_log,
	};
	return traits->is_log ? read_log_head(at + 24, ret_item)
			      : read_plain(at + 24, traits, &ret_item->plain);
}

/* Times and totals of a log grow with each entry; of one that has fallen apart they may not. */
static bool read_entry(struct input *in, struct window_entry *last)
{
	const uint8_t *at = get_bytes(in, ENTRY_BYTES);
	struct window_entry entry;

	if (at == NULL || !get_number(at, &entry.time_us) || !get_number(at + 8, &entry.total) ||
	    entry.time_us <= last->time_us || entry.total <= last->total)
		return false;
	*last = entry;
	return true;
}

/* ---- taking ---- */

/* Those that are known are as good as those that come; who goes is balances.h's to say. */
static bool make_room(struct input *in, uint32_t cells)
{
	struct balances_image_reader *reader = in->reader;
	struct balances *b = reader->to;

	while (b->cells.unused < cells && balances_forget_one(b, reader->now_us)) {
		reader->counts.dropped++;
		reader->counts.balances--;
	}
	return b->cells.unused >= cells;
}

/* A new one, held; 0 when there is no room for it. */
static uint32_t begin_taking(struct input *in, const struct item *item)
{
	struct balances *b = in->reader->to;

	if (balances_find(b, item->id) != 0 || !make_room(in, 1))
		return 0;
	uint32_t at = balances_remember(b, item->id);
	struct balance_cell *cell = balances_at(b, at);
	balances_set_full(b, at, item->full_us);
	cell->share = item->share & (BALANCE_CLASSES - 1);
	cell->algorithm = item->algorithm & 3;
	cell->is_log = item->is_log;
	if (item->is_log)
		cell->total_before = item->total_before;
	else
		cell->plain = item->plain;
	return at;
}

/* False when the image ends too early. `*at` is 0 for a balance that is not taken. */
static bool read_entries(struct input *in, const struct item *item, uint32_t *at)
{
	struct balances *b = in->reader->to;
	struct window_entry last = {.time_us = -1, .total = item->total_before};

	for (size_t i = 0; i < item->count; i++) {
		if (!read_entry(in, &last))
			return false;
		if (*at == 0)
			continue;
		if (make_room(in, CELL_LOG_APPEND_MAX)) {
			cell_log_append(&b->cells, &balances_at(b, *at)->log, last);
		} else {
			balances_forget(b, *at);
			*at = 0;
		}
	}
	return true;
}

static bool take_item(struct input *in, const struct item *item)
{
	struct balances_image_reader *reader = in->reader;
	struct balances_image_counts *counts = &reader->counts;
	bool is_full = item->full_us <= reader->full_us;
	uint32_t at = reader->to == NULL || is_full ? 0 : begin_taking(in, item);

	bool is_whole = read_entries(in, item, &at);
	if (at != 0)
		balances_let_go(reader->to, at);
	if (is_full)
		counts->full++;
	else if (at != 0 || reader->to == NULL)
		counts->balances++;
	else
		counts->dropped++;
	return is_whole;
}

/* Of an end that was read: whether all is there, nothing else, and as it was written. */
static bool check_end(struct input *in, const uint8_t *at, uint64_t read)
{
	uint8_t hash[HASH_BYTES];

	hash_until(in, in->begin - HASH_BYTES);
	in->hashed = in->begin;
	crypto_generichash_final(&in->hash, hash, sizeof hash);
	bool is_good = get_u64(at) == read && get_u64(at + 8) == 0 &&
		       memcmp(hash, at + HASHED_OF_END, sizeof hash) == 0;
	return is_good && get_bytes(in, 1) == NULL;
}

/* The ids of a million balances are anywhere in the index. Where logs come between, this is in
 * vain. */
static void prefetch(const struct input *in)
{
	const struct balances *b = in->reader->to;
	size_t ahead = in->begin + PREFETCH * ITEM_BYTES;

	if (b != NULL && ahead + ITEM_BYTES <= in->end)
		balances_prefetch(b, read_id(in->buffer + ahead));
}

static bool read_items(struct input *in)
{
	struct item item;

	for (uint64_t read = 0;; read++) {
		const uint8_t *at = get_bytes(in, ITEM_BYTES);
		if (at == NULL)
			return false;
		if (get_u64(at + 16) == END_WORD)
			return check_end(in, at, read);
		prefetch(in);
		if (read == in->most || !read_item(at, &item) || !take_item(in, &item))
			return false;
	}
}

enum balances_image_state balances_image_read(struct balances_image_reader *reader)
{
	struct balances *b = reader->to;
	struct input in;

	in.reader = reader;
	in.begin = in.end = in.hashed = 0;
	crypto_generichash_init(&in.hash, NULL, 0, HASH_BYTES);
	reader->counts = (struct balances_image_counts){0};
	enum balances_image_state state = read_head(&in);
	if (state != BALANCES_IMAGE_GOOD)
		return state;
	if (b == NULL)
		return read_items(&in) ? state : BALANCES_IMAGE_DAMAGED;
	ASSERT(b->count == 0);
	balances_forget_due(b, reader->now_us);
	balances_expect(b, in.most);
	bool is_good = read_items(&in);
	/* What was forgotten here is counted as dropped. Those that are taken are looked at when
	 * others come, a few at a time, as if they had been there for long. */
	b->evicted = 0;
	b->looks_due = 0;
	return is_good ? state : BALANCES_IMAGE_DAMAGED;
}
