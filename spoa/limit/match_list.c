#include "limit/match_list.h"

#include <stdlib.h>

#include "base/grow.h"
#include "base/large_block.h"

/* So few, of all matches, are looked at one by one. */
#define PATTERNS_FEW 16

struct conditions *match_list_add(struct match_list *list)
{
	struct conditions *larger =
		grow_by_one(list->matches, list->count, sizeof(struct conditions));

	if (larger == NULL)
		return NULL;
	list->matches = larger;
	larger[list->count] = (struct conditions){0};
	return &larger[list->count++];
}

static size_t count_patterns(const struct match_list *list)
{
	size_t patterns = 0;

	for (size_t i = 0; i < list->count; i++)
		for (size_t j = 0; j < list->matches[i].count; j++)
			patterns += list->matches[i].items[j].count;
	return patterns;
}

bool match_list_compile(struct match_list *list)
{
	if (count_patterns(list) <= PATTERNS_FEW)
		return true;
	const struct conditions **matches = calloc(list->count, sizeof *matches);
	if (matches == NULL)
		return false;
	for (size_t i = 0; i < list->count; i++)
		matches[i] = &list->matches[i];
	list->index = policy_index_new(matches, list->count);
	free(matches);
	return list->index != NULL;
}

void match_list_release(struct match_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		conditions_release(&list->matches[i]);
	policy_index_free(list->index);
	free(list->matches);
	*list = (struct match_list){0};
}

bool match_list_release_some(struct match_list *list)
{
	if (list->index != NULL) {
		if (!policy_index_free_some(list->index))
			list->index = NULL;
		return true;
	}
	if (list->count > 0) {
		if (!conditions_release_some(&list->matches[list->count - 1]))
			list->count--;
		return true;
	}
	if (list->matches == NULL)
		return false;
	if (large_block_is_large(list->matches)) {
		list->matches = large_block_shrink(list->matches);
		return true;
	}
	match_list_release(list);
	return true;
}

size_t match_list_find(const struct match_list *list, const struct attributes *attributes,
		       const struct attribute *instead)
{
	size_t i = 0;

	if (list->index != NULL)
		return policy_index_first(list->index, attributes, instead);
	while (i < list->count && !conditions_fit(&list->matches[i], attributes, instead))
		i++;
	return i;
}

bool match_list_fits(const struct match_list *list, const struct attributes *attributes,
		     const struct attribute *instead)
{
	return match_list_find(list, attributes, instead) < list->count;
}
