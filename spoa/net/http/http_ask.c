#include "net/http/http_ask.h"

#include <stdlib.h>

#include "base/clock.h"
#include "net/http/http_map.h"
#include "net/http/http_reply.h"
#include "net/request_log.h"

void http_ask_add_common_fields(struct http_answer *answer)
{
	http_answer_add(answer, "Content-Type", "application/json");
	http_answer_add(answer, "Cache-Control", "no-store");
}

static void answer_verdict(struct http_exchange *exchange, const struct verdict *verdict,
			   struct http_denial denial)
{
	uint8_t memory[HTTP_VERDICT_MAX];
	struct writer w = writer_on(memory, sizeof memory);
	struct http_limits limits;
	struct http_answer answer = {.status = http_reply_status(verdict, denial)};

	http_reply_put_verdict(&w, verdict);
	ASSERT(!w.full);
	answer.body = writer_bytes(&w);
	http_reply_set_limits(&limits, verdict);
	http_ask_add_common_fields(&answer);
	if (*limits.ratelimit != '\0') {
		http_answer_add(&answer, "RateLimit", limits.ratelimit);
		http_answer_add(&answer, "RateLimit-Policy", limits.ratelimit_policy);
	}
	if (*limits.retry_after != '\0')
		http_answer_add(&answer, "Retry-After", limits.retry_after);
	http_answer_send(exchange, &answer);
}

unsigned http_ask(struct http_checks *checks, const struct asker *asker,
		  struct inquiry **ret_inquiry, struct err *err)
{
	const struct attributes attributes = http_question_attributes(&checks->question);
	struct inquiry *inquiry = engine_begin(checks->engine);
	const struct request *request = engine_request(inquiry);

	engine_add(inquiry, &attributes);
	if (request->is_invalid) {
		unsigned status = http_map_refuse(&checks->question, request, err);
		engine_end(inquiry);
		return status;
	}
	request_log_policies(request);
	if (engine_submit(inquiry, asker, clock_now_us(), clock_mono_us()) == ENGINE_PENDING)
		return 0;
	*ret_inquiry = inquiry;
	return 200;
}

static struct http_denial denial_of(const struct asker *asker)
{
	return (struct http_denial){(unsigned)asker->tag[0], (unsigned)asker->tag[1]};
}

static void on_verdict(const struct asker *asker, const struct verdict *verdict)
{
	answer_verdict(asker->owner, verdict, denial_of(asker));
}

void http_ask_one(struct http_checks *checks, struct http_exchange *exchange,
		  struct http_denial denial)
{
	const struct asker asker = {
		.done = on_verdict,
		.open = &exchange->open,
		.owner = exchange,
		.tag = {denial.limited, denial.error},
		.source = SOURCE_HTTP,
	};
	struct inquiry *inquiry;
	struct err err;
	unsigned status = http_ask(checks, &asker, &inquiry, &err);

	if (status == 0)
		return;
	if (status != 200) {
		http_answer_problem(exchange, status, err.text);
		return;
	}
	answer_verdict(exchange, engine_verdict(inquiry), denial);
	engine_end(inquiry);
}

struct http_checks *http_checks_new(struct engine *engine)
{
	struct http_checks *checks = malloc(sizeof *checks);

	if (checks == NULL)
		return NULL;
	checks->engine = engine;
	http_question_clear(&checks->question);
	return checks;
}

void http_checks_free(struct http_checks *checks)
{
	free(checks);
}
