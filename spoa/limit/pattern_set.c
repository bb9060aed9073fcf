#include "limit/pattern_set.h"

#include <stdlib.h>

#include "limit/pattern_networks.h"
#include "limit/pattern_table.h"
#include "limit/pattern_texts.h"

struct pattern_set {
	size_t references;
	bool is_built;
	uint32_t line; /* of what is added next; 0: no lines are kept */
	uint64_t source;
	struct pattern_networks networks;
	struct pattern_texts texts;
};

/* ---- life ---- */

struct pattern_set *pattern_set_new(void)
{
	struct pattern_set *set = calloc(1, sizeof *set);

	if (set != NULL)
		set->references = 1;
	return set;
}

struct pattern_set *pattern_set_ref(struct pattern_set *set)
{
	set->references++;
	return set;
}

void pattern_set_at_line(struct pattern_set *set, uint32_t line)
{
	ASSERT(!set->is_built && line > 0);
	set->line = line;
}

void pattern_set_set_source(struct pattern_set *set, uint64_t source)
{
	set->source = source;
}

uint64_t pattern_set_source(const struct pattern_set *set)
{
	return set->source;
}

static void free_all(struct pattern_set *set)
{
	pattern_networks_release(&set->networks);
	pattern_texts_release(&set->texts);
	free(set);
}

void pattern_set_unref(struct pattern_set *set)
{
	if (set != NULL && --set->references == 0)
		free_all(set);
}

bool pattern_set_unref_some(struct pattern_set *set)
{
	if (set->references > 1) {
		set->references--;
		return false;
	}
	if (pattern_networks_shrink(&set->networks) || pattern_texts_shrink(&set->texts))
		return true;
	free_all(set);
	return false;
}

size_t pattern_set_slow_count(const struct pattern_set *set)
{
	return set->texts.others.count;
}

size_t pattern_set_bytes(const struct pattern_set *set)
{
	return sizeof *set + pattern_networks_bytes(&set->networks) +
	       pattern_texts_bytes(&set->texts);
}

/* ---- filling ---- */

bool pattern_set_add_network(struct pattern_set *set, const struct value *network, unsigned prefix)
{
	ASSERT(!set->is_built);
	return pattern_networks_add(&set->networks, network, prefix, set->line);
}

bool pattern_set_add_text(struct pattern_set *set, struct bytes text)
{
	ASSERT(!set->is_built);
	return pattern_texts_add(&set->texts, text, set->line);
}

bool pattern_set_build(struct pattern_set *set)
{
	ASSERT(!set->is_built);
	set->is_built = pattern_networks_build(&set->networks) && pattern_texts_build(&set->texts);
	return set->is_built;
}

/* ---- looking ---- */

bool pattern_set_fits(const struct pattern_set *set, const struct value *value, struct bytes text)
{
	if (!set->is_built)
		return false;
	if (value_is_address(value) && pattern_networks_fit(&set->networks, value))
		return true;
	return pattern_texts_fit(&set->texts, text);
}

uint32_t pattern_set_find_line(const struct pattern_set *set, const struct value *value,
			       struct bytes text)
{
	uint32_t line = 0;

	if (!set->is_built)
		return 0;
	if (value_is_address(value))
		line = pattern_networks_find_line(&set->networks, value);
	return pattern_lower_line(line, pattern_texts_find_line(&set->texts, text));
}
