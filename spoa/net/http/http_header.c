#include "net/http/http_header.h"

#include <strings.h>

#include "base/parse.h"

static bool refuse(struct http_header *head, const char *why)
{
	head->why = why;
	return false;
}

static bool is_token(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i], letter = c | 0x20;
		bool is_plain = (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9');
		if (!is_plain && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return text.len > 0;
}

static bool has_control_character(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((text.data[i] < 0x20 && text.data[i] != '\t') || text.data[i] == 0x7f)
			return true;
	return false;
}

static bool is_text(struct bytes text, struct bytes other)
{
	return text.len == other.len &&
	       strncasecmp((const char *)text.data, (const char *)other.data, text.len) == 0;
}

static bool take_host(struct http_header *head)
{
	if (head->has_host)
		return refuse(head, "Host: stands there twice");
	head->has_host = true;
	return true;
}

static bool is_number(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	return text.len > 0;
}

static bool take_length(struct http_header *head, struct bytes value)
{
	value = bytes_trim(value);
	if (head->has_length)
		return refuse(head, "Content-Length: stands there twice");
	if (head->is_chunked)
		return refuse(head, "Content-Length together with Transfer-Encoding");
	if (!is_number(value))
		return refuse(head, "Content-Length: not a number");
	if (!parse_whole(value, UINT64_MAX, &head->length))
		head->length = UINT64_MAX; /* or more: it is too large in any case */
	head->has_length = true;
	return true;
}

static bool take_encoding(struct http_header *head, struct bytes value)
{
	if (head->is_chunked)
		return refuse(head, "Transfer-Encoding: stands there twice");
	if (head->has_length)
		return refuse(head, "Content-Length together with Transfer-Encoding");
	if (!is_text(bytes_trim(value), BYTES("chunked")))
		return refuse(head, "Transfer-Encoding: accepted is chunked");
	if (head->is_http_1_0)
		return refuse(head, "Transfer-Encoding: not in HTTP/1.0");
	head->is_chunked = true;
	return true;
}

bool http_header_add(struct http_header *head, struct bytes name, struct bytes value)
{
	if (head->why != NULL)
		return false;
	if (!is_token(name))
		return refuse(head, "a header field's name has characters that are not allowed");
	if (has_control_character(value))
		return refuse(head, "a header field has a control character");
	/* Told apart by length first: this is asked of every field of every request. */
	if (name.len == 4 && is_text(name, BYTES("Host")))
		return take_host(head);
	if (name.len == 14 && is_text(name, BYTES("Content-Length")))
		return take_length(head, value);
	if (name.len == 17 && is_text(name, BYTES("Transfer-Encoding")))
		return take_encoding(head, value);
	return true;
}
