#include "net/http/http_problem.h"

#include "base/writer.h"
#include "net/http/http_reply.h"

static void put(struct http_problems *problems, struct http_exchange *exchange, unsigned status,
		const char *detail, const struct http_field *field)
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
	problems->counts[status / 100]++;
	http_port_answer(exchange, &answer);
}

void http_problem_send(struct http_problems *problems, struct http_exchange *exchange,
		       unsigned status, const char *detail)
{
	put(problems, exchange, status, detail, NULL);
}

void http_problem_send_with(struct http_problems *problems, struct http_exchange *exchange,
			    unsigned status, const char *detail, struct http_field field)
{
	put(problems, exchange, status, detail, &field);
}
