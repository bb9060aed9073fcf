/*
 * The policy file when memory is short: each allocation on the way fails once. No set of policies
 * comes of it, no memory is lost (under AddressSanitizer), and the error says what it was.
 */
#include "app/policies/policy_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/allocations.h"
#include "support/test.h"

#define MOST_ALLOCATIONS 1000
#define UNTOUCHED        "untouched"

static const char good[] =
	"{\"policies\":{"
	"\"per-ip\":{\"algorithm\":\"token_bucket\",\"capacity\":100,\"refill_rate\":0.5,"
	"\"key\":[\"src\"]},"
	"\"login\":{\"algorithm\":\"sliding_window\",\"limit\":5,\"window\":\"1m\","
	"\"key\":[\"src\",\"path\"],"
	"\"match\":{\"method\":\"POST\",\"path\":[\"/login\",\"/api/*\"],\"src\":\"10.0.0.0/8\"},"
	"\"cost\":\"bytes\",\"overrides\":[{\"match\":{\"src\":[\"10.1.0.0/16\",\"::1\"]},"
	"\"cost\":\"units\",\"limit\":9},{\"match\":{\"path\":\"/x\"},\"blocked\":true}]},"
	"\"all\":{\"algorithm\":\"fixed_window\",\"limit\":5,\"window\":60,\"key\":[]}}}";

/* Wrong in many places, some behind what has taken memory. */
static const char bad[] =
	"{\"policies\":{"
	"\"per-ip\":{\"algorithm\":\"token_bucket\",\"capacity\":100,\"refill_rate\":0.5,"
	"\"key\":[\"src\"],\"match\":{\"path\":[\"/\",1],\"src\":\"10.0.0.0/33\"},"
	"\"overrides\":[{\"match\":{\"src\":\"10.0.0.1\"},\"limit\":1},1]},"
	"\"login\":{\"algorithm\":\"sliding_window\",\"limit\":0.5,\"window\":\"1m\","
	"\"key\":[\"src\",\"path\"]}}}";

struct outcome {
	bool reached; /* the allocation that fails */
	struct policies *policies;
	struct err err;
};

static void set_error(struct outcome *outcome, const struct problems *problems)
{
	strcpy(outcome->err.text, UNTOUCHED);
	assert_true((outcome->policies == NULL) == (problems->count > 0));
	if (problems->count > 0)
		outcome->err = problems->items[0];
}

static struct outcome parse_failing_at(const char *json, size_t index)
{
	struct problems problems;
	struct outcome outcome;

	allocations_fail_at(index);
	outcome.policies = policy_file_parse(bytes_from_text(json), ON_ERROR_ALLOW, &problems);
	outcome.reached = allocations_end();
	set_error(&outcome, &problems);
	return outcome;
}

static struct outcome load_failing_at(const char *path, size_t index)
{
	struct problems problems;
	struct outcome outcome;

	allocations_fail_at(index);
	outcome.policies = policy_file_load(path, ON_ERROR_ALLOW, &problems);
	outcome.reached = allocations_end();
	set_error(&outcome, &problems);
	return outcome;
}

TEST(policy_file_parse_without_memory_gives_nothing)
{
	size_t index = 0;

	for (;; index++) {
		struct outcome outcome = parse_failing_at(good, index);
		if (!outcome.reached) {
			assert_non_null(outcome.policies);
			assert_int_equal(policies_count(outcome.policies), 3);
			policies_unref(outcome.policies);
			break;
		}
		assert_null(outcome.policies);
		assert_true(index < MOST_ALLOCATIONS);
	}

	/* The sets, names and conditions of three policies are among them. */
	assert_true(index > 30);
}

/* A caller prints the text, and one in front of which a place is put is read before that. */
TEST(policy_file_parse_without_memory_sets_the_error)
{
	for (size_t index = 0;; index++) {
		struct outcome outcome = parse_failing_at(good, index);
		policies_unref(outcome.policies);
		if (!outcome.reached)
			break;
		if (strcmp(outcome.err.text, UNTOUCHED) == 0)
			fail_msg("allocation %zu: the error is not set", index);
	}
}

/* Nothing is wrong with the file, so no place in it may be blamed. */
TEST(policy_file_parse_without_memory_says_so)
{
	for (size_t index = 0;; index++) {
		struct outcome outcome = parse_failing_at(good, index);
		policies_unref(outcome.policies);
		if (!outcome.reached)
			break;
		if (strstr(outcome.err.text, "memory") == NULL)
			fail_msg("allocation %zu: \"%s\"", index, outcome.err.text);
	}
}

TEST(policy_file_parse_bad_file_without_memory_is_refused)
{
	bool reached = true;

	for (size_t index = 0; reached; index++) {
		struct outcome outcome = parse_failing_at(bad, index);
		assert_null(outcome.policies);
		reached = outcome.reached;
	}
}

TEST(policy_file_load_without_memory_gives_nothing)
{
	int fd = memfd_create("policies", MFD_CLOEXEC);
	char path[64];

	assert_int_equal(write(fd, good, strlen(good)), strlen(good));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	for (size_t index = 0;; index++) {
		struct outcome outcome = load_failing_at(path, index);
		if (!outcome.reached) {
			assert_non_null(outcome.policies);
			policies_unref(outcome.policies);
			break;
		}
		assert_null(outcome.policies);
		assert_ptr_equal(strstr(outcome.err.text, path), outcome.err.text);
	}
	close(fd);
}
