#include "net/http/http_text.h"

#include <stdlib.h>

void http_text_init(struct http_text *text)
{
	text->data = text->small;
	http_text_clear(text);
}

void http_text_clear(struct http_text *text)
{
	if (text->data != text->small)
		free(text->data);
	text->data = text->small;
	text->max = sizeof text->small;
	text->len = text->target_len = 0;
}

static bool reserve(struct http_text *text, size_t len)
{
	size_t max = text->max;

	if (len <= max - text->len)
		return true;
	while (len > max - text->len)
		max *= 2;
	uint8_t *data = realloc(text->data == text->small ? NULL : text->data, max);
	if (data == NULL)
		return false;
	if (text->data == text->small)
		memcpy(data, text->small, text->len);
	text->data = data;
	text->max = max;
	return true;
}

bool http_text_add_body(struct http_text *text, struct bytes piece)
{
	if (!reserve(text, piece.len))
		return false;
	if (piece.len > 0)
		memcpy(text->data + text->len, piece.data, piece.len);
	text->len += piece.len;
	return true;
}

bool http_text_set_target(struct http_text *text, const char *target)
{
	ASSERT(text->len == 0);
	if (!http_text_add_body(text, bytes_from_text(target)))
		return false;
	text->target_len = text->len;
	return true;
}

struct bytes http_text_body(const struct http_text *text)
{
	return bytes_from(text->data + text->target_len, text->len - text->target_len);
}

/* "http://host/path" is as good as "/path" (RFC 9112, section 3.2.2). */
static struct bytes skip_authority(struct bytes target)
{
	struct bytes rest;

	if (bytes_begin_with(target, BYTES("http://")))
		rest = bytes_skip(target, strlen("http://"));
	else if (bytes_begin_with(target, BYTES("https://")))
		rest = bytes_skip(target, strlen("https://"));
	else
		return target;
	while (rest.len > 0 && rest.data[0] != '/' && rest.data[0] != '?')
		rest = bytes_skip(rest, 1);
	return rest;
}

void http_text_split_target(const struct http_text *text, struct bytes *ret_path,
			    struct bytes *ret_query)
{
	struct bytes target = skip_authority(bytes_from(text->data, text->target_len));
	const uint8_t *mark = target.len == 0 ? NULL : memchr(target.data, '?', target.len);
	size_t path_len = mark == NULL ? target.len : (size_t)(mark - target.data);

	*ret_path = path_len == 0 ? BYTES("/") : bytes_from(target.data, path_len);
	*ret_query = mark == NULL ? BYTES("") : bytes_skip(target, path_len + 1);
}
