#include "limit/conditions.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/large_block.h"
#include "base/parse.h"
#include "limit/pattern_texts.h"

#define RELEASED_AT_ONCE 256 /* patterns: some 10 us */
#define PATTERNS_FEW     32  /* so few are looked at one by one */

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

struct value network_read(struct bytes text, struct bytes attribute, unsigned *ret_prefix)
{
	static const struct value absent = {.kind = VALUE_ABSENT};
	struct bytes length = text, address;
	struct value value;
	uint64_t prefix;

	*ret_prefix = 0;
	(void)bytes_next_item(&length, '/', &address);
	value = value_text(address);
	unsigned max = 32, mapped = 0;
	bool is_ipv6 = has_colon(address);

	value = length.data == NULL ? attribute_canonical(attribute, &value)
				    : value_canonical(&value);
	if (value.kind == VALUE_IPV6)
		max = 128;
	else if (value.kind != VALUE_IPV4)
		return absent;
	else if (is_ipv6)
		mapped = 96; /* of ::ffff:10.0.0.0/104 */
	if (length.data == NULL)
		prefix = max + mapped;
	else if (!parse_whole(length, max + mapped, &prefix) || prefix < mapped)
		return absent;
	*ret_prefix = (unsigned)prefix - mapped;
	value_cut_address(&value, *ret_prefix, *ret_prefix);
	return value;
}

bool text_is_written_as_network(struct bytes text)
{
	struct bytes length = text, address = {NULL, 0};

	(void)bytes_next_item(&length, '/', &address);
	for (size_t i = 0; i < length.len; i++)
		if (memchr("0123456789.-", length.data[i], 12) == NULL)
			return false;
	struct value value = value_text(address);
	value = value_canonical(&value);
	return length.len > 0 && value.kind != VALUE_TEXT;
}

/* Digits and dots, or hexadecimal digits and colons, with at least one dot or colon. */
static bool has_characters_of_address(struct bytes text)
{
	bool has_colon = text.len > 0 && memchr(text.data, ':', text.len) != NULL;
	bool has_dot = text.len > 0 && memchr(text.data, '.', text.len) != NULL;
	const char *characters = has_colon ? "0123456789abcdefABCDEF.:[]" : "0123456789.";

	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == '\0' || strchr(characters, text.data[i]) == NULL)
			return false;
	return has_colon || has_dot;
}

static bool is_address(struct bytes name, struct bytes text)
{
	struct value value = value_text(text);

	value = attribute_canonical(name, &value);
	return value_is_address(&value);
}

bool text_is_failed_address(struct bytes name, struct bytes text)
{
	struct bytes rest = text, address;
	unsigned prefix;

	if (!bytes_equal(name, BYTES("src")) || is_address(name, text))
		return false;
	struct value network = network_read(text, name, &prefix);
	if (value_is_address(&network))
		return false;
	(void)bytes_next_item(&rest, '/', &address);
	return has_characters_of_address(address) ||
	       (rest.data != NULL && is_address(name, address));
}

/* NULL when memory is short; else the caller counts it when all of it is there. */
static struct pattern *add_pattern(struct condition *condition, struct bytes text)
{
	struct pattern *larger =
		grow_by_one(condition->patterns, condition->count, sizeof(struct pattern));

	if (larger == NULL)
		return NULL;
	condition->patterns = larger;
	struct pattern *pattern = &larger[condition->count];
	*pattern = (struct pattern){0};
	return copy_bytes(text, &pattern->text) ? pattern : NULL;
}

bool condition_add_pattern(struct condition *condition, struct bytes text)
{
	struct pattern *pattern = add_pattern(condition, text);

	if (pattern == NULL)
		return false;
	pattern->has_star = text.len > 0 && memchr(text.data, '*', text.len) != NULL;
	pattern->network = network_read(text, condition->attribute, &pattern->prefix);
	condition->count++;
	return true;
}

bool condition_add_file(struct condition *condition, struct bytes text, struct pattern_set *lines)
{
	struct pattern_set **larger =
		grow_by_one(condition->files, condition->file_count, sizeof *larger);

	if (larger == NULL)
		return false;
	condition->files = larger;
	struct pattern *pattern = add_pattern(condition, text);
	if (pattern == NULL)
		return false;
	pattern->is_file = true;
	condition->count++;
	larger[condition->file_count++] = pattern_set_ref(lines);
	return true;
}

/* A network fits as a text too: its own. That of an address is the value's text form already. */
static bool add_to_set(struct pattern_set *set, const struct pattern *pattern)
{
	bool is_network = pattern->network.kind != VALUE_ABSENT;

	if (pattern->is_file)
		return true;
	if (is_network && !pattern_set_add_network(set, &pattern->network, pattern->prefix))
		return false;
	return pattern_set_add_text(set, pattern->text);
}

bool condition_compile(struct condition *condition)
{
	if (condition->count - condition->file_count <= PATTERNS_FEW)
		return true;
	ASSERT(condition->set == NULL);
	condition->set = pattern_set_new();
	bool is_whole = condition->set != NULL;
	for (size_t i = 0; i < condition->count && is_whole; i++) {
		/* So find_in_set knows which pattern fits. */
		pattern_set_at_line(condition->set, (uint32_t)i + 1);
		is_whole = add_to_set(condition->set, &condition->patterns[i]);
	}
	return is_whole && pattern_set_build(condition->set);
}

/* False when the condition has no set any more. */
static bool release_some_of_sets(struct condition *condition)
{
	if (condition->set != NULL) {
		if (!pattern_set_unref_some(condition->set))
			condition->set = NULL;
		return true;
	}
	if (condition->file_count > 0) {
		if (!pattern_set_unref_some(condition->files[condition->file_count - 1]))
			condition->file_count--;
		return true;
	}
	free(condition->files);
	condition->files = NULL;
	return false;
}

bool conditions_release_some(struct conditions *conditions)
{
	if (conditions->count == 0)
		return false;
	struct condition *condition = &conditions->items[conditions->count - 1];
	if (release_some_of_sets(condition))
		return true;
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
		for (size_t j = 0; j < condition->file_count; j++)
			pattern_set_unref(condition->files[j]);
		pattern_set_unref(condition->set);
		free(condition->files);
		free(condition->patterns);
		free_bytes(condition->attribute);
	}
	free(conditions->items);
	*conditions = (struct conditions){0};
}

/* ---- do they fit? ---- */

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
	if (pattern->is_file)
		return false;
	return pattern->has_star ? pattern_text_fits(pattern->text, text)
				 : bytes_equal(pattern->text, text);
}

static bool condition_fits(const struct condition *condition, const struct value *found)
{
	char memory[VALUE_SHORT_TEXT_MAX];

	if (found == NULL)
		return false;
	struct value value = attribute_canonical(condition->attribute, found);
	struct bytes text = value_to_text(&value, memory);
	if (condition->set != NULL && pattern_set_fits(condition->set, &value, text))
		return true;
	for (size_t i = 0; i < condition->count && condition->set == NULL; i++)
		if (pattern_fits(&condition->patterns[i], &value, text))
			return true;
	for (size_t i = 0; i < condition->file_count; i++)
		if (pattern_set_fits(condition->files[i], &value, text))
			return true;
	return false;
}

/* What a condition is about; NULL when the request does not have it. */
static const struct value *find_value(const struct condition *condition,
				      const struct attributes *attributes,
				      const struct attribute *instead)
{
	bool is_instead = instead != NULL && bytes_equal(instead->name, condition->attribute);

	return is_instead ? &instead->value : attributes_find(attributes, condition->attribute);
}

bool conditions_fit(const struct conditions *conditions, const struct attributes *attributes,
		    const struct attribute *instead)
{
	for (size_t i = 0; i < conditions->count; i++) {
		const struct condition *condition = &conditions->items[i];
		if (!condition_fits(condition, find_value(condition, attributes, instead)))
			return false;
	}
	return true;
}

/* ---- what of them fits? ---- */

/* Looks through a list that is too short to have a set. */
static bool find_pattern(const struct condition *condition, const struct value *value,
			 struct bytes text, size_t *ret_position)
{
	for (size_t i = 0; i < condition->count; i++) {
		if (!pattern_fits(&condition->patterns[i], value, text))
			continue;
		*ret_position = i;
		return true;
	}
	return false;
}

/* condition_compile has told the set the positions, from 1 on, as lines. */
static bool find_in_set(const struct condition *condition, const struct value *value,
			struct bytes text, size_t *ret_position)
{
	uint32_t line = pattern_set_find_line(condition->set, value, text);

	if (line == 0)
		return false;
	*ret_position = line - 1;
	return true;
}

/* The sets of the files are in the order of the patterns that name them. */
static bool find_in_files(const struct condition *condition, const struct value *value,
			  struct bytes text, struct condition_fit *ret_fit)
{
	size_t file = 0;

	for (size_t i = 0; i < condition->count && file < condition->file_count; i++) {
		if (!condition->patterns[i].is_file)
			continue;
		const struct pattern_set *lines = condition->files[file++];
		uint32_t line = pattern_set_find_line(lines, value, text);
		if (line == 0)
			continue;
		*ret_fit = (struct condition_fit){.position = i, .lines = lines, .line = line};
		return true;
	}
	return false;
}

bool condition_find(const struct condition *condition, const struct attributes *attributes,
		    const struct attribute *instead, struct condition_fit *ret_fit)
{
	const struct value *given = find_value(condition, attributes, instead);
	char memory[VALUE_SHORT_TEXT_MAX];
	size_t position = 0;
	bool is_found;

	if (given == NULL)
		return false;
	struct value value = attribute_canonical(condition->attribute, given);
	struct bytes text = value_to_text(&value, memory);
	if (condition->set != NULL)
		is_found = find_in_set(condition, &value, text, &position);
	else
		is_found = find_pattern(condition, &value, text, &position);
	if (!is_found)
		return find_in_files(condition, &value, text, ret_fit);
	*ret_fit = (struct condition_fit){.position = position};
	return true;
}
