#include "net/http/http_head.h"

#include <stdio.h>

#include "net/http/http_bounds.h"
#include "support/guarded.h"
#include "support/sweep.h"
#include "support/test.h"

#define LINE "GET /check?policy=login&key=x HTTP/1.1\r\n"
#define GOOD LINE "Host: agent\r\nX-Attr-Src: 192.0.2.1\r\n\r\n"

static struct guarded *memory;

BEFORE_ALL
{
	memory = guarded_new(2 * HTTP_AUTH_LINE_MAX + HTTP_AUTH_FIELDS_MAX);
}

AFTER_ALL
{
	guarded_free(memory);
}

static struct http_head read_text(const char *text, enum http_head_found expected)
{
	struct http_head head = {0};
	struct bytes input = guarded_copy(memory, bytes_from_text(text));
	enum http_head_found found = http_head_read(&head, input);

	if (found != expected)
		fail_msg("%s: %d %s", text, (int)found, found == HTTP_HEAD_BAD ? head.why : "");
	return head;
}

static void assert_refused(const char *text, unsigned status)
{
	struct http_head head = read_text(text, HTTP_HEAD_BAD);

	if (head.status != status)
		fail_msg("%s: %u %s", text, head.status, head.why);
	assert_true(strlen(head.why) > 10);
}

static int decode(struct bytes input, void *context)
{
	struct http_head head = {0};
	enum http_head_found found = http_head_read(&head, input);

	(void)context;
	if (found == HTTP_HEAD_BAD)
		return -1;
	if (found == HTTP_HEAD_MORE)
		return 0;
	assert_true(head.len <= input.len);
	assert_view_of(head.fields, input);
	assert_view_of(head.path, input);
	return 1;
}

TEST(http_head_read_every_truncation_and_every_changed_byte)
{
	struct sweep_counts counts = sweep_decoder(BYTES(GOOD), decode, NULL);

	assert_int_equal(counts.taken, 0);
	assert_int_equal(counts.refused, 0);
}

TEST(http_head_read_a_request_has_its_parts)
{
	struct http_head head = read_text(GOOD "next", HTTP_HEAD_DONE);
	struct bytes fields = head.fields, name, value;

	assert_int_equal(head.method, METHOD_GET);
	assert_false(head.is_http_1_0);
	assert_bytes_text(head.path, "/check");
	assert_bytes_text(head.query, "policy=login&key=x");
	assert_bytes_text(head.host, "agent");
	assert_int_equal(head.len, strlen(GOOD));
	assert_int_equal(head.length, 0);
	assert_false(head.is_chunked || head.wants_close || head.wants_keep_alive);
	assert_true(http_head_next_field(&fields, &name, &value));
	assert_bytes_text(name, "Host");
	assert_bytes_text(value, "agent");
	assert_true(http_head_next_field(&fields, &name, &value));
	assert_bytes_text(name, "X-Attr-Src");
	assert_bytes_text(value, "192.0.2.1");
	assert_false(http_head_next_field(&fields, &name, &value));
	assert_true(http_head_find(&head, BYTES("x-attr-src"), &value));
	assert_bytes_text(value, "192.0.2.1");
	assert_false(http_head_find(&head, BYTES("x-attr"), &value));
}

TEST(http_head_read_byte_by_byte_in_moving_memory_is_the_same)
{
	const char *text = "\r\n" GOOD;
	struct http_head head = {0};
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		struct bytes input = guarded_copy(memory, bytes_from(text, i));
		assert_int_equal(http_head_read(&head, input), HTTP_HEAD_MORE);
	}
	struct bytes input = guarded_copy(memory, bytes_from(text, len));
	assert_int_equal(http_head_read(&head, input), HTTP_HEAD_DONE);
	assert_bytes_text(head.path, "/check");
	assert_bytes_text(head.host, "agent");
	assert_int_equal(head.len, len);
}

TEST(http_head_read_methods)
{
	assert_int_equal(read_text("HEAD / HTTP/1.0\r\n\r\n", HTTP_HEAD_DONE).method, METHOD_HEAD);
	assert_int_equal(read_text("POST / HTTP/1.0\r\n\r\n", HTTP_HEAD_DONE).method, METHOD_POST);
	assert_int_equal(read_text("BREW / HTTP/1.0\r\n\r\n", HTTP_HEAD_DONE).method, METHOD_OTHER);
	assert_int_equal(read_text("get / HTTP/1.0\r\n\r\n", HTTP_HEAD_DONE).method, METHOD_OTHER);
	assert_refused("G(T / HTTP/1.1\r\n\r\n", 400);
	assert_refused("G\xe9T / HTTP/1.1\r\n\r\n", 400);
}

TEST(http_head_read_targets)
{
	struct http_head head;

	head = read_text("GET /%20?a?b HTTP/1.0\r\n\r\n", HTTP_HEAD_DONE);
	assert_bytes_text(head.path, "/%20");
	assert_bytes_text(head.query, "a?b");
	head = read_text("GET HTTP://agent:80?a HTTP/1.1\r\nHost: AGENT:80\r\n\r\n",
			 HTTP_HEAD_DONE);
	assert_bytes_text(head.path, "/");
	assert_bytes_text(head.query, "a");
	head = read_text("GET https://agent/x HTTP/1.0\r\n\r\n", HTTP_HEAD_DONE);
	assert_bytes_text(head.path, "/x");
	head = read_text("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_HEAD_DONE);
	assert_bytes_text(head.path, "*");
	head = read_text("GET /\xc3\xbc HTTP/1.0\r\n\r\n", HTTP_HEAD_DONE);
	assert_bytes_text(head.path, "/\xc3\xbc");
}

TEST(http_head_read_bad_targets_are_400)
{
	static const char *const targets[] = {
		"x",       "check",       "*x",          "?a",      "agent:80",
		"http://", "http:///x",   "http://b/x",  "ftp://a", "/#x",
		"/a\tb",   "http://u@a/", "http://a b/", "/\x7f",   "/\x01",
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
		assert_refused(text, 400);
	}
}

TEST(http_head_read_bad_request_lines)
{
	static const char *const lines[] = {
		"GET /",
		"GET /\tHTTP/1.1",
		"GET\t/ HTTP/1.1",
		"GET  / HTTP/1.1",
		"GET /  HTTP/1.1",
		" GET / HTTP/1.1",
		"GET / HTTP/1.1 ",
		"GET / http/1.1",
		"GET / HTTP/1.10",
		"GET / HTTP/",
		"GET / HTTP/1",
		"GET / HTTP/1.x",
		"GET / HTTP/11",
		"GET / x HTTP/1.1",
		"GET HTTP/1.1",
		"GET / SIP/2.0",
		"GET",
		"  ",
		"GET /\rX HTTP/1.1",
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(text, sizeof text, "%s\r\nHost: a\r\n\r\n", lines[i]);
		assert_refused(text, 400);
	}
	assert_refused("\r\n\r\nGET / HTTP/1.1\r\n", 400); /* one empty line, not two */
	assert_refused("GET /\n", 400);                    /* not HTTP/0.9 */
	assert_refused("\nGET / HTTP/1.1\r\n", 400);
	assert_refused("GET / HTTP/1.1\n", 400);
}

TEST(http_head_read_other_versions_are_505)
{
	assert_refused("GET / HTTP/1.2\r\n", 505);
	assert_refused("GET / HTTP/1.7\r\n", 505);
	assert_refused("GET / HTTP/0.9\r\n", 505);
	assert_refused("PRI * HTTP/2.0\r\n", 505);
	assert_refused("GET / HTTP/3.1\r\n", 505);
}

TEST(http_head_read_what_may_be_read_in_two_ways_is_refused)
{
	static const char *const fields[] = {
		"Host: b\r\n",
		"Content-Length: 5\r\nContent-Length: 5\r\n",
		"Content-Length: 5\r\ncontent-length: 6\r\n",
		"Content-Length: 5, 5\r\n",
		"Content-Length: 5 5\r\n",
		"Content-Length: +5\r\n",
		"Content-Length: -5\r\n",
		"Content-Length: 0x5\r\n",
		"Content-Length: 5.0\r\n",
		"Content-Length:\r\n",
		"Content-Length : 5\r\n",
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked, chunked\r\n",
		"Transfer-Encoding: gzip, chunked\r\n",
		"Transfer-Encoding: identity\r\n",
		"Transfer-Encoding: xchunked\r\n",
		"Transfer-Encoding: \"chunked\"\r\n",
		"Transfer-Encoding: \x0b"
		"chunked\r\n",
		"Transfer-Encoding:\r\n",
		"Transfer-Encoding:\r\n chunked\r\n",
		"X-A: b\r\n c\r\n",
		"X-A: b\r\n\tc\r\n",
		"X-A : b\r\n",
		"X-A b\r\n",
		": b\r\n",
		"X A: b\r\n",
		"X[A]: b\r\n",
		"X-\xe9: b\r\n",
		"X-A: b\rX-B: c\r\n",
		"X-A: b\x01"
		"c\r\n",
		"X-A: b\x7f"
		"c\r\n",
		"X-A: b\n",
		"X-A: b\r\r\n",
		"\n",
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		snprintf(text, sizeof text, LINE "Host: a\r\n%s\r\n", fields[i]);
		assert_refused(text, 400);
	}
	assert_refused(LINE "\r\n", 400); /* no Host */
	assert_refused(LINE " Host: a\r\n\r\n", 400);
	assert_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

TEST(http_head_read_a_nul_is_refused_everywhere)
{
	struct bytes good = BYTES(GOOD);
	char text[sizeof GOOD];

	for (size_t i = 0; i < good.len - 4; i++) {
		struct http_head head = {0};
		memcpy(text, GOOD, sizeof GOOD);
		text[i] = '\0';
		assert_int_equal(http_head_read(&head, bytes_from(text, good.len)), HTTP_HEAD_BAD);
		assert_int_equal(head.status, 400);
	}
}

TEST(http_head_read_hosts)
{
	static const char *const good[] = {
		"a",     "a:80", "a.b-c_d", "192.0.2.1:8080", "[::1]", "[::ffff:192.0.2.1]:1",
		"a%20b", "a:"};
	static const char *const bad[] = {"",        "a b",   "a/b",  "a@b",  ":80",    "a:b",
					  "a:80:80", "[]",    "[::1", "[x]",  "[::1]a", "a%2",
					  "a\tb",    "\"a\"", "a?b",  "a\\b", "\xe9"};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof text, LINE "Host: \t%s \r\n\r\n", good[i]);
		(void)read_text(text, HTTP_HEAD_DONE);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof text, LINE "Host: %s\r\n\r\n", bad[i]);
		assert_refused(text, 400);
	}
	assert_bytes_text(http_host_name(BYTES("a.b:80")), "a.b");
	assert_bytes_text(http_host_name(BYTES("[::1]:80")), "[::1]");
}

TEST(http_head_read_fields_that_the_connection_depends_on)
{
	struct http_head head;

	head = read_text(LINE "Host: x\r\nX-Odd!#$%&'*+-.^_`|~09: \t ok \x80\xff\r\n"
			      "connection: Keep-Alive , x\r\nConnection:,CLOSE\r\n"
			      "expect: 100-Continue\r\ncontent-LENGTH:0042\r\n\r\n",
			 HTTP_HEAD_DONE);
	assert_true(head.wants_close && head.wants_keep_alive && head.expects_continue);
	assert_int_equal(head.length, 42);
	head = read_text(LINE "Host: x\r\nTransfer-Encoding: \tChunked\t\r\nExpect: x\r\n"
			      "Connection: closed\r\n\r\n",
			 HTTP_HEAD_DONE);
	assert_true(head.is_chunked);
	assert_false(head.expects_continue || head.wants_close || head.wants_keep_alive);
	head = read_text(LINE "Host: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
			 HTTP_HEAD_DONE);
	assert_int_equal(head.length, UINT64_MAX);
}

/* A header of `len` bytes: one field is as long as it takes. */
static struct bytes header_of(size_t len)
{
	static char text[2 * HTTP_HEADER_MAX];
	int begin = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nCookie: ");

	memset(text + begin, 'c', len - (size_t)begin);
	memcpy(text + len - 4, "\r\n\r\n", 4);
	return guarded_copy(memory, bytes_from(text, len));
}

TEST(http_head_read_twelve_kib_are_taken_and_no_byte_more)
{
	struct http_head head = {0};

	assert_int_equal(http_head_read(&head, header_of(HTTP_HEADER_MAX)), HTTP_HEAD_DONE);
	head = (struct http_head){0};
	assert_int_equal(http_head_read(&head, header_of(HTTP_HEADER_MAX + 1)), HTTP_HEAD_BAD);
	assert_int_equal(head.status, 431);
}

TEST(http_head_read_twelve_kib_in_two_thousand_fields_are_taken)
{
	static char text[HTTP_HEADER_MAX];
	size_t len = strlen("GET / HTTP/1.1\r\nHost: a\r\n"), count = 0;
	struct http_head head = {0};
	struct bytes name, value;

	memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n", len);
	for (; len + 5 + 2 <= sizeof text; len += 5)
		memcpy(text + len, "a:b\r\n", 5);
	memcpy(text + len, "\r\n", 2);
	assert_int_equal(http_head_read(&head, bytes_from(text, len + 2)), HTTP_HEAD_DONE);
	for (struct bytes rest = head.fields; http_head_next_field(&rest, &name, &value);)
		count++;
	assert_true(count > 2000);
}

TEST(http_head_read_a_long_request_line_is_414_before_it_ends)
{
	static char text[HTTP_HEADER_MAX];
	struct http_head head = {0};

	memset(text, 'a', sizeof text);
	memcpy(text, "GET /", 5);
	assert_int_equal(http_head_read(&head, bytes_from(text, sizeof text - 1)), HTTP_HEAD_MORE);
	assert_int_equal(http_head_read(&head, bytes_from(text, sizeof text)), HTTP_HEAD_BAD);
	assert_int_equal(head.status, 414);
}

/* ---- /auth ---- */

/* A request for `target` with a request line and with fields of so many bytes, line ends included.
 */
static struct bytes auth_of(const char *target, size_t line_len, size_t fields_len)
{
	static char text[2 * (HTTP_AUTH_LINE_MAX + HTTP_AUTH_FIELDS_MAX)];
	int begin = snprintf(text, sizeof text, "PURGE %s?from=envoy&uri=/", target);

	memset(text + begin, 'u', line_len - (size_t)begin);
	memcpy(text + line_len - strlen(" HTTP/1.1\r\n"), " HTTP/1.1\r\n", strlen(" HTTP/1.1\r\n"));
	begin = snprintf(text + line_len, 64, "Host: a\r\nCookie: ");
	memset(text + line_len + begin, 'c', fields_len - (size_t)begin);
	memcpy(text + line_len + fields_len - 4, "\r\n\r\n", 4);
	return guarded_copy(memory, bytes_from(text, line_len + fields_len));
}

static void assert_auth_is(struct bytes input, enum http_head_found expected, unsigned status)
{
	struct http_head whole = {0}, pieces = {0};
	enum http_head_found found = HTTP_HEAD_MORE;

	assert_int_equal(http_head_read(&whole, input), expected);
	assert_int_equal(whole.status, status);
	for (size_t len = 1; found == HTTP_HEAD_MORE && len <= input.len; len += 97)
		found = http_head_read(&pieces, bytes_from(input.data, len));
	if (found == HTTP_HEAD_MORE)
		found = http_head_read(&pieces, input);
	assert_int_equal(found, expected);
	assert_int_equal(pieces.status, status);
}

static const struct {
	const char *name;
	const char *target;
	size_t line_len, fields_len;
	enum http_head_found found;
	unsigned status;
} auth_heads[] = {
	{"/auth: as much as there may be", "/auth", HTTP_AUTH_LINE_MAX, HTTP_AUTH_FIELDS_MAX,
	 HTTP_HEAD_DONE, 0},
	{"/auth: a line too long", "/auth", HTTP_AUTH_LINE_MAX + 1, 100, HTTP_HEAD_BAD, 414},
	{"/auth: fields too large", "/auth", 100, HTTP_AUTH_FIELDS_MAX + 1, HTTP_HEAD_BAD, 431},
	{"/check: a long line", "/check", HTTP_HEADER_MAX + 1, 100, HTTP_HEAD_BAD, 414},
	{"/check: large fields", "/check", 100, HTTP_HEADER_MAX, HTTP_HEAD_BAD, 431},
	{"/authority: a long line", "/authority", HTTP_HEADER_MAX + 1, 100, HTTP_HEAD_BAD, 414},
	{"/Auth: a long line", "/Auth", HTTP_HEADER_MAX + 1, 100, HTTP_HEAD_BAD, 414},
	{"/auth/: large fields", "/auth/", 100, HTTP_HEADER_MAX, HTTP_HEAD_BAD, 431},
};

TEST_ROWS(auth_heads)
{
	assert_auth_is(auth_of(row->target, row->line_len, row->fields_len), row->found,
		       row->status);
}

TEST(http_head_read_has_the_method_as_it_was_sent)
{
	assert_bytes_text(
		read_text("pUrGe /a HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_HEAD_DONE).method_name,
		"pUrGe");
	assert_bytes_text(
		read_text("\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_HEAD_DONE).method_name,
		"GET");
}

/* What was asked for, of a head that is refused. */
static const struct {
	const char *name;
	const char *text;
	const char *path, *query;
} refused_heads[] = {
	{"a bad field", "\r\nGET /auth?a=b?c HTTP/1.1\r\nHost: a\r\nb\r\n", "/auth", "a=b?c"},
	{"no host", "GET /auth?a HTTP/1.1\r\n\r\n", "/auth", "a"},
	{"a version", "GET /auth?a HTTP/2.0\r\n", "/auth", "a"},
	{"a space in the target", "GET /auth?a b HTTP/1.1\r\n", "/auth", "a"},
	{"a control character", "GET /auth?a\1b HTTP/1.1\r\n", "/auth", "a"},
	{"LF alone", "GET /auth?a HTTP/1.1\n", "/auth", "a"},
	{"no target", "GET\r\n", "/", ""},
	{"no method", " /auth?a HTTP/1.1\r\n", "/auth", "a"},
	{"a broken method", "G(T /auth?a HTTP/1.1\r\n", "/", ""},
};

TEST_ROWS(refused_heads)
{
	struct http_head head = read_text(row->text, HTTP_HEAD_BAD);

	assert_bytes_text(head.path, row->path);
	assert_bytes_text(head.query, row->query);
}
