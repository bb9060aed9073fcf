/*
 * world.h - an agent without sockets: policies, the memory store, and an engine that tests ask.
 *
 *     struct world world;
 *     world_init(&world, "{\"policies\":{…}}");
 *     world_ask(&world, SOURCE_SPOP, "login", "203.0.113.9", 3);
 *     struct agent_stats stats = world_stats(&world);
 */
#ifndef UNIT_APP_WORLD_H
#define UNIT_APP_WORLD_H

#include "app/view/agent_view.h"

struct world {
	struct options options;
	struct store *memory;
	struct exceptions *exceptions; /* none at first; their time is that of the questions */
	struct engine *engine;
	struct history history;
	/* Tests set these before they ask. */
	void (*decided)(void *owner, const struct decision *decision);
	void *owner;
};

/* `policies` is the text of a policy file. */
void world_init(struct world *world, const char *policies);
void world_release(struct world *world);
/* Asks by the policy of that name; NULL asks by an inline policy. */
void world_ask(struct world *world, enum source source, const char *policy, const char *key,
	       size_t times);
void world_ask_all(struct world *world, const struct attribute *attributes, size_t count);
/* Asks, and returns the inquiry that the engine has answered at once; the test ends it. */
struct inquiry *world_submit(struct world *world, const struct attributes *attributes,
			     bool is_look);
/* The statistics, with constants in place of values that a test can't know. */
struct agent_stats world_stats(const struct world *world);

#endif
