#include "support/vector.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/writer.h"

static uint8_t digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (uint8_t)(c - 'a' + 10);
	fail_msg("'%c' is not a hexadecimal digit", c);
	return 0;
}

/* Puts the text between the quotes and returns the text behind them. */
static const char *put_quoted(struct writer *w, const char *notation)
{
	const char *end = strchr(notation, '\'');

	assert_non_null(end);
	writer_put(w, bytes_from(notation, (size_t)(end - notation)));
	return end + 1;
}

static void put_notation(struct writer *w, const char *notation)
{
	while (*notation != '\0') {
		if (*notation == ' ') {
			notation++;
		} else if (*notation == '\'') {
			notation = put_quoted(w, notation + 1);
		} else {
			writer_put_u8(
				w, (uint8_t)(digit_of(notation[0]) << 4 | digit_of(notation[1])));
			notation += 2;
		}
	}
}

void vector_append(struct vector *v, const char *notation, size_t times)
{
	struct writer w = writer_on(v->data, sizeof v->data);

	w.len = v->len;
	for (size_t i = 0; i < times; i++)
		put_notation(&w, notation);
	assert_false(w.full);
	v->len = w.len;
}

struct vector vector_of(const char *notation)
{
	struct vector v = {0};

	vector_append(&v, notation, 1);
	return v;
}

struct vector vector_frame(const char *notation)
{
	struct vector body = vector_of(notation);
	struct vector v = {0};
	struct writer w = writer_on(v.data, sizeof v.data);

	writer_put_u32_be(&w, (uint32_t)body.len);
	writer_put(&w, vector_bytes(&body));
	assert_false(w.full);
	v.len = w.len;
	return v;
}
