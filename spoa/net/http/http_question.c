#include "net/http/http_question.h"

#include "base/parse.h"
#include "base/utf8.h"

bool http_question_refuse(struct err *err, const char *place, struct bytes name, const char *why)
{
	return err_set(err, "%s%s: %s", place, quoted_unless_plain(name).text, why);
}

bool http_question_add(struct http_question *question, const char *place, struct bytes name,
		       struct value value, struct err *err)
{
	for (size_t i = 0; i < question->count; i++)
		if (bytes_equal(question->items[i].name, name))
			return http_question_refuse(err, place, name, "is given twice");
	if (name.len == 0)
		return http_question_refuse(err, place, name, "a name is empty");
	if (question->count == HTTP_ATTRIBUTES_MAX)
		return http_question_refuse(err, place, name, "more than 255 attributes");
	question->items[question->count++] = (struct attribute){name, value};
	return true;
}

const char *http_question_why_bad(struct bytes text)
{
	if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
		return "a NUL character";
	return utf8_is_good(text) ? NULL : "invalid UTF-8";
}

/*
 * A name or a value of a query (application/x-www-form-urlencoded), or a part of a path, in which
 * `+` is no space. NULL, or what is wrong.
 */
static const char *decode(struct http_question *question, struct bytes text, uint8_t plus,
			  struct bytes *ret_decoded)
{
	struct writer w = http_question_writer(question);

	for (; text.len > 0; text = bytes_skip(text, 1)) {
		if (text.data[0] != '%') {
			writer_put_u8(&w, text.data[0] == '+' ? plus : text.data[0]);
			continue;
		}
		int high = text.len < 3 ? -1 : parse_hex_digit(text.data[1]);
		int low = text.len < 3 ? -1 : parse_hex_digit(text.data[2]);
		if (high < 0 || low < 0)
			return "% without two hexadecimal digits";
		writer_put_u8(&w, (uint8_t)(high << 4 | low));
		text = bytes_skip(text, 2);
	}
	if (w.full)
		return "too long";
	http_question_keep(question, &w);
	*ret_decoded = writer_bytes(&w);
	return http_question_why_bad(*ret_decoded);
}

bool http_question_read_pair(struct http_question *question, struct bytes pair,
			     struct bytes *ret_name, struct bytes *ret_value, struct err *err)
{
	struct bytes raw_name = {0};

	(void)bytes_next_item(&pair, '=', &raw_name);
	const char *why = decode(question, raw_name, ' ', ret_name);
	if (why != NULL)
		return http_question_refuse(err, "query: ", raw_name, why);
	why = decode(question, pair, ' ', ret_value);
	return why == NULL || http_question_refuse(err, "", *ret_name, why);
}

const char *http_question_decode_path(struct http_question *question, struct bytes text,
				      struct bytes *ret_decoded)
{
	return decode(question, text, '+', ret_decoded);
}

/* Header names have no case, and clients and proxies change it: the attribute's is lower. */
const char *http_question_lower(struct http_question *question, struct bytes name,
				struct bytes *ret_lower)
{
	struct writer w = http_question_writer(question);

	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.data[i];
		writer_put_u8(&w, c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	http_question_keep(question, &w);
	*ret_lower = writer_bytes(&w);
	return w.full ? "too long" : NULL;
}
