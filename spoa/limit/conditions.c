#include "limit/conditions.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/large_block.h"
#include "base/parse.h"

#define RELEASED_AT_ONCE 256 /* patterns: some 10 us */

/* ---- making them ---- */

static bool copy_bytes(struct bytes bytes, struct bytes *ret_copy)
{
	uint8_t *copy = malloc(bytes.len + 1);

	if (copy == NULL)
		return false;
	if (bytes.len > 0)
		memcpy(copy, bytes.data, bytes.len);
	*ret_copy = bytes_from(copy, bytes.len);
	return true;
}

static void free_bytes(struct bytes bytes)
{
	free((void *)(uintptr_t)bytes.data);
}

struct condition *conditions_add(struct conditions *conditions, struct bytes attribute)
{
	struct condition *larger =
		grow_by_one(conditions->items, conditions->count, sizeof(struct condition));

	if (larger == NULL)
		return NULL;
	conditions->items = larger;
	struct condition *condition = &larger[conditions->count];
	*condition = (struct condition){0};
	if (!copy_bytes(attribute, &condition->attribute))
		return NULL;
	conditions->count++;
	return condition;
}

/* No memchr: link-time optimization of gcc 12 warns of lengths that no text can have. */
static bool has_colon(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == ':')
			return true;
	return false;
}

/*
 * "10.0.0.0/8", or an address alone, of `src` also with a port or a zone as in a request. Bits
 * behind the prefix are as good as 0.
 */
static void read_network(struct pattern *pattern, struct bytes attribute)
{
	struct bytes length = pattern->text, address;
	struct value value;
	uint64_t prefix;

	(void)bytes_next_item(&length, '/', &address);
	value = value_text(address);
	unsigned max = 32, mapped = 0;
	bool is_ipv6 = has_colon(address);

	value = length.data == NULL ? attribute_canonical(attribute, &value)
				    : value_canonical(&value);
	if (value.kind == VALUE_IPV6)
		max = 128;
	else if (value.kind != VALUE_IPV4)
		return;
	else if (is_ipv6)
		mapped = 96; /* of ::ffff:10.0.0.0/104 */
	if (length.data == NULL)
		prefix = max + mapped;
	else if (!parse_whole(length, max + mapped, &prefix) || prefix < mapped)
		return;
	pattern->prefix = (unsigned)prefix - mapped;
	value_cut_address(&value, pattern->prefix, pattern->prefix);
	pattern->network = value;
}

bool condition_add_pattern(struct condition *condition, struct bytes text)
{
	struct pattern *larger =
		grow_by_one(condition->patterns, condition->count, sizeof(struct pattern));

	if (larger == NULL)
		return false;
	condition->patterns = larger;
	struct pattern *pattern = &larger[condition->count];
	*pattern = (struct pattern){0};
	if (!copy_bytes(text, &pattern->text))
		return false;
	pattern->has_star = text.len > 0 && memchr(text.data, '*', text.len) != NULL;
	read_network(pattern, condition->attribute);
	condition->count++;
	return true;
}

bool conditions_release_some(struct conditions *conditions)
{
	if (conditions->count == 0)
		return false;
	struct condition *condition = &conditions->items[conditions->count - 1];
	for (size_t i = 0; i < RELEASED_AT_ONCE && condition->count > 0; i++)
		free_bytes(condition->patterns[--condition->count].text);
	if (condition->count > 0)
		return true;
	if (large_block_is_large(condition->patterns)) {
		condition->patterns = large_block_shrink(condition->patterns);
		return true;
	}
	free(condition->patterns);
	free_bytes(condition->attribute);
	if (--conditions->count == 0)
		conditions_release(conditions);
	return true;
}

void conditions_release(struct conditions *conditions)
{
	for (size_t i = 0; i < conditions->count; i++) {
		struct condition *condition = &conditions->items[i];
		for (size_t j = 0; j < condition->count; j++)
			free_bytes(condition->patterns[j].text);
		free(condition->patterns);
		free_bytes(condition->attribute);
	}
	free(conditions->items);
	*conditions = (struct conditions){0};
}

/* ---- do they fit? ---- */

/* When the text does not go on as the pattern does, the last star takes one character more. */
static bool text_fits(struct bytes pattern, struct bytes text)
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

static bool is_in_network(const struct pattern *pattern, const struct value *value)
{
	struct value cut = *value;

	if (pattern->network.kind != value->kind)
		return false;
	value_cut_address(&cut, pattern->prefix, pattern->prefix);
	return value->kind == VALUE_IPV4
		       ? memcmp(cut.ipv4, pattern->network.ipv4, sizeof cut.ipv4) == 0
		       : memcmp(cut.ipv6, pattern->network.ipv6, sizeof cut.ipv6) == 0;
}

static bool pattern_fits(const struct pattern *pattern, const struct value *value,
			 struct bytes text)
{
	if (pattern->network.kind != VALUE_ABSENT && is_in_network(pattern, value))
		return true;
	return pattern->has_star ? text_fits(pattern->text, text)
				 : bytes_equal(pattern->text, text);
}

static bool condition_fits(const struct condition *condition, const struct value *found)
{
	char memory[VALUE_SHORT_TEXT_MAX];

	if (found == NULL)
		return false;
	struct value value = attribute_canonical(condition->attribute, found);
	struct bytes text = value_to_text(&value, memory);
	for (size_t i = 0; i < condition->count; i++)
		if (pattern_fits(&condition->patterns[i], &value, text))
			return true;
	return false;
}

bool conditions_fit(const struct conditions *conditions, const struct attributes *attributes,
		    const struct attribute *instead)
{
	for (size_t i = 0; i < conditions->count; i++) {
		const struct condition *condition = &conditions->items[i];
		bool is_instead =
			instead != NULL && bytes_equal(instead->name, condition->attribute);
		if (!condition_fits(condition,
				    is_instead ? &instead->value
					       : attributes_find(attributes, condition->attribute)))
			return false;
	}
	return true;
}
