#include "app/policies/policy_values.h"

#include <sodium.h>
#include <string.h>

#include "app/policies/policy_text.h"
#include "base/clock.h"
#include "base/did_you_mean.h"
#include "base/writer.h"
#include "limit/quota.h"

#define ACCEPTED_MAX 256 /* the names of all algorithms */

/* ---- the walk ---- */

/*
 * The fingerprint so far and the kind are the key of the next hash, so that the result depends on
 * the order too. Kinds above those of JSON: the name of a field, a number as a ratio, the end of a
 * list or an object, what a list file says.
 */
enum { FOLD_NAME = JSON_OBJECT + 1, FOLD_RATIO, FOLD_END, FOLD_FILE };

static void fold(struct policy_source *source, uint64_t kind, struct bytes text)
{
	const uint64_t key[] = {source->fingerprint, kind};

	_Static_assert(sizeof key == crypto_shorthash_KEYBYTES, "all of the key");
	_Static_assert(sizeof source->fingerprint == crypto_shorthash_BYTES, "all of the hash");
	crypto_shorthash((uint8_t *)&source->fingerprint, text.data, text.len,
			 (const uint8_t *)key);
}

void policy_source_fold_file(struct policy_source *source, uint64_t fingerprint)
{
	fold(source, FOLD_FILE, bytes_from(&fingerprint, sizeof fingerprint));
}

static void fold_value(const struct policy_value *value)
{
	bool is_container = value->kind == JSON_ARRAY || value->kind == JSON_OBJECT;
	struct ratio ratio;

	if (value->kind == JSON_NUMBER && parse_decimal(value->text, &ratio))
		fold(value->source, FOLD_RATIO, bytes_from(&ratio, sizeof ratio));
	else
		fold(value->source, value->kind, is_container ? BYTES("") : value->text);
}

static struct policy_value value_from(const struct json_value *json, struct place place,
				      struct policy_source *source)
{
	return (struct policy_value){
		.is_given = true,
		.kind = json->kind,
		.text = json->kind == JSON_STRING ? json_string(json, &source->strings)
						  : json->text,
		.place = place,
		.source = source,
	};
}

struct policy_value policy_value_root(const struct json_value *root, struct policy_source *source,
				      struct problems *problems)
{
	return value_from(root, place_of_file(problems), source);
}

struct policy_walk policy_walk_in(const struct policy_value *in)
{
	return (struct policy_walk){.in = in, .rest = {in->kind, in->text}};
}

static bool walk_fields(struct policy_walk *walk, struct policy_value *ret_value)
{
	struct policy_source *source = walk->in->source;
	struct json_value name, json;

	if (!json_next_field(&walk->rest, &name, &json))
		return false;
	struct bytes text = json_string(&name, &source->strings);
	fold(source, FOLD_NAME, text);
	*ret_value = value_from(&json, place_of_field(&walk->in->place, text), source);
	return true;
}

static bool walk_items(struct policy_walk *walk, struct policy_value *ret_value)
{
	struct json_value json;

	if (!json_next_item(&walk->rest, &json))
		return false;
	*ret_value =
		value_from(&json, place_of_item(&walk->in->place, walk->index++), walk->in->source);
	return true;
}

bool policy_walk_next(struct policy_walk *walk, struct policy_value *ret_value)
{
	bool has_next = walk->in->kind == JSON_OBJECT ? walk_fields(walk, ret_value)
						      : walk_items(walk, ret_value);

	if (has_next)
		fold_value(ret_value);
	else
		fold(walk->in->source, FOLD_END, BYTES(""));
	return has_next;
}

bool policy_value_is_empty(const struct policy_value *value)
{
	struct json_value rest = {value->kind, value->text}, name, json;

	return value->kind == JSON_OBJECT ? !json_next_field(&rest, &name, &json)
					  : !json_next_item(&rest, &json);
}

/* ---- messages ---- */

/* Digits and `.eE+-`, which need no quotes. */
static struct quoted number_shown(struct bytes number)
{
	struct quoted shown;
	struct writer w = writer_on(shown.text, sizeof shown.text);

	if (number.len < sizeof shown.text) {
		writer_put(&w, number);
	} else {
		writer_put(&w, bytes_from(number.data, sizeof shown.text - sizeof "..."));
		writer_put_text(&w, "...");
	}
	(void)writer_text(&w);
	return shown;
}

struct quoted policy_value_shown(const struct policy_value *value)
{
	static const char *const kinds[] = {
		[JSON_NULL] = "null",    [JSON_FALSE] = "false",      [JSON_TRUE] = "true",
		[JSON_ARRAY] = "a list", [JSON_OBJECT] = "an object",
	};
	struct quoted shown = {""};

	if (problems_are_full(value->place.problems))
		return shown; /* the message is only counted */
	if (value->kind == JSON_STRING)
		return quoted(value->text);
	if (value->kind == JSON_NUMBER)
		return number_shown(value->text);
	strcpy(shown.text, kinds[value->kind]);
	return shown;
}

static struct hint suggest_word(const struct policy_value *value, const char *const *words,
				size_t count)
{
	return did_you_mean(value->kind == JSON_STRING ? value->text : BYTES(""), words, count);
}

/* ---- words ---- */

/* "a, b and c" */
static const char *enumerate_words(const char *const *names, size_t count,
				   char memory[ACCEPTED_MAX])
{
	struct writer w = writer_on(memory, ACCEPTED_MAX);

	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			writer_put_text(&w, i + 1 < count ? ", " : " and ");
		writer_put_text(&w, names[i]);
	}
	ASSERT(!w.full);
	return writer_text(&w);
}

bool policy_value_algorithm(const struct policy_value *value, enum algorithm *ret_algorithm)
{
	const char *names[ALGORITHM_COUNT];
	char accepted[ACCEPTED_MAX];

	for (size_t i = 0; i < ALGORITHM_COUNT; i++)
		names[i] = algorithm_name((enum algorithm)i);
	if (value->kind == JSON_STRING && algorithm_find(value->text, ret_algorithm))
		return true;
	return place_refuse(&value->place, "%s is unknown%s; accepted are %s",
			    policy_value_shown(value).text,
			    suggest_word(value, names, ARRAY_SIZE(names)).text,
			    enumerate_words(names, ARRAY_SIZE(names), accepted));
}

void policy_value_set_on_error(const struct policy_value *value, enum on_error *on_error)
{
	static const enum on_error all[] = {ON_ERROR_ALLOW, ON_ERROR_DENY, ON_ERROR_LOCAL};
	const char *names[ARRAY_SIZE(all)];

	if (!value->is_given)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		names[i] = on_error_names[all[i]];
		if (value->kind == JSON_STRING &&
		    bytes_equal(value->text, bytes_from_text(names[i]))) {
			*on_error = all[i];
			return;
		}
	}
	(void)place_refuse(&value->place, "%s is unknown%s; accepted are allow, deny and local",
			   policy_value_shown(value).text,
			   suggest_word(value, names, ARRAY_SIZE(names)).text);
}

void policy_value_set_bool(const struct policy_value *value, bool *fact)
{
	if (!value->is_given)
		return;
	if (value->kind == JSON_TRUE || value->kind == JSON_FALSE)
		*fact = value->kind == JSON_TRUE;
	else
		(void)place_refuse(&value->place, "%s is neither true nor false",
				   policy_value_shown(value).text);
}

/* ---- numbers ---- */

/* Takes digits off the front of a text, at most `max` of them, and returns how many there were. */
static unsigned cut_digits(struct bytes *text, unsigned max, unsigned *number)
{
	unsigned count = 0;

	for (; count < max && count < text->len; count++) {
		uint8_t byte = text->data[count];
		if (byte < '0' || byte > '9')
			break;
		*number = 10 * *number + (unsigned)(byte - '0');
	}
	*text = bytes_skip(*text, count);
	return count;
}

/* "90%", "0.5%": as parts of SHADOW_SHARE_ALL, which has four digits behind the point. */
static bool read_share(struct bytes text, unsigned *ret_share)
{
	unsigned number = 0, decimals = 0;
	bool begins_with_zero = bytes_begin_with(text, BYTES("0"));
	unsigned digits = cut_digits(&text, 3, &number);

	if (digits == 0 || (begins_with_zero && digits > 1))
		return false;
	if (bytes_begin_with(text, BYTES("."))) {
		text = bytes_skip(text, 1);
		decimals = cut_digits(&text, 4, &number);
		if (decimals == 0)
			return false;
	}
	for (; decimals < 4; decimals++)
		number *= 10;
	if (number > SHADOW_SHARE_ALL || !bytes_equal(text, BYTES("%")))
		return false;
	*ret_share = number;
	return true;
}

void policy_value_set_shadow(const struct policy_value *value, struct terms *terms)
{
	unsigned share = 0;

	if (!value->is_given)
		return;
	if (value->kind == JSON_TRUE)
		share = SHADOW_SHARE_ALL;
	else if (value->kind != JSON_FALSE &&
		 (value->kind != JSON_STRING || !read_share(value->text, &share))) {
		(void)place_refuse(&value->place,
				   "%s is neither true nor false nor a share of the keys such as "
				   "\"90%%\" (from 0%% to 100%%, with at most 4 decimals)",
				   policy_value_shown(value).text);
		return;
	}
	terms->is_shadow = share == SHADOW_SHARE_ALL;
	terms->shadow_share = terms->is_shadow ? 0 : share;
}

/* Reads 0 or a positive whole number, however it is written: 10, 10.0 or 1e1. */
static bool read_whole(const struct policy_value *value, int64_t min, int64_t max,
		       int64_t *ret_number)
{
	struct ratio ratio;

	if (value->kind != JSON_NUMBER || !parse_decimal_or_zero(value->text, &ratio))
		return false;
	if (ratio.den != 1 || ratio.num < min || ratio.num > max)
		return false;
	*ret_number = ratio.num;
	return true;
}

bool policy_value_units(const struct policy_value *value, int64_t *ret_units)
{
	if (!read_whole(value, 1, QUOTA_UNITS_MAX, ret_units))
		return place_refuse(&value->place,
				    "%s is not a whole number from 1 to %lld, the most that a "
				    "RateLimit field can say",
				    policy_value_shown(value).text, (long long)QUOTA_UNITS_MAX);
	return true;
}

void policy_value_set_prefix(const struct policy_value *value, unsigned max, unsigned *prefix)
{
	int64_t bits;

	if (!value->is_given)
		return;
	if (read_whole(value, 0, max, &bits))
		*prefix = (unsigned)bits;
	else
		(void)place_refuse(&value->place, "%s is not a number of bits from 0 to %u",
				   policy_value_shown(value).text, max);
}

/* ---- rates and durations: numbers, or texts with a unit ---- */

/* A decimal above 0 that is refused only because it has too many digits for struct ratio. */
static bool has_too_many_digits(const struct policy_value *value)
{
	struct bytes number = value->text;
	size_t digits = 0;

	if (value->kind != JSON_NUMBER || number.data[0] == '-')
		return false;
	for (size_t i = 0; i < number.len && (number.data[i] | 0x20) != 'e'; i++)
		digits += number.data[i] != '.' && (digits > 0 || number.data[i] != '0');
	return digits > 15;
}

bool policy_value_refill_rate(const struct policy_value *value, struct ratio *ret_tokens_per_us)
{
	if ((value->kind == JSON_STRING || value->kind == JSON_NUMBER) &&
	    refill_rate_parse(value->text, ret_tokens_per_us))
		return true;
	if (has_too_many_digits(value))
		return place_refuse(&value->place,
				    "%s has too many digits to be kept exactly; write a ratio, "
				    "such as \"1000/1m\"",
				    policy_value_shown(value).text);
	return place_refuse(
		&value->place,
		"%s is not a rate; accepted are tokens per second above 0, or a ratio such as "
		"\"1000/1m\"",
		policy_value_shown(value).text);
}

static bool read_seconds(struct bytes number, int64_t *ret_us)
{
	struct ratio seconds;

	if (!parse_decimal(number, &seconds) ||
	    !ratio_multiply(seconds, (struct ratio){US_PER_SECOND, 1}, &seconds) ||
	    seconds.den != 1)
		return false;
	*ret_us = seconds.num;
	return true;
}

bool policy_value_window(const struct policy_value *value, int64_t *ret_us)
{
	if ((value->kind == JSON_STRING && parse_duration(value->text, ret_us)) ||
	    (value->kind == JSON_NUMBER && read_seconds(value->text, ret_us)))
		return true;
	return place_refuse(&value->place,
			    "%s is not a duration; accepted are such as \"500ms\", \"1m\", "
			    "\"1d\", or a number of seconds",
			    policy_value_shown(value).text);
}

/* ---- names of attributes ---- */

bool policy_value_attribute_name(struct bytes name, const struct place *place)
{
	if (name.len == 0)
		return place_refuse(place, "\"\" is not the name of an attribute");
	if (attribute_name_is_reserved(name))
		return place_refuse(place,
				    "%s is a reserved name; requests have no attribute of that "
				    "name",
				    quoted(name).text);
	return true;
}

bool policy_value_attribute(const struct policy_value *value, struct bytes *ret_name)
{
	if (value->kind != JSON_STRING)
		return place_refuse(&value->place, "%s is not the name of an attribute",
				    policy_value_shown(value).text);
	*ret_name = value->text;
	return policy_value_attribute_name(*ret_name, &value->place);
}
