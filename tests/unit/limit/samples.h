/*
 * samples.h - makes attributes and policies in one line of a test.
 *
 *     struct attributes a = ATTRIBUTES(text("src", "192.0.2.1"), number("cost", 2));
 *     struct policies *p = POLICIES("login:src", "tenant:src,path", "all:");
 *
 * Attributes live as long as the block in which they are written.
 */
#ifndef UNIT_LIMIT_SAMPLES_H
#define UNIT_LIMIT_SAMPLES_H

#include <stdint.h>

#include "base/bytes.h"
#include "limit/policies.h"
#include "limit/value.h"

#define ATTRIBUTES(...)                                                        \
	((struct attributes){(const struct attribute[]){__VA_ARGS__},          \
			     sizeof((const struct attribute[]){__VA_ARGS__}) / \
				     sizeof(struct attribute)})

struct attribute text(const char *name, const char *value);
struct attribute number(const char *name, int64_t value);
struct attribute natural(const char *name, uint64_t value);
struct attribute boolean(const char *name, bool value);
struct attribute absent(const char *name);
/* `value` must be an address in text form. An IPv4-mapped address stays an IPv6 address. */
struct attribute address(const char *name, const char *value);

/* "NAME:ATTRIBUTE,ATTRIBUTE...": a fixed_window of 10 a minute that counts by the attributes. */
struct policy policy_of(const char *notation);
#define POLICIES(...) policies_of((const char *const[]){__VA_ARGS__, NULL})
struct policies *policies_of(const char *const *notations);

/* Adds conditions: "ATTRIBUTE=PATTERN|PATTERN;ATTRIBUTE=PATTERN". */
void add_match(struct conditions *conditions, const char *notation);
/* Returns the terms of the override, for the test to change; good until the next override. */
struct terms *add_override(struct policy *policy, const char *match);
void add_policy(struct policies *policies, const struct policy *policy);

#endif
