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

#include "company.h"
#include "stage.h"
#include "support/test.h"
#include "unit/limit/steps.h"

struct play {
	struct stage *stage;
	struct company company;
};

static void ask_step(struct play *play, const struct step *step, const char *key)
{
	struct question *question = stage_question(play->stage, step->now_us);

	(void)question_add(question, key, &step->quota, step->cost);
	question->outcomes[0] = step->outcome;
	question->expectation = EXPECT_OUTCOMES;
	company_add(&play->company, question, step, "other");
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
	struct play play = {.stage = stage, .company.chance = {1}};

	steps_take(algorithm, take_step, &play);
	stage_settle(stage);
	company_assert_worth(&play.company);
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
