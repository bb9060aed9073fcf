#include "app/replay/line_field.h"

#include "base/compiler.h"
#include "base/parse.h"

/* ---- variables ---- */

#define NAME(text)                                     \
	{                                              \
		(const uint8_t *)text, sizeof text - 1 \
	}

static const struct {
	struct bytes alias;
	enum line_shape shape;
	enum line_meaning meaning;
	struct bytes attribute;
	bool has_escapes;
} variables[] = {
#define SKIP(alias, shape)                                        \
	{                                                         \
		NAME(alias), shape, LINE_NOTHING, NAME(""), false \
	}
#define TIME(alias, shape, meaning)                          \
	{                                                    \
		NAME(alias), shape, meaning, NAME(""), false \
	}
#define TEXT(alias, shape, meaning, attribute)                      \
	{                                                           \
		NAME(alias), shape, meaning, NAME(attribute), false \
	}
#define ESCAPED(alias, shape, meaning, attribute)                  \
	{                                                          \
		NAME(alias), shape, meaning, NAME(attribute), true \
	}
	SKIP("B", LINE_NUMBER),
	SKIP("CC", LINE_COOKIE),
	SKIP("CS", LINE_COOKIE),
	SKIP("H", LINE_WORD),
	ESCAPED("HM", LINE_WORD, LINE_METHOD, "method"),
	ESCAPED("HP", LINE_TEXT, LINE_PATH, "path"),
	ESCAPED("HPO", LINE_TEXT, LINE_PATH, "path"),
	ESCAPED("HQ", LINE_TEXT, LINE_QUERY, "query"),
	ESCAPED("HU", LINE_TEXT, LINE_URI, "path"),
	SKIP("HV", LINE_WORD),
	SKIP("ID", LINE_TEXT),
	TEXT("ST", LINE_NUMBER, LINE_NAMED, "status"),
	TIME("T", LINE_DATE, LINE_AT_CONNECTION),
	SKIP("TR", LINE_NUMBER),
	TIME("Ta", LINE_NUMBER, LINE_TOOK),
	SKIP("Tc", LINE_NUMBER),
	SKIP("Td", LINE_NUMBER),
	SKIP("Th", LINE_NUMBER),
	SKIP("Ti", LINE_NUMBER),
	TIME("Tl", LINE_DATE, LINE_AT_CONNECTION),
	SKIP("Tq", LINE_NUMBER),
	SKIP("Tr", LINE_NUMBER),
	TIME("Ts", LINE_NUMBER, LINE_AT_CONNECTION_S),
	TIME("Tt", LINE_NUMBER, LINE_TOOK),
	SKIP("Tu", LINE_NUMBER),
	SKIP("Tw", LINE_NUMBER),
	SKIP("U", LINE_NUMBER),
	SKIP("ac", LINE_NUMBER),
	TEXT("b", LINE_WORD, LINE_NAMED, "backend"),
	SKIP("bc", LINE_NUMBER),
	SKIP("bi", LINE_WORD),
	SKIP("bp", LINE_NUMBER),
	SKIP("bq", LINE_NUMBER),
	TEXT("ci", LINE_WORD, LINE_SRC, "src"),
	SKIP("cp", LINE_NUMBER),
	TEXT("f", LINE_WORD, LINE_FRONTEND, "frontend"),
	SKIP("fc", LINE_NUMBER),
	SKIP("fi", LINE_WORD),
	SKIP("fp", LINE_NUMBER),
	TEXT("ft", LINE_WORD, LINE_FRONTEND, "frontend"),
	TIME("hr", LINE_BRACES, LINE_CAPTURED),
	TIME("hrl", LINE_QUOTED_LIST, LINE_CAPTURED),
	SKIP("hs", LINE_BRACES),
	SKIP("hsl", LINE_QUOTED_LIST),
	SKIP("lc", LINE_NUMBER),
	TIME("ms", LINE_NUMBER, LINE_MS),
	SKIP("pid", LINE_NUMBER),
	ESCAPED("r", LINE_TEXT, LINE_REQUEST, "path"),
	SKIP("rc", LINE_NUMBER),
	SKIP("rt", LINE_NUMBER),
	TEXT("s", LINE_WORD, LINE_NAMED, "server"),
	SKIP("sc", LINE_NUMBER),
	SKIP("si", LINE_WORD),
	SKIP("sp", LINE_NUMBER),
	SKIP("sq", LINE_NUMBER),
	SKIP("sslc", LINE_WORD),
	SKIP("sslv", LINE_WORD),
	TIME("t", LINE_DATE, LINE_AT_CONNECTION),
	TIME("tr", LINE_DATE, LINE_AT_REQUEST),
	TIME("trg", LINE_DATE, LINE_AT_REQUEST),
	TIME("trl", LINE_DATE, LINE_AT_REQUEST),
	SKIP("ts", LINE_STATE_2),
	SKIP("tsc", LINE_STATE_4),
#undef SKIP
#undef TIME
#undef TEXT
#undef ESCAPED
};

bool line_field_find(struct bytes name, struct line_field *ret_field)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		if (!bytes_equal(variables[i].alias, name))
			continue;
		*ret_field = (struct line_field){
			.shape = variables[i].shape,
			.meaning = variables[i].meaning,
			.name = variables[i].attribute,
			.has_escapes = variables[i].has_escapes,
		};
		return true;
	}
	return false;
}

/* ---- expressions ---- */

static const struct {
	struct bytes fetch;
	enum line_shape shape;
	enum line_meaning meaning;
	struct bytes attribute;
} fetches[] = {
#define ROW(fetch, shape, meaning, name)                \
	{                                               \
		NAME(fetch), shape, meaning, NAME(name) \
	}
	ROW("src", LINE_WORD, LINE_SRC, "src"),
	ROW("method", LINE_WORD, LINE_METHOD, "method"),
	ROW("path", LINE_TEXT, LINE_PATH, "path"),
	ROW("pathq", LINE_TEXT, LINE_URI, "path"),
	ROW("url", LINE_TEXT, LINE_URI, "path"),
	ROW("query", LINE_TEXT, LINE_QUERY, "query"),
	ROW("base", LINE_TEXT, LINE_BASE, "path"),
	ROW("capture.req.method", LINE_WORD, LINE_METHOD, "method"),
	ROW("capture.req.uri", LINE_TEXT, LINE_URI, "path"),
	ROW("date(0,ms)", LINE_NUMBER, LINE_AT_NOW, ""),
	ROW("accept_date(ms)", LINE_NUMBER, LINE_AT_CONNECTION_MS, ""),
	ROW("request_date(ms)", LINE_NUMBER, LINE_AT_REQUEST_MS, ""),
#undef ROW
};

/* What stands between "name(" and ")" at the begin of the text. */
static bool read_argument(struct bytes text, struct bytes name, struct bytes *ret_argument)
{
	if (!bytes_begin_with(text, name))
		return false;
	text = bytes_skip(text, name.len);
	const uint8_t *end = text.len > 0 ? memchr(text.data, ')', text.len) : NULL;
	if (end == NULL)
		return false;
	*ret_argument = bytes_trim(bytes_from(text.data, (size_t)(end - text.data)));
	return true;
}

/* "txn.path" is the attribute `path`. What the agent answered, "txn.rl.reason", is none. */
static struct line_field field_of_variable(struct bytes variable)
{
	struct line_field field = {.shape = LINE_TEXT};
	struct bytes scope, name;

	if (!bytes_next_item(&variable, '.', &scope) || !bytes_next_item(&variable, '.', &name) ||
	    variable.data != NULL || name.len == 0)
		return field;
	field.meaning = LINE_NAMED;
	field.name = name;
	if (bytes_equal(name, BYTES("at_ms")))
		field = (struct line_field){.shape = LINE_NUMBER, .meaning = LINE_AT_REQUEST_MS};
	else if (bytes_equal(name, BYTES("base")))
		field = (struct line_field){.shape = LINE_TEXT, .meaning = LINE_BASE};
	return field;
}

/* The fetch is what stands before the first converter, with its arguments. */
static struct bytes fetch_of(struct bytes text)
{
	size_t depth = 0;

	for (size_t i = 0; i < text.len; i++) {
		depth += text.data[i] == '(';
		depth -= text.data[i] == ')' && depth > 0;
		if (text.data[i] == ',' && depth == 0)
			return bytes_trim(bytes_from(text.data, i));
	}
	return bytes_trim(text);
}

struct line_field line_field_of_expression(struct bytes text)
{
	struct bytes fetch = fetch_of(text), argument;
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(fetches); i++)
		if (bytes_equal(fetch, fetches[i].fetch))
			return (struct line_field){.shape = fetches[i].shape,
						   .meaning = fetches[i].meaning,
						   .name = fetches[i].attribute};
	if (read_argument(fetch, BYTES("var("), &argument))
		return field_of_variable(argument);
	if (read_argument(fetch, BYTES("capture.req.hdr("), &argument) &&
	    parse_whole(argument, 1000, &number))
		return (struct line_field){
			.shape = LINE_TEXT, .meaning = LINE_CAPTURE, .capture = number};
	return (struct line_field){.shape = LINE_TEXT, .is_unknown = true};
}
