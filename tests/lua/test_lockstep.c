/*
 * Lua in a real Redis, C and the model must agree in every field of a million random steps. C and
 * the model take a step first. Then the step goes through the store as a request of an agent does,
 * with hundreds on their way at once.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "stage.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/limit/steps.h"

/* The stage, and how often a step had other checks beside it. */
struct play {
	struct stage *stage;
	struct chance chance;
	int64_t alone, vetoed, denied, vetoed_in_shadow, shadow_alone, shadow_behind, before_shadow;
};

/* A check that is always denied: of a limit of 1 it asks for 2. Or for nothing, which passes. */
static void add_other(struct question *question, int64_t cost)
{
	static const struct quota quota = {FIXED_WINDOW, .limit = 1, .window_us = US_PER_SECOND};

	(void)question_add(question, "other", &quota, cost);
	question->outcomes[1] = (struct outcome){
		.allowed = cost == 0, .remaining = 1, .retry_after_us = cost == 0 ? 0 : -1};
}

/* The other one stands first, the step's check in shadow behind it. */
static void put_behind_other(struct question *question)
{
	question->pointers[0] = &question->checks[1];
	question->pointers[1] = &question->checks[0];
	question->op.shadow = 1;
}

/* In three ways nothing is charged, whatever the step's check would come to. */
static void add_veto(struct play *play, struct question *question)
{
	switch (chance_between(&play->chance, 0, 2)) {
	case 0:
		add_other(question, 2);
		play->vetoed++;
		break;
	case 1:
		question->op.is_denied = true;
		play->denied++;
		break;
	case 2:
		add_other(question, 2);
		put_behind_other(question);
		play->vetoed_in_shadow++;
		break;
	}
}

/* In shadow or not, beside what is: it is decided as if it were alone. */
static void add_company(struct play *play, struct question *question)
{
	switch (chance_between(&play->chance, 0, 3)) {
	case 0:
		play->alone++;
		break;
	case 1:
		question->op.shadow = 1;
		play->shadow_alone++;
		break;
	case 2:
		add_other(question, 0);
		put_behind_other(question);
		play->shadow_behind++;
		break;
	case 3:
		add_other(question, 2);
		question->op.shadow = 1;
		play->before_shadow++;
		break;
	}
}

static void ask_step(struct play *play, const struct step *step, const char *key)
{
	struct question *question = stage_question(play->stage, step->now_us);

	(void)question_add(question, key, &step->quota, step->cost);
	question->outcomes[0] = step->outcome;
	question->expectation = EXPECT_OUTCOMES;
	if (step->vetoed)
		add_veto(play, question);
	else
		add_company(play, question);
	stage_ask(play->stage, question);
}

/*
 * As Redis does with a balance that is full, the key is ended; the time that is given here ends
 * none. If nothing is written, the state comes back, since the next step may be before that time.
 */
static void ask_step_without_key(struct play *play, const struct step *step, const char *key)
{
	struct redis_server *server = stage_server(play->stage);
	char state[64];

	stage_settle(play->stage);
	const redisReply *reply = redis_server_ask(server, "GET rl:%s", key);
	size_t len = (size_t)reply->len;
	assert_in_range(len, 1, sizeof state);
	memcpy(state, reply->str, len);
	(void)redis_server_ask_number(server, "DEL rl:%s", key);
	ask_step(play, step, key);
	stage_settle(play->stage);
	(void)redis_server_ask(server, "SET rl:%s %b PX 3600000 NX", key, state, len);
}

static void take_step(void *owner, const struct step *step)
{
	char key[32];

	snprintf(key, sizeof key, "run:%" PRId64, step->run);
	if (step->is_gone)
		ask_step_without_key(owner, step, key);
	else
		ask_step(owner, step, key);
}

BEFORE_EACH
{
	*state = stage_new(true);
}

AFTER_EACH
{
	stage_free(*state);
}

static void compare(struct stage *stage, enum algorithm algorithm)
{
	struct play play = {.stage = stage, .chance = {1}};

	steps_take(algorithm, take_step, &play);
	stage_settle(stage);
	print_message("%d alone, %d and %d in shadow, %d before one in shadow; vetoed %d, %d in "
		      "shadow, %d denied already\n",
		      (int)play.alone, (int)play.shadow_alone, (int)play.shadow_behind,
		      (int)play.before_shadow, (int)play.vetoed, (int)play.vetoed_in_shadow,
		      (int)play.denied);
	int64_t free = play.alone + play.shadow_alone + play.shadow_behind + play.before_shadow;
	int64_t vetoed = play.vetoed + play.vetoed_in_shadow + play.denied;
	assert_in_range(vetoed, free / 50, free);
	assert_true(play.alone > free / 5 && play.shadow_alone > free / 5);
	assert_true(play.shadow_behind > free / 5 && play.before_shadow > free / 5);
	assert_true(play.vetoed > vetoed / 5 && play.vetoed_in_shadow > vetoed / 5);
	assert_true(play.denied > vetoed / 5);
}

TEST(token_bucket_random_steps_agree_in_redis)
{
	compare(*state, TOKEN_BUCKET);
}

TEST(sliding_window_random_steps_agree_in_redis)
{
	compare(*state, SLIDING_WINDOW);
}

TEST(sliding_window_counter_random_steps_agree_in_redis)
{
	compare(*state, SLIDING_WINDOW_COUNTER);
}

TEST(fixed_window_random_steps_agree_in_redis)
{
	compare(*state, FIXED_WINDOW);
}
