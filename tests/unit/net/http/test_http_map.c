#include "net/http/http_map.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/writer.h"
#include "support/guarded.h"
#include "support/sweep.h"
#include "support/test.h"

static struct guarded *guarded;
static struct http_question *question;

BEFORE_ALL
{
	guarded = guarded_new(HTTP_BODY_MAX);
	question = malloc(sizeof *question);
	assert_non_null(question);
}

AFTER_ALL
{
	guarded_free(guarded);
	free(question);
}

/* ---- what was understood, in a notation ---- */

static void put_attribute(struct writer *w, const struct attribute *attribute)
{
	char memory[VALUE_SHORT_TEXT_MAX];
	bool is_text = attribute->value.kind == VALUE_TEXT;

	writer_put(w, attribute->name);
	writer_put_u8(w, '=');
	if (attribute->value.kind == VALUE_ABSENT)
		writer_put_text(w, "absent");
	if (is_text)
		writer_put_u8(w, '\'');
	writer_put(w, value_to_text(&attribute->value, memory));
	if (is_text)
		writer_put_u8(w, '\'');
}

/* `src='192.0.2.1' cost=5 x=absent`: text in quotes, numbers and booleans without. */
static void assert_question(const char *expected)
{
	char memory[1024];
	struct writer w = writer_on(memory, sizeof memory);

	for (size_t i = 0; i < question->count; i++) {
		if (i > 0)
			writer_put_u8(&w, ' ');
		put_attribute(&w, &question->items[i]);
	}
	assert_string_equal(writer_text(&w), expected);
}

static void assert_says(const char *input, const struct err *err, const char *text)
{
	for (const char *c = err->text; *c != '\0'; c++)
		assert_in_range(*c, ' ', '~');
	if (strstr(err->text, text) == NULL)
		fail_msg("%s: \"%s\" does not say %s", input, err->text, text);
}

/* ---- POST ---- */

static bool read_check(const char *text, struct err *err)
{
	struct http_body body;

	http_question_clear(question);
	if (!http_map_read_body(guarded_copy(guarded, bytes_from_text(text)), BYTES(""), &body,
				err))
		return false;
	assert_false(body.is_batch);
	return http_map_read_check(question, body.check, BYTES(""), err);
}

TEST(http_map_read_check_good_bodies_become_attributes)
{
	static const struct {
		const char *body;
		const char *question;
	} cases[] = {
		{"{\"key\":\"user:123\",\"algorithm\":\"token_bucket\",\"capacity\":10,"
		 "\"refill_rate\":1}",
		 "key='user:123' algorithm='token_bucket' capacity=10 refill_rate=1"},
		{"{\"policy\":\"login\",\"key\":\"203.0.113.9\"}",
		 "policy='login' key='203.0.113.9'"},
		{"{\"attributes\":{\"src\":\"203.0.113.9\",\"path\":\"/login\"},\"cost\":2}",
		 "cost=2 src='203.0.113.9' path='/login'"},
		{" {\n\"attributes\" : { } } ", ""},
		{"{\"policy\":\"a, b\",\"attributes\":{\"x\":1}}", "policy='a, b' x=1"},
		{"{\"attributes\":{\"a\":true,\"b\":false,\"c\":null,\"d\":\"\",\"e\":0,\"f\":-5}}",
		 "a=true b=false c=absent d='' e=0 f=-5"},
		{"{\"attributes\":{\"a\":9223372036854775807,\"b\":-9223372036854775808}}",
		 "a=9223372036854775807 b=-9223372036854775808"},
		{"{\"attributes\":{\"a\":1.0,\"b\":1e3,\"c\":-0,\"d\":20e-1,\"e\":0.0,\"f\":-2.0}}",
		 "a=1 b=1000 c=0 d=2 e=0 f=-2"},
		{"{\"attributes\":{\"\\u0061\\n\":\"\\u00e9\\\"\"}}", "a\n='\xc3\xa9\"'"},
		/* Decimals keep their text, for those who take them. */
		{"{\"key\":7,\"algorithm\":\"token_bucket\",\"capacity\":1.5,"
		 "\"refill_rate\":0.1}",
		 "key=7 algorithm='token_bucket' capacity='1.5' refill_rate='0.1'"},
		{"{\"policy\":\"a\",\"key\":true,\"cost\":1e999}",
		 "policy='a' key=true cost='1e999'"},
		{"{\"policy\":\"a\",\"key\":null,\"cost\":null}",
		 "policy='a' key=absent cost=absent"},
		{"{\"policy\":\"a\",\"attributes\":null}", "policy='a'"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err;
		if (!read_check(cases[i].body, &err))
			fail_msg("%s: %s", cases[i].body, err.text);
		assert_question(cases[i].question);
	}
}

TEST(http_map_read_check_bad_bodies_are_refused_by_name)
{
	static const struct {
		const char *body;
		const char *why;
	} cases[] = {
		{"", "not JSON"},
		{"[]", "must be an object"},
		{"null", "must be an object"},
		{"{\"policy\":\"a\"", "not JSON"},
		{"{}", "one of policy, algorithm and attributes"},
		{"{\"key\":\"a\"}", "one of policy, algorithm and attributes"},
		{"{\"cost\":1}", "one of policy, algorithm and attributes"},
		{"{\"policy\":null}", "one of policy, algorithm and attributes"},
		{"{\"attributes\":null}", "one of policy, algorithm and attributes"},
		{"{\"policy\":\"a\",\"x\":1}", "x: unknown field"},
		{"{\"policy\":\"a\",\"Key\":1}", "Key: unknown field"},
		{"{\"policy\":\"a\",\"\":1}", "\"\": unknown field"},
		{"{\"policy\":\"a\",\"deny_status\":403}", "deny_status: unknown field"},
		{"{\"policy\":\"a\",\"\xc3\xa9\\n\":1}", "\"\\xc3\\xa9\\x0a\": unknown field"},
		{"{\"policy\":\"a\",\"policy\":\"a\"}", "policy: is given twice"},
		{"{\"policy\":\"a\",\"key\":null,\"key\":1}", "key: is given twice"},
		{"{\"policy\":\"a\",\"key\":1,\"k\\u0065y\":1}", "key: is given twice"},
		{"{\"attributes\":{},\"attributes\":{}}", "attributes: is given twice"},
		{"{\"attributes\":{\"a\":1,\"a\":2}}", "attributes.a: is given twice"},
		{"{\"attributes\":{\"a\":null,\"\\u0061\":2}}", "attributes.a: is given twice"},
		{"{\"attributes\":[]}", "attributes: must be an object"},
		{"{\"attributes\":\"a\"}", "attributes: must be an object"},
		{"{\"attributes\":{\"a\":[]}}", "attributes.a: accepted are"},
		{"{\"attributes\":{\"a\":{}}}", "attributes.a: accepted are"},
		{"{\"attributes\":{\"a\":1.5}}", "attributes.a: accepted are"},
		{"{\"attributes\":{\"a\":1e999}}", "attributes.a: accepted are"},
		{"{\"attributes\":{\"a\":9223372036854775808}}", "attributes.a: accepted are"},
		{"{\"attributes\":{\"a\":-9223372036854775809}}", "attributes.a: accepted are"},
		{"{\"attributes\":{\"\":1}}", "attributes.\"\": a name is empty"},
		{"{\"attributes\":{\"policy\":\"a\"}}", "attributes.policy: a reserved name"},
		{"{\"attributes\":{\"c\\u006fst\":1}}", "attributes.cost: a reserved name"},
		{"{\"policy\":[\"a\"]}", "policy: accepted are"},
		{"{\"policy\":1.5,\"key\":1}", "policy: accepted are"},
		{"{\"policy\":\"a\",\"key\":1.5}", "key: accepted are"},
		{"{\"policy\":\"a\",\"key\":{}}", "key: accepted are"},
		{"{\"algorithm\":1.5,\"key\":1}", "algorithm: accepted are"},
		{"{\"policy\":\"a\",\"cost\":[1]}", "cost: accepted are"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {""};
		if (read_check(cases[i].body, &err))
			fail_msg("%s is taken", cases[i].body);
		assert_says(cases[i].body, &err, cases[i].why);
	}
}

static void put_many(struct writer *w, size_t count)
{
	writer_put_text(w, "{\"attributes\":{");
	for (size_t i = 0; i < count; i++) {
		writer_put_text(w, i > 0 ? ",\"a" : "\"a");
		writer_put_unsigned(w, i);
		writer_put_text(w, "\":1");
	}
	writer_put_text(w, "}}");
}

TEST(http_map_read_check_attributes_are_bounded)
{
	char memory[8192];
	struct writer w = writer_on(memory, sizeof memory);
	struct err err;

	put_many(&w, HTTP_ATTRIBUTES_MAX);
	assert_true(read_check(writer_text(&w), &err));
	assert_int_equal(question->count, HTTP_ATTRIBUTES_MAX);

	writer_rewind(&w, 0);
	put_many(&w, HTTP_ATTRIBUTES_MAX + 1);
	assert_false(read_check(writer_text(&w), &err));
	assert_says("256", &err, "attributes.a255: more than 255");
}

/* All of it is escapes, so that all of it needs memory. */
TEST(http_map_read_check_the_longest_text_fits)
{
	char *text = malloc(HTTP_BODY_MAX + 1);
	struct writer w = writer_on(text, HTTP_BODY_MAX);
	struct err err;

	writer_put_text(&w, "{\"policy\":\"a\",\"key\":\"");
	while (w.len + 4 < HTTP_BODY_MAX)
		writer_put_text(&w, "\\n");
	writer_put_text(&w, "\"}");
	text[w.len] = '\0';

	assert_true(read_check(text, &err));
	free(text);
}

TEST(http_map_read_body_a_field_beside_is_the_callers)
{
	static const struct bytes beside = {(const uint8_t *)"at_ms", 5};
	struct http_body body;
	struct err err;

	assert_true(
		http_map_read_body(BYTES("{\"at_ms\":[5],\"policy\":\"p\"}"), beside, &body, &err));
	assert_int_equal(body.beside.kind, JSON_ARRAY);
	http_question_clear(question);
	assert_true(http_map_read_check(question, body.check, beside, &err));
	assert_question("policy='p'");
	assert_false(http_map_read_check(question, body.check, BYTES(""), &err));
	assert_true(
		http_map_read_body(BYTES("{\"checks\":[{}],\"at_ms\":5}"), beside, &body, &err));
	assert_true(body.is_batch);
	assert_int_equal(body.beside.kind, JSON_NUMBER);
	assert_true(http_map_read_body(BYTES("{\"policy\":\"p\"}"), beside, &body, &err));
	assert_int_equal(body.beside.kind, JSON_NULL);
	assert_false(http_map_read_body(BYTES("{\"at_ms\":5,\"policy\":\"p\",\"at_ms\":5}"), beside,
					&body, &err));
	assert_string_equal(err.text, "at_ms: is given twice");
}

TEST(http_map_read_body_batches_are_counted)
{
	static const struct {
		const char *body;
		size_t count; /* 0: refused */
		const char *why;
	} cases[] = {
		{"{\"checks\":[{}]}", 1, NULL},
		{" {\"checks\" : [ 1, {\"checks\":[]} ,null ] }", 3, NULL},
		{"{\"checks\":[]}", 0, "checks: is empty"},
		{"{\"checks\":{}}", 0, "checks: must be an array"},
		{"{\"checks\":null}", 0, "checks: must be an array"},
		{"{\"checks\":[{}],\"checks\":[{}]}", 0, "checks: is given twice"},
		{"{\"checks\":[{}],\"cost\":1}", 0, "checks: other fields may not be beside it"},
		{"{\"policy\":\"a\",\"checks\":[{}]}", 0,
		 "checks: other fields may not be beside it"},
		{"{\"checks\":[{},]}", 0, "not JSON"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes text = guarded_copy(guarded, bytes_from_text(cases[i].body));
		struct http_body body;
		struct err err = {""};
		bool is_good = http_map_read_body(text, BYTES(""), &body, &err);
		assert_int_equal(is_good, cases[i].count > 0);
		if (is_good)
			assert_int_equal(body.count, cases[i].count);
		else
			assert_says(cases[i].body, &err, cases[i].why);
	}
}

static bool read_batch_of(size_t count, struct err *err)
{
	char memory[1024];
	struct writer w = writer_on(memory, sizeof memory);
	struct http_body body;

	writer_put_text(&w, "{\"checks\":[0");
	for (size_t i = 1; i < count; i++)
		writer_put_text(&w, ",0");
	writer_put_text(&w, "]}");
	return http_map_read_body(writer_bytes(&w), BYTES(""), &body, err) && body.count == count;
}

TEST(http_map_read_body_batches_are_bounded)
{
	struct err err;

	assert_true(read_batch_of(HTTP_CHECKS_MAX, &err));
	assert_false(read_batch_of(HTTP_CHECKS_MAX + 1, &err));
	assert_says("101", &err, "checks: more than 100");
}

/* ---- GET ---- */

TEST(http_map_read_query_good_ones_become_attributes)
{
	static const struct {
		const char *query;
		const char *question;
		unsigned deny_status;
	} cases[] = {
		{"", "", 0},
		{"&&", "", 0},
		{"policy=login&key=203.0.113.9", "policy='login' key='203.0.113.9'", 0},
		{"a=1&b=true&c=", "a='1' b='true' c=''", 0},
		{"a&b=1", "a='' b='1'", 0},
		{"a=b=c", "a='b=c'", 0},
		{"a=x+y%20z%2B", "a='x y z+'", 0},
		{"%61%3d=%26%c3%A9", "a=='&\xc3\xa9'", 0},
		{"a=\xc3\xa9?/:@!$'()*,;", "a='\xc3\xa9?/:@!$'()*,;'", 0},
		{"deny_status=401&a=1", "a='1'", 401},
		{"deny_status=403", "", 403},
		{"deny%5Fstatus=429", "", 429},
		{"Deny_status=1&A=2&a=3", "Deny_status='1' A='2' a='3'", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes query = guarded_copy(guarded, bytes_from_text(cases[i].query));
		unsigned deny_status = 99;
		struct err err;
		http_question_clear(question);
		if (!http_map_read_query(question, query, &deny_status, &err))
			fail_msg("%s: %s", cases[i].query, err.text);
		assert_question(cases[i].question);
		assert_int_equal(deny_status, cases[i].deny_status);
	}
}

TEST(http_map_read_query_bad_ones_are_refused_by_name)
{
	static const struct {
		const char *query;
		const char *why;
	} cases[] = {
		{"a=1&a=2", "a: is given twice"},
		{"a=1&%61=1", "a: is given twice"},
		{"=1", "\"\": a name is empty"},
		{"a=%", "a: % without"},
		{"a=%4", "a: % without"},
		{"a=%g0", "a: % without"},
		{"a=%0g", "a: % without"},
		{"a%=1", "query: \"a%\": % without"},
		{"a=%00", "a: a NUL character"},
		{"a%00=1", "query: \"a%00\": a NUL character"},
		{"a=%ff", "a: invalid UTF-8"},
		{"a=\xff", "a: invalid UTF-8"},
		{"a=%ed%a0%80", "a: invalid UTF-8"},
		{"%c3=1", "query: \"%c3\": invalid UTF-8"},
		{"deny_status=", "deny_status: \"\" is not accepted; accepted are 401, 403"},
		{"deny_status=200", "deny_status: \"200\" is not accepted"},
		{"deny_status=503", "deny_status: \"503\" is not accepted"},
		{"deny_status=4290", "deny_status"},
		{"deny_status=403&deny_status=403", "deny_status: is given twice"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes query = guarded_copy(guarded, bytes_from_text(cases[i].query));
		unsigned deny_status = 99;
		struct err err = {""};
		http_question_clear(question);
		if (http_map_read_query(question, query, &deny_status, &err))
			fail_msg("%s is taken", cases[i].query);
		assert_int_equal(deny_status, 99);
		assert_says(cases[i].query, &err, cases[i].why);
	}
}

static bool read_header(const char *name, const char *value, struct err *err)
{
	return http_map_read_header(question, bytes_from_text(name), bytes_from_text(value), err);
}

TEST(http_map_read_header_names_have_no_case)
{
	struct err err;
	http_question_clear(question);

	assert_true(read_header("X-Attr-Src", " 192.0.2.1 ", &err));
	assert_true(read_header("x-attr-USER-Agent", "a+b%20c", &err));
	assert_true(read_header("X-Attr-empty", "", &err));
	assert_true(read_header("X-Attr", "x", &err));
	assert_true(read_header("X-Attrs-a", "x", &err));
	assert_true(read_header("Host", "\xff", &err));

	assert_question("src='192.0.2.1' user-agent='a+b%20c' empty=''");
}

TEST(http_map_read_header_bad_ones_are_refused_by_name)
{
	struct err err;
	unsigned deny_status;
	http_question_clear(question);
	assert_true(http_map_read_query(question, BYTES("src=1"), &deny_status, &err));

	assert_false(read_header("X-Attr-Src", "2", &err));
	assert_says("X-Attr-Src", &err, "src: is given twice");
	assert_false(read_header("X-Attr-A", "\xff", &err));
	assert_says("X-Attr-A", &err, "a: invalid UTF-8");
	assert_false(read_header("X-Attr-", "x", &err));
	assert_says("X-Attr-", &err, "a name is empty");
	assert_false(read_header("X-Attr-Cost", "0", &err));
	assert_says("X-Attr-Cost", &err, "cost: a reserved name; it stands in the query");
	assert_false(http_map_read_header(question, BYTES("X-Attr-A"), BYTES("b\0c"), &err));
	assert_says("X-Attr-A", &err, "a: a NUL character");
}

/* ---- any bytes ---- */

static int decode_body(struct bytes input, void *context)
{
	struct http_body body;
	struct json_value check;
	struct err err;
	bool is_good = true;

	(void)context;
	if (!http_map_read_body(input, BYTES(""), &body, &err))
		return -1;
	while (body.is_batch && json_next_item(&body.check, &check)) {
		http_question_clear(question);
		is_good = http_map_read_check(question, check, BYTES(""), &err) && is_good;
	}
	http_question_clear(question);
	if (!body.is_batch)
		is_good = http_map_read_check(question, body.check, BYTES(""), &err);
	return is_good ? 1 : -1;
}

TEST(http_map_read_body_any_bytes_are_read_within_their_bounds)
{
	static const char one[] = "{\"policy\":\"a\",\"key\":\"\\u00e9\",\"cost\":1.5e1,"
				  "\"attributes\":{\"b\":null,\"c\":true,\"d\":-1}}";
	static const char batch[] =
		"{\"checks\":[{\"policy\":\"a\",\"key\":1},{\"attributes\":{}}]}";

	assert_int_equal(sweep_decoder(bytes_from_text(one), decode_body, NULL).taken, 0);
	assert_int_equal(sweep_decoder(bytes_from_text(batch), decode_body, NULL).taken, 0);
}

static int decode_query(struct bytes input, void *context)
{
	unsigned deny_status;
	struct err err;

	(void)context;
	http_question_clear(question);
	return http_map_read_query(question, input, &deny_status, &err) ? 1 : -1;
}

TEST(http_map_read_query_any_bytes_are_read_within_their_bounds)
{
	(void)sweep_decoder(BYTES("a=%41&b=c+d&deny_status=403&e"), decode_query, NULL);
}
