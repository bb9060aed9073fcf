#include "net/http/http_answer.h"

void http_answer_add(struct http_answer *answer, const char *name, const char *value)
{
	ASSERT(answer->field_count < HTTP_FIELDS_MAX);
	answer->fields[answer->field_count++] = (struct http_field){name, value};
}

void http_answer_put(struct writer *w, const struct http_answer *answer, const char *phrase)
{
	writer_put_text(w, "HTTP/1.1 ");
	writer_put_unsigned(w, answer->status);
	writer_put_u8(w, ' ');
	writer_put_text(w, phrase);
	for (size_t i = 0; i < answer->field_count; i++) {
		writer_put_text(w, "\r\n");
		writer_put_text(w, answer->fields[i].name);
		writer_put_text(w, ": ");
		writer_put_text(w, answer->fields[i].value);
	}
	writer_put_text(w, "\r\nConnection: close\r\nContent-Length: ");
	writer_put_unsigned(w, answer->body.len);
	writer_put_text(w, "\r\n\r\n");
	writer_put(w, answer->body);
}
