#include "app/replay/haproxy_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/writer.h"
#include "support/sweep.h"
#include "support/test.h"

#define DATE  "[24/Nov/2026:11:44:28.123]"
#define BEGIN "192.0.2.1:4711 " DATE " web app/app1 0/0/1/2/3 200 250 - - ---- 1/1/0/0/0 0/0 "

static struct http_question question;
static struct line_clock utc;
static struct line_captures captures;
static struct haproxy_log *haproxy_log;

static enum haproxy_line read_text(const char *text, int64_t *ret_at_us)
{
	struct haproxy_entry entry;
	struct err err;
	enum haproxy_line kind =
		haproxy_log_read(haproxy_log, bytes_from_text(text), &question, &entry, &err);

	if (kind == HAPROXY_REQUEST)
		*ret_at_us = line_clock_read(&utc, &entry.time);
	return kind;
}

/* `method=GET path=/x`: the attributes, the frontend and what follows in a log left out. */
static void assert_request(const char *text, const char *expected)
{
	char memory[1024], short_text[VALUE_SHORT_TEXT_MAX];
	struct writer w = writer_on(memory, sizeof memory);
	int64_t at_us;

	if (read_text(text, &at_us) != HAPROXY_REQUEST)
		fail_msg("%s is no request", text);
	assert_int_equal(at_us, INT64_C(1795520668123000));
	for (size_t i = 0; i < question.count; i++) {
		const struct attribute *attribute = &question.items[i];
		if (bytes_equal(attribute->name, BYTES("frontend")))
			break;
		writer_put_text(&w, i > 0 ? " " : "");
		writer_put(&w, attribute->name);
		writer_put_u8(&w, '=');
		writer_put(&w, value_to_text(&attribute->value, short_text));
	}
	assert_string_equal(writer_text(&w), expected);
}

TEST(haproxy_log_read_a_request_is_what_haproxy_had)
{
	assert_request(BEGIN "\"GET /x?y=1?2 HTTP/1.1\"",
		       "method=GET path=/x query=y=1?2 src=192.0.2.1");
	assert_request("<134>Nov 24 11:44:28 lb haproxy[1]: " BEGIN "{a b|} {} \"PUT / HTTP/1.1\"",
		       "method=PUT path=/ src=192.0.2.1");
	assert_request(BEGIN "\"GET https://[::1]:8/x/y HTTP/2.0\"",
		       "method=GET path=/x/y src=192.0.2.1");
	assert_request(BEGIN "\"GET https:// HTTP/2.0\"", "method=GET path=/ src=192.0.2.1");
	assert_request(BEGIN "\"GET /#22#0", "method=GET path=/\"#0 src=192.0.2.1");
	assert_request(BEGIN "\"GET //%6cogin;a=1/?x=%2f HTTP/1.1\"",
		       "method=GET path=/login query=x=%2f src=192.0.2.1");
	assert_request(BEGIN "\"GET /x/../login/ HTTP/1.1\"",
		       "method=GET path=/x/../login/ src=192.0.2.1"); /* refused, and counted */
	assert_request(BEGIN "\"GET /? HTTP/1.1\"", "method=GET path=/ query= src=192.0.2.1");
	assert_request(BEGIN "\"OPTIONS * HTTP/1.1\"", "method=OPTIONS path=/ src=192.0.2.1");
	assert_request(BEGIN "\"CONNECT a.example:443 HTTP/1.1\"",
		       "method=CONNECT path=/ src=192.0.2.1");
}

TEST(haproxy_log_read_the_date_before_the_first_brace_is_it)
{
	int64_t at_us;

	assert_int_equal(read_text("{\"at_ms\":7,\"attributes\":{\"path\":\"" BEGIN
				   "\\\"GET / HTTP/1.1\\\"\"}}",
				   &at_us),
			 HAPROXY_REQUEST);
	assert_int_equal(at_us, 7000);
	assert_int_equal(question.count, 1);
}

/* A line of httplog with each of its parts wrong in turn. */
TEST(haproxy_log_read_lines_that_are_none_are_left_out)
{
	static const char request[] = " \"GET / HTTP/1.1\"";
	static const struct {
		const char *begin;
		bool is_request;
	} cases[] = {
		{"a " DATE " web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0", true},
		{"a " DATE " web app/s -1/+0/1/2/+3 -1 2 - - ---- 1/1/0/0/+3 0/0", true},
		{DATE " web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a" DATE " web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a " DATE "web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a " DATE " web app 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a " DATE " web app/s 0/0/1/2 200 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a " DATE " web app/s 0/0/1/2/3/4 200 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a " DATE " web app/s 0/0/x/2/3 200 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a " DATE " web app/s 0/0/1/2/- 200 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a " DATE " web app/s 0/0/1/2/3 200/1 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a " DATE " web app/s 0/0/1/2/3 ok 2 - - ---- 1/1/0/0/0 0/0", false},
		{"a " DATE " web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0 0/0", false},
		{"a " DATE " web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0", false},
		{"a " DATE " web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0 {a", false},
		{"a " DATE " web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0 {a}b", false},
		{"a " DATE " web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0 {a} {b} {c}", false},
		{"a " DATE "  app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0", false},
	};
	char line[512];
	int64_t at_us;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(line, sizeof line, "%s%s", cases[i].begin, request);
		enum haproxy_line expected = cases[i].is_request ? HAPROXY_REQUEST : HAPROXY_OTHER;
		if (read_text(line, &at_us) != expected)
			fail_msg("%s", line);
	}
	assert_int_equal(read_text(BEGIN "\"<BADREQ>\"", &at_us), HAPROXY_OTHER);
	assert_int_equal(read_text(BEGIN "\"GET\"", &at_us), HAPROXY_OTHER);
	assert_int_equal(read_text(BEGIN "GET / HTTP/1.1", &at_us), HAPROXY_OTHER);
}

/* The parts of a date at their bounds; -1: no date. */
TEST(haproxy_log_read_dates_have_bounds)
{
	static const struct {
		const char *date;
		int64_t at_us;
	} cases[] = {
		{"[01/Jan/1970:00:00:00.000]", 0},
		{"[01/Jan/1970:00:00:00.001]", 1000},
		{"[31/Dec/1999:23:59:59.999]", INT64_C(946684799999000)},
		{"[31/Dec/1999:23:59:60.000]", INT64_C(946684800000000)},
		{"[01/Jan/2100:00:00:00.000]", INT64_C(4102444800000000)},
		{"[31/Dec/1969:23:59:59.999]", -1},
		{"[01/Jan/2101:00:00:00.000]", -1},
		{"[00/Jan/2000:00:00:00.000]", -1},
		{"[32/Jan/2000:00:00:00.000]", -1},
		{"[01/Jah/2000:00:00:00.000]", -1},
		{"[01/Jan/2000:24:00:00.000]", -1},
		{"[01/Jan/2000:00:60:00.000]", -1},
		{"[01/Jan/2000:00:00:61.000]", -1},
		{"[01/Jan/2000:00:00:00,000]", -1},
		{"[01/Jan/2000:00:00:00.00x]", -1},
		{"[01-Jan/2000:00:00:00.000]", -1},
		{"[01/Jan/2000:00:00:00.000 ", -1},
	};
	char line[512];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t at_us = -1;
		snprintf(line, sizeof line,
			 "a %s web app/s 0/0/1/2/3 200 2 - - ---- 1/1/0/0/0 0/0 "
			 "\"GET / HTTP/1.1\"",
			 cases[i].date);
		enum haproxy_line kind = read_text(line, &at_us);
		if (kind != (cases[i].at_us < 0 ? HAPROXY_OTHER : HAPROXY_REQUEST) ||
		    at_us != cases[i].at_us)
			fail_msg("%s: %lld", line, (long long)at_us);
	}
}

/* All attributes, in their order. */
TEST(haproxy_log_read_every_field_is_an_attribute)
{
	static const char *const expected[][2] = {
		{"method", "GET"},  {"path", "/"},      {"src", "2001:db8::1"}, {"frontend", "web"},
		{"backend", "app"}, {"server", "app1"}, {"status", "503"},
	};
	int64_t at_us;

	assert_int_equal(read_text("2001:db8::1:4711 " DATE " web~ app/app1 0/0/1/2/3 503 2 - - "
				   "---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"",
				   &at_us),
			 HAPROXY_REQUEST);
	assert_int_equal(question.count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < question.count; i++) {
		assert_bytes_text(question.items[i].name, expected[i][0]);
		assert_bytes_text(question.items[i].value.text, expected[i][1]);
	}

	/* A client on a Unix socket has no address. */
	assert_int_equal(read_text("unix:1 " DATE " web app/app1 0/0/1/2/3 503 2 - - ---- "
				   "1/1/0/0/0 0/0 \"GET / HTTP/1.1\"",
				   &at_us),
			 HAPROXY_REQUEST);
	assert_int_equal(question.count, ARRAY_SIZE(expected) - 1);
}

TEST(haproxy_log_read_json_without_a_value_or_a_request)
{
	int64_t at_us;

	assert_int_equal(
		read_text("{\"at_ms\":7,\"attributes\":{\"a\":\"-\",\"b\":\"x\"}}", &at_us),
		HAPROXY_REQUEST);
	assert_int_equal(question.items[0].value.kind, VALUE_ABSENT);
	assert_int_equal(question.items[1].value.kind, VALUE_TEXT);
	assert_int_equal(
		read_text("{\"at_ms\":7,\"attributes\":{\"method\":\"<BADREQ>\"}}", &at_us),
		HAPROXY_OTHER);
	assert_int_equal(read_text("{\"at\":7,\"attributes\":{}}", &at_us), HAPROXY_OTHER);
	assert_int_equal(read_text("[{\"at_ms\":7}]", &at_us), HAPROXY_OTHER);
	assert_int_equal(read_text("{\"at_ms\":-7,\"attributes\":{}}", &at_us), HAPROXY_BAD);
	assert_int_equal(read_text("{\"at_ms\":7,\"checks\":[{}]}", &at_us), HAPROXY_BAD);
	assert_int_equal(read_text("{\"at_ms\":7,\"attributes\":1}", &at_us), HAPROXY_BAD);
}

static int decode(struct bytes input, void *context)
{
	struct haproxy_entry entry;
	struct err err;

	(void)context;
	if (haproxy_log_read(haproxy_log, input, &question, &entry, &err) != HAPROXY_REQUEST)
		return -1;
	assert_in_range(line_clock_read(&utc, &entry.time), 0, INT64_C(1) << 52);
	assert_in_range(question.count, 1, HTTP_ATTRIBUTES_MAX);
	return 1;
}

TEST(haproxy_log_read_any_bytes_are_read_within_their_bounds)
{
	static const char *const vectors[] = {
		"<134>Nov 24 11:44:28 lb haproxy[1]: " BEGIN
		"{a b|} {} \"GET https://a/b#22c?d#C3#A4 HTTP/1.1\"",
		"lb haproxy[1]: "
		"{\"at_ms\":1500.25,\"attributes\":{\"src\":\"192.0.2.1\",\"a\":\"-\"}}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		(void)sweep_decoder(bytes_from_text(vectors[i]), decode, NULL);
}

BEFORE_ALL
{
	assert_true(time_zone_set(&utc.zone, "UTC"));
	haproxy_log = haproxy_log_new(NULL, &captures);
	assert_non_null(haproxy_log);
}

AFTER_ALL
{
	haproxy_log_free(haproxy_log);
}
