#include "app/replay/replay_ask.h"

#include <stdlib.h>

#include "net/http/http_batch.h"
#include "net/http/http_reply.h"

/* ---- the answer ---- */

/* `{"allowed":...}` becomes `{"at_ms":1500,"allowed":...}`. */
static enum replay_answer put_answer(struct replay_asker *asker, int64_t at_us, struct bytes json,
				     struct err *err)
{
	uint8_t memory[64];
	struct writer begin = writer_on(memory, sizeof memory);

	writer_put_text(&begin, "{\"at_ms\":");
	writer_put_fraction(&begin, (uint64_t)at_us, 3);
	writer_put_u8(&begin, ',');
	ASSERT(!begin.full);
	bool is_put = replay_output_put(asker->output, writer_bytes(&begin), err) &&
		      replay_output_put(asker->output, bytes_skip(json, 1), err) &&
		      replay_output_put(asker->output, BYTES("\n"), err);
	return is_put ? REPLAY_ANSWERED : REPLAY_FAILED;
}

/* Only keeps the answer: writing may wait in the loop, and the store, which calls, is not done. */
void replay_ask_answered(void *owner, const struct verdict *verdict)
{
	struct replay_asker *asker = owner;

	asker->answer = writer_on(asker->memory, sizeof asker->memory);
	http_reply_put_verdict(&asker->answer, verdict);
	ASSERT(!asker->answer.full);
	asker->is_counted = replay_counts_add(asker->counts, verdict, asker->at_us);
	if (asker->against != NULL)
		replay_decisions_set(&asker->against->first, verdict);
}

/* Asks the question of the asker, of the second file too. The answer is then in the asker. */
static enum replay_answer ask_and_count(struct replay_asker *asker, int64_t at_us, struct err *err)
{
	asker->at_us = at_us;
	enum replay_answer answer = replay_engine_ask(asker->engine, &asker->question, at_us, err);
	if (answer != REPLAY_ANSWERED)
		return answer;
	if (!asker->is_counted) {
		(void)err_set(err, "out of memory");
		return REPLAY_FAILED;
	}
	if (asker->against == NULL)
		return REPLAY_ANSWERED;
	return replay_against_ask(asker->against, &asker->question, at_us, err);
}

enum replay_answer replay_ask_question(struct replay_asker *asker, int64_t at_us, struct err *err)
{
	enum replay_answer answer = ask_and_count(asker, at_us, err);

	if (answer != REPLAY_ANSWERED)
		return answer;
	return put_answer(asker, at_us, writer_bytes(&asker->answer), err);
}

/* ---- a batch ---- */

static enum replay_answer ask_check(struct replay_asker *asker, struct json_value check,
				    int64_t at_us, struct err *err)
{
	http_question_clear(&asker->question);
	if (!http_map_read_check(&asker->question, check, BYTES(""), err))
		return REPLAY_INVALID;
	return ask_and_count(asker, at_us, err);
}

/* False when the answer ends the replay. */
static bool add_answer(struct replay_asker *asker, struct http_batch *batch, size_t index,
		       enum replay_answer answer, const struct err *err)
{
	switch (answer) {
	case REPLAY_ANSWERED:
		http_batch_add(batch, index, writer_bytes(&asker->answer));
		return true;
	case REPLAY_INVALID:
		http_batch_add_problem(batch, index, 400, err->text);
		return true;
	case REPLAY_UNKNOWN_POLICY:
		http_batch_add_problem(batch, index, 404, err->text);
		return true;
	case REPLAY_FAILED:
	case REPLAY_STOPPED:
		break;
	}
	return false;
}

static enum replay_answer put_batch(struct replay_asker *asker, struct http_batch *batch,
				    int64_t at_us, struct err *err)
{
	size_t len;
	void *json = http_batch_join(batch, &len);

	if (json == NULL) {
		(void)err_set(err, "out of memory");
		return REPLAY_FAILED;
	}
	enum replay_answer answer = put_answer(asker, at_us, bytes_from(json, len), err);
	free(json);
	return answer;
}

static enum replay_answer ask_batch(struct replay_asker *asker, const struct replay_line *line,
				    struct err *err)
{
	struct json_value checks = line->body.check, check;
	struct http_batch *batch = http_batch_new(line->body.count);
	enum replay_answer answer = REPLAY_ANSWERED;
	bool goes_on = true;

	if (batch == NULL) {
		(void)err_set(err, "out of memory");
		return REPLAY_FAILED;
	}
	for (size_t i = 0; goes_on && json_next_item(&checks, &check); i++) {
		answer = ask_check(asker, check, line->at_us, err);
		goes_on = add_answer(asker, batch, i, answer, err);
	}
	if (goes_on)
		answer = put_batch(asker, batch, line->at_us, err);
	http_batch_free(batch);
	return answer;
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
