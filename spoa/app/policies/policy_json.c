#include "app/policies/policy_json.h"

#include <errno.h>
#include <float.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/json_reader.h"

static void refuse_at(const struct place *file, struct bytes text, size_t at, const char *what)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		column = text.data[i] == '\n' ? 1 : column + 1;
		line += text.data[i] == '\n';
	}
	(void)place_refuse(file, "line %zu, column %zu: %s", line, column, what);
}

/*
 * Whether a number, whose digits are so long, has so many that cJSON's double may have rounded it.
 * A whole one is exact as far as any is accepted, unless its exponent makes a decimal of it.
 */
static bool is_rounded(const char *number, size_t len)
{
	bool has_exponent = number[len] == 'e' || number[len] == 'E';
	size_t digits = 0;

	for (size_t i = 0; i < len; i++)
		digits += number[i] != '.' && (digits > 0 || number[i] != '0');
	return digits > DBL_DIG && (has_exponent || memchr(number, '.', len) != NULL);
}

/* Where the first such number begins; the length when there is none. */
static size_t find_rounded(struct bytes json)
{
	const char *text = (const char *)json.data;
	bool in_string = false;
	size_t at = 0;

	while (at < json.len) {
		size_t number = in_string ? 0 : strspn(text + at, "0123456789.");
		if (is_rounded(text + at, number))
			break;
		if (text[at] == '"')
			in_string = !in_string;
		else if (text[at] == '\\')
			at++; /* in a string, where it escapes the next */
		at += number > 0 ? number : 1;
	}
	return at;
}

struct cJSON *policy_json_parse(struct bytes text, const struct place *file)
{
	const char *end = NULL;
	size_t at;
	const char *fault = json_find_fault(text, &at);

	if (fault != NULL) {
		refuse_at(file, text, at, fault);
		return NULL;
	}
	at = find_rounded(text);
	if (at < text.len) {
		refuse_at(file, text, at,
			  "a decimal of more than 15 digits can't be kept exactly; write a rate as "
			  "a ratio, such as \"1000/1m\"");
		return NULL;
	}
	errno = 0;
	cJSON *root = cJSON_ParseWithLengthOpts((const char *)text.data, text.len + 1, &end, true);
	if (root == NULL && errno == ENOMEM) /* all that cJSON says is that it failed */
		(void)place_refuse(file, "out of memory");
	else if (root == NULL)
		refuse_at(file, text, (size_t)(end - (const char *)text.data),
			  "this number is too long");
	return root;
}
