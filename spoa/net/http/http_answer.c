#include "net/http/http_answer.h"

#include "net/http/http_reply.h"

void http_answer_add(struct http_answer *answer, const char *name, const char *value)
{
	ASSERT(answer->field_count < HTTP_FIELDS_MAX);
	answer->fields[answer->field_count++] = (struct http_field){name, value};
}

static void put_field(struct writer *w, const char *name, const char *value)
{
	writer_put_text(w, "\r\n");
	writer_put_text(w, name);
	writer_put_text(w, ": ");
	writer_put_text(w, value);
}

void http_answer_put_head(struct writer *w, const struct http_answer *answer, const char *date,
			  const char *connection)
{
	writer_put_text(w, "HTTP/1.1 ");
	writer_put_unsigned(w, answer->status);
	writer_put_u8(w, ' ');
	writer_put_text(w, http_reply_status_text(answer->status));
	put_field(w, "Date", date);
	for (size_t i = 0; i < answer->field_count; i++)
		put_field(w, answer->fields[i].name, answer->fields[i].value);
	if (connection != NULL)
		put_field(w, "Connection", connection);
	writer_put_text(w, "\r\nContent-Length: ");
	writer_put_unsigned(w, answer->large != NULL ? answer->large->len : answer->body.len);
	writer_put_text(w, "\r\n\r\n");
}

/* ---- problems ---- */

static void send_problem(struct http_exchange *exchange, unsigned status, const char *detail,
			 const struct http_field *field)
{
	uint8_t memory[HTTP_PROBLEM_MAX];
	struct writer w = writer_on(memory, sizeof memory);
	struct http_answer answer = {.status = status};

	http_reply_put_problem(&w, status, detail);
	ASSERT(!w.full);
	answer.body = writer_bytes(&w);
	http_answer_add(&answer, "Content-Type", "application/problem+json");
	http_answer_add(&answer, "Cache-Control", "no-store");
	if (field != NULL)
		http_answer_add(&answer, field->name, field->value);
	exchange->stats->problems[status / 100]++;
	http_answer_send(exchange, &answer);
}

void http_answer_problem(struct http_exchange *exchange, unsigned status, const char *detail)
{
	send_problem(exchange, status, detail, NULL);
}

void http_answer_problem_with(struct http_exchange *exchange, unsigned status, const char *detail,
			      struct http_field field)
{
	send_problem(exchange, status, detail, &field);
}
