#include "net/http/http_check.h"

#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "net/http/http_batch.h"
#include "net/http/http_map.h"
#include "net/http/http_reply.h"
#include "net/request_log.h"

struct http_checks {
	struct engine *engine;
	struct http_problems *problems;
	struct http_question question; /* of the check that is being read */
};

/* ---- answers ---- */

static void add_common_fields(struct http_answer *answer)
{
	http_answer_add(answer, "Content-Type", "application/json");
	http_answer_add(answer, "Cache-Control", "no-store");
}

static void answer_verdict(struct http_exchange *exchange, const struct verdict *verdict,
			   unsigned deny_status)
{
	uint8_t memory[HTTP_VERDICT_MAX];
	struct writer w = writer_on(memory, sizeof memory);
	struct http_limits limits;
	struct http_answer answer = {.status = http_reply_status(verdict, deny_status)};

	http_reply_put_verdict(&w, verdict);
	ASSERT(!w.full);
	answer.body = writer_bytes(&w);
	http_reply_set_limits(&limits, verdict);
	add_common_fields(&answer);
	if (*limits.ratelimit != '\0') {
		http_answer_add(&answer, "RateLimit", limits.ratelimit);
		http_answer_add(&answer, "RateLimit-Policy", limits.ratelimit_policy);
	}
	if (*limits.retry_after != '\0')
		http_answer_add(&answer, "Retry-After", limits.retry_after);
	http_port_answer(exchange, &answer);
}

static void answer_batch(struct http_checks *checks, struct http_exchange *exchange)
{
	struct http_answer answer = {.status = 200};

	answer.heap = http_batch_join(exchange->data, &answer.body.len);
	if (answer.heap == NULL) {
		http_problem_send(checks->problems, exchange, 503, "out of memory");
		return;
	}
	answer.body.data = answer.heap;
	add_common_fields(&answer);
	http_port_answer(exchange, &answer);
}

static void add_verdict(struct http_batch *batch, size_t index, const struct verdict *verdict)
{
	uint8_t memory[HTTP_VERDICT_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	http_reply_put_verdict(&w, verdict);
	ASSERT(!w.full);
	http_batch_add(batch, index, writer_bytes(&w));
}

/* ---- asking the engine ---- */

/*
 * Asks what stands in the question. Returns 200 when the verdict is there, in the inquiry, which
 * the caller ends; 0 when it comes later; or the status of the problem that `err` tells of, and
 * then nothing was asked.
 */
static unsigned ask(struct http_checks *checks, const struct asker *asker,
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
	request_log_left_out(request);
	if (engine_submit(inquiry, asker, clock_now_us(), clock_mono_us()) == ENGINE_PENDING)
		return 0;
	*ret_inquiry = inquiry;
	return 200;
}

static void on_verdict(const struct asker *asker, const struct verdict *verdict)
{
	answer_verdict(asker->owner, verdict, (unsigned)asker->tag[0]);
}

static void ask_one(struct http_checks *checks, struct http_exchange *exchange,
		    unsigned deny_status)
{
	const struct asker asker = {
		.done = on_verdict,
		.open = &exchange->open,
		.owner = exchange,
		.tag = {deny_status},
		.source = SOURCE_HTTP,
	};
	struct inquiry *inquiry;
	struct err err;
	unsigned status = ask(checks, &asker, &inquiry, &err);

	if (status == 0)
		return;
	if (status != 200) {
		http_problem_send(checks->problems, exchange, status, err.text);
		return;
	}
	answer_verdict(exchange, engine_verdict(inquiry), deny_status);
	engine_end(inquiry);
}

/* ---- GET ---- */

/* The header's, unless the request says it itself: for the log (W3C Trace Context). */
static void add_trace(struct http_question *question, const struct http_exchange *exchange)
{
	const struct attributes attributes = http_question_attributes(question);
	struct bytes name = BYTES("traceparent"), value;

	if (question->count < HTTP_ATTRIBUTES_MAX && attributes_find(&attributes, name) == NULL &&
	    http_exchange_field(exchange, "traceparent", &value))
		question->items[question->count++] = (struct attribute){name, value_text(value)};
}

struct fields {
	struct http_question *question;
	struct err *err;
	bool is_bad;
};

static bool take_field(void *context, struct bytes name, struct bytes value)
{
	struct fields *fields = context;

	fields->is_bad = !http_map_read_header(fields->question, name, value, fields->err);
	return !fields->is_bad;
}

void http_check_get(struct http_checks *checks, struct http_exchange *exchange)
{
	struct http_question *question = &checks->question;
	struct err err;
	struct fields fields = {question, &err, false};
	unsigned deny_status;

	http_question_clear(question);
	if (!http_map_read_query(question, exchange->query, &deny_status, &err)) {
		http_problem_send(checks->problems, exchange, 400, err.text);
		return;
	}
	http_exchange_fields(exchange, take_field, &fields);
	if (fields.is_bad) {
		http_problem_send(checks->problems, exchange, 400, err.text);
		return;
	}
	add_trace(question, exchange);
	ask_one(checks, exchange, deny_status);
}

/* ---- POST ---- */

static void on_verdict_of_batch(const struct asker *asker, const struct verdict *verdict)
{
	struct http_exchange *exchange = asker->owner;
	struct http_batch *batch = exchange->data;

	add_verdict(batch, asker->tag[0], verdict);
	if (http_batch_is_complete(batch))
		answer_batch(http_batch_owner(batch), exchange);
}

static void ask_of_batch(struct http_checks *checks, struct http_exchange *exchange, size_t index,
			 struct json_value check)
{
	const struct asker asker = {
		.done = on_verdict_of_batch,
		.open = &exchange->open,
		.owner = exchange,
		.tag = {index},
		.source = SOURCE_HTTP,
	};
	struct inquiry *inquiry;
	struct err err;
	unsigned status = 400;

	http_question_clear(&checks->question);
	if (http_map_read_check(&checks->question, check, BYTES(""), &err)) {
		add_trace(&checks->question, exchange);
		status = ask(checks, &asker, &inquiry, &err);
	}
	if (status == 0)
		return;
	if (status != 200) {
		http_batch_add_problem(exchange->data, index, status, err.text);
		return;
	}
	add_verdict(exchange->data, index, engine_verdict(inquiry));
	engine_end(inquiry);
}

static void ask_batch(struct http_checks *checks, struct http_exchange *exchange,
		      struct http_body body)
{
	struct json_value check;

	exchange->data = http_batch_new(body.count, checks);
	if (exchange->data == NULL) {
		http_problem_send(checks->problems, exchange, 503, "out of memory");
		return;
	}
	for (size_t i = 0; json_next_item(&body.check, &check); i++)
		ask_of_batch(checks, exchange, i, check);
	if (http_batch_is_complete(exchange->data))
		answer_batch(checks, exchange);
}

static bool is_text(struct bytes text, const char *other)
{
	return text.len == strlen(other) &&
	       strncasecmp((const char *)text.data, other, text.len) == 0;
}

/* Whatever its parameters; and what is compressed is not JSON. */
static bool is_json(const struct http_exchange *exchange)
{
	struct bytes list, type, coding;

	if (!http_exchange_field(exchange, "Content-Type", &list) ||
	    !bytes_next_item(&list, ';', &type) || !is_text(bytes_trim(type), "application/json"))
		return false;
	return !http_exchange_field(exchange, "Content-Encoding", &coding) ||
	       is_text(bytes_trim(coding), "identity");
}

/* Of a POST's query, which has nothing else. */
static bool read_deny_status(struct http_checks *checks, struct bytes query,
			     unsigned *ret_deny_status, struct err *err)
{
	struct http_question *question = &checks->question;

	http_question_clear(question);
	if (!http_map_read_query(question, query, ret_deny_status, err))
		return false;
	if (question->count == 0)
		return true;
	return err_set(err, "%s: not a parameter of POST; accepted is deny_status",
		       quoted_unless_plain(question->items[0].name).text);
}

void http_check_post(struct http_checks *checks, struct http_exchange *exchange)
{
	struct http_question *question = &checks->question;
	struct http_body body;
	struct err err;
	unsigned deny_status;

	if (!is_json(exchange)) {
		http_problem_send_with(checks->problems, exchange, 415,
				       "Content-Type: accepted is application/json",
				       (struct http_field){"Accept-Post", "application/json"});
		return;
	}
	if (!read_deny_status(checks, exchange->query, &deny_status, &err) ||
	    !http_map_read_body(exchange->body, BYTES(""), &body, &err)) {
		http_problem_send(checks->problems, exchange, 400, err.text);
		return;
	}
	if (body.is_batch) {
		ask_batch(checks, exchange, body);
		return;
	}
	http_question_clear(question);
	if (!http_map_read_check(question, body.check, BYTES(""), &err)) {
		http_problem_send(checks->problems, exchange, 400, err.text);
		return;
	}
	add_trace(question, exchange);
	ask_one(checks, exchange, deny_status);
}

void http_check_forget(struct http_exchange *exchange)
{
	engine_abandon(&exchange->open);
	http_batch_free(exchange->data);
	exchange->data = NULL;
}

struct http_checks *http_checks_new(struct engine *engine, struct http_problems *problems)
{
	struct http_checks *checks = malloc(sizeof *checks);

	if (checks == NULL)
		return NULL;
	checks->engine = engine;
	checks->problems = problems;
	http_question_clear(&checks->question);
	return checks;
}

void http_checks_free(struct http_checks *checks)
{
	free(checks);
}
