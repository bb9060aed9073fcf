/*
 * redis_agents.h - how many agents share this Redis, for --local-share auto.
 *
 * Each agent holds a seat: a string key with a time to live, whose value is the agent.
 *
 *     rl:{agents}:0   rl:{agents}:1   rl:{agents}:2   rl:{agents}:3
 *        agent A         agent B          (free)         agent C       three agents
 *
 * Once a second an agent asks the script for its seat: the script counts the seats that are taken,
 * and keeps the agent's own alive. An agent without a seat gets the first free one, and one behind
 * a free seat moves there. So the taken seats are the first ones, a few more seats than agents are
 * enough to look at, and nobody has to search the keys of the server. All seats are in one slot of
 * a cluster, by their hash tag or that of the prefix.
 *
 * A smaller number is believed only after REDIS_AGENTS_HOLD_US in which no larger one came: when
 * Redis comes back empty, all seats are free, and the first agent to return would believe that
 * there is no other one. While Redis is away the number stays.
 */
#ifndef STORE_REDIS_AGENTS_H
#define STORE_REDIS_AGENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define REDIS_AGENTS_SEAT "{agents}:" /* what the keys of all seats begin with, behind the prefix \
				       */
#define REDIS_AGENTS_MAX     512      /* seats that are looked at; more agents count as so many */
#define REDIS_AGENTS_LIFE_MS 5000
#define REDIS_AGENTS_HOLD_US INT64_C(7000000)

struct ev_loop;
struct redis_agents;
struct redis_link;

struct redis_agents_config {
	/* The link to the server that has the seats; NULL: nobody knows the server now. */
	struct redis_link *(*link)(void *owner);
	struct bytes prefix; /* of every key; a constant */
	/* The number has changed. */
	void (*counted)(void *owner, unsigned agents);
	/* The user may not call what counting needs; called once a connection. */
	void (*lacks_right)(void *owner, const char *command, const char *hint);
	void (*regained_right)(void *owner, const char *hint);
	void *owner;
};

/* NULL when memory is short. */
struct redis_agents *redis_agents_new(struct ev_loop *loop,
				      const struct redis_agents_config *config);
/* The links must be freed first, since they answer what is still asked. */
void redis_agents_free(struct redis_agents *agents);
/* Whether this agent holds a seat and counts; at first it does not. */
void redis_agents_set_counting(struct redis_agents *agents, bool is_counting);
/* The last number; 0 before the first. */
unsigned redis_agents_number(const struct redis_agents *agents);

/* What is believed of a sequence of counts; the times only grow. */
struct agents_number {
	unsigned believed; /* 0: none came yet */
	unsigned largest;  /* that came since `since_us`, below `believed` */
	int64_t since_us;  /* when so many were last counted, or counts came again after a gap */
	int64_t last_us;   /* of the last count */
};
void agents_number_add(struct agents_number *number, unsigned counted, int64_t now_us);

#endif
