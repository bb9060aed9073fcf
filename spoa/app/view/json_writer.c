#include "app/view/json_writer.h"

#include "base/writer.h"

#define NUMBER_MAX  32
#define ESCAPED_MAX 6 /* bytes, of one: \u00ff */

static void put(struct json *json, struct bytes bytes)
{
	(void)fwrite_unlocked(bytes.data, 1, bytes.len, json->to);
}

static void put_name(struct json *json, const char *name)
{
	if (json->needs_comma)
		(void)putc_unlocked(',', json->to);
	json->needs_comma = true;
	if (name == NULL)
		return;
	(void)putc_unlocked('"', json->to);
	(void)fputs_unlocked(name, json->to);
	(void)fputs_unlocked("\":", json->to);
}

void json_begin(struct json *json, const char *name, char bracket)
{
	put_name(json, name);
	(void)putc_unlocked(bracket, json->to);
	json->needs_comma = false;
}

void json_end(struct json *json, char bracket)
{
	(void)putc_unlocked(bracket, json->to);
	json->needs_comma = true;
}

void json_put_bytes(struct json *json, const char *name, struct bytes text)
{
	char memory[JSON_TEXT_MAX * ESCAPED_MAX + 2];
	struct writer w = writer_on(memory, sizeof memory);

	put_name(json, name);
	if (text.len > JSON_TEXT_MAX)
		text.len = JSON_TEXT_MAX;
	writer_put_json_string(&w, text);
	ASSERT(!w.full);
	put(json, writer_bytes(&w));
}

void json_put_text(struct json *json, const char *name, const char *text)
{
	json_put_bytes(json, name, bytes_from_text(text));
}

void json_put_int(struct json *json, const char *name, int64_t value)
{
	char memory[NUMBER_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	put_name(json, name);
	writer_put_decimal(&w, value);
	put(json, writer_bytes(&w));
}

void json_put_unsigned(struct json *json, const char *name, uint64_t value)
{
	json_put_fraction(json, name, value, 0);
}

void json_put_fraction(struct json *json, const char *name, uint64_t value, unsigned decimals)
{
	char memory[NUMBER_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	put_name(json, name);
	writer_put_fraction(&w, value, decimals);
	put(json, writer_bytes(&w));
}

void json_put_bool(struct json *json, const char *name, bool value)
{
	put_name(json, name);
	(void)fputs_unlocked(value ? "true" : "false", json->to);
}

static void put_utf8_string(struct json *json, struct bytes text)
{
	(void)putc_unlocked('"', json->to);
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.data[i];
		if (byte == '"' || byte == '\\')
			(void)putc_unlocked('\\', json->to);
		if (byte < 0x20)
			fprintf(json->to, "\\u%04x", byte);
		else
			(void)putc_unlocked(byte, json->to);
	}
	(void)putc_unlocked('"', json->to);
}

void json_put_utf8(struct json *json, const char *name, struct bytes text)
{
	put_name(json, name);
	put_utf8_string(json, text);
}

void json_begin_utf8(struct json *json, struct bytes name, char bracket)
{
	put_name(json, NULL);
	put_utf8_string(json, name);
	(void)putc_unlocked(':', json->to);
	(void)putc_unlocked(bracket, json->to);
	json->needs_comma = false;
}
