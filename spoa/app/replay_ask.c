#include "app/replay_ask.h"

#include <stdlib.h>

#include "net/http_batch.h"
#include "net/http_reply.h"

/* ---- the answer ---- */

static void fail(struct replay_asker *asker)
{
	asker->is_failed = true;
}

/* `{"allowed":...}` becomes `{"at_ms":1500,"allowed":...}`. */
static void put_answer(struct replay_asker *asker, struct bytes json)
{
	uint8_t memory[64];
	struct writer begin = writer_on(memory, sizeof memory);

	writer_put_text(&begin, "{\"at_ms\":");
	writer_put_fraction(&begin, (uint64_t)asker->at_us, 3);
	writer_put_u8(&begin, ',');
	ASSERT(!begin.full);
	if (!replay_output_put(asker->output, writer_bytes(&begin), &asker->err) ||
	    !replay_output_put(asker->output, bytes_skip(json, 1), &asker->err) ||
	    !replay_output_put(asker->output, BYTES("\n"), &asker->err))
		fail(asker);
}

void replay_ask_answered(void *owner, const struct verdict *verdict)
{
	struct replay_asker *asker = owner;
	uint8_t memory[HTTP_VERDICT_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	http_reply_put_verdict(&w, verdict);
	ASSERT(!w.full);
	if (asker->batch != NULL)
		http_batch_add(asker->batch, asker->index, writer_bytes(&w));
	else
		put_answer(asker, writer_bytes(&w));
	if (!replay_counts_add(asker->counts, verdict, asker->at_us)) {
		(void)err_set(&asker->err, "out of memory");
		fail(asker);
	}
}

enum replay_answer replay_ask_question(struct replay_asker *asker, int64_t at_us, struct err *err)
{
	asker->at_us = at_us;
	enum replay_answer answer = replay_engine_ask(asker->engine, &asker->question, at_us, err);
	if (!asker->is_failed)
		return answer;
	*err = asker->err;
	return REPLAY_FAILED;
}

/* ---- a batch ---- */

static void add_problem(struct replay_asker *asker, unsigned status, const struct err *err)
{
	uint8_t memory[HTTP_PROBLEM_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	http_reply_put_problem(&w, status, err->text);
	ASSERT(!w.full);
	http_batch_add(asker->batch, asker->index, writer_bytes(&w));
}

static enum replay_answer ask_of_batch(struct replay_asker *asker, struct json_value check,
				       int64_t at_us, struct err *err)
{
	http_question_clear(&asker->question);
	if (!http_map_read_check(&asker->question, check, BYTES(""), err)) {
		add_problem(asker, 400, err);
		return REPLAY_ANSWERED;
	}
	enum replay_answer answer = replay_ask_question(asker, at_us, err);
	if (answer != REPLAY_INVALID && answer != REPLAY_UNKNOWN_POLICY)
		return answer;
	add_problem(asker, answer == REPLAY_INVALID ? 400 : 404, err);
	return REPLAY_ANSWERED;
}

static void put_batch(struct replay_asker *asker)
{
	size_t len;
	void *json = http_batch_join(asker->batch, &len);

	if (json == NULL) {
		(void)err_set(&asker->err, "out of memory");
		fail(asker);
		return;
	}
	put_answer(asker, bytes_from(json, len));
	free(json);
}

static enum replay_answer ask_batch(struct replay_asker *asker, const struct replay_line *line,
				    struct err *err)
{
	struct json_value checks = line->body.check, check;
	enum replay_answer answer = REPLAY_ANSWERED;

	asker->batch = http_batch_new(line->body.count, NULL);
	if (asker->batch == NULL) {
		(void)err_set(err, "out of memory");
		return REPLAY_FAILED;
	}
	for (asker->index = 0; answer == REPLAY_ANSWERED && json_next_item(&checks, &check);
	     asker->index++)
		answer = ask_of_batch(asker, check, line->at_us, err);
	if (answer == REPLAY_ANSWERED)
		put_batch(asker);
	http_batch_free(asker->batch);
	asker->batch = NULL;
	if (!asker->is_failed)
		return answer;
	*err = asker->err;
	return REPLAY_FAILED;
}

enum replay_answer replay_ask_line(struct replay_asker *asker, const struct replay_line *line,
				   struct err *err)
{
	if (line->body.is_batch)
		return ask_batch(asker, line, err);
	if (!replay_line_read_check(line, &asker->question, err))
		return REPLAY_INVALID;
	return replay_ask_question(asker, line->at_us, err);
}
