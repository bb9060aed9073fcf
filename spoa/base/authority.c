#include "base/authority.h"

#include <string.h>

/* Cuts off what stands before the first `end`; false when there is none. */
static bool cut_before(struct bytes *text, char end, struct bytes *ret_before)
{
	size_t len = 0;

	while (len < text->len && text->data[len] != (uint8_t)end)
		len++;
	if (len == text->len)
		return false;
	*ret_before = bytes_from(text->data, len);
	*text = bytes_skip(*text, len + 1);
	return true;
}

static bool split_literal(struct bytes text, struct authority *ret_authority)
{
	struct authority authority = {0};

	text = bytes_skip(text, 1);
	if (!cut_before(&text, ']', &authority.host) || authority.host.len == 0 ||
	    memchr(authority.host.data, ':', authority.host.len) == NULL)
		return false;
	if (text.len > 0 && text.data[0] != ':')
		return false;
	if (text.len > 0)
		authority.port = bytes_skip(text, 1);
	*ret_authority = authority;
	return true;
}

bool authority_split(struct bytes text, struct authority *ret_authority)
{
	struct authority authority = {.host = text};

	if (bytes_begin_with(text, BYTES("[")))
		return split_literal(text, ret_authority);
	if (cut_before(&text, ':', &authority.host))
		authority.port = text;
	*ret_authority = authority;
	return true;
}
