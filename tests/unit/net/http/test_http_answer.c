#include "net/http/http_answer.h"

#include "support/sweep.h"
#include "support/test.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static void put_last(struct writer *w, const void *answer)
{
	http_answer_put_head(w, answer, DATE, "close");
}

static void put(struct writer *w, const void *answer)
{
	http_answer_put_head(w, answer, DATE, NULL);
}

TEST(http_answer_put_head_of_the_last_of_its_connection)
{
	struct http_answer answer = {.status = 413, .body = BYTES("{}")};

	http_answer_add(&answer, "Content-Type", "application/json");
	http_answer_add(&answer, "Cache-Control", "no-store");

	sweep_encoder(BYTES("HTTP/1.1 413 Content Too Large\r\n"
			    "Date: " DATE "\r\n"
			    "Content-Type: application/json\r\n"
			    "Cache-Control: no-store\r\n"
			    "Connection: close\r\n"
			    "Content-Length: 2\r\n"
			    "\r\n"),
		      put_last, &answer);
}

TEST(http_answer_put_head_counts_a_large_body)
{
	struct stream_body body = {.len = 5000000};
	struct http_answer answer = {.status = 200, .large = &body};

	sweep_encoder(BYTES("HTTP/1.1 200 OK\r\n"
			    "Date: " DATE "\r\n"
			    "Content-Length: 5000000\r\n"
			    "\r\n"),
		      put, &answer);
}
