/*
 * policy_bench.c - what it costs to find the few policies of many that fit a request.
 *
 *     policy-bench [POLICIES]      1000 by default
 *
 * All policies have a `match` on two of path, method and source, and count by the source. A request
 * has eight attributes, of which the policies look at these three. The program prints microseconds
 * a request: for finding the policies, with the index and without it; for the whole engine with the
 * memory store; and for finding the terms of one policy that has as many overrides, each for one
 * API key.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "engine/engine.h"
#include "limit/policies.h"
#include "store/memory.h"

#define REQUESTS    4096
#define MEASURED_US (US_PER_SECOND / 2)
#define MEASUREMENTS                                                                 \
	5 /* the least is printed, since disturbances only make a measurement longer \
	   */

static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};

/* ---- the policies ---- */

static void add_condition(struct conditions *match, const char *attribute, const char *pattern,
			  const char *or_pattern)
{
	struct condition *condition = conditions_add(match, bytes_from_text(attribute));

	ASSERT(condition != NULL && condition_add_pattern(condition, bytes_from_text(pattern)));
	if (or_pattern != NULL)
		ASSERT(condition_add_pattern(condition, bytes_from_text(or_pattern)));
}

static void add_match(struct policy *policy, unsigned number)
{
	char path[64], other[64], network[64];

	snprintf(path, sizeof path, "/api/v1/service-%u/*", number);
	snprintf(other, sizeof other, "/service-%u", number);
	snprintf(network, sizeof network, "10.%u.%u.0/24", number / 256 % 256, number % 256);
	if (number % 4 != 3)
		add_condition(&policy->match, "path", path, number % 4 == 2 ? other : NULL);
	if (number % 4 != 2)
		add_condition(&policy->match, "method", methods[number % 3], NULL);
	if (number % 4 >= 2)
		add_condition(&policy->match, "src", network, NULL);
}

static struct policy policy_of(unsigned number)
{
	struct policy policy = {
		.terms.quota = {.algorithm = TOKEN_BUCKET,
				.limit = 1000000,
				.refill_tokens = 1,
				.refill_us = 1},
		.key_count = 1,
		.key = {BYTES("src")},
		.ipv4_prefix = POLICY_IPV4_PREFIX,
		.ipv6_prefix = POLICY_IPV6_PREFIX,
	};

	snprintf(policy.name, sizeof policy.name, "policy-%u", number);
	return policy;
}

static struct policies *new_policies(unsigned count, bool has_index)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);

	ASSERT(policies != NULL);
	for (unsigned i = 0; i < count; i++) {
		struct policy policy = policy_of(i);
		add_match(&policy, i);
		ASSERT(policies_add(policies, &policy));
	}
	ASSERT(!has_index || policies_compile(policies));
	return policies;
}

/* A file with one policy, which has this many overrides. */
static struct policies *new_overrides(unsigned count, bool has_index)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of(0);
	char key[32];

	ASSERT(policies != NULL);
	for (unsigned i = 0; i < count; i++) {
		struct override *override = policy_add_override(&policy);
		snprintf(key, sizeof key, "key-%u", i);
		ASSERT(override != NULL);
		add_condition(&override->match, "api_key", key, NULL);
	}
	ASSERT(policies_add(policies, &policy));
	ASSERT(!has_index || policies_compile(policies));
	return policies;
}

/* ---- the requests ---- */

struct asked {
	struct attribute items[8];
	char path[64], key[32];
};

static struct attribute text(const char *name, const char *value)
{
	return (struct attribute){bytes_from_text(name), value_text(bytes_from_text(value))};
}

static void make_request(struct asked *asked, unsigned policies)
{
	unsigned number = randombytes_uniform(policies);
	uint8_t source[4] = {10, (uint8_t)(number / 256), (uint8_t)number,
			     (uint8_t)randombytes_uniform(16)};

	snprintf(asked->path, sizeof asked->path, "/api/v1/service-%u/users/17", number);
	asked->items[0] = (struct attribute){BYTES("src"), {.kind = VALUE_IPV4}};
	memcpy(asked->items[0].value.ipv4, source, sizeof source);
	asked->items[1] = text("method", methods[randombytes_uniform(ARRAY_SIZE(methods))]);
	asked->items[2] = text("path", asked->path);
	asked->items[3] = text("host", "www.example.com");
	asked->items[4] = text("user_agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox");
	snprintf(asked->key, sizeof asked->key, "key-%u", number);
	asked->items[5] = text("api_key", asked->key);
	asked->items[6] = text("country", "DE");
	asked->items[7] = (struct attribute){BYTES("tls"), {.kind = VALUE_BOOL, .boolean = true}};
}

/* ---- measuring ---- */

struct bench {
	struct asked asked[REQUESTS];
	struct policies *policies;
	struct engine *engine;
	uint64_t found;
};

typedef void (*handle_fn)(struct bench *bench, const struct attributes *attributes);

static void find_policies(struct bench *bench, const struct attributes *attributes)
{
	struct policy_search search;

	policy_search_begin(&search, bench->policies, attributes);
	while (policy_search_next(&search) != NULL)
		bench->found++;
}

static void find_terms(struct bench *bench, const struct attributes *attributes)
{
	const struct policy *policy = policies_at(bench->policies, 0);

	bench->found += policy_terms(policy, attributes, NULL) != &policy->terms;
}

static void submit(struct bench *bench, const struct attributes *attributes)
{
	struct inquiry *inquiry = engine_begin(bench->engine);
	struct list open;
	struct asker asker = {.open = &open};

	list_init(&open);
	engine_add(inquiry, attributes);
	ASSERT(engine_submit(inquiry, &asker, clock_now_us(), 0) == ENGINE_DONE);
	bench->found += engine_request(inquiry)->count;
	engine_end(inquiry);
}

/* Microseconds a request. */
static double measure_once(struct bench *bench, handle_fn handle)
{
	int64_t start_us = clock_mono_us(), passed_us;
	uint64_t handled = 0;

	do {
		for (size_t i = 0; i < 256; i++, handled++) {
			struct asked *asked = &bench->asked[handled % REQUESTS];
			handle(bench, &(struct attributes){asked->items, ARRAY_SIZE(asked->items)});
		}
		passed_us = clock_mono_us() - start_us;
	} while (passed_us < MEASURED_US);
	return (double)passed_us / (double)handled;
}

static double measure(struct bench *bench, handle_fn handle)
{
	double least = measure_once(bench, handle);

	for (int i = 1; i < MEASUREMENTS; i++) {
		double again = measure_once(bench, handle);
		least = again < least ? again : least;
	}
	return least;
}

static double found_by_each(struct bench *bench)
{
	bench->found = 0;
	for (size_t i = 0; i < REQUESTS; i++)
		find_policies(bench, &(struct attributes){bench->asked[i].items,
							  ARRAY_SIZE(bench->asked[i].items)});
	return (double)bench->found / REQUESTS;
}

static int64_t no_time(void)
{
	return 0;
}

static struct engine *new_engine(struct policies *policies, struct store *store)
{
	struct engine *engine = engine_new(
		&(struct engine_config){
			.store = store, .local = store, .max_in_flight = 1, .mono_us = no_time},
		policies);

	ASSERT(engine != NULL);
	return engine;
}

static void run(struct bench *bench, unsigned count)
{
	struct store *store = memory_store_new(UINT64_C(64) << 20);
	double us[2][2];

	ASSERT(store != NULL);
	for (size_t i = 0; i < REQUESTS; i++)
		make_request(&bench->asked[i], count);
	for (int has_index = 0; has_index < 2; has_index++) {
		bench->policies = new_policies(count, has_index);
		bench->engine = new_engine(bench->policies, store);
		us[has_index][0] = measure(bench, find_policies);
		us[has_index][1] = measure(bench, submit);
		if (has_index)
			printf("%u policies, of which %.2f fit a request\n", count,
			       found_by_each(bench));
		engine_free(bench->engine);
		policies_unref(bench->policies);
	}
	printf("finding them, us a request: %.3f, without the index %.3f (%.0f times)\n", us[1][0],
	       us[0][0], us[0][0] / us[1][0]);
	printf("all of the engine, us a request: %.3f, without the index %.3f\n", us[1][1],
	       us[0][1]);
	store_free(store);
}

static void run_overrides(struct bench *bench, unsigned count)
{
	double us[2];

	for (int has_index = 0; has_index < 2; has_index++) {
		bench->policies = new_overrides(count, has_index);
		us[has_index] = measure(bench, find_terms);
		policies_unref(bench->policies);
	}
	printf("one of %u overrides, us a request: %.3f, without the index %.3f\n", count, us[1],
	       us[0]);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	uint64_t count = 1000;

	if (argc > 2 ||
	    (argc == 2 &&
	     (!parse_whole(bytes_from_text(argv[1]), POLICIES_MAX, &count) || count == 0))) {
		fprintf(stderr, "usage: policy-bench [POLICIES], at most %d\n", POLICIES_MAX);
		return 2;
	}
	if (sodium_init() < 0)
		return 1;
	run(&bench, (unsigned)count);
	run_overrides(&bench, (unsigned)count);
	return 0;
}
