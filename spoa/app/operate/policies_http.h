/*
 * policies_http.h - /policies and /policies/history (docs/reference.md, section Operating): the
 * policy file that is in the store, over HTTP.
 */
#ifndef APP_OPERATE_POLICIES_HTTP_H
#define APP_OPERATE_POLICIES_HTTP_H

#include "net/http/http_answer.h"

/* The owner of each is a `struct operate`. */
void policies_get(void *operate, struct http_exchange *exchange);
void policies_put(void *operate, struct http_exchange *exchange);
void policies_forget_exchange(struct http_exchange *exchange);
void policies_history(void *operate, struct http_exchange *exchange);

#endif
