/*
 *   SIZE ("1c" CRLF) ---> DATA (0x1c bytes) ---> DATA_END (CRLF) ---.
 *     ^  |                                                          |
 *     `--|----------------------------------------------------------'
 *        `--- "0" CRLF ---> TRAILERS ("name: value" CRLF, any number) --- CRLF ---> DONE
 *
 * Every line is bounded before it is awaited: a size with its extensions by SIZE_LINE_MAX, all
 * extensions and trailers of one body together by HTTP_HEADER_MAX.
 */
#include "net/http/http_chunks.h"

#include <string.h>

#include "base/least.h"
#include "base/parse.h"
#include "net/http/http_bounds.h"
#include "net/http/http_head.h"

#define SIZE_LINE_MAX 1024

static enum http_chunks_found refuse(struct http_chunks *chunks, unsigned status, const char *why)
{
	chunks->status = status;
	chunks->why = why;
	return HTTP_CHUNKS_BAD;
}

/* ---- lines ---- */

/*
 * Takes the next line with its CRLF off the input: DONE, and the line without the CRLF. A line
 * with its end has at most `max` bytes.
 */
static enum http_chunks_found next_line(struct http_chunks *chunks, struct bytes *input, size_t max,
					struct bytes *ret_line)
{
	size_t len = least_size(input->len, max);
	const uint8_t *lf = chunks->seen >= len
				    ? NULL
				    : memchr(input->data + chunks->seen, '\n', len - chunks->seen);

	if (lf == NULL) {
		chunks->seen = len;
		if (len == max)
			return refuse(chunks, chunks->state == CHUNKS_TRAILERS ? 431 : 400,
				      "a line between the chunks or behind them is too long");
		return HTTP_CHUNKS_MORE;
	}
	size_t end = (size_t)(lf - input->data);
	if (end == 0 || lf[-1] != '\r')
		return refuse(chunks, 400,
			      "a line of the chunks ends with LF alone, not with CR LF");
	*ret_line = bytes_from(input->data, end - 1);
	*input = bytes_skip(*input, end + 1);
	chunks->seen = 0;
	return HTTP_CHUNKS_DONE;
}

static bool has_room_for_extras(struct http_chunks *chunks, size_t len)
{
	if (len == 0)
		return true;
	chunks->has_extras = true;
	if (len > HTTP_HEADER_MAX - chunks->extras)
		return false;
	chunks->extras += len;
	return true;
}

/* ---- extensions: *( ";" token [ "=" ( token / quoted-string ) ] ), section 7.1.1 ---- */

/* How many bytes the quoted string at the front has (RFC 9110, section 5.6.4); 0: it has no end. */
static size_t quoted_len(struct bytes text)
{
	for (size_t i = 1; i < text.len; i++) {
		if (text.data[i] == '"')
			return i + 1;
		if (text.data[i] == '\\')
			i++;
	}
	return 0;
}

static bool skip_token(struct bytes *text)
{
	size_t len = 0;

	while (len < text->len && http_is_token(bytes_from(text->data + len, 1)))
		len++;
	*text = bytes_skip(*text, len);
	return len > 0;
}

static bool skip_value(struct bytes *text)
{
	if (text->len == 0 || text->data[0] != '"')
		return skip_token(text);
	size_t len = quoted_len(*text);
	*text = bytes_skip(*text, len);
	return len > 0;
}

static bool are_extensions(struct bytes text)
{
	if (!http_is_field_value(text))
		return false;
	while (text.len > 0) {
		if (text.data[0] != ';')
			return false;
		text = bytes_skip(text, 1);
		if (!skip_token(&text))
			return false;
		if (text.len == 0 || text.data[0] != '=')
			continue;
		text = bytes_skip(text, 1);
		if (!skip_value(&text))
			return false;
	}
	return true;
}

/* ---- chunks ---- */

static enum http_chunks_found read_size(struct http_chunks *chunks, struct bytes line)
{
	size_t digits = 0, size = 0;
	int digit = 0;

	for (; digits < line.len; digits++) {
		digit = parse_hex_digit(line.data[digits]);
		if (digit < 0)
			break;
		/* `max` is far below what would overflow; above it the value does not matter. */
		size = size > chunks->max ? size : size * 16 + (size_t)digit;
	}
	struct bytes extensions = bytes_skip(line, digits);
	if (digits == 0)
		return refuse(chunks, 400, "the size of a chunk is not a hexadecimal number");
	if (!are_extensions(extensions))
		return refuse(chunks, 400, "the size of a chunk has something behind it");
	if (size > chunks->max)
		return refuse(chunks, 413,
			      chunks->max > HTTP_BODY_MAX ? HTTP_LARGE_BODY_TOO_LARGE
							  : HTTP_BODY_TOO_LARGE);
	if (!has_room_for_extras(chunks, extensions.len))
		return refuse(chunks, 400, "the extensions of the chunks are larger than 12 KiB");
	chunks->left = size;
	chunks->max -= size;
	chunks->state = size > 0 ? CHUNKS_DATA : CHUNKS_TRAILERS;
	return HTTP_CHUNKS_DONE;
}

static enum http_chunks_found read_trailer(struct http_chunks *chunks, struct bytes line)
{
	struct bytes name, value;
	const char *why = http_split_field(line, &name, &value);

	if (why != NULL)
		return refuse(chunks, 400, why);
	if (!has_room_for_extras(chunks, line.len + 2))
		return refuse(chunks, 431, "the trailers are larger than 12 KiB");
	return HTTP_CHUNKS_DONE;
}

static enum http_chunks_found cut_piece(struct http_chunks *chunks, struct bytes *input,
					struct bytes *ret_piece)
{
	size_t len = least_size(input->len, chunks->left);

	if (len == 0)
		return HTTP_CHUNKS_MORE;
	*ret_piece = bytes_from(input->data, len);
	*input = bytes_skip(*input, len);
	chunks->left -= len;
	if (chunks->left == 0)
		chunks->state = CHUNKS_DATA_END;
	return HTTP_CHUNKS_PIECE;
}

/* Exactly CRLF; anything else is refused at its first byte. */
static enum http_chunks_found skip_data_end(struct http_chunks *chunks, struct bytes *input)
{
	struct bytes end = BYTES("\r\n");
	size_t len = least_size(input->len, end.len);

	if (len > 0 && memcmp(input->data, end.data, len) != 0)
		return refuse(chunks, 400, "a chunk is longer than its size says");
	if (len < end.len)
		return HTTP_CHUNKS_MORE;
	*input = bytes_skip(*input, end.len);
	chunks->state = CHUNKS_SIZE;
	return HTTP_CHUNKS_DONE;
}

enum http_chunks_found http_chunks_read(struct http_chunks *chunks, struct bytes *input,
					struct bytes *ret_piece)
{
	enum http_chunks_found found = HTTP_CHUNKS_DONE;
	struct bytes line;

	while (found == HTTP_CHUNKS_DONE) {
		switch (chunks->state) {
		case CHUNKS_SIZE:
			found = next_line(chunks, input, SIZE_LINE_MAX, &line);
			if (found == HTTP_CHUNKS_DONE)
				found = read_size(chunks, line);
			break;
		case CHUNKS_DATA:
			return cut_piece(chunks, input, ret_piece);
		case CHUNKS_DATA_END:
			found = skip_data_end(chunks, input);
			break;
		case CHUNKS_TRAILERS:
			found = next_line(chunks, input, HTTP_HEADER_MAX, &line);
			if (found == HTTP_CHUNKS_DONE && line.len == 0)
				return HTTP_CHUNKS_DONE;
			if (found == HTTP_CHUNKS_DONE)
				found = read_trailer(chunks, line);
			break;
		}
	}
	return found;
}
