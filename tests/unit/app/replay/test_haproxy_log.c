#include "app/replay/haproxy_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/writer.h"
#include "support/sweep.h"
#include "support/test.h"

#define DATE  "[24/Nov/2026:11:44:28.123]"
#define BEGIN "192.0.2.1:4711 " DATE " web app/app1 0/0/1/2/3 200 250 - - ---- 1/1/0/0/0 0/0 "

static struct http_question question;
static struct time_zone zone;

static enum haproxy_line read_text(const char *text, int64_t *ret_at_us)
{
	struct err err;

	return haproxy_log_read(bytes_from_text(text), &zone, &question, ret_at_us, &err);
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
	assert_request(BEGIN "\"GET /? HTTP/1.1\"", "method=GET path=/ query= src=192.0.2.1");
	assert_request(BEGIN "\"OPTIONS * HTTP/1.1\"", "method=OPTIONS src=192.0.2.1");
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

static int decode(struct bytes input, void *context)
{
	int64_t *at_us = context;
	struct err err;

	POISON(*at_us);
	if (haproxy_log_read(input, &zone, &question, at_us, &err) != HAPROXY_REQUEST) {
		assert_untouched(*at_us);
		return -1;
	}
	assert_in_range(*at_us, 0, INT64_C(1) << 52);
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
	int64_t at_us;

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		(void)sweep_decoder(bytes_from_text(vectors[i]), decode, &at_us);
}

BEFORE_ALL
{
	assert_true(time_zone_set(&zone, "UTC"));
}
