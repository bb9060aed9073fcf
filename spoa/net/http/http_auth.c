#include "net/http/http_auth.h"

#include "net/http/http_auth_map.h"

bool http_auth_is_asked(const struct http_head *head)
{
	return bytes_equal(head->path, BYTES(HTTP_AUTH_PATH));
}

void http_auth_ask(struct http_checks *checks, struct http_exchange *exchange)
{
	struct http_question *question = &checks->question;
	const struct http_head *head = &exchange->head;
	struct auth_query query;
	struct err err;

	http_question_clear(question);
	if (!http_auth_read_query(question, head->query, &query, &err)) {
		http_answer_problem(exchange, 400, err.text);
		return;
	}
	unsigned denial = http_auth_denial(&query);
	if (!http_auth_read_fields(question, head, &query, &err)) {
		http_answer_problem(exchange, denial, err.text);
		return;
	}
	http_ask_one(checks, exchange, (struct http_denial){denial, denial});
}

unsigned http_auth_status_of_refused(struct http_checks *checks, const struct http_head *head)
{
	struct http_question *question = &checks->question;
	struct auth_query query;
	struct err err;

	if (!http_auth_is_asked(head))
		return head->status;
	/* The request line may be cut: what counts is what stands before the visitor's part. */
	http_question_clear(question);
	(void)!http_auth_read_query(question, head->query, &query, &err);
	return query.from != NULL ? http_auth_denial(&query) : head->status;
}
