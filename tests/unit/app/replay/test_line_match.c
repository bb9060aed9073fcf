/* Lines by formats: what each field is, and which attributes are made of them. */
#include "app/replay/line_question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/sweep.h"
#include "support/test.h"

static struct line_format format;
static struct line_fields fields;
static struct line_captures captures;
static struct http_question question;

/* "src=192.0.2.1 path=/x", in the order in which they were made. */
static void put_attributes(struct writer *w)
{
	char memory[VALUE_SHORT_TEXT_MAX];

	for (size_t i = 0; i < question.count; i++) {
		writer_put_text(w, i > 0 ? " " : "");
		writer_put(w, question.items[i].name);
		writer_put_u8(w, '=');
		writer_put(w, value_to_text(&question.items[i].value, memory));
	}
}

/* NULL: the line is not of the format; "cut N": it ends within the N-th piece. */
static void assert_line(const char *text, const char *line, const char *expected)
{
	char memory[1024];
	struct writer w = writer_on(memory, sizeof memory);
	struct err err;

	if (!line_format_read(bytes_from_text(text), &format, &err))
		fail_msg("%s: %s", text, err.text);
	switch (line_match(&format, bytes_from_text(line), &fields)) {
	case LINE_OTHER:
		writer_put_text(&w, "other");
		break;
	case LINE_CUT:
		writer_put_text(&w, "cut ");
		writer_put_unsigned(&w, fields.count);
		break;
	case LINE_WHOLE:
		(void)line_question_fill(&question,
					 &(struct line_parts){&format, &fields, &captures});
		put_attributes(&w);
		break;
	}
	if (strcmp(writer_text(&w), expected) != 0)
		fail_msg("%s\n%s\n%s", text, line, memory);
}

#define T  "%Ts " /* a time, which each format has */
#define AT "5 "

TEST(line_match_each_variable_is_what_it_means)
{
	static const struct {
		const char *format, *line, *expected;
	} cases[] = {
		{T "%ci:%cp", AT "2001:db8::1:4711", "src=2001:db8::1"},
		{T "%ci:%cp|", AT "192.0.2.1:4711|", "src=192.0.2.1"},
		{T "%ci", AT "192.0.2.1", "src=192.0.2.1"},
		{T "%ci", AT "-", ""},
		{T "%{+X}ci", AT "C0000201", "src=192.0.2.1"},
		{T "%{+X}ci", AT "20010DB8000000000000000000000001", "src=2001:db8::1"},
		{T "%{+X}ci:%{+X}cp", AT "C0000201:1267", "src=192.0.2.1"},
		{T "%{+X}ci", AT "C00002", ""},
		{T "%{+X}ci", AT "C000020G", ""},
		{T "%[src]", AT "192.0.2.1", "src=192.0.2.1"},
		{T "%HM %HP %HQ", AT "GET /x ?a=1", "method=GET path=/x query=a=1"},
		{T "%HM %HP%HQ %HV", AT "GET /x?a=1 HTTP/1.1", "method=GET path=/x query=a=1"},
		{T "%HP", AT "https://a.example/x", "path=/x"},
		{T "%HPO.", AT "/a#22b.", "path=/a\"b"},
		{T "%HP", AT "/a//b;c/%64/", "path=/a/b/d"},
		{T "%[path]", AT "/a//b/", "path=/a/b"},
		{T "%[var(txn.path)]", AT "/a//b/", "path=/a//b/"}, /* as it was set */
		{T "%HU", AT "/x?a=1?2", "path=/x query=a=1?2"},
		{T "%{+Q}r", AT "\"PUT /x?y HTTP/1.1\"", "method=PUT path=/x query=y"},
		{T "\"%r\",", AT "\"PUT /x HTTP/1.1\",", "method=PUT path=/x"},
		{T "%HM", AT "<BADREQ>", ""},
		{T "%ft|%f", AT "web~|web", "frontend=web"},
		{T "%b/%s %ST", AT "app/<NOSRV> -1", "backend=app server=<NOSRV> status=-1"},
		{T "%{+Q}b", AT "\"app\"", "backend=app"},
		{T "%{+Q}b", AT "app", "backend=app"}, /* should a version put no quotes */
		{T "%[var(txn.base)]", AT "A.example.:80/x?y", "host=a.example path=/x query=y"},
		{T "%[var(txn.base)]", AT "[2001:DB8::1]:80/x", "host=[2001:db8::1] path=/x"},
		{T "%[var(txn.base)]", AT "/x", "path=/x"},
		{T "%[var(txn.base)]", AT "a b/x", "path=/x"}, /* HAProxy refuses such a host */
		{T "%[var(txn.base)]", AT "a.example*", ""},
		{T "%[var(txn.host)] %[var(txn.plan)]", AT "a.example -", "host=a.example"},
		{T "%{+Q}[var(txn.host)] %{+Q}[var(txn.plan)]", AT "\"a\" \"\"", "host=a"},
		{T "%[var(txn.src)]", AT "192.0.2.9", "src=192.0.2.9"},
		{T "%[var(txn.src)]", AT "nonsense", ""},
		{T "%{+E}[var(txn.path)] %ST", AT "/a\\\"b\\\\c\\] 200",
		 "path=/a\"b\\c] status=200"},
		{T "%{+Q+E}[var(txn.path)]", AT "\"/a\\\"b\"", "path=/a\"b"},
		{T "%hr %hs %ST", AT "{a|b} {c} 200", "status=200"},
		{T "%hr %hs %ST", AT "{a|b} 200", "status=200"},
		{T "%hr %hs %ST", AT "200", "status=200"},
		{T "%{+Q}hr %ST", AT "\"{a}\" 200", "status=200"},
		{T "%{+Q}o %hrl %hsl %ST", AT "\"a\" \"b\" \"c\" 200", "status=200"},
		{T "%{+Q}o %hrl %hsl %ST", AT "200", "status=200"},
		{T "%CC %CS %tsc %ST", AT "- - ---- 200", "status=200"},
		{T "%CC %CS %tsc %ST", AT "a=b c - SC-- 200", "status=200"},
		{T "%CC %CS %tsc %ST", AT "a=b ---- 500 d - SC-- 200", "status=200"},
		{T "%CC %tsc %ST", AT "- ---- 200", "status=200"},
		{T "%ts %ST", AT "SC 200", "status=200"},
		{T "%[unknown(x)] %ST", AT "any text 200", "status=200"},
		{T "{%[var(txn.a)]} %ST", AT "{x} y} 200", "a=x} y status=200"},
		{T "100%% %ST", AT "100% 200", "status=200"},
		{T "%ST  ", AT "200", "other"},
		{T "%ST", AT "200 ", "status=200"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *expected = cases[i].expected;
		if (strcmp(cases[i].format, T "%ST  ") == 0)
			expected = "cut 3"; /* its last space is missing */
		assert_line(cases[i].format, cases[i].line, expected);
	}
}

TEST(line_match_dates_of_each_kind)
{
	static const char *const formats[] = {"[%t] %ST",  "[%tr] %ST",  "[%T] %ST",
					      "[%Tl] %ST", "[%trg] %ST", "[%trl] %ST"};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		assert_line(formats[i],
			    i < 2 ? "[24/Nov/2026:11:44:28.123] 200"
				  : "[24/Nov/2026:11:44:28 -0130] 200",
			    "status=200");
		assert_int_equal(fields.date.ms, i < 2 ? 123 : 0);
		assert_int_equal(fields.date.has_offset, i >= 2);
		assert_int_equal(fields.date.offset_s, i < 2 ? 0 : -5400);
		assert_line(formats[i], "[24/Nov/2026] 200", "other");
	}
}

/* What a format has not, and where a line ends too early. */
TEST(line_match_other_lines_and_cut_ones)
{
	static const struct {
		const char *format, *line, *expected;
	} cases[] = {
		{T "%ST", "x 200", "other"},
		{T "%ST", AT "2x0", "other"},
		{T "%ST", AT "200 more", "other"},
		{T "%ts", AT "S1", "other"},
		{T "%b/%s", AT "a b/c", "other"},
		{T "%{+X}cp.", AT "12G.", "other"},
		{T "%hr %ST", AT "{a}b 200", "other"},
		{T "%b/%s %ST", AT "app/s 2", "backend=app server=s status=2"},
		{T "%b/%s %ST", AT "app/s ", "other"},
		{T "%b/%s %ST", AT "app/s", "cut 3"},
		{T "%b/%s %ST", AT "ap", "cut 2"},
		{T "%{+Q}r %ST", AT "\"GET /x", "cut 2"},
		{T "%hr %ST", AT "{a|b", "cut 2"},
		{"a b %Ts", "a", "cut 1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_line(cases[i].format, cases[i].line, cases[i].expected);
}

TEST(line_match_captured_headers_have_the_names_that_were_given)
{
	static const struct {
		const char *names, *format, *line, *expected;
	} cases[] = {
		{"User-Agent", T "%hr", AT "{curl/8 (x)}", "user-agent=curl/8 (x)"},
		{"a,b", T "%hr %hs", AT "{x|y} {z}", "a=x b=y"},
		{"a,b", T "%hr", AT "{|}", ""},
		{"a", T "%hr", AT "{#7Bx#7C#22}", "a={x|\""},
		{"src=x-forwarded-for:1", T "%ci %hr", AT "192.0.2.1 {198.51.100.1, 198.51.100.2}",
		 "src=198.51.100.2"},
		{"src=x-forwarded-for:2", T "%ci %hr", AT "192.0.2.1 {198.51.100.1, 198.51.100.2}",
		 "src=198.51.100.1"},
		{"src=x-forwarded-for:3", T "%ci %hr", AT "192.0.2.1 {198.51.100.1, 198.51.100.2}",
		 "src=192.0.2.1"},
		{"src=x", T "%ci %hr", AT "192.0.2.1 {nonsense}", "src=192.0.2.1"},
		{"src=x", T "%ci %hr", AT "192.0.2.1 {}", "src=192.0.2.1"},
		{"src=x", T "%ci %hr", AT "192.0.2.1 {198.51.100.1:4711}", "src=198.51.100.1:4711"},
		{"host,a", T "%{+Q}hrl", AT "\"h.example\" \"b c\"", "host=h.example a=b c"},
		{"host,a", T "%{+Q}hr", AT "\"{h.example|b}\"", "host=h.example a=b"},
		{"a,b", T "%[capture.req.hdr(1)]|%[capture.req.hdr(0)]", AT "x y|z", "b=x y a=z"},
		{"a", T "%[capture.req.hdr(1)]", AT "x", ""},
		{"host", T "%[capture.req.hdr(0)]", AT "API.Example.:80", "host=api.example"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(line_captures_read(bytes_from_text(cases[i].names), &captures));
		assert_line(cases[i].format, cases[i].line, cases[i].expected);
	}
	captures.count = 0;
}

TEST(line_question_fill_says_when_the_headers_are_others_than_the_names)
{
	static const struct {
		const char *line;
		enum line_asked asked;
	} cases[] = {{AT "{a|b}", LINE_ASKED},
		     {AT "{a}", LINE_ASKED_OTHERS},
		     {AT "{a|b|c}", LINE_ASKED_OTHERS},
		     {AT, LINE_ASKED_OTHERS}};
	struct err err;

	assert_true(line_captures_read(BYTES("a,b"), &captures));
	assert_true(line_format_read(BYTES(T "%hr"), &format, &err));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(line_match(&format, bytes_from_text(cases[i].line), &fields),
				 LINE_WHOLE);
		assert_int_equal(
			line_question_fill(&question,
					   &(struct line_parts){&format, &fields, &captures}),
			cases[i].asked);
	}
	captures.count = 0;
}

TEST(line_captures_read_what_is_no_list_of_names_is_refused)
{
	static const char *const bad[] = {
		"", ",", "a,", "a b", "=a", "a=", "a:0", "a:-1", "a:x", "a:1:2", "a=b=c,", "a:101"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (line_captures_read(bytes_from_text(bad[i]), &captures))
			fail_msg("%s is taken", bad[i]);
	assert_true(line_captures_read(BYTES(" a , B=c:100 "), &captures));
	assert_int_equal(captures.count, 2);
	assert_bytes_text(captures.items[1].attribute, "B");
	assert_int_equal(captures.items[1].entry, 100);
	captures.count = 0;
}

/* A line that is made to be tried in every way ends in a bounded number of steps. */
TEST(line_match_a_hostile_line_is_given_up)
{
	static char line[60000];
	struct err err;

	assert_true(line_format_read(
		BYTES(T "%[a] %[b] %[c] %[d] %[e] %[f] %[g] %[h] %[i] %[j] %[k] x"), &format,
		&err));
	memset(line, ' ', sizeof line);
	memcpy(line, AT, strlen(AT));

	assert_int_not_equal(line_match(&format, bytes_from(line, sizeof line), &fields),
			     LINE_WHOLE);
}
