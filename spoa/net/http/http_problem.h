/*
 * http_problem.h - answers a request by what is wrong with it (RFC 9457).
 */
#ifndef NET_HTTP_PROBLEM_H
#define NET_HTTP_PROBLEM_H

#include <stdint.h>

#include "net/http/http_port.h"

struct http_problems {
	uint64_t counts[6]; /* by status / 100 */
};

void http_problem_send(struct http_problems *problems, struct http_exchange *exchange,
		       unsigned status, const char *detail);
/* With one more field, such as Allow. */
void http_problem_send_with(struct http_problems *problems, struct http_exchange *exchange,
			    unsigned status, const char *detail, struct http_field field);

#endif
