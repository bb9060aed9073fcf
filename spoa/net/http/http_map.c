#include "net/http/http_map.h"

#include <strings.h>

#include "base/parse.h"
#include "limit/reserved.h"

/* ---- JSON ---- */

/* 1.0 and 1e3 are whole numbers too. */
static bool parse_whole_number(struct bytes text, int64_t *ret_number)
{
	bool is_negative = bytes_begin_with(text, BYTES("-"));
	struct ratio ratio;
	uint64_t number;

	if (is_negative)
		text = bytes_skip(text, 1);
	if (!parse_whole(text, (uint64_t)INT64_MAX + is_negative, &number)) {
		if (!parse_decimal_or_zero(text, &ratio) || ratio.den != 1)
			return false;
		number = (uint64_t)ratio.num;
	}
	*ret_number = (int64_t)(is_negative ? 0 - number : number);
	return true;
}

static struct bytes read_string(struct http_question *question, const struct json_value *string)
{
	struct writer w = http_question_writer(question);
	struct bytes text = json_string(string, &w);

	http_question_keep(question, &w);
	return text;
}

/*
 * False for what is no value of an attribute. A number that is not whole is its text, which some
 * reserved names take.
 */
static bool read_value(struct http_question *question, const struct json_value *json,
		       struct value *ret_value)
{
	int64_t number;

	switch (json->kind) {
	case JSON_NULL:
		*ret_value = (struct value){.kind = VALUE_ABSENT};
		return true;
	case JSON_FALSE:
	case JSON_TRUE:
		*ret_value = (struct value){VALUE_BOOL, .boolean = json->kind == JSON_TRUE};
		return true;
	case JSON_NUMBER:
		*ret_value = parse_whole_number(json->text, &number) ? value_integer(number)
								     : value_text(json->text);
		return true;
	case JSON_STRING:
		*ret_value = value_text(read_string(question, json));
		return true;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return false;
}

#define VALUES_ACCEPTED "accepted are a string, a whole number of 64 bits and a boolean"

static bool is_fraction(const struct json_value *json, const struct value *value)
{
	return json->kind == JSON_NUMBER && value->kind == VALUE_TEXT;
}

static bool takes_text_alone(struct bytes name)
{
	return bytes_equal(name, BYTES("key")) || bytes_equal(name, BYTES("policy")) ||
	       bytes_equal(name, BYTES("algorithm"));
}

static bool add_attributes(struct http_question *question, struct json_value object,
			   struct err *err)
{
	struct json_value name_json, json;
	struct value value;

	if (object.kind == JSON_NULL)
		return true;
	if (object.kind != JSON_OBJECT)
		return err_set(err, "attributes: must be an object");
	while (json_next_field(&object, &name_json, &json)) {
		struct bytes name = read_string(question, &name_json);
		if (attribute_name_is_reserved(name))
			return http_question_refuse(err, "attributes.", name,
						    "a reserved name; it stands beside attributes");
		if (!read_value(question, &json, &value) || is_fraction(&json, &value))
			return http_question_refuse(err, "attributes.", name, VALUES_ACCEPTED);
		if (!http_question_add(question, "attributes.", name, value, err))
			return false;
	}
	return true;
}

static bool add_reserved(struct http_question *question, struct bytes name,
			 const struct json_value *json, struct err *err)
{
	struct value value;

	if (!attribute_name_is_reserved(name))
		return http_question_refuse(
			err, "", name,
			"unknown field; accepted are policy, key, cost, algorithm, capacity, "
			"refill_rate, limit, window and attributes");
	if (!read_value(question, json, &value) ||
	    (is_fraction(json, &value) && takes_text_alone(name)))
		return http_question_refuse(err, "", name, VALUES_ACCEPTED);
	return http_question_add(question, "", name, value, err);
}

/* A check has one of the three forms of docs/reference.md, section HTTP. */
static bool has_form(const struct http_question *question, bool has_attributes)
{
	const struct attributes attributes = http_question_attributes(question);

	return has_attributes || attributes_find(&attributes, BYTES("policy")) != NULL ||
	       attributes_find(&attributes, BYTES("algorithm")) != NULL;
}

static bool is_field(struct bytes name, struct bytes wanted)
{
	return wanted.len > 0 && bytes_equal(name, wanted);
}

bool http_map_read_check(struct http_question *question, struct json_value check,
			 struct bytes beside, struct err *err)
{
	struct json_value name_json, json, attributes = {.kind = JSON_NULL};
	bool has_attributes = false;

	if (check.kind != JSON_OBJECT)
		return err_set(err, "a check must be an object");
	while (json_next_field(&check, &name_json, &json)) {
		struct bytes name = read_string(question, &name_json);
		if (is_field(name, beside))
			continue;
		if (!bytes_equal(name, BYTES("attributes"))) {
			if (!add_reserved(question, name, &json, err))
				return false;
			continue;
		}
		if (has_attributes)
			return http_question_refuse(err, "", name, "is given twice");
		has_attributes = true;
		attributes = json;
	}
	if (!has_form(question, attributes.kind != JSON_NULL))
		return err_set(err, "one of policy, algorithm and attributes is missing");
	return add_attributes(question, attributes, err);
}

static bool read_batch(struct http_body *body, struct err *err)
{
	struct json_value checks = body->check, item;

	body->is_batch = true;
	if (checks.kind != JSON_ARRAY)
		return err_set(err, "checks: must be an array");
	while (json_next_item(&checks, &item))
		if (++body->count > HTTP_CHECKS_MAX)
			return err_set(err, "checks: more than %d", HTTP_CHECKS_MAX);
	return body->count > 0 || err_set(err, "checks: is empty");
}

/* A name that is written with escapes is refused as an unknown field. */
static bool sort_fields(struct json_value object, struct bytes beside, struct http_body *body,
			size_t *ret_others, struct err *err)
{
	struct json_value name, value;
	bool has_beside = false;
	size_t others = 0;

	while (json_next_field(&object, &name, &value)) {
		bool is_batch = bytes_equal(name.text, BYTES("checks"));
		bool is_beside = is_field(name.text, beside);
		if ((is_batch && body->is_batch) || (is_beside && has_beside))
			return http_question_refuse(err, "", name.text, "is given twice");
		if (is_batch)
			body->check = value;
		if (is_beside)
			body->beside = value;
		body->is_batch |= is_batch;
		has_beside |= is_beside;
		others += !is_batch && !is_beside;
	}
	*ret_others = others;
	return true;
}

bool http_map_read_body(struct bytes text, struct bytes beside, struct http_body *ret_body,
			struct err *err)
{
	struct http_body body = {.beside = {.kind = JSON_NULL}};
	struct json_value root;
	size_t others = 0;

	if (!json_read(text, &root, err))
		return false;
	if (root.kind != JSON_OBJECT)
		return err_set(err, "the body must be an object");
	if (!sort_fields(root, beside, &body, &others, err))
		return false;
	if (body.is_batch && others > 0)
		return err_set(err, "checks: other fields may not be beside it");
	if (body.is_batch && !read_batch(&body, err))
		return false;
	if (!body.is_batch)
		body.check = root;
	*ret_body = body;
	return true;
}

/* ---- query and headers ---- */

bool http_map_read_deny_status(struct bytes text, unsigned *deny_status, struct err *err)
{
	uint64_t status;

	if (*deny_status != 0)
		return err_set(err, "deny_status: is given twice");
	if (!parse_whole(text, 429, &status) || (status != 401 && status != 403 && status != 429))
		return err_set(err,
			       "deny_status: %s is not accepted; accepted are 401, 403 and 429",
			       quoted(text).text);
	*deny_status = (unsigned)status;
	return true;
}

static bool read_parameter(struct http_question *question, struct bytes pair, unsigned *deny_status,
			   struct err *err)
{
	struct bytes name, value;

	if (!http_question_read_pair(question, pair, &name, &value, err))
		return false;
	if (bytes_equal(name, BYTES("deny_status")))
		return http_map_read_deny_status(value, deny_status, err);
	return http_question_add(question, "", name, value_text(value), err);
}

bool http_map_read_query(struct http_question *question, struct bytes query,
			 unsigned *ret_deny_status, struct err *err)
{
	unsigned deny_status = 0;
	struct bytes pair;

	while (bytes_next_item(&query, '&', &pair))
		if (pair.len > 0 && !read_parameter(question, pair, &deny_status, err))
			return false;
	*ret_deny_status = deny_status;
	return true;
}

#define HEADER_PREFIX "x-attr-"

bool http_map_read_header(struct http_question *question, struct bytes name, struct bytes value,
			  struct err *err)
{
	size_t prefix = strlen(HEADER_PREFIX);
	struct bytes attribute;

	if (name.len < prefix || strncasecmp((const char *)name.data, HEADER_PREFIX, prefix) != 0)
		return true;
	value = bytes_trim(value);
	const char *why = http_question_lower(question, bytes_skip(name, prefix), &attribute);
	if (why == NULL && attribute_name_is_reserved(attribute))
		why = "a reserved name; it stands in the query";
	if (why == NULL)
		why = http_question_why_bad(attribute);
	if (why == NULL)
		why = http_question_why_bad(value);
	if (why != NULL)
		return http_question_refuse(err, "", attribute, why);
	return http_question_add(question, "", attribute, value_text(value), err);
}

unsigned http_map_refuse(const struct http_question *question, const struct request *request,
			 struct err *err)
{
	const struct attributes attributes = http_question_attributes(question);

	if (!request->is_policy_unknown) {
		(void)err_set(err, "%s", request->invalid_why);
		return request->invalid_why == reserved_inexact ? 409 : 400;
	}
	const struct value *policy = attributes_find(&attributes, BYTES("policy"));
	(void)err_set(err, "policy: %s is unknown", quoted(policy->text).text);
	return 404;
}
