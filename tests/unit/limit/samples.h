/*
 * samples.h - attributes and policies in a line of a test.
 *
 *     struct attributes a = ATTRIBUTES(text("src", "192.0.2.1"), number("cost", 2));
 *     struct policies *p = POLICIES("login:src", "tenant:src,path", "all:");
 *
 * Attributes live as long as the block they are written in.
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
/* Of the text form, which must be an address; IPv6 also when it is an IPv4-mapped one. */
struct attribute address(const char *name, const char *value);

/* "NAME:ATTRIBUTE,ATTRIBUTE...": a fixed_window of 10 a minute. */
struct policy policy_of(const char *notation);
#define POLICIES(...) policies_of((const char *const[]){__VA_ARGS__, NULL})
struct policies *policies_of(const char *const *notations);

/* "ATTRIBUTE=PATTERN|PATTERN;ATTRIBUTE=PATTERN": more conditions. */
void add_match(struct conditions *conditions, const char *notation);
/* The terms to change; good until the next one is added. */
struct terms *add_override(struct policy *policy, const char *match);
void add_policy(struct policies *policies, const struct policy *policy);

#endif
