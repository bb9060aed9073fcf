/*
 * One check is asked by http_ask_one. A batch asks all its checks in one turn of the loop, so that
 * they leave for the store in one write; the batch collects the verdicts in the order of the checks
 * and is answered when the last one is there. If the client goes away, http_check_forget takes the
 * exchange off its inquiries: the engine then calls nobody.
 */
#include "net/http/http_check.h"

#include <stdlib.h>

#include "net/http/http_access.h"
#include "net/http/http_ask.h"
#include "net/http/http_batch.h"
#include "net/http/http_map.h"
#include "net/http/http_reply.h"

/* ---- answers ---- */

static void answer_batch(struct http_exchange *exchange)
{
	struct http_answer answer = {.status = 200};
	size_t len;
	void *results = http_batch_join(exchange->data, &len);

	if (results != NULL)
		answer.large = stream_body_new(exchange->streams, results, len);
	if (answer.large == NULL) {
		http_answer_problem(exchange, 503, "out of memory");
		return;
	}
	http_ask_add_common_fields(&answer);
	http_answer_send(exchange, &answer);
}

static void add_verdict(struct http_batch *batch, size_t index, const struct verdict *verdict)
{
	uint8_t memory[HTTP_VERDICT_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	http_reply_put_verdict(&w, verdict);
	ASSERT(!w.full);
	http_batch_add(batch, index, writer_bytes(&w));
}

/* ---- GET ---- */

/* A denial by on_error is 503, whatever status the request wants. */
static struct http_denial denial_of(unsigned deny_status)
{
	return (struct http_denial){deny_status != 0 ? deny_status : 429, 503};
}

/* For the log: the header's traceparent (W3C Trace Context), unless the request has that attribute.
 */
static void add_trace(struct http_question *question, const struct http_exchange *exchange)
{
	const struct attributes attributes = http_question_attributes(question);
	struct bytes name = BYTES("traceparent"), value;

	if (question->count < HTTP_ATTRIBUTES_MAX && attributes_find(&attributes, name) == NULL &&
	    http_head_find(&exchange->head, name, &value))
		question->items[question->count++] = (struct attribute){name, value_text(value)};
}

static bool read_fields(struct http_question *question, struct bytes fields, struct err *err)
{
	struct bytes name, value;

	while (http_head_next_field(&fields, &name, &value))
		if (!http_map_read_header(question, name, value, err))
			return false;
	return true;
}

void http_check_get(struct http_checks *checks, struct http_exchange *exchange)
{
	const struct http_head *head = &exchange->head;
	struct http_question *question = &checks->question;
	struct err err;
	unsigned deny_status;

	http_question_clear(question);
	if (!http_map_read_query(question, head->query, &deny_status, &err) ||
	    !read_fields(question, head->fields, &err)) {
		http_answer_problem(exchange, 400, err.text);
		return;
	}
	add_trace(question, exchange);
	http_ask_one(checks, exchange, denial_of(deny_status));
}

/* A page of another site can make a browser send a GET, and so charge whom it likes. */
void http_check_begin_get(struct http_exchange *exchange)
{
	if (http_access_is_for_another_site(&exchange->head))
		http_answer_problem(exchange, 403, HTTP_FOR_ANOTHER_SITE);
}

/* ---- POST ---- */

static void on_verdict_of_batch(const struct asker *asker, const struct verdict *verdict)
{
	struct http_exchange *exchange = asker->owner;
	struct http_batch *batch = exchange->data;

	add_verdict(batch, asker->tag[0], verdict);
	if (http_batch_is_complete(batch))
		answer_batch(exchange);
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
		status = http_ask(checks, &asker, &inquiry, &err);
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

	exchange->data = http_batch_new(body.count);
	if (exchange->data == NULL) {
		http_answer_problem(exchange, 503, "out of memory");
		return;
	}
	for (size_t i = 0; json_next_item(&body.check, &check); i++)
		ask_of_batch(checks, exchange, i, check);
	if (http_batch_is_complete(exchange->data))
		answer_batch(exchange);
}

bool http_check_is_json(const struct http_head *head)
{
	struct bytes list, type, coding;

	if (!http_head_find(head, BYTES("Content-Type"), &list) ||
	    !bytes_next_item(&list, ';', &type) ||
	    !bytes_equal_in_any_case(bytes_trim(type), BYTES("application/json")))
		return false;
	return !http_head_find(head, BYTES("Content-Encoding"), &coding) ||
	       bytes_equal_in_any_case(coding, BYTES("identity"));
}

/* The query of a POST may have this parameter only. */
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

void http_check_refuse_type(struct http_exchange *exchange)
{
	http_answer_problem_with(exchange, 415, "Content-Type: accepted is application/json",
				 (struct http_field){"Accept-Post", "application/json"});
}

void http_check_begin_post(struct http_exchange *exchange)
{
	if (!http_check_is_json(&exchange->head))
		http_check_refuse_type(exchange);
}

void http_check_post(struct http_checks *checks, struct http_exchange *exchange)
{
	struct http_question *question = &checks->question;
	struct http_body body;
	struct err err;
	unsigned deny_status;

	if (!read_deny_status(checks, exchange->head.query, &deny_status, &err) ||
	    !http_map_read_body(exchange->body, BYTES(""), &body, &err)) {
		http_answer_problem(exchange, 400, err.text);
		return;
	}
	if (body.is_batch) {
		ask_batch(checks, exchange, body);
		return;
	}
	http_question_clear(question);
	if (!http_map_read_check(question, body.check, BYTES(""), &err)) {
		http_answer_problem(exchange, 400, err.text);
		return;
	}
	add_trace(question, exchange);
	http_ask_one(checks, exchange, denial_of(deny_status));
}

void http_check_forget(struct http_exchange *exchange)
{
	engine_abandon(&exchange->open);
	http_batch_free(exchange->data);
	exchange->data = NULL;
}
