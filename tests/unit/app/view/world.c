#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "app/policies/policy_file.h"
#include "store/memory.h"
#include "support/test.h"

#define NOW_US INT64_C(1700000000000000)

static int64_t mono_us(void)
{
	return 12; /* the answer comes 12 us after the question */
}

static uint64_t now_ms(void *owner)
{
	(void)owner;
	return NOW_US / 1000;
}

static void on_decided(void *owner, const struct decision *decision)
{
	const struct world *world = owner;

	if (world->decided != NULL)
		world->decided(world->owner, decision);
}

void world_init(struct world *world, const char *policies)
{
	struct bytes text = bytes_from_text(policies);
	char *none[] = {NULL};
	struct problems problems;
	struct err err;
	bool help;

	*world = (struct world){.memory = memory_store_new(1 << 20)};
	assert_true(options_read(none, none, &world->options, &help, &err));
	struct policies *set = policy_file_parse(text, ON_ERROR_ALLOW, &problems);
	assert_non_null(set);
	world->exceptions = exceptions_new(now_ms, NULL);
	assert_non_null(world->exceptions);
	world->engine = engine_new(&(struct engine_config){.store = world->memory,
							   .local = world->memory,
							   .exceptions = world->exceptions,
							   .max_in_flight = 16,
							   .store_timeout_us = 2000,
							   .mono_us = mono_us,
							   .decided = on_decided,
							   .owner = world},
				   set);
	policies_unref(set);
	history_init(&world->history, 0);
}

void world_release(struct world *world)
{
	store_free(world->memory);
	engine_free(world->engine);
	exceptions_free(world->exceptions);
}

static void no_verdict(const struct asker *asker, const struct verdict *verdict)
{
	(void)asker, (void)verdict;
	fail(); /* the memory store answers at once */
}

static struct inquiry *submit(struct world *world, enum source source,
			      const struct attributes *attributes, bool is_look)
{
	struct inquiry *inquiry = engine_begin(world->engine);
	struct list open;
	const struct asker asker = {.done = no_verdict, .open = &open, .source = source};

	list_init(&open);
	if (is_look)
		engine_look(inquiry);
	engine_add(inquiry, attributes);
	assert_int_equal(engine_submit(inquiry, &asker, NOW_US, 0), ENGINE_DONE);
	return inquiry;
}

struct inquiry *world_submit(struct world *world, const struct attributes *attributes, bool is_look)
{
	return submit(world, SOURCE_SPOP, attributes, is_look);
}

static void ask(struct world *world, enum source source, const struct attribute *attributes,
		size_t count)
{
	engine_end(submit(world, source, &(struct attributes){attributes, count}, false));
}

void world_ask_all(struct world *world, const struct attribute *attributes, size_t count)
{
	ask(world, SOURCE_SPOP, attributes, count);
}

void world_ask(struct world *world, enum source source, const char *policy, const char *key,
	       size_t times)
{
	const struct attribute named[] = {
		{BYTES("policy"), value_text(bytes_from_text(policy == NULL ? "" : policy))},
		{BYTES("key"), value_text(bytes_from_text(key))},
	};
	const struct attribute of_its_own[] = {
		{BYTES("algorithm"), value_text(BYTES("fixed_window"))},
		{BYTES("limit"), value_integer(2)},
		{BYTES("window"), value_integer(60)},
		{BYTES("key"), value_text(bytes_from_text(key))},
	};

	for (size_t i = 0; i < times; i++) {
		if (policy != NULL)
			ask(world, source, named, 2);
		else
			ask(world, source, of_its_own, 4);
	}
}

struct agent_stats world_stats(const struct world *world)
{
	return (struct agent_stats){
		.options = &world->options,
		.policies = engine_policies(world->engine),
		.history = &world->history,
		.engine = engine_stats(world->engine),
		.memory = memory_store_stats(world->memory),
		.store = store_describe(world->memory),
		.process = {1500000, 8388608, 12, 20000},
		.load = {.generation = 2, .errors = 1, .loaded_us = NOW_US},
		.started_us = NOW_US,
		.now_us = NOW_US + 90000000,
		.uptime_us = 90000000,
	};
}
