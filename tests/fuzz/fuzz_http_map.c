/*
 * fuzz_http_map.c - a body, or a query and header fields, of any bytes. A request that is taken is
 * a list of attributes within the bounds, has each name once, is UTF-8 without NULs, and can be
 * asked and answered. A request that is refused has an error of one printable line.
 *
 * The input is a body if it begins with `{`, `[` or a space; else its first line is a query and
 * each further one a field, `Name: value`.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/utf8.h"
#include "limit/request.h"
#include "net/http/http_map.h"
#include "net/http/http_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_question question;

/* ---- what was taken ---- */

static bool is_clean(struct bytes text)
{
	return utf8_is_good(text) && (text.len == 0 || memchr(text.data, '\0', text.len) == NULL);
}

static void check_attribute(const struct attribute *attribute)
{
	size_t times = 0;

	ASSERT(attribute->name.len > 0 && is_clean(attribute->name));
	ASSERT(attribute->value.kind != VALUE_TEXT || is_clean(attribute->value.text));
	for (size_t i = 0; i < question.count; i++)
		times += bytes_equal(question.items[i].name, attribute->name);
	ASSERT(times == 1);
}

static struct policies *make_policies(void)
{
	struct policies *policies = policies_new(ON_ERROR_DENY);
	struct policy all = {.name = "all",
			     .terms.quota = {FIXED_WINDOW, .limit = 5, .window_us = 1000}};
	struct policy src = {.name = "src",
			     .terms.quota = {FIXED_WINDOW, .limit = 5, .window_us = 1000}};

	src.key[src.key_count++] = BYTES("src");
	ASSERT(policies != NULL && policies_add(policies, &all) && policies_add(policies, &src));
	return policies;
}

static void put_answer(const struct request *request)
{
	uint8_t memory[HTTP_VERDICT_MAX];
	struct writer w = writer_on(memory, sizeof memory);
	struct verdict verdict = verdict_fold(request, ON_ERROR_DENY);
	struct http_limits limits;
	struct json_value root;
	struct err err;

	http_reply_put_verdict(&w, &verdict);
	http_reply_set_limits(&limits, &verdict);
	ASSERT(!w.full && json_read(writer_bytes(&w), &root, &err));
}

/* Asks, and answers as if the store had not. */
static void check_question(void)
{
	static struct policies *policies;
	static struct pool slots;
	const struct attributes attributes = http_question_attributes(&question);
	struct request request;

	if (policies == NULL) {
		policies = make_policies();
		ASSERT(pool_init(&slots, sizeof(struct check), REQUEST_CHECKS_MAX + 1));
	}
	ASSERT(question.count <= HTTP_ATTRIBUTES_MAX);
	for (size_t i = 0; i < question.count; i++)
		check_attribute(&question.items[i]);
	request_init(&request, policies, &slots);
	request_add(&request, &attributes);
	if (!request.is_invalid)
		put_answer(&request);
	request_clear(&request);
}

/* ---- what was refused ---- */

static void check_error(const struct err *err)
{
	uint8_t memory[HTTP_PROBLEM_MAX];
	struct writer w = writer_on(memory, sizeof memory);
	size_t len = strnlen(err->text, sizeof err->text);
	struct json_value root;
	struct err none;

	ASSERT(len > 0 && len < sizeof err->text);
	for (size_t i = 0; i < len; i++)
		ASSERT(err->text[i] >= ' ' && err->text[i] <= '~');
	http_reply_put_problem(&w, 400, err->text);
	ASSERT(!w.full && json_read(writer_bytes(&w), &root, &none));
}

static void check_outcome(bool is_good, const struct err *err)
{
	if (is_good)
		check_question();
	else
		check_error(err);
}

/* ---- the two forms ---- */

static void take_check(struct json_value check)
{
	struct err err = {""};

	http_question_clear(&question);
	check_outcome(http_map_read_check(&question, check, BYTES(""), &err), &err);
}

static void take_body(struct bytes text)
{
	struct http_body body;
	struct json_value check;
	struct err err = {""};

	if (!http_map_read_body(text, BYTES(""), &body, &err)) {
		check_error(&err);
		return;
	}
	if (!body.is_batch)
		take_check(body.check);
	for (size_t i = 0; body.is_batch && json_next_item(&body.check, &check); i++) {
		ASSERT(i < body.count && body.count <= HTTP_CHECKS_MAX);
		take_check(check);
	}
}

static void take_lines(struct bytes text)
{
	struct bytes line = {0}, name = {0};
	unsigned deny_status = 0;
	struct err err = {""};

	http_question_clear(&question);
	(void)bytes_next_item(&text, '\n', &line);
	bool is_good = http_map_read_query(&question, line, &deny_status, &err);
	ASSERT(deny_status == 0 || (deny_status >= 401 && deny_status <= 429));
	while (is_good && bytes_next_item(&text, '\n', &line)) {
		(void)bytes_next_item(&line, ':', &name);
		is_good = http_map_read_header(&question, name, line, &err);
	}
	check_outcome(is_good, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* In a block of its own, so that a byte read too many is seen. */
	uint8_t *copy = malloc(size + (size == 0));
	ASSERT(copy != NULL);

	if (size > HTTP_BODY_MAX)
		size = HTTP_BODY_MAX;
	if (size > 0)
		memcpy(copy, data, size);
	if (size > 0 && memchr("{[ ", data[0], 3) != NULL)
		take_body(bytes_from(copy, size));
	else
		take_lines(bytes_from(copy, size));
	free(copy);
	return 0;
}
