#include "app/replay/replay_against.h"

#include <stdlib.h>

#include "app/load.h"

static void on_answered(void *owner, const struct verdict *verdict)
{
	struct replay_against *against = owner;

	replay_decisions_set(&against->second, verdict);
	against->is_counted = replay_counts_add(&against->counts, verdict, against->at_us);
}

static bool build(struct replay_against *against, const struct replay_against_config *config,
		  bool *ret_is_usage, struct err *err)
{
	const char *first = config->options->policies;
	struct problems problems;

	against->first_file = first != NULL ? first : "no policies";
	against->file = config->file;
	against->options = *config->options;
	against->options.policies = config->file;
	against->policies = load_policies(&against->options, &problems);
	*ret_is_usage = against->policies == NULL;
	if (against->policies == NULL) {
		problems_to_err(&problems, err);
		return err_at(err, "--against: ");
	}
	if (!replay_counts_init(&against->counts, against->policies, config->has_steps) ||
	    !replay_changes_init(&against->changes, config->policies, against->policies))
		return err_set(err, "out of memory");
	against->engine = replay_engine_new(
		&(struct replay_engine_config){
			.loop = config->loop,
			.options = &against->options,
			.policies = against->policies,
			.is_stopped = config->is_stopped,
			.answered = on_answered,
			.owner = against,
		},
		err);
	return against->engine != NULL;
}

struct replay_against *replay_against_new(const struct replay_against_config *config,
					  bool *ret_is_usage, struct err *err)
{
	struct replay_against *against = calloc(1, sizeof *against);

	*ret_is_usage = false;
	if (against == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	if (build(against, config, ret_is_usage, err))
		return against;
	replay_against_free(against);
	return NULL;
}

void replay_against_free(struct replay_against *against)
{
	if (against == NULL)
		return;
	replay_engine_free(against->engine);
	replay_changes_release(&against->changes);
	replay_counts_release(&against->counts);
	policies_unref(against->policies);
	free(against);
}

/* Counted too, so that both files have the same requests and times. */
static void allow_all(struct replay_against *against)
{
	const struct request nothing = {.count = 0};
	const struct verdict verdict = {.request = &nothing, .allowed = true};

	on_answered(against, &verdict);
}

enum replay_answer replay_against_ask(struct replay_against *against,
				      const struct http_question *question, int64_t at_us,
				      struct err *err)
{
	against->at_us = at_us;
	enum replay_answer answer = replay_engine_ask(against->engine, question, at_us, err);
	if (answer == REPLAY_INVALID || answer == REPLAY_UNKNOWN_POLICY)
		allow_all(against);
	else if (answer != REPLAY_ANSWERED)
		return answer;
	if (against->is_counted &&
	    replay_changes_add(&against->changes, &against->first, &against->second))
		return REPLAY_ANSWERED;
	(void)err_set(err, "out of memory");
	return REPLAY_FAILED;
}
