/*
 * The table of exceptions when memory is short: each allocation on the way of a put fails once.
 */
#include "limit/exceptions.h"

#include <sodium.h>
#include <stdio.h>

#include "limit/policies.h"
#include "support/allocations.h"
#include "support/test.h"

static struct policies *policies;

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
	policies = policies_new(ON_ERROR_ALLOW);
	assert_non_null(policies);
}

AFTER_ALL
{
	policies_unref(policies);
}

static uint64_t now_ms(void *owner)
{
	(void)owner;
	return 1;
}

/* Without a policy, for the value "x" of that name, which is its id too. */
static bool put(struct exceptions *exceptions, const char *name)
{
	struct exception_name names[] = {{bytes_from_text(name), BYTES("x")}};
	struct exception exception = {
		.kind = EXCEPTION_BLOCK, .names = names, .count = 1, .text = BYTES("text")};

	snprintf(exception.id, sizeof exception.id, "%s", name);
	return exceptions_put(exceptions, &exception, policies);
}

static bool is_found(const struct exceptions *exceptions, const char *name)
{
	struct attribute item = {bytes_from_text(name), value_text(BYTES("x"))};
	struct attributes attributes = {&item, 1};
	struct exception_hit hit;

	return exceptions_search(exceptions, &attributes, NULL, &hit);
}

static struct exceptions *make_table(void)
{
	struct exceptions *exceptions = exceptions_new(now_ms, NULL);

	assert_non_null(exceptions);
	assert_true(put(exceptions, "a") && put(exceptions, "b"));
	return exceptions;
}

/* The set of names is a new one, or takes the place of one that is no more. */
TEST(exceptions_put_without_memory_leaves_the_others_as_they_are)
{
	for (int has_hole = 0; has_hole <= 1; has_hole++) {
		bool is_reached = true;
		size_t failed = 0;
		for (size_t index = 0; is_reached; index++) {
			struct exceptions *exceptions = make_table();
			if (has_hole)
				exceptions_remove(exceptions, BYTES("a"));
			allocations_fail_at(index);
			bool is_put = put(exceptions, "c");
			is_reached = allocations_end();
			bool is_known = exceptions_by_id(exceptions, BYTES("c")) != NULL;
			assert_int_equal(is_put, is_known);
			assert_true(is_found(exceptions, "b"));
			assert_int_equal(is_found(exceptions, "a"), !has_hole);
			failed += !is_found(exceptions, "c");
			assert_true(put(exceptions, "c")); /* there is memory again */
			assert_true(is_found(exceptions, "c"));
			exceptions_free(exceptions);
		}
		assert_true(failed >= 3);
	}
}
