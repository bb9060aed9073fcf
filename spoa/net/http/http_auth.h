/*
 * http_auth.h - /auth: a proxy asks whether a visitor's request may pass, before it passes the
 * request on. The twin of http_check.h.
 *
 * The answer is 200, or a status that the proxy takes for a no. It is never 5xx when the agent can
 * answer: proxies are told to go on without an agent that is away, and that is how they know it.
 */
#ifndef NET_HTTP_AUTH_H
#define NET_HTTP_AUTH_H

#include "net/http/http_answer.h"
#include "net/http/http_ask.h"

bool http_auth_is_asked(const struct http_head *head);
/* The head is complete: it is answered now, or when the engine has the verdict. */
void http_auth_ask(struct http_checks *checks, struct http_exchange *exchange);
/* The status of a head that was refused with `head.status`, as far as it names /auth. */
unsigned http_auth_status_of_refused(struct http_checks *checks, const struct http_head *head);

#endif
