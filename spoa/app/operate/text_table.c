#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "app/operate/command.h"
#include "base/parse.h"
#include "base/utf8.h"

/* ---- fields of an answer ---- */

struct json_value answer_field(struct json_value object, const char *name)
{
	struct json_value field, value;

	if (object.kind != JSON_OBJECT)
		return (struct json_value){.kind = JSON_NULL};
	while (json_next_field(&object, &field, &value))
		if (bytes_equal(field.text, bytes_from_text(name)))
			return value;
	return (struct json_value){.kind = JSON_NULL};
}

int64_t answer_number(struct json_value object, const char *name)
{
	struct json_value value = answer_field(object, name);
	char digits[24];

	snprintf(digits, sizeof digits, "%.*s", (int)(value.text.len < 23 ? value.text.len : 23),
		 value.kind == JSON_NUMBER ? (const char *)value.text.data : "0");
	return strtoll(digits, NULL, 10);
}

bool answer_is_true(struct json_value object, const char *name)
{
	return answer_field(object, name).kind == JSON_TRUE;
}

/* A terminal obeys control characters: those of ASCII, and those of C1, which UTF-8 has as C2 80 to
 * C2 9F. */
static bool is_control(struct bytes text, size_t at, bool is_utf8)
{
	uint8_t c = text.data[at];

	if (c < ' ' || c == 0x7f || (c >= 0x80 && !is_utf8))
		return true;
	if (c == 0xc2 && at + 1 < text.len)
		return text.data[at + 1] < 0xa0;
	return at > 0 && text.data[at - 1] == 0xc2 && c < 0xa0;
}

/* Into `to`, which has room for 4 characters a byte. Returns the length. */
static size_t make_plain(struct bytes text, char *to)
{
	bool is_utf8 = utf8_is_good(text);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (is_control(text, i, is_utf8))
			len += (size_t)sprintf(to + len, "\\x%02x", text.data[i]);
		else
			to[len++] = (char)text.data[i];
	}
	to[len] = '\0';
	return len;
}

/* From malloc; NULL when there is no text, or no memory. */
static char *plain_string(struct json_value value)
{
	if (value.kind != JSON_STRING)
		return NULL;
	char *decoded = malloc(value.text.len + 1), *plain = NULL;
	if (decoded != NULL) {
		struct writer memory = writer_on(decoded, value.text.len);
		struct bytes text = json_string(&value, &memory);
		plain = malloc(4 * text.len + 1);
		if (plain != NULL)
			(void)make_plain(text, plain);
	}
	free(decoded);
	return plain;
}

static char *plain_text(struct json_value object, const char *name)
{
	return plain_string(answer_field(object, name));
}

void answer_print_string(struct json_value value, FILE *to)
{
	char *text = plain_string(value);

	fputs(text == NULL ? "-" : text, to);
	free(text);
}

void answer_print_text(struct json_value object, const char *name, FILE *to)
{
	answer_print_string(answer_field(object, name), to);
}

/* ---- a table ---- */

struct text_table {
	size_t columns;
	size_t count;
	char **cells;
};

struct text_table *text_table_new(size_t columns)
{
	struct text_table *table = calloc(1, sizeof *table);

	if (table == NULL)
		abort(); /* a command that has no memory for its answer has nothing else to do */
	table->columns = columns;
	return table;
}

static void add_cell(struct text_table *table, char *cell)
{
	char **larger = realloc(table->cells, (table->count + 1) * sizeof *larger);

	if (larger == NULL || cell == NULL)
		abort();
	table->cells = larger;
	table->cells[table->count++] = cell;
}

void text_table_add(struct text_table *table, const char *format, ...)
{
	char text[CELL_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	add_cell(table, strdup(text));
}

void text_table_add_text(struct text_table *table, struct json_value object, const char *name)
{
	char *text = plain_text(object, name);

	add_cell(table, text == NULL ? strdup("-") : text);
}

void text_table_add_bytes(struct text_table *table, struct bytes text)
{
	char *plain = malloc(4 * text.len + 1);

	if (plain != NULL)
		(void)make_plain(text, plain);
	add_cell(table, plain);
}

void text_table_add_number(struct text_table *table, struct json_value object, const char *name)
{
	if (answer_field(object, name).kind == JSON_NULL)
		text_table_add(table, "-");
	else
		text_table_add(table, "%lld", (long long)answer_number(object, name));
}

void text_table_add_ms(struct text_table *table, struct json_value object, const char *name)
{
	long long ms = answer_number(object, name), s = (ms + 999) / 1000;

	if (answer_field(object, name).kind == JSON_NULL)
		text_table_add(table, "-");
	else if (ms < 0)
		text_table_add(table, "never");
	else if (ms == 0)
		text_table_add(table, "now");
	else if (ms < 1000)
		text_table_add(table, "%lldms", ms);
	else if (ms < 60000)
		text_table_add(table, "%lld.%llds", ms / 1000, ms / 100 % 10);
	else if (s < 3600)
		text_table_add(table, "%lldm %llds", s / 60, s % 60);
	else
		text_table_add(table, "%lldh %lldm", s / 3600, s / 60 % 60);
}

/* Characters and not bytes: those of a UTF-8 character behind its first are not counted. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static size_t widest(const struct text_table *table, size_t column)
{
	size_t max = 0;

	for (size_t i = column; i < table->count; i += table->columns) {
		size_t width = width_of(table->cells[i]);
		max = width > max ? width : max;
	}
	return max;
}

void text_table_print(struct text_table *table, FILE *to)
{
	size_t *widths = calloc(table->columns, sizeof *widths);

	for (size_t i = 0; widths != NULL && i < table->columns; i++)
		widths[i] = widest(table, i);
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		bool is_last = column + 1 == table->columns;
		fputs(table->cells[i], to);
		for (size_t k = width_of(table->cells[i]);
		     widths != NULL && !is_last && k < widths[column] + 2; k++)
			fputc(' ', to);
		if (is_last)
			fputc('\n', to);
	}
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(widths);
	free(table);
}
