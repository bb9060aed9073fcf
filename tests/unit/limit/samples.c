#include "samples.h"

#include <arpa/inet.h>
#include <string.h>

#include "support/test.h"

struct attribute text(const char *name, const char *value)
{
	return (struct attribute){bytes_from_text(name), value_text(bytes_from_text(value))};
}

struct attribute number(const char *name, int64_t value)
{
	return (struct attribute){bytes_from_text(name), value_integer(value)};
}

struct attribute natural(const char *name, uint64_t value)
{
	return (struct attribute){bytes_from_text(name), {.kind = VALUE_NATURAL, .natural = value}};
}

struct attribute boolean(const char *name, bool value)
{
	return (struct attribute){bytes_from_text(name), {.kind = VALUE_BOOL, .boolean = value}};
}

struct attribute absent(const char *name)
{
	return (struct attribute){bytes_from_text(name), {.kind = VALUE_ABSENT}};
}

struct attribute address(const char *name, const char *value)
{
	struct attribute attribute = {.name = bytes_from_text(name)};

	if (inet_pton(AF_INET, value, attribute.value.ipv4) == 1) {
		attribute.value.kind = VALUE_IPV4;
		return attribute;
	}
	assert_int_equal(inet_pton(AF_INET6, value, attribute.value.ipv6), 1);
	attribute.value.kind = VALUE_IPV6;
	return attribute;
}

struct policy policy_of(const char *notation)
{
	struct bytes keys = bytes_from_text(strchr(notation, ':') + 1), key;
	struct policy policy = {
		.terms.quota = {.algorithm = FIXED_WINDOW, .limit = 10, .window_us = 60000000},
		.ipv4_prefix = POLICY_IPV4_PREFIX,
		.ipv6_prefix = POLICY_IPV6_PREFIX,
	};

	memcpy(policy.name, notation, (size_t)(strchr(notation, ':') - notation));
	while (keys.len > 0 && bytes_next_item(&keys, ',', &key))
		policy.key[policy.key_count++] = key;
	return policy;
}

struct policies *policies_of(const char *const *notations)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);

	assert_non_null(policies);
	for (; *notations != NULL; notations++) {
		struct policy policy = policy_of(*notations);
		assert_true(policies_add(policies, &policy));
	}
	return policies;
}

void add_match(struct conditions *conditions, const char *notation)
{
	struct bytes rest = bytes_from_text(notation), item, pattern;

	while (rest.len > 0 && bytes_next_item(&rest, ';', &item)) {
		struct bytes name;
		assert_true(bytes_next_item(&item, '=', &name));
		struct condition *condition = conditions_add(conditions, name);
		assert_non_null(condition);
		while (bytes_next_item(&item, '|', &pattern))
			assert_true(condition_add_pattern(condition, pattern));
	}
}

struct terms *add_override(struct policy *policy, const char *match)
{
	struct override *override = policy_add_override(policy);

	assert_non_null(override);
	add_match(&override->match, match);
	return &override->terms;
}

void add_policy(struct policies *policies, const struct policy *policy)
{
	assert_true(policies_add(policies, policy));
}
