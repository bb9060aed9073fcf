#include "limit/reserved.h"

#include "base/clock.h"

const char reserved_inexact[] =
	"capacity and refill_rate, or limit and window, can't be kept exactly; "
	"write a ratio of small numbers, such as 1000/1m";

/* The arguments as they came; NULL for what is absent. */
struct arguments {
	const struct value *policy, *key, *cost, *algorithm;
	const struct value *capacity, *refill_rate, *limit, *window;
};

/* The numbers of an inline policy; 0 for what is absent. */
struct numbers {
	int64_t capacity;
	struct ratio tokens_per_us;
	int64_t limit;
	int64_t window_us;
};

static const struct value **argument_named(struct arguments *a, struct bytes name)
{
	/* Told apart by length first: this is asked of every attribute of every request. */
	switch (name.len) {
	case 3:
		return bytes_equal(name, BYTES("key")) ? &a->key : NULL;
	case 4:
		return bytes_equal(name, BYTES("cost")) ? &a->cost : NULL;
	case 5:
		return bytes_equal(name, BYTES("limit")) ? &a->limit : NULL;
	case 6:
		if (bytes_equal(name, BYTES("window")))
			return &a->window;
		return bytes_equal(name, BYTES("policy")) ? &a->policy : NULL;
	case 8:
		return bytes_equal(name, BYTES("capacity")) ? &a->capacity : NULL;
	case 9:
		return bytes_equal(name, BYTES("algorithm")) ? &a->algorithm : NULL;
	case 11:
		return bytes_equal(name, BYTES("refill_rate")) ? &a->refill_rate : NULL;
	}
	return NULL;
}

bool attribute_name_is_reserved(struct bytes name)
{
	struct arguments unused;

	return argument_named(&unused, name) != NULL;
}

/* False when there are none, as in most requests. */
static bool find_arguments(const struct attributes *attributes, struct arguments *ret_arguments)
{
	struct arguments arguments = {0};
	bool has_any = false;

	for (size_t i = 0; i < attributes->count; i++) {
		const struct attribute *attribute = &attributes->items[i];
		const struct value **argument = argument_named(&arguments, attribute->name);
		if (argument == NULL)
			continue;
		*argument = attribute->value.kind == VALUE_ABSENT ? NULL : &attribute->value;
		has_any = true;
	}
	if (has_any)
		*ret_arguments = arguments;
	return has_any;
}

/* NULL, or what is wrong. */
static const char *read_refill_rate(const struct value *value, struct ratio *ret_tokens_per_us)
{
	bool is_text = value->kind == VALUE_TEXT;

	if (is_text && refill_rate_parse(value->text, ret_tokens_per_us))
		return NULL;
	if (is_text ? !refill_rate_is_written(value->text)
		    : value->kind != VALUE_NATURAL || value->natural == 0)
		return "refill_rate is not a rate";
	if (is_text || value->natural > INT64_MAX ||
	    !ratio_multiply((struct ratio){(int64_t)value->natural, 1},
			    (struct ratio){1, US_PER_SECOND}, ret_tokens_per_us))
		return reserved_inexact;
	return NULL;
}

/* A duration as text, or a number of seconds in either form. */
static bool read_duration(const struct value *value, int64_t *ret_us)
{
	struct ratio seconds = {0, 1};

	if (value->kind == VALUE_TEXT && parse_duration(value->text, ret_us))
		return true;
	if (value->kind == VALUE_NATURAL && value->natural > 0 && value->natural <= INT64_MAX)
		seconds.num = (int64_t)value->natural;
	else if (value->kind != VALUE_TEXT || !parse_decimal(value->text, &seconds))
		return false;
	if (!ratio_multiply(seconds, (struct ratio){US_PER_SECOND, 1}, &seconds) ||
	    seconds.den != 1)
		return false;
	*ret_us = seconds.num;
	return true;
}

static bool read_window(const struct value *value, int64_t *ret_us)
{
	int64_t us;

	if (!read_duration(value, &us) || us < QUOTA_WINDOW_MIN_US || us > QUOTA_WINDOW_MAX_US)
		return false;
	*ret_us = us;
	return true;
}

/* What an inline policy may have is what a policy of the file may have. */
#define UNITS_ACCEPTED           "is not a whole number from 1 to " IN_TEXT(QUOTA_UNITS_MAX)
#define IN_TEXT(number)          IN_TEXT_EXPANDED(number)
#define IN_TEXT_EXPANDED(number) #number

static bool read_units(const struct value *value, int64_t *ret_units)
{
	int64_t units;

	if (!value_to_whole(value, 1, &units) || units > QUOTA_UNITS_MAX)
		return false;
	*ret_units = units;
	return true;
}

static const char *read_numbers(const struct arguments *a, struct numbers *numbers)
{
	if (a->capacity != NULL && !read_units(a->capacity, &numbers->capacity))
		return "capacity " UNITS_ACCEPTED;
	if (a->limit != NULL && !read_units(a->limit, &numbers->limit))
		return "limit " UNITS_ACCEPTED;
	if (a->window != NULL && !read_window(a->window, &numbers->window_us))
		return "window is not a duration from 1ms to 3650d";
	if (a->refill_rate == NULL)
		return NULL;
	return read_refill_rate(a->refill_rate, &numbers->tokens_per_us);
}

static const char *read_quota(const struct arguments *a, const struct numbers *numbers,
			      struct quota *quota)
{
	enum algorithm algorithm;
	struct err err;

	if (a->algorithm->kind != VALUE_TEXT || !algorithm_find(a->algorithm->text, &algorithm))
		return "unknown algorithm";
	if (algorithm_traits(algorithm)->is_by_rate) {
		if (a->capacity == NULL || a->refill_rate == NULL)
			return "this algorithm needs capacity and refill_rate";
		if (!quota_set_bucket(quota, algorithm, numbers->capacity, numbers->tokens_per_us,
				      &err))
			return reserved_inexact;
		return NULL;
	}
	if (a->limit == NULL || a->window == NULL)
		return "this algorithm needs limit and window";
	if (quota_set_window(quota, algorithm, numbers->limit, numbers->window_us, &err))
		return NULL;
	int64_t limit_max = algorithm_traits(algorithm)->limit_max;
	bool is_above = limit_max > 0 && numbers->limit > limit_max;
	return is_above ? "limit is too large" : reserved_inexact;
}

static const char *read_arguments(const struct arguments *a, struct reserved *reserved)
{
	struct numbers numbers = {0};
	const char *why;

	if (a->policy != NULL && a->policy->kind != VALUE_TEXT)
		return "policy is not a string";
	if (a->cost != NULL && !value_to_whole(a->cost, 0, &reserved->cost))
		return "cost is not a whole number from 0 on";
	why = read_numbers(a, &numbers);
	if (why == NULL && a->algorithm != NULL)
		why = read_quota(a, &numbers, &reserved->quota);
	if (why != NULL)
		return why;
	if (a->policy != NULL && a->algorithm != NULL)
		return "policy together with algorithm";
	if (a->key != NULL && a->policy == NULL && a->algorithm == NULL)
		return "key with neither policy nor algorithm";
	if (a->key == NULL && a->algorithm != NULL)
		return "an inline policy needs key";
	return NULL;
}

bool reserved_read(const struct attributes *attributes, struct reserved *ret_reserved,
		   const char **ret_why)
{
	struct arguments arguments;

	if (!find_arguments(attributes, &arguments)) {
		*ret_reserved = (struct reserved){.cost = 1};
		return true;
	}
	struct reserved reserved = {
		.has_policy = arguments.policy != NULL,
		.key = arguments.key,
		.cost = 1,
		.has_algorithm = arguments.algorithm != NULL,
	};
	const char *why = read_arguments(&arguments, &reserved);

	if (why != NULL) {
		*ret_why = why;
		return false;
	}
	if (reserved.has_policy)
		reserved.policy = arguments.policy->text;
	*ret_reserved = reserved;
	return true;
}
