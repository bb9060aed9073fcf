#include "app/option.h"

#include <string.h>

#include "app/policies/policy_text.h"
#include "base/did_you_mean.h"
#include "base/parse.h"

/* ---- what a row accepts, in words ---- */

/* "64k", "16m": in the largest unit that divides it. */
static void put_size(struct writer *w, uint64_t bytes)
{
	static const char *const units[] = {"", "k", "m", "g"};
	size_t unit = 0;

	for (; unit + 1 < ARRAY_SIZE(units) && bytes > 0 && bytes % 1024 == 0; unit++)
		bytes /= 1024;
	writer_put_unsigned(w, bytes);
	writer_put_text(w, units[unit]);
}

static void put_duration(struct writer *w, uint64_t us)
{
	if (us == 0)
		writer_put_text(w, "0s");
	else
		policy_text_put_duration(w, (int64_t)us);
}

static void put_range(struct writer *w, const struct option *option, const char *what,
		      void (*put)(struct writer *w, uint64_t value))
{
	writer_put_text(w, what);
	writer_put_text(w, " from ");
	put(w, option->min);
	writer_put_text(w, " to ");
	put(w, option->max);
}

/* "error, warn, info or debug" */
static void put_names(struct writer *w, const char *const *names)
{
	for (size_t i = 0; names[i] != NULL; i++) {
		if (i > 0)
			writer_put_text(w, names[i + 1] == NULL ? " or " : ", ");
		writer_put_text(w, names[i]);
	}
}

struct option_accepted option_accepted(const struct option *option)
{
	struct option_accepted accepted;
	struct writer w = writer_on(accepted.text, sizeof accepted.text);

	switch (option->kind) {
	case OPTION_OWN:
	case OPTION_TEXT:
		writer_put_text(&w, option->accepted);
		if (option->put_accepted != NULL)
			option->put_accepted(&w);
		break;
	case OPTION_EITHER:
	case OPTION_CHOICE:
		put_names(&w, option->names);
		break;
	case OPTION_NUMBER:
		put_range(&w, option, "a whole number", writer_put_unsigned);
		break;
	case OPTION_SIZE:
		put_range(&w, option, "a size", put_size);
		break;
	case OPTION_DURATION:
		put_range(&w, option, "a duration", put_duration);
		break;
	case OPTION_ADDRESSES:
		writer_put_text(&w, ADDRESS_ACCEPTED "; several with commas between; or off");
		break;
	case OPTION_MARK:
		writer_put_text(&w, "no value");
		break;
	}
	(void)writer_text(&w);
	return accepted;
}

/* ---- values ---- */

static bool read_number(const struct option *option, uint64_t *ret_number, struct bytes value)
{
	uint64_t number;

	if (!parse_whole(value, option->max, &number) || number < option->min)
		return false;
	*ret_number = number;
	return true;
}

static bool read_size(const struct option *option, uint64_t *ret_size, struct bytes value)
{
	uint64_t size;

	if (!parse_size(value, option->max, &size) || size < option->min)
		return false;
	*ret_size = size;
	return true;
}

static bool read_duration(const struct option *option, int64_t *ret_us, struct bytes value)
{
	int64_t us;

	if (!parse_duration(value, &us) || us < (int64_t)option->min || us > (int64_t)option->max)
		return false;
	*ret_us = us;
	return true;
}

/* The position of `value` among the names, or -1. */
static int find_choice(const char *const *names, const char *value)
{
	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(value, names[i]) == 0)
			return i;
	return -1;
}

static bool read_choice(const struct option *option, void *ret_enum, const char *value)
{
	int found = find_choice(option->names, value);

	if (found < 0)
		return false;
	memcpy(ret_enum, &found, sizeof found); /* no enum's own type is known here */
	return true;
}

static bool read_either(const struct option *option, bool *ret_is_second, const char *value)
{
	int found = find_choice(option->names, value);

	if (found < 0)
		return false;
	*ret_is_second = found == 1;
	return true;
}

static bool read_addresses(const struct option *option, struct address_list *ret_list,
			   const char *value, struct err *err)
{
	bool is_none = *value == '\0' && *option->fallback == '\0';

	if (is_none || strcmp(value, "off") == 0) {
		ret_list->count = 0;
		return true;
	}
	if (address_list_parse(bytes_from_text(value), ret_list, err))
		return true;
	struct err why = *err;
	return err_set(err, "%.450s, or off", why.text);
}

static bool read_text(const struct option *option, const char **ret_text, const char *value)
{
	*ret_text = *value == '\0' ? NULL : value;
	return *ret_text != NULL || option->fallback != NULL;
}

static bool read_value(const struct option *option, void *into, const char *value, struct err *err)
{
	void *field = (char *)into + option->offset;

	switch (option->kind) {
	case OPTION_OWN:
		return option->read(into, value, err);
	case OPTION_TEXT:
		return read_text(option, field, value);
	case OPTION_EITHER:
		return read_either(option, field, value);
	case OPTION_CHOICE:
		return read_choice(option, field, value);
	case OPTION_NUMBER:
		return read_number(option, field, bytes_from_text(value));
	case OPTION_SIZE:
		return read_size(option, field, bytes_from_text(value));
	case OPTION_DURATION:
		return read_duration(option, field, bytes_from_text(value));
	case OPTION_ADDRESSES:
		return read_addresses(option, field, value, err);
	case OPTION_MARK:
		*(bool *)field = true;
		return value == NULL;
	}
	return false;
}

bool option_read(const struct option *option, void *into, const char *value, const char *called,
		 struct err *err)
{
	err->text[0] = '\0';
	if (read_value(option, into, value, err))
		return true;
	if (err->text[0] != '\0')
		return err_at(err, "%s: ", called);
	return err_set(err, "%s: %s is not accepted; accepted is %s", called,
		       quoted(bytes_from_text(value)).text, option_accepted(option).text);
}

bool option_read_defaults(const struct option *table, void *into, struct err *err)
{
	for (const struct option *o = table; o->name != NULL; o++)
		if (o->fallback != NULL && !option_read(o, into, o->fallback, o->name, err))
			return false;
	return true;
}

/* ---- flags ---- */

static const struct option *find_flag(const struct option *table, struct bytes flag)
{
	if (!bytes_begin_with(flag, BYTES("--")))
		return NULL;
	for (const struct option *o = table; o->name != NULL; o++)
		if (bytes_equal(bytes_skip(flag, 2), bytes_from_text(o->name)))
			return o;
	return NULL;
}

bool option_takes_next(const struct option *table, const char *flag)
{
	const struct option *option = find_flag(table, bytes_from_text(flag));

	return option != NULL && option->kind != OPTION_MARK;
}

int option_read_flag(const struct option *table, void *into, char **args, struct err *err)
{
	size_t len = strcspn(args[0], "=");
	bool has_equals = args[0][len] == '=';
	const struct option *option = find_flag(table, bytes_from(args[0], len));
	const char *value = has_equals ? args[0] + len + 1 : NULL;
	char called[64];

	if (option == NULL)
		return 0;
	bool takes_next = !has_equals && option->kind != OPTION_MARK;
	if (takes_next && args[1] == NULL) {
		(void)err_set(err, "--%s: a value is missing; accepted is %s", option->name,
			      option_accepted(option).text);
		return -1;
	}
	snprintf(called, sizeof called, "--%s", option->name);
	if (!option_read(option, into, takes_next ? args[1] : value, called, err))
		return -1;
	return takes_next ? 2 : 1;
}

bool option_read_own_flags(const struct option *table, void *into, char **args, struct err *err)
{
	char **kept = args;

	if (!option_read_defaults(table, into, err))
		return false;
	while (*args != NULL) {
		int count = option_read_flag(table, into, args, err);
		if (count < 0)
			return false;
		if (count == 0)
			*kept++ = *args++;
		args += count;
	}
	*kept = NULL;
	return true;
}

/* ---- flags that are misspelt ---- */

#define NAMES_MAX 64

static size_t add_names(const char **names, size_t count, const struct option *table)
{
	for (const struct option *o = table; o != NULL && o->name != NULL; o++) {
		ASSERT(count < NAMES_MAX);
		names[count++] = o->name;
	}
	return count;
}

struct option_hint option_suggest_flag(struct bytes flag, const struct option *table,
				       const struct option *more)
{
	struct option_hint hint = {""};
	const char *names[NAMES_MAX];
	size_t count = add_names(names, add_names(names, 0, table), more);

	ASSERT(count < NAMES_MAX);
	names[count++] = "help"; /* which all commands have, and no table */

	while (flag.len > 0 && flag.data[0] == '-')
		flag = bytes_skip(flag, 1);
	const char *meant = find_meant(flag, names, count);
	if (meant != NULL)
		snprintf(hint.text, sizeof hint.text, " (did you mean --%s?)", meant);
	return hint;
}

/* ---- the help ---- */

static void print_row(const struct option *o, FILE *to)
{
	bool has_default = o->fallback != NULL && *o->fallback != '\0';

	if (o->kind == OPTION_MARK)
		fprintf(to, "  --%s\n      %s\n", o->name, o->meaning);
	else
		fprintf(to, "  --%s %s (default: %s)\n      %s\n      accepted: %s\n", o->name,
			o->metavar, has_default ? o->fallback : "none", o->meaning,
			option_accepted(o).text);
}

void option_print_table(const struct option *table, FILE *to)
{
	for (const struct option *o = table; o->name != NULL; o++)
		print_row(o, to);
}

void option_print_rows(const struct option *table, const char *const *names, FILE *to)
{
	for (const struct option *o = table; o->name != NULL; o++)
		if (find_choice(names, o->name) >= 0)
			print_row(o, to);
}
