/*
 * The lock-step of test_lockstep.c through a cluster of three nodes: C and the model must agree
 * with what the nodes answer, in every field of random steps.
 *
 * In one half of the steps each key is in a slot of its own. Every eighth of these steps has checks
 * beside it whose keys are in another slot, so that it is looked at and then taken, in two calls.
 * Such a step is settled before the next one, which would come in between otherwise. In the other
 * half a hash tag keeps all keys of a request in one slot.
 *
 * CLUSTER_STEPS of the environment is the number of all steps, 100,000 unless it is given.
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
#include "support/chance.h"
#include "support/test.h"
#include "unit/limit/steps.h"

#define HALVES    2
#define ONE_IN    8 /* steps over several slots */
#define STATE_MAX 64

struct play {
	struct stage *stage;
	bool has_hash_tag;
	struct company company;
	int64_t alone, divided;
};

/* The step's check, and maybe others; true when they may be in several slots. */
static bool fill_question(struct play *play, struct question *question, const struct step *step,
			  const char *key)
{
	char other[48];

	(void)question_add(question, key, &step->quota, step->cost);
	question->outcomes[0] = step->outcome;
	question->expectation = EXPECT_OUTCOMES;
	if (play->has_hash_tag) {
		snprintf(other, sizeof other, "{%" PRId64 "}other", step->run);
		company_add(&play->company, question, step, other);
		return false;
	}
	/* A look writes nothing. So a request over several slots that is denied mends nothing. */
	if (!step->is_mended && chance_is_one_in(&play->company.chance, ONE_IN)) {
		company_add(&play->company, question, step, "other");
		return question->op.count > 1;
	}
	question->op.is_denied = step->vetoed;
	return false;
}

static void ask_step(struct play *play, const struct step *step, const char *key)
{
	struct question *question = stage_question(play->stage, step->now_us);
	bool is_divided = fill_question(play, question, step, key);

	play->divided += is_divided;
	play->alone += !is_divided;
	if (is_divided)
		stage_settle(play->stage);
	stage_ask(play->stage, question);
	if (is_divided)
		stage_settle(play->stage);
}

/* As in test_lockstep.c, at the node that has the key. */
static void ask_step_without_key(struct play *play, const struct step *step, const char *key)
{
	struct redis_server *server = stage_server_of(play->stage, key);
	char state[STATE_MAX];

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
	const struct play *play = owner;
	char key[48];

	snprintf(key, sizeof key, play->has_hash_tag ? "{%" PRId64 "}run" : "run:%" PRId64,
		 step->run);
	if (step->is_gone)
		ask_step_without_key(owner, step, key);
	else
		ask_step(owner, step, key);
}

static const struct {
	const char *name;
	bool has_hash_tag;
} halves[HALVES] = {
	{"random steps agree in a cluster, with keys in many slots", false},
	{"random steps agree in a cluster, with a hash tag", true},
};

TEST_ROWS(halves)
{
	struct play play = {.stage = stage_new_cluster(),
			    .has_hash_tag = row->has_hash_tag,
			    .company.chance = {1}};
	int64_t steps = environment_number("CLUSTER_STEPS", 100000) / HALVES / ALGORITHM_COUNT;

	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		steps_take_some((enum algorithm)i, steps, take_step, &play);
		stage_settle(play.stage);
		for (int node = 0; node < CLUSTER_SERVERS; node++)
			(void)redis_server_ask_number(stage_node(play.stage, node), "FLUSHALL");
	}

	company_assert_worth(&play.company);
	print_message("%" PRId64 " of one slot, %" PRId64 " over several\n", play.alone,
		      play.divided);
	assert_true(row->has_hash_tag == (play.divided < steps / 20));
	stage_free(play.stage);
}
