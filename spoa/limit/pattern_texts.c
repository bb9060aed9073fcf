#include "limit/pattern_texts.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/large_block.h"
#include "limit/pattern_table.h"

#define BLOCK_MAX        UINT32_MAX /* bytes of all texts: a place has 32 bits */
#define NUMBER_BYTES_MAX 5

/* ---- life ---- */

void pattern_texts_release(struct pattern_texts *texts)
{
	free(texts->block);
	free(texts->whole.items);
	free(texts->beginnings.items);
	free(texts->others.items);
	*texts = (struct pattern_texts){0};
}

static bool shrink_places(struct pattern_places *places)
{
	if (!large_block_is_large(places->items))
		return false;
	places->items = large_block_shrink(places->items);
	return true;
}

bool pattern_texts_shrink(struct pattern_texts *texts)
{
	if (large_block_is_large(texts->block)) {
		texts->block = large_block_shrink(texts->block);
		return true;
	}
	return shrink_places(&texts->whole) || shrink_places(&texts->beginnings) ||
	       shrink_places(&texts->others);
}

size_t pattern_texts_bytes(const struct pattern_texts *texts)
{
	size_t places = (size_t)texts->whole.count + texts->beginnings.count + texts->others.count;

	return texts->room + places * sizeof(uint32_t);
}

/* ---- the block ---- */

/* A length or a line, 7 bits in each byte. Returns how many bytes it takes. */
static size_t put_number(uint8_t *to, size_t number)
{
	size_t count = 0;

	for (; number >= 0x80; number >>= 7)
		to[count++] = (uint8_t)(number | 0x80);
	to[count++] = (uint8_t)number;
	return count;
}

/* Returns where the number ends. */
static const uint8_t *read_number(const uint8_t *at, size_t *ret_number)
{
	size_t number = 0;

	for (unsigned shift = 0;; shift += 7) {
		number |= (size_t)(*at & 0x7f) << shift;
		if ((*at++ & 0x80) != 0)
			continue;
		*ret_number = number;
		return at;
	}
}

static struct bytes text_at(const struct pattern_texts *texts, uint32_t place)
{
	size_t len;
	const uint8_t *text = read_number(texts->block + place, &len);

	return bytes_from(text, len);
}

/* The line stands behind the text. */
static uint32_t line_at(const struct pattern_texts *texts, uint32_t place)
{
	struct bytes text = text_at(texts, place);
	size_t line;

	(void)read_number(text.data + text.len, &line);
	return (uint32_t)line;
}

/* ---- filling ---- */

static bool reserve_block(struct pattern_texts *texts, size_t more)
{
	size_t wanted = texts->len + more, room = texts->room;

	if (wanted <= room)
		return true;
	if (wanted > BLOCK_MAX)
		return false;
	/* An eighth more, so that what is left over at the end is little. */
	room = wanted + wanted / 8;
	uint8_t *larger = realloc(texts->block, room);
	if (larger == NULL)
		return false;
	texts->block = larger;
	texts->room = room;
	return true;
}

static bool add_place(struct pattern_texts *texts, struct pattern_places *places, struct bytes text,
		      uint32_t line)
{
	if (text.len >= BLOCK_MAX || !reserve_block(texts, text.len + 2 * NUMBER_BYTES_MAX) ||
	    places->count == PATTERN_TABLE_MAX)
		return false;
	uint32_t *larger = grow_by_one(places->items, places->count, sizeof *larger);
	if (larger == NULL)
		return false;
	places->items = larger;
	larger[places->count++] = (uint32_t)texts->len;
	texts->len += put_number(texts->block + texts->len, text.len);
	if (text.len > 0)
		memcpy(texts->block + texts->len, text.data, text.len);
	texts->len += text.len;
	if (line > 0)
		texts->len += put_number(texts->block + texts->len, line);
	return true;
}

bool pattern_texts_add(struct pattern_texts *texts, struct bytes text, uint32_t line)
{
	const uint8_t *star = text.len > 0 ? memchr(text.data, '*', text.len) : NULL;

	texts->has_lines = line > 0;
	if (star == NULL)
		return add_place(texts, &texts->whole, text, line);
	if (star == text.data + text.len - 1)
		return add_place(texts, &texts->beginnings, bytes_from(text.data, text.len - 1),
				 line);
	return add_place(texts, &texts->others, text, line);
}

/* ---- building ---- */

static uint64_t hash_text(struct bytes text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ text.data[i]) * UINT64_C(0x100000001b3);
	return pattern_table_mix(hash);
}

static bool build_whole(struct pattern_texts *texts)
{
	struct pattern_places table = {.count = pattern_table_size(texts->whole.count)};

	if (texts->whole.count == 0)
		return true;
	table.items = calloc(table.count, sizeof *table.items);
	if (table.items == NULL)
		return false;
	for (uint32_t i = 0; i < texts->whole.count; i++) {
		struct bytes text = text_at(texts, texts->whole.items[i]);
		uint32_t at = pattern_table_place(hash_text(text), table.count);
		while (table.items[at] != 0 &&
		       !bytes_equal(text_at(texts, table.items[at] - 1), text))
			at = pattern_table_next(at, table.count);
		if (table.items[at] == 0)
			table.items[at] = texts->whole.items[i] + 1;
	}
	free(texts->whole.items);
	texts->whole = table;
	return true;
}

static int compare_texts(struct bytes a, struct bytes b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len == 0 ? 0 : memcmp(a.data, b.data, len);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Of equal texts the one that was added first comes first. */
static int compare_places(const void *a, const void *b, void *texts)
{
	uint32_t place = *(const uint32_t *)a, other = *(const uint32_t *)b;
	int order = compare_texts(text_at(texts, place), text_at(texts, other));

	return order != 0 ? order : (place > other) - (place < other);
}

/*
 * Sorts the beginnings and leaves out each that a shorter one covers. Then, of those that come
 * before a text in this order, only the last one can be its beginning.
 */
static void build_beginnings(struct pattern_texts *texts)
{
	struct pattern_places *places = &texts->beginnings;
	uint32_t kept = 0;

	if (places->count == 0)
		return;
	qsort_r(places->items, places->count, sizeof *places->items, compare_places, texts);
	for (uint32_t i = 0; i < places->count; i++) {
		struct bytes text = text_at(texts, places->items[i]);
		if (kept == 0 || !bytes_begin_with(text, text_at(texts, places->items[kept - 1])))
			places->items[kept++] = places->items[i];
	}
	places->count = kept;
}

static void fit_room(struct pattern_texts *texts)
{
	uint8_t *smaller = texts->len == 0 ? NULL : realloc(texts->block, texts->len);

	if (smaller == NULL)
		return;
	texts->block = smaller;
	texts->room = texts->len;
}

bool pattern_texts_build(struct pattern_texts *texts)
{
	if (!build_whole(texts))
		return false;
	build_beginnings(texts);
	fit_room(texts);
	return true;
}

/* ---- looking ---- */

/* The place + 1 of the text that fits, or 0. */
static uint32_t find_whole(const struct pattern_texts *texts, struct bytes text)
{
	if (texts->whole.count == 0)
		return 0;
	for (uint32_t at = pattern_table_place(hash_text(text), texts->whole.count);
	     texts->whole.items[at] != 0; at = pattern_table_next(at, texts->whole.count))
		if (bytes_equal(text_at(texts, texts->whole.items[at] - 1), text))
			return texts->whole.items[at];
	return 0;
}

/* The place + 1 of the beginning that fits, or 0. */
static uint32_t find_beginning(const struct pattern_texts *texts, struct bytes text)
{
	uint32_t low = 0, high = texts->beginnings.count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (compare_texts(text_at(texts, texts->beginnings.items[middle]), text) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && bytes_begin_with(text, text_at(texts, texts->beginnings.items[low - 1]))
		       ? texts->beginnings.items[low - 1] + 1
		       : 0;
}

/* Texts are kept in the order in which they were added. NULL: none of them fits. */
static const uint32_t *find_other(const struct pattern_texts *texts, struct bytes text)
{
	for (uint32_t i = 0; i < texts->others.count; i++)
		if (pattern_text_fits(text_at(texts, texts->others.items[i]), text))
			return &texts->others.items[i];
	return NULL;
}

bool pattern_texts_fit(const struct pattern_texts *texts, struct bytes text)
{
	return find_whole(texts, text) != 0 || find_beginning(texts, text) != 0 ||
	       find_other(texts, text) != NULL;
}

/* Lines only rise while texts are added, so of several others that fit the first is the lowest. */
uint32_t pattern_texts_find_line(const struct pattern_texts *texts, struct bytes text)
{
	uint32_t line = 0;

	if (!texts->has_lines)
		return 0;
	uint32_t whole = find_whole(texts, text), beginning = find_beginning(texts, text);
	const uint32_t *other = find_other(texts, text);
	if (whole != 0)
		line = line_at(texts, whole - 1);
	if (beginning != 0)
		line = pattern_lower_line(line, line_at(texts, beginning - 1));
	if (other != NULL)
		line = pattern_lower_line(line, line_at(texts, *other));
	return line;
}

/* When the text does not go on as the pattern does, the last star takes one character more. */
bool pattern_text_fits(struct bytes pattern, struct bytes text)
{
	size_t p = 0, t = 0;
	size_t behind_star = SIZE_MAX, taken_to = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.data[p] == '*') {
			behind_star = ++p;
			taken_to = t;
		} else if (p < pattern.len && pattern.data[p] == text.data[t]) {
			p++;
			t++;
		} else if (behind_star != SIZE_MAX) {
			p = behind_star;
			t = ++taken_to;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.data[p] == '*')
		p++;
	return p == pattern.len;
}
