#include "request_checks.h"

#include <stdlib.h>
#include <string.h>

#include "base/writer.h"
#include "samples.h"
#include "support/test.h"

#define DESCRIPTION_MAX 4096
#define ATTRIBUTES_MAX  8
#define VALUE_MAX       64

struct pool slots;

void open_slots(void)
{
	assert_true(pool_init(&slots, sizeof(struct check), REQUEST_CHECKS_MAX + 1));
}

void close_slots(void)
{
	pool_release(&slots);
}

struct request request_on(const struct policies *policies)
{
	struct request request;

	request_init(&request, policies, &slots);
	policies_unref(policies);
	return request;
}

void add(struct request *request, struct attributes attributes)
{
	request_add(request, &attributes);
}

static const char *copy_text(char copy[VALUE_MAX], struct bytes text)
{
	assert_true(text.len < VALUE_MAX);
	if (text.len > 0)
		memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	return copy;
}

static struct attribute attribute_of(const char *kind, const char *value)
{
	static const char name[] = "";

	if (strcmp(kind, "int") == 0)
		return number(name, strtoll(value, NULL, 10));
	if (strcmp(kind, "uint") == 0)
		return natural(name, strtoull(value, NULL, 10));
	if (strcmp(kind, "bool") == 0)
		return boolean(name, strcmp(value, "true") == 0);
	if (strcmp(kind, "ip") == 0)
		return address(name, value);
	assert_string_equal(kind, "null");
	return absent(name);
}

/* "NAME=TEXT", "NAME:KIND=VALUE" or "NAME:null"; a view of `item`, as long as the value is text. */
static struct attribute read_attribute(struct bytes item)
{
	char kind_copy[VALUE_MAX], value_copy[VALUE_MAX];
	struct bytes name, kind;

	assert_true(bytes_next_item(&item, '=', &name));
	kind = name;
	assert_true(bytes_next_item(&kind, ':', &name));
	if (kind.data == NULL)
		return (struct attribute){name, value_text(item)};
	struct attribute attribute =
		attribute_of(copy_text(kind_copy, kind), copy_text(value_copy, item));
	attribute.name = name;
	return attribute;
}

void add_message(struct request *request, const char *message)
{
	struct attribute items[ATTRIBUTES_MAX];
	struct bytes rest = bytes_from_text(message), item;
	size_t count = 0;

	while (rest.len > 0 && bytes_next_item(&rest, '&', &item)) {
		assert_true(count < ATTRIBUTES_MAX);
		items[count++] = read_attribute(item);
	}
	add(request, (struct attributes){items, count});
}

static void put_check(struct writer *w, const struct check *check)
{
	struct bytes key = check_key(check);
	size_t start = strlen(check->policy->name) + 1;

	if (w->len > 0)
		writer_put_u8(w, ' ');
	writer_put_text(w, check->policy->name);
	writer_put_u8(w, ':');
	if (check->quota != &check->own_quota)
		start += POLICY_GENERATION_MAX + 1;
	writer_put(w, bytes_skip(key, start));
	if (check->cost != 1) {
		writer_put_u8(w, '*');
		writer_put_decimal(w, check->cost);
	}
}

void assert_checks(const struct request *request, const char *expected)
{
	char description[DESCRIPTION_MAX];
	struct writer w = writer_on(description, sizeof description);

	for (size_t i = 0; i < request->count; i++)
		put_check(&w, request->checks[i]);
	assert_string_equal(writer_text(&w), expected);
}

void assert_valid_checks(const struct request *request, const char *expected)
{
	if (request->is_invalid)
		fail_msg("invalid: %s", request->invalid_why);
	assert_checks(request, expected);
}

void assert_invalid_why(const struct request *request, const char *why)
{
	assert_string_equal(request->is_invalid ? request->invalid_why : "valid",
			    why != NULL ? why : "valid");
}

void assert_request_row(const struct request_row *row)
{
	struct request request = request_on(policies_of(row->policies));

	for (size_t i = 0; i < ARRAY_SIZE(row->messages) && row->messages[i] != NULL; i++)
		add_message(&request, row->messages[i]);

	assert_checks(&request, row->checks);
	assert_int_equal(request.left_out, row->left_out);
	assert_invalid_why(&request, row->invalid_why);
	request_clear(&request);
}
