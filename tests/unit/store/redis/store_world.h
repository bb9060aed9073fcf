/*
 * store_world.h - a Redis store, the server in the test's own loop that it is on (fake_redis.h),
 * what it asked and what it told.
 */
#ifndef UNIT_STORE_STORE_WORLD_H
#define UNIT_STORE_STORE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "fake_redis.h"
#include "store/redis/redis_store.h"

#define CHANGES_MAX   32
#define QUESTIONS_MAX 2048
#define SECOND_US     INT64_C(1000000)
#define PROMPT_US     SECOND_US /* the timeout of requests, where it is not what is tested */

struct change {
	bool is_up;
	enum store_error error;
	char why[200];
};

struct world {
	struct ev_loop *loop;
	struct ev_timer overdue;
	bool is_overdue;
	struct fake_redis *fake;
	struct redis_target target;
	struct store *store;
	bool is_asking;
	struct change changes[CHANGES_MAX];
	size_t change_count;
	size_t forgets_count, lacks_right_count;
	char forgets[32]; /* the policy that was told last */
	size_t refused_count;
	enum store_error refused_error;
	char refused_why[200];
	size_t taken_count, password_refused_count; /* passwords */
	char password_refused_why[200];
	size_t named_count, reset_count; /* masters */
	char master[64];                 /* that was named last */
	size_t sentinel_up_count, sentinel_down_count;
	char sentinel[64], sentinel_why[256]; /* the last one that was told to be down */
};

struct question {
	struct store_op op;
	struct check check;
	struct check *checks[1];
	struct world *world;
	unsigned answers;
	char key[32];          /* k and its number, unless it has one */
	struct question *next; /* asked when this is answered */
};

extern struct question questions[QUESTIONS_MAX];
extern const struct store_config usual;

/* Before all tests. */
void world_prepare(void);

/* A server that listens. What it says may be changed before connect_store. */
struct world *world_open(bool is_tcp);
void connect_store(struct world *world, struct store_config config);
/* All of it: the store is up. */
struct world *world_up(void);
void world_close(struct world *world);

/* A turn of the loop; it fails when the test takes too long. */
void turn(struct world *world);

#define AWAIT(world, fact) \
	while (!(fact))    \
	turn(world)

size_t commands(const struct world *world, enum fake_kind kind);
const struct change *await_change(struct world *world, size_t count);

/* What is asked for: 5 a minute. */
const struct quota *fixed_quota(void);
/* For an op that is a question's. */
void on_answered(struct store_op *op);
enum store_state ask_it(struct world *world, struct question *question);
/* The first `count` questions. */
void ask_many(struct world *world, size_t count);
bool are_answered(size_t count);
void assert_errors(size_t count, enum store_error error);
/* One question, and what came of it. */
enum store_error ask_and_await(struct world *world);
/* It takes questions, and they are answered. */
void await_up(struct world *world);
bool is_down(struct world *world);

#endif
