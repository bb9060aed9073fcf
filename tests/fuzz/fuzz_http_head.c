/*
 * fuzz_http_head.c - the head of a request, and its body if it is in chunks, of any bytes: what
 * comes in pieces is read as what comes whole; what is taken stays inside of the input and has the
 * form that its users rely on; what is refused has a status and a reason.
 *
 * The first byte says how long the pieces are.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "net/http/http_bounds.h"
#include "net/http/http_chunks.h"
#include "net/http/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy that ends where its memory ends, so that the sanitizer sees a read behind it. */
static uint8_t *copy_of(struct bytes bytes)
{
	uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);

	ASSERT(copy != NULL);
	if (bytes.len > 0)
		memcpy(copy, bytes.data, bytes.len);
	return copy;
}

static void check_refusal(unsigned status, const char *why)
{
	ASSERT(status >= 400 && status <= 599);
	ASSERT(why != NULL && why[0] != '\0');
	for (; *why != '\0'; why++)
		ASSERT(*why >= ' ' && *why <= '~');
}

static void check_inside(struct bytes part, struct bytes input)
{
	ASSERT(part.len <= input.len);
	if (part.len > 0)
		ASSERT(part.data >= input.data &&
		       (size_t)(part.data - input.data) <= input.len - part.len);
}

/* ---- heads ---- */

static void check_fields(const struct http_head *head)
{
	struct bytes fields = head->fields, name, value, found;

	while (http_head_next_field(&fields, &name, &value)) {
		check_inside(name, head->fields);
		check_inside(value, head->fields);
		ASSERT(http_is_token(name) && http_is_field_value(value));
		ASSERT(http_head_find(head, name, &found));
	}
}

static void check_head(const struct http_head *head, struct bytes input)
{
	struct bytes whole = bytes_from(input.data, head->len);

	size_t max = bytes_equal(head->path, BYTES(HTTP_AUTH_PATH))
			     ? 2 + HTTP_AUTH_LINE_MAX + HTTP_AUTH_FIELDS_MAX
			     : HTTP_HEADER_MAX;
	ASSERT(head->len <= input.len && head->len <= max);
	check_inside(head->method_name, whole);
	ASSERT(http_is_token(head->method_name));
	ASSERT(memcmp(input.data + head->len - 4, "\r\n\r\n", 4) == 0);
	if (!bytes_equal(head->path, BYTES("/")))
		check_inside(head->path, whole);
	ASSERT(head->path.len > 0);
	check_inside(head->fields, whole);
	check_inside(head->host, whole);
	ASSERT(head->is_http_1_0 || http_host_name(head->host).len > 0);
	ASSERT(!head->is_chunked || (head->length == 0 && !head->is_http_1_0));
	check_fields(head);
}

static enum http_head_found read_in_pieces(struct http_head *head, struct bytes input, size_t step)
{
	enum http_head_found found = HTTP_HEAD_MORE;

	for (size_t len = 0; found == HTTP_HEAD_MORE && len < input.len;) {
		len = step < input.len - len ? len + step : input.len;
		uint8_t *copy = copy_of(bytes_from(input.data, len));
		found = http_head_read(head, bytes_from(copy, len));
		free(copy);
	}
	return found;
}

static void compare_heads(const struct http_head *whole, const struct http_head *pieces,
			  enum http_head_found found)
{
	if (found == HTTP_HEAD_BAD) {
		ASSERT(whole->status == pieces->status && strcmp(whole->why, pieces->why) == 0);
		return;
	}
	ASSERT(whole->len == pieces->len && whole->method == pieces->method);
	ASSERT(whole->is_http_1_0 == pieces->is_http_1_0);
	ASSERT(whole->path.len == pieces->path.len && whole->query.len == pieces->query.len);
	ASSERT(whole->host.len == pieces->host.len && whole->fields.len == pieces->fields.len);
	ASSERT(whole->length == pieces->length && whole->is_chunked == pieces->is_chunked);
	ASSERT(whole->wants_close == pieces->wants_close);
	ASSERT(whole->wants_keep_alive == pieces->wants_keep_alive);
	ASSERT(whole->expects_continue == pieces->expects_continue);
}

/* ---- bodies in chunks ---- */

struct body {
	uint8_t data[HTTP_BODY_MAX];
	size_t len;
};

static enum http_chunks_found read_chunks(struct http_chunks *chunks, struct bytes *input,
					  struct body *body)
{
	struct bytes all = *input, piece;
	enum http_chunks_found found;

	while ((found = http_chunks_read(chunks, input, &piece)) == HTTP_CHUNKS_PIECE) {
		check_inside(piece, all);
		ASSERT(piece.len > 0 && piece.len <= sizeof body->data - body->len);
		memcpy(body->data + body->len, piece.data, piece.len);
		body->len += piece.len;
	}
	if (input->len > 0)
		check_inside(*input, all);
	if (found == HTTP_CHUNKS_BAD)
		check_refusal(chunks->status, chunks->why);
	return found;
}

/* How many bytes of the input were taken is told by `ret_taken`. */
static enum http_chunks_found read_chunks_in_pieces(struct http_chunks *chunks, struct bytes input,
						    size_t step, struct body *body,
						    size_t *ret_taken)
{
	enum http_chunks_found found = HTTP_CHUNKS_MORE;
	size_t taken = 0, end = 0;

	while (found == HTTP_CHUNKS_MORE && end < input.len) {
		end = step < input.len - end ? end + step : input.len;
		uint8_t *copy = copy_of(bytes_from(input.data + taken, end - taken));
		struct bytes part = bytes_from(copy, end - taken);
		found = read_chunks(chunks, &part, body);
		taken = end - part.len;
		free(copy);
	}
	*ret_taken = taken;
	return found;
}

static void check_chunks(struct bytes input, size_t step)
{
	static struct body whole, pieces;
	struct http_chunks one = {.max = HTTP_BODY_MAX}, two = {.max = HTTP_BODY_MAX};
	struct bytes rest = input;
	size_t taken;

	whole.len = pieces.len = 0;
	enum http_chunks_found found = read_chunks(&one, &rest, &whole);
	ASSERT(read_chunks_in_pieces(&two, input, step, &pieces, &taken) == found);
	if (found == HTTP_CHUNKS_BAD) {
		ASSERT(one.status == two.status);
		return;
	}
	ASSERT(whole.len == pieces.len && memcmp(whole.data, pieces.data, whole.len) == 0);
	ASSERT(one.has_extras == two.has_extras);
	ASSERT(found != HTTP_CHUNKS_DONE || taken == input.len - rest.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head whole = {0}, pieces = {0};

	if (size < 2)
		return 0;
	size_t step = (size_t)data[0] + 1;
	uint8_t *copy = copy_of(bytes_from(data + 1, size - 1));
	struct bytes input = bytes_from(copy, size - 1);

	enum http_head_found found = http_head_read(&whole, input);
	ASSERT(read_in_pieces(&pieces, input, step) == found);
	if (found == HTTP_HEAD_BAD) {
		check_refusal(whole.status, whole.why);
		if (!bytes_equal(whole.path, BYTES("/")))
			check_inside(whole.path, input);
		check_inside(whole.query, input);
	}
	if (found != HTTP_HEAD_MORE)
		compare_heads(&whole, &pieces, found);
	if (found == HTTP_HEAD_DONE) {
		check_head(&whole, input);
		if (whole.is_chunked)
			check_chunks(bytes_skip(input, whole.len), step);
	}
	free(copy);
	return 0;
}
