#include "net/spop/spop_names.h"

#include <string.h>

static bool has_name(const struct spop_name *item, struct bytes name)
{
	return item->len == name.len && memcmp(item->text, name.data, name.len) == 0;
}

/* The place of a name, or `count`. A message repeats the one before it, so the guess is mostly
 * right. */
static size_t place_of(const struct spop_names *names, struct bytes name)
{
	if (names->next < names->count && has_name(&names->items[names->next], name))
		return names->next;
	for (size_t i = 0; i < names->count; i++)
		if (has_name(&names->items[i], name))
			return i;
	return names->count;
}

void spop_names_add(struct spop_names *names, struct bytes name, bool is_absent)
{
	if (name.len == 0)
		return;
	size_t place = place_of(names, name);
	if (place == names->count) {
		if (name.len > SPOP_NAME_MAX || place == SPOP_NAMES_MAX) {
			names->left_out = true;
			return;
		}
		names->items[place].len = (uint8_t)name.len;
		memcpy(names->items[place].text, name.data, name.len);
		names->count++;
	}
	names->items[place].times++;
	names->items[place].absent += is_absent;
	names->next = place + 1 < names->count ? place + 1 : 0;
}
