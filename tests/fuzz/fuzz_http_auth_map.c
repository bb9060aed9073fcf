/*
 * fuzz_http_auth_map.c - requests for /auth of any bytes behind "GET /auth?". One that is taken has
 * all six columns, an address as `src`, each attribute once, and of the reserved names `policy`
 * alone. One that is refused has an error of one printable line; the query's mistakes are found
 * before the fields', whose refusal has the status of a denial.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "limit/reserved.h"
#include "net/http/http_auth_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BEGIN "GET /auth?"

static struct http_question question;

static void check_error(const struct err *err)
{
	ASSERT(*err->text != '\0');
	for (const char *c = err->text; *c != '\0'; c++)
		ASSERT(*c >= ' ' && *c <= '~');
}

static size_t count_named(struct bytes name)
{
	size_t count = 0;

	for (size_t i = 0; i < question.count; i++)
		count += bytes_equal(question.items[i].name, name);
	return count;
}

static void check_question(void)
{
	static const char *const columns[] = {"src", "method", "host", "path", "raw_path", "query"};
	const struct attributes attributes = http_question_attributes(&question);

	ASSERT(question.count <= HTTP_ATTRIBUTES_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		ASSERT(attributes_find(&attributes, bytes_from_text(columns[i])) != NULL);
	ASSERT(value_is_address(attributes_find(&attributes, BYTES("src"))));
	const struct value *path = attributes_find(&attributes, BYTES("path"));
	ASSERT(path->kind == VALUE_TEXT && path->text.len > 0 && path->text.data[0] == '/');
	for (size_t i = 0; i < question.count; i++) {
		struct bytes name = question.items[i].name;
		ASSERT(count_named(name) == 1);
		ASSERT(!attribute_name_is_reserved(name) || bytes_equal(name, BYTES("policy")));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = strlen(BEGIN) + size;
	uint8_t *copy = malloc(len); /* ends where its memory ends */
	struct http_head head = {0};
	struct auth_query query;
	struct err err = {""};

	ASSERT(copy != NULL);
	memcpy(copy, BEGIN, strlen(BEGIN));
	if (size > 0)
		memcpy(copy + strlen(BEGIN), data, size);
	enum http_head_found found = http_head_read(&head, bytes_from(copy, len));
	if (found == HTTP_HEAD_MORE) {
		free(copy);
		return 0;
	}
	http_question_clear(&question);
	bool is_good = http_auth_read_query(&question, head.query, &query, &err);
	if (query.from != NULL) {
		unsigned denial = http_auth_denial(&query);
		ASSERT(denial == 401 || denial == 403 || denial == 429);
	}
	ASSERT(!is_good || query.from != NULL);
	if (is_good && found == HTTP_HEAD_DONE)
		is_good = http_auth_read_fields(&question, &head, &query, &err);
	if (!is_good)
		check_error(&err);
	else if (found == HTTP_HEAD_DONE)
		check_question();
	free(copy);
	return 0;
}
