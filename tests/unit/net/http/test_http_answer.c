#include "net/http/http_answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include "support/sweep.h"
#include "support/test.h"

static void put(struct writer *w, const void *answer)
{
	http_answer_put(w, answer, "Content Too Large");
}

TEST(http_answer_put_is_the_last_of_its_connection)
{
	struct http_answer answer = {.status = 413, .body = BYTES("{}")};

	http_answer_add(&answer, "Content-Type", "application/json");
	http_answer_add(&answer, "Cache-Control", "no-store");

	sweep_encoder(BYTES("HTTP/1.1 413 Content Too Large\r\n"
			    "Content-Type: application/json\r\n"
			    "Cache-Control: no-store\r\n"
			    "Connection: close\r\n"
			    "Content-Length: 2\r\n"
			    "\r\n"
			    "{}"),
		      put, &answer);
}
