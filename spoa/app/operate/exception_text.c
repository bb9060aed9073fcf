/*
 * The text is the one form in which an exception leaves the process: the value of its record in
 * Redis and in the state file. Other agents read it, of an older or a newer version too. Therefore
 * an unknown field is passed over, and every other surprise makes the whole text unusable: a block
 * that is half understood would be worse than one that is reported.
 *
 * A draft has room for all texts of one exception, so that nothing is allocated while one is read.
 */
#include "app/operate/exception_text.h"

#include <string.h>

#include "app/operate/rfc3339.h"
#include "app/policies/policy_text.h"
#include "base/json_reader.h"
#include "limit/policy.h"

/* ---- drafts ---- */

bool exception_draft_keep(struct exception_draft *draft, struct bytes text, struct bytes *ret_kept)
{
	uint8_t *at = draft->memory + draft->len;

	if (text.len > sizeof draft->memory - draft->len)
		return false;
	if (text.len > 0)
		memcpy(at, text.data, text.len);
	draft->len += text.len;
	*ret_kept = bytes_from(at, text.len);
	return true;
}

static bool stands_behind(const struct exception_name *a, const struct exception_name *b)
{
	return bytes_compare(a->name, b->name) > 0;
}

void exception_draft_sort(struct exception_draft *draft)
{
	for (size_t i = 1; i < draft->exception.count; i++) {
		struct exception_name name = draft->names[i];
		size_t at = i;
		for (; at > 0 && stands_behind(&draft->names[at - 1], &name); at--)
			draft->names[at] = draft->names[at - 1];
		draft->names[at] = name;
	}
}

/* ---- writing ---- */

void exception_text_put_string(struct writer *w, struct bytes text)
{
	writer_put_u8(w, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.data[i];
		if (byte == '"' || byte == '\\') {
			writer_put_u8(w, '\\');
			writer_put_u8(w, byte);
		} else if (byte < 0x20 || byte == 0x7f) {
			writer_put_text(w, "\\u00");
			writer_put_hex(w, bytes_from(&byte, 1));
		} else {
			writer_put_u8(w, byte);
		}
	}
	writer_put_u8(w, '"');
}

static void put_text(struct writer *w, const char *name, struct bytes text)
{
	writer_put_text(w, name);
	exception_text_put_string(w, text);
}

static void put_policy(struct writer *w, const struct exception_draft *draft)
{
	const struct exception *exception = &draft->exception;

	if (exception->policy.len == 0) {
		writer_put_text(w, "{\"policy\":null");
		return;
	}
	put_text(w, "{\"policy\":", exception->policy);
	put_text(w, ",\"algorithm\":", bytes_from_text(algorithm_name(exception->algorithm)));
	writer_put_text(w, ",\"key\":[");
	for (size_t i = 0; i < exception->key_count; i++) {
		if (i > 0)
			writer_put_u8(w, ',');
		exception_text_put_string(w, draft->key[i]);
	}
	writer_put_u8(w, ']');
}

static void put_names(struct writer *w, const struct exception_draft *draft)
{
	writer_put_text(w, ",\"names\":{");
	for (size_t i = 0; i < draft->exception.count; i++) {
		if (i > 0)
			writer_put_u8(w, ',');
		exception_text_put_string(w, draft->names[i].name);
		put_text(w, ":", draft->names[i].text);
	}
	writer_put_u8(w, '}');
	if (draft->exception.policy.len > 0)
		put_text(w, ",\"counted_as\":", draft->counted_as);
	if (draft->exception.is_hashed)
		writer_put_text(w, ",\"hashed\":true");
}

static void put_rate(struct writer *w, struct ratio tokens_per_us)
{
	char memory[64];
	struct writer text = writer_on(memory, sizeof memory);
	const struct quota quota = {.refill_tokens = tokens_per_us.num,
				    .refill_us = tokens_per_us.den};

	policy_text_put_refill_rate(&text, &quota);
	put_text(w, ",\"refill_rate\":", writer_bytes(&text));
}

static void put_what(struct writer *w, const struct exception *exception)
{
	bool is_by_rate = algorithm_traits(exception->algorithm)->is_by_rate;

	if (exception->kind == EXCEPTION_BLOCK) {
		writer_put_text(w, ",\"blocked\":true");
	} else if (exception->kind == EXCEPTION_ALLOW) {
		writer_put_text(w, ",\"unlimited\":true");
	} else {
		if (exception->units != 0) {
			writer_put_text(w, is_by_rate ? ",\"capacity\":" : ",\"limit\":");
			writer_put_decimal(w, exception->units);
		}
		if (exception->tokens_per_us.num != 0)
			put_rate(w, exception->tokens_per_us);
	}
}

void exception_text_put(struct writer *w, const struct exception_draft *draft)
{
	put_policy(w, draft);
	put_names(w, draft);
	put_what(w, &draft->exception);
	if (draft->exception.until_ms == 0) {
		writer_put_text(w, ",\"until\":null");
	} else {
		writer_put_text(w, ",\"until\":\"");
		rfc3339_put(w, draft->exception.until_ms);
		writer_put_u8(w, '"');
	}
	put_text(w, ",\"note\":", draft->note);
	put_text(w, ",\"who\":", draft->who);
	put_text(w, ",\"from\":", draft->from);
	writer_put_u8(w, '}');
}

void exception_text_put_item(struct writer *w, const struct exception *exception, bool is_void)
{
	put_text(w, "{\"id\":", bytes_from_text(exception->id));
	writer_put_text(w, ",\"when\":\"");
	rfc3339_put(w, exception->changed_ms);
	writer_put_text(w, "\",");
	/* The text is an object: its fields are what stands between its braces. */
	writer_put(w, bytes_from(exception->text.data + 1, exception->text.len - 2));
	writer_put_text(w, is_void ? ",\"void\":true}" : ",\"void\":false}");
}

/* ---- reading a record ---- */

/* A string, decoded into the draft. */
static bool read_string(struct exception_draft *draft, const struct json_value *value,
			struct bytes *ret_text)
{
	struct writer memory =
		writer_on(draft->memory + draft->len, sizeof draft->memory - draft->len);

	if (value->kind != JSON_STRING || value->text.len > memory.max)
		return false;
	struct bytes text = json_string(value, &memory);
	/* Without escapes it is a view of the record, with escapes it is in the memory already. */
	if (text.data < draft->memory || text.data >= draft->memory + sizeof draft->memory)
		return exception_draft_keep(draft, text, ret_text);
	draft->len = (size_t)(text.data - draft->memory) + text.len;
	*ret_text = text;
	return true;
}

static bool read_key_list(struct exception_draft *draft, struct json_value list)
{
	struct json_value item;
	size_t count = 0;

	if (list.kind != JSON_ARRAY)
		return false;
	while (json_next_item(&list, &item))
		if (count == POLICY_KEY_MAX || !read_string(draft, &item, &draft->key[count++]))
			return false;
	draft->exception.key_count = count;
	return true;
}

static bool read_names(struct exception_draft *draft, struct json_value names)
{
	struct json_value name, value;
	size_t count = 0;

	if (names.kind != JSON_OBJECT)
		return false;
	while (json_next_field(&names, &name, &value)) {
		if (count == EXCEPTION_NAMES_MAX ||
		    !read_string(draft, &name, &draft->names[count].name) ||
		    !read_string(draft, &value, &draft->names[count].text))
			return false;
		count++;
	}
	draft->exception.count = count;
	exception_draft_sort(draft);
	return true;
}

static bool read_algorithm(struct exception_draft *draft, const struct json_value *value)
{
	return value->kind == JSON_STRING &&
	       algorithm_find(value->text, &draft->exception.algorithm);
}

static bool read_units(struct exception_draft *draft, const struct json_value *value)
{
	uint64_t units;

	if (value->kind != JSON_NUMBER || !parse_whole(value->text, QUOTA_UNITS_MAX, &units) ||
	    units == 0)
		return false;
	draft->exception.units = (int64_t)units;
	draft->exception.kind = EXCEPTION_RAISE;
	return true;
}

static bool read_rate(struct exception_draft *draft, const struct json_value *value)
{
	draft->exception.kind = EXCEPTION_RAISE;
	return value->kind == JSON_STRING &&
	       refill_rate_parse(value->text, &draft->exception.tokens_per_us);
}

static bool read_until(struct exception_draft *draft, const struct json_value *value)
{
	return value->kind == JSON_NULL || (value->kind == JSON_STRING &&
					    rfc3339_read(value->text, &draft->exception.until_ms));
}

/* A field that a later build may add is read over. */
static bool read_field(struct exception_draft *draft, struct bytes name,
		       const struct json_value *value)
{
	struct exception *exception = &draft->exception;

	if (bytes_equal(name, BYTES("policy")))
		return value->kind == JSON_NULL || read_string(draft, value, &exception->policy);
	if (bytes_equal(name, BYTES("algorithm")))
		return read_algorithm(draft, value);
	if (bytes_equal(name, BYTES("key")))
		return read_key_list(draft, *value);
	if (bytes_equal(name, BYTES("names")))
		return read_names(draft, *value);
	if (bytes_equal(name, BYTES("counted_as")))
		return read_string(draft, value, &draft->counted_as);
	if (bytes_equal(name, BYTES("hashed")))
		exception->is_hashed = value->kind == JSON_TRUE;
	if (bytes_equal(name, BYTES("unlimited")))
		exception->kind = EXCEPTION_ALLOW;
	if (bytes_equal(name, BYTES("capacity")) || bytes_equal(name, BYTES("limit")))
		return read_units(draft, value);
	if (bytes_equal(name, BYTES("refill_rate")))
		return read_rate(draft, value);
	if (bytes_equal(name, BYTES("until")))
		return read_until(draft, value);
	if (bytes_equal(name, BYTES("note")))
		return read_string(draft, value, &draft->note);
	if (bytes_equal(name, BYTES("who")))
		return read_string(draft, value, &draft->who);
	if (bytes_equal(name, BYTES("from")))
		return read_string(draft, value, &draft->from);
	return true;
}

bool exception_text_read(struct bytes text, struct exception_draft *ret_draft)
{
	struct exception *exception = &ret_draft->exception;
	struct json_value root, name, value;
	bool has_block = false;
	struct err err;

	memset(ret_draft, 0, offsetof(struct exception_draft, memory));
	if (text.len > RECORD_VALUE_MAX || !json_read(text, &root, &err) ||
	    root.kind != JSON_OBJECT)
		return false;
	/* Between the braces is what is shown; a text with spaces around them is not ours. */
	if (text.data[0] != '{' || text.data[text.len - 1] != '}' || root.text.len == 0)
		return false;
	while (json_next_field(&root, &name, &value)) {
		if (!read_field(ret_draft, name.text, &value))
			return false;
		has_block = has_block || bytes_equal(name.text, BYTES("blocked"));
	}
	exception->names = ret_draft->names;
	exception->key = ret_draft->key;
	exception->text = text;
	if (exception->is_hashed)
		exception->hash = ret_draft->counted_as;
	if (exception->policy.len == 0 &&
	    (exception->count == 0 || exception->kind == EXCEPTION_RAISE))
		return false;
	return exception->kind != EXCEPTION_BLOCK || has_block;
}
