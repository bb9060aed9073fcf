/*
 * test_http_llhttp.c - what our reader of HTTP accepts, llhttp (the reader of Node.js) accepts too
 * and understands in the same way.
 *
 * Requests are changed at random, from a fixed seed, and both read them. When ours accepts the
 * head, llhttp must have accepted it with the same method, target, version, fields and framing;
 * when ours accepts the body too, llhttp must have found the same bytes in it and the same place
 * for the next request. What ours refuses is not looked at: it is meant to be the stricter one.
 *
 *     ORACLE_STEPS=1000000 ORACLE_SEED=7 build/debug/oracle/oracle-test_http_llhttp
 */
#include <stdio.h>
#include <string.h>

#include <llhttp.h>

#include "net/http/http_bounds.h"
#include "net/http/http_chunks.h"
#include "net/http/http_head.h"
#include "support/chance.h"
#include "support/test.h"

#define INPUT_MAX  2048
#define FIELDS_MAX 128

/* ---- what a reader understood ---- */

struct span {
	size_t begin, len; /* in the input */
};

struct reading {
	bool has_head, is_whole;
	struct span method, target;
	unsigned minor;
	bool is_chunked, wants_close;
	bool has_extras; /* in chunks: the connection ends after the answer */
	uint64_t length;
	size_t field_count;
	struct span names[FIELDS_MAX], values[FIELDS_MAX];
	uint8_t body[INPUT_MAX];
	size_t body_len;
	size_t next; /* where the next request begins */
};

static struct span span_of(struct bytes part, struct bytes input)
{
	if (part.len == 0)
		return (struct span){0};
	return (struct span){(size_t)(part.data - input.data), part.len};
}

static struct bytes bytes_of(struct span span, struct bytes input)
{
	return bytes_from(input.data + span.begin, span.len);
}

static void add_to_body(struct reading *reading, const void *data, size_t len)
{
	assert_true(len <= sizeof reading->body - reading->body_len);
	memcpy(reading->body + reading->body_len, data, len);
	reading->body_len += len;
}

/* ---- ours ---- */

static void read_our_fields(struct reading *reading, const struct http_head *head,
			    struct bytes input)
{
	struct bytes fields = head->fields, name, value;

	while (http_head_next_field(&fields, &name, &value)) {
		assert_true(reading->field_count < FIELDS_MAX);
		reading->names[reading->field_count] = span_of(name, input);
		reading->values[reading->field_count++] = span_of(value, input);
	}
}

static void read_our_body(struct reading *reading, const struct http_head *head, struct bytes input)
{
	struct http_chunks chunks = {.max = HTTP_BODY_MAX};
	struct bytes rest = bytes_skip(input, head->len), piece;
	enum http_chunks_found found;

	if (!head->is_chunked) {
		reading->is_whole = head->length <= rest.len;
		if (!reading->is_whole)
			return;
		add_to_body(reading, rest.data, (size_t)head->length);
		reading->next = head->len + (size_t)head->length;
		return;
	}
	while ((found = http_chunks_read(&chunks, &rest, &piece)) == HTTP_CHUNKS_PIECE)
		add_to_body(reading, piece.data, piece.len);
	reading->is_whole = found == HTTP_CHUNKS_DONE;
	reading->has_extras = chunks.has_extras;
	reading->next = input.len - rest.len;
}

static void read_by_ours(struct reading *reading, struct bytes input)
{
	struct http_head head = {0};

	if (http_head_read(&head, input) != HTTP_HEAD_DONE)
		return;
	reading->has_head = true;
	reading->target = (struct span){head.target, head.target_len};
	/* The method is what stands before the target, less an empty line. */
	size_t begin = input.data[0] == '\r' ? 2 : 0;
	reading->method = (struct span){begin, head.target - 1 - begin};
	reading->minor = head.is_http_1_0 ? 0 : 1;
	reading->is_chunked = head.is_chunked;
	reading->length = head.length;
	reading->wants_close = head.wants_close;
	read_our_fields(reading, &head, input);
	read_our_body(reading, &head, input);
}

/* ---- llhttp's ---- */

struct oracle {
	struct llhttp__internal_s parser;
	struct reading *reading;
	struct bytes input;
	enum llhttp_errno error;
};

static struct oracle *oracle_of(llhttp_t *parser)
{
	return CONTAINER_OF(parser, struct oracle, parser);
}

/* llhttp may tell of a part in several pieces, one behind the other. */
static int extend(struct oracle *oracle, struct span *span, const char *at, size_t len)
{
	size_t begin = (size_t)((const uint8_t *)at - oracle->input.data);

	if (span->len == 0)
		span->begin = begin;
	assert_int_equal(span->begin + span->len, begin);
	span->len += len;
	return 0;
}

static int on_method(llhttp_t *parser, const char *at, size_t len)
{
	return extend(oracle_of(parser), &oracle_of(parser)->reading->method, at, len);
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	return extend(oracle_of(parser), &oracle_of(parser)->reading->target, at, len);
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *reading = oracle_of(parser)->reading;

	if (reading->has_head)
		return 0; /* a trailer */
	assert_true(reading->field_count < FIELDS_MAX);
	return extend(oracle_of(parser), &reading->names[reading->field_count], at, len);
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *reading = oracle_of(parser)->reading;

	if (reading->has_head || len == 0)
		return 0;
	return extend(oracle_of(parser), &reading->values[reading->field_count], at, len);
}

static int on_value_complete(llhttp_t *parser)
{
	struct reading *reading = oracle_of(parser)->reading;

	reading->field_count += !reading->has_head;
	return 0;
}

static int on_head(llhttp_t *parser)
{
	struct reading *reading = oracle_of(parser)->reading;

	reading->has_head = true;
	assert_int_equal(parser->http_major, 1);
	reading->minor = parser->http_minor;
	reading->is_chunked = (parser->flags & F_CHUNKED) != 0;
	reading->length = (parser->flags & F_CONTENT_LENGTH) != 0 ? parser->content_length : 0;
	reading->wants_close = (parser->flags & F_CONNECTION_CLOSE) != 0;
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	add_to_body(oracle_of(parser)->reading, at, len);
	return 0;
}

static int on_whole(llhttp_t *parser)
{
	oracle_of(parser)->reading->is_whole = true;
	return HPE_PAUSED;
}

static enum llhttp_errno read_by_llhttp(struct reading *reading, struct bytes input)
{
	static const llhttp_settings_t settings = {
		.on_method = on_method,
		.on_url = on_url,
		.on_header_field = on_field,
		.on_header_value = on_value,
		.on_header_value_complete = on_value_complete,
		.on_headers_complete = on_head,
		.on_body = on_body,
		.on_message_complete = on_whole,
	};
	struct oracle oracle = {.reading = reading, .input = input};

	llhttp_init(&oracle.parser, HTTP_REQUEST, &settings);
	oracle.error = llhttp_execute(&oracle.parser, (const char *)input.data, input.len);
	if (reading->is_whole)
		reading->next =
			(size_t)(llhttp_get_error_pos(&oracle.parser) - (const char *)input.data);
	return oracle.error;
}

/* ---- both ---- */

static void print_input(struct bytes input)
{
	for (size_t i = 0; i < input.len; i++) {
		uint8_t byte = input.data[i];
		printf(byte == '\n'                  ? "\\n\n"
		       : byte == '\r'                ? "\\r"
		       : byte >= 0x20 && byte < 0x7f ? "%c"
						     : "\\x%02x",
		       byte);
	}
	printf("|\n");
}

static bool parts_are_equal(struct span a, struct span b, struct bytes input)
{
	return bytes_equal(bytes_trim(bytes_of(a, input)), bytes_trim(bytes_of(b, input)));
}

/* NULL, or in what the two differ. */
static const char *find_difference(const struct reading *ours, const struct reading *theirs,
				   struct bytes input)
{
	if (!theirs->has_head)
		return "the head is not accepted";
	if (!parts_are_equal(ours->method, theirs->method, input))
		return "the method";
	if (!parts_are_equal(ours->target, theirs->target, input))
		return "the target";
	if (ours->minor != theirs->minor)
		return "the version";
	if (ours->field_count != theirs->field_count)
		return "how many fields there are";
	for (size_t i = 0; i < ours->field_count; i++)
		if (!parts_are_equal(ours->names[i], theirs->names[i], input) ||
		    !parts_are_equal(ours->values[i], theirs->values[i], input))
			return "a field";
	if (ours->is_chunked != theirs->is_chunked)
		return "whether the body is in chunks";
	if (ours->length != theirs->length)
		return "the length";
	/* Ours may see `close` where llhttp does not: in front of a tab. */
	if (theirs->wants_close && !ours->wants_close)
		return "whether the connection ends";
	if (!ours->is_whole)
		return NULL;
	if (!theirs->is_whole)
		return "the body is not accepted";
	if (ours->body_len != theirs->body_len ||
	    memcmp(ours->body, theirs->body, ours->body_len) != 0)
		return "the body";
	return ours->next == theirs->next ? NULL : "where the next request begins";
}

struct counts {
	size_t heads, bodies, known;
};

static bool has_high_byte(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] >= 0x80)
			return true;
	return false;
}

static bool has_tab(struct bytes text)
{
	return memchr(text.data, '\t', text.len) != NULL;
}

/*
 * What ours takes and llhttp does not, on purpose. Nothing can be hidden in it, since llhttp
 * refuses it and reads nothing else there:
 *
 * - methods, targets and lengths that ours refuses later, with the status that says why;
 * - Content-Length and Transfer-Encoding with a tab behind their value, which RFC 9110 allows
 *   (section 5.5);
 * - the same two as trailers, which ours ignores; then the connection ends after the answer.
 */
static bool is_known(const struct reading *ours, const struct reading *theirs,
		     enum llhttp_errno error, struct bytes input)
{
	switch ((int)error) {
	case HPE_INVALID_METHOD: /* llhttp has a list of methods, ours takes any token */
		return !theirs->has_head;
	case HPE_INVALID_URL: /* the target must be UTF-8, where it is decoded */
		return !theirs->has_head && has_high_byte(bytes_of(ours->target, input));
	case HPE_INVALID_CONTENT_LENGTH: /* too large for a number, or one of the two below */
		return ours->length == UINT64_MAX || ours->has_extras || has_tab(input);
	case HPE_INVALID_TRANSFER_ENCODING:
		return ours->has_extras || has_tab(input);
	}
	return false;
}

static void compare(struct bytes input, struct counts *counts)
{
	static struct reading ours, theirs;

	memset(&ours, 0, sizeof ours);
	memset(&theirs, 0, sizeof theirs);
	read_by_ours(&ours, input);
	if (!ours.has_head)
		return;
	enum llhttp_errno error = read_by_llhttp(&theirs, input);
	if (is_known(&ours, &theirs, error, input)) {
		counts->known++;
		return;
	}
	counts->heads++;
	counts->bodies += ours.is_whole && ours.body_len > 0;
	const char *difference = find_difference(&ours, &theirs, input);
	if (difference != NULL) {
		print_input(input);
		fail_msg("%s: llhttp says %s", difference, llhttp_errno_name(error));
	}
}

/* ---- requests, and how they are changed ---- */

#define HOST "Host: agent.example:8080\r\n"

static const char *const requests[] = {
	"GET / HTTP/1.1\r\n" HOST "\r\n",
	"\r\nGET /check?policy=login&key=a%20b HTTP/1.1\r\n" HOST "Accept: */*\r\n\r\n",
	"HEAD /ready HTTP/1.0\r\n\r\n",
	"GET /status HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"GET /metrics HTTP/1.1\r\n" HOST "Connection: close\r\nCookie: a=b; c=\"d\"\r\n\r\n",
	"GET http://agent.example:8080/check?a HTTP/1.1\r\n" HOST "\r\n",
	"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
	"GET /check HTTP/1.1\r\n" HOST "X-Attr-Src: 2001:db8::1\r\nX-Attr-Empty:\r\n"
	"X-Attr-Tab:\ta\t b \t\r\n\r\n",
	"POST /check HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n{\"src\":\"a\"}",
	"POST /check HTTP/1.1\r\n" HOST "content-length:0\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
	"POST /check HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
	"POST /check HTTP/1.1\r\n" HOST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}GET /",
	"POST /check HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	"5\r\n{\"src\r\n6\r\n\":\"a\"}\r\n0\r\n\r\nGET / HTTP/1.1\r\n",
	"POST /check HTTP/1.1\r\n" HOST
	"transfer-encoding: Chunked\r\nConnection: keep-alive\r\n\r\n"
	"1;a=b;c=\"d e\"\r\n{\r\n00A\r\n0123456789\r\n0;x\r\nX-Trailer: y\r\n\r\n",
	"PUT /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n"
	"0\r\nA: b\r\nC: d\r\n\r\n",
	"DELETE /x HTTP/1.1\r\n" HOST "Connection: close, x\r\n\r\n",
	"GET /a HTTP/1.1\r\nhost:[::1]:80\r\nUser-Agent: x (y; z)\r\nConnection: x, Close\r\n\r\n",
};

/* What is put into requests: all that readers are known to see in two ways. */
static const char *const tokens[] = {
	"\r\n",
	"\n",
	"\r",
	"\r\n\r\n",
	" ",
	"\t",
	":",
	";",
	",",
	"\"",
	"\\",
	"%",
	"/",
	"?",
	"#",
	"=",
	"0",
	"1",
	"5",
	"-1",
	"+5",
	"0x5",
	"5;a",
	"5 ",
	"ffffffffffffffff",
	"00000000000000000005",
	"18446744073709551617",
	"\r\n ",
	"\r\n\t",
	"\v",
	"\f",
	"\x7f",
	"\x80",
	"\xff",
	"\xc2\xa0",
	"Content-Length: 5\r\n",
	"Content-Length: 5, 5\r\n",
	"Content-Length : 5\r\n",
	"Transfer-Encoding: chunked\r\n",
	"Transfer-Encoding: gzip, chunked\r\n",
	"Transfer-Encoding: identity\r\n",
	"Transfer-Encoding:\tchunked\r\n",
	"chunked",
	"identity",
	"Connection: close\r\n",
	"Connection: Keep-Alive\r\n",
	"Connection: upgrade\r\n",
	"Upgrade: h2c\r\n",
	"Host: b\r\n",
	"X: \r\n",
	"X:y\r\n",
	": y\r\n",
	"X",
	"HTTP/1.0",
	"HTTP/1.1",
	"HTTP/2.0",
	"HTTP/0.9",
	"GET ",
	"POST ",
	"CONNECT ",
	"http://",
	"https://a/",
	"0\r\n\r\n",
	"0\r\n",
	"a\r\n",
	"GET / HTTP/1.1\r\n",
};

struct changing {
	uint8_t data[INPUT_MAX];
	size_t len;
};

static void replace(struct changing *c, size_t at, size_t cut, struct bytes with)
{
	if (cut > c->len - at || c->len - cut + with.len > INPUT_MAX)
		return;
	memmove(c->data + at + with.len, c->data + at + cut, c->len - at - cut);
	memcpy(c->data + at, with.data, with.len);
	c->len = c->len - cut + with.len;
}

static void change(struct changing *c, struct chance *chance)
{
	size_t at = (size_t)chance_between(chance, 0, (int64_t)c->len);
	uint8_t byte = (uint8_t)chance_bits(chance);
	uint8_t copy[64];
	size_t len = (size_t)chance_between(chance, 1, sizeof copy);

	switch (chance_between(chance, 0, 7)) {
	case 0: /* a byte becomes another one */
		replace(c, at, 1, bytes_from(&byte, 1));
		break;
	case 1: /* one bit of it */
		if (at < c->len)
			c->data[at] ^= (uint8_t)(1 << (byte & 7));
		break;
	case 2: /* a byte goes */
		replace(c, at, 1, (struct bytes){0});
		break;
	case 3: /* several go */
		replace(c, at, len, (struct bytes){0});
		break;
	case 4: /* a part is there twice */
		if (len > c->len - at)
			break;
		memcpy(copy, c->data + at, len);
		replace(c, at, 0, bytes_from(copy, len));
		break;
	case 5: /* the end is missing */
		if (chance_is_one_in(chance, 4))
			c->len = at;
		break;
	case 6: /* a token comes in */
		replace(c, at, 0, bytes_from_text(CHANCE_PICK(chance, tokens)));
		break;
	case 7: /* a line comes in, or stands before another one */
		while (at > 0 && c->data[at - 1] != '\n')
			at--;
		replace(c, at, 0, bytes_from_text(CHANCE_PICK(chance, tokens)));
		break;
	}
}

TEST(what_our_reader_accepts_llhttp_accepts_with_the_same_meaning)
{
	struct chance chance = {(uint64_t)environment_number("ORACLE_SEED", 1)};
	int64_t steps = environment_number("ORACLE_STEPS", 100000);
	struct counts counts = {0};

	for (int64_t step = 0; step < steps; step++) {
		const char *request = CHANCE_PICK(&chance, requests);
		struct changing c = {.len = strlen(request)};
		memcpy(c.data, request, c.len);
		for (int64_t i = chance_between(&chance, 1, 3); i > 0; i--)
			change(&c, &chance);
		compare(bytes_from(c.data, c.len), &counts);
	}

	printf("# of %lld requests our reader took %zu heads, %zu of them with a body, and %zu "
	       "more of known differences\n",
	       (long long)steps, counts.heads, counts.bodies, counts.known);
	assert_true((int64_t)counts.heads > steps / 5);
	assert_true((int64_t)counts.bodies > steps / 50);
}

TEST(what_our_reader_accepts_unchanged_llhttp_accepts)
{
	struct counts counts = {0};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		compare(bytes_from_text(requests[i]), &counts);

	assert_int_equal(counts.heads, ARRAY_SIZE(requests));
}
