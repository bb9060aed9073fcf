#include "net/http/http_chunks.h"

#include "net/http/http_bounds.h"
#include "support/guarded.h"
#include "support/sweep.h"
#include "support/test.h"

static struct guarded *memory;
static uint8_t body[256];
static size_t body_len;

BEFORE_ALL
{
	memory = guarded_new(HTTP_BODY_MAX);
}

AFTER_ALL
{
	guarded_free(memory);
}

/* Until the input is used up, or there is an end. */
static enum http_chunks_found read_on(struct http_chunks *chunks, struct bytes *input)
{
	enum http_chunks_found found;
	struct bytes piece;

	while ((found = http_chunks_read(chunks, input, &piece)) == HTTP_CHUNKS_PIECE) {
		assert_true(piece.len > 0 && piece.len <= sizeof body - body_len);
		memcpy(body + body_len, piece.data, piece.len);
		body_len += piece.len;
	}
	return found;
}

static struct http_chunks read_text(const char *text, enum http_chunks_found expected,
				    const char *rest)
{
	struct http_chunks chunks = {.max = 100};
	struct bytes input = guarded_copy(memory, bytes_from_text(text));

	body_len = 0;
	enum http_chunks_found found = read_on(&chunks, &input);
	if (found != expected)
		fail_msg("%s: %d %s", text, (int)found, found == HTTP_CHUNKS_BAD ? chunks.why : "");
	if (rest != NULL)
		assert_bytes_text(input, rest);
	return chunks;
}

static void assert_refused(const char *text, unsigned status)
{
	struct http_chunks chunks = read_text(text, HTTP_CHUNKS_BAD, NULL);

	if (chunks.status != status)
		fail_msg("%s: %u %s", text, chunks.status, chunks.why);
	assert_true(strlen(chunks.why) > 10);
}

TEST(http_chunks_read_pieces_make_the_body)
{
	struct http_chunks chunks;

	chunks = read_text("5\r\nhello\r\n00C\r\n, big world!\r\n0\r\n\r\nnext", HTTP_CHUNKS_DONE,
			   "next");
	assert_bytes_text(bytes_from(body, body_len), "hello, big world!");
	assert_false(chunks.has_extras);
	(void)read_text("0\r\n\r\n", HTTP_CHUNKS_DONE, "");
	assert_int_equal(body_len, 0);
}

static int decode(struct bytes input, void *context)
{
	struct http_chunks chunks = {.max = 100};

	(void)context;
	body_len = 0;
	enum http_chunks_found found = read_on(&chunks, &input);
	if (found == HTTP_CHUNKS_BAD)
		return -1;
	return found == HTTP_CHUNKS_DONE ? 1 : 0;
}

TEST(http_chunks_read_every_truncation_and_every_changed_byte)
{
	struct bytes vector = BYTES("5;a=\"b\\\"c\";d\r\nhello\r\n0\r\nX-A: b\r\n\r\n");
	struct sweep_counts counts = sweep_decoder(vector, decode, NULL);

	assert_int_equal(counts.taken, 0);
	assert_int_equal(counts.refused, 0);
}

TEST(http_chunks_read_byte_by_byte_is_the_same)
{
	const char *text = "5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-A: b\r\n\r\n";
	struct http_chunks chunks = {.max = 100};
	char left[64];
	size_t len = 0;
	enum http_chunks_found found = HTTP_CHUNKS_MORE;

	body_len = 0;
	for (size_t i = 0; i < strlen(text); i++) {
		assert_int_equal(found, HTTP_CHUNKS_MORE);
		left[len++] = text[i];
		struct bytes input = guarded_copy(memory, bytes_from(left, len));
		found = read_on(&chunks, &input);
		len = input.len;
		memcpy(left, input.data, len);
	}
	assert_int_equal(found, HTTP_CHUNKS_DONE);
	assert_int_equal(len, 0);
	assert_bytes_text(bytes_from(body, body_len), "hello!");
	assert_true(chunks.has_extras);
}

TEST(http_chunks_read_extensions_and_trailers_are_ignored_and_told)
{
	assert_true(read_text("1;a\r\nx\r\n0\r\n\r\n", HTTP_CHUNKS_DONE, "").has_extras);
	assert_true(read_text("1\r\nx\r\n0;a=b;c=\"d;\\\" e\"\r\n\r\n", HTTP_CHUNKS_DONE, "")
			    .has_extras);
	assert_true(read_text("0\r\nContent-Length: 5\r\n\r\n", HTTP_CHUNKS_DONE, "").has_extras);
}

TEST(http_chunks_read_broken_chunks_are_400)
{
	static const char *const cases[] = {
		"\r\n",
		"xyz\r\n",
		"-1\r\n",
		"+1\r\n",
		"0x1\r\n",
		" 1\r\n",
		"1 \r\n",
		"1\t\r\n",
		"1 ;a\r\n",
		"1; a\r\n",
		"1;\r\n",
		"1;a=\r\n",
		"1;a=\"b\r\n",
		"1;a=\"b\\\"\r\n",
		"1;a=\"b\"c\r\n",
		"1;a b\r\n",
		"1;a\rb\r\n",
		"1;a\x01\r\n",
		"1\n",
		"1;a\n",
		"1\r\r\n",
		"1\r\nxy",
		"1\r\nx\n",
		"1\r\nx\rx",
		"0\n",
		"0\r\n\n",
		"0\r\nX-A : b\r\n",
		"0\r\n folded\r\n",
		"0\r\nX-A: b\x01\r\n",
		"0\r\nX-A\r\n",
		"0\r\nX-A: b\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(cases[i], 400);
}

TEST(http_chunks_read_more_than_the_maximum_is_413_at_once)
{
	assert_refused("65\r\n", 413);
	assert_refused("7fffffffffffffff\r\n", 413);
	assert_refused("10000000000000000\r\n", 413);
	assert_refused("100000000000000000000000000000000000000000000000\r\n", 413);
	assert_refused("64\r\n"
		       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n1\r\n",
		       413);
	(void)read_text("64\r\n", HTTP_CHUNKS_MORE, "");
	(void)read_text("00000000000000000000000000000000000000001\r\n", HTTP_CHUNKS_MORE, "");
}

static struct http_chunks read_repeated(const char *begin, const char *repeated, size_t times)
{
	struct http_chunks chunks = {.max = HTTP_BODY_MAX};
	struct bytes input = bytes_from_text(begin);

	body_len = 0;
	assert_int_equal(read_on(&chunks, &input), HTTP_CHUNKS_MORE);
	for (size_t i = 0; i < times; i++) {
		body_len = 0;
		input = bytes_from_text(repeated);
		if (read_on(&chunks, &input) != HTTP_CHUNKS_MORE)
			return chunks;
		assert_int_equal(input.len, 0);
	}
	return chunks;
}

TEST(http_chunks_read_extensions_and_trailers_are_bounded)
{
	static char line[HTTP_HEADER_MAX + 1];
	struct http_chunks chunks;

	chunks = read_repeated("", "1;abcdef\r\nx\r\n", 1755);
	assert_null(chunks.why);
	chunks = read_repeated("", "1;abcdef\r\nx\r\n", 1756);
	assert_int_equal(chunks.status, 400);
	chunks = read_repeated("0\r\n", "a:b\r\n", 2457);
	assert_null(chunks.why);
	chunks = read_repeated("0\r\n", "a:b\r\n", 2458);
	assert_int_equal(chunks.status, 431);

	memset(line, 'a', sizeof line - 1);
	chunks = read_repeated("0\r\n", line, 1);
	assert_int_equal(chunks.status, 431);
	memcpy(line, "1;", 2);
	chunks = read_repeated("", line, 1);
	assert_int_equal(chunks.status, 400);
}
