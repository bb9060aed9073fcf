/*
 * balances.h - GET and DELETE /balances/POLICY?name=value: the balances of one key, and their
 * reset.
 *
 * A key has a balance under the policy's own terms, and another one under each override that
 * changes numbers. All of them are asked for: overrides may match by attributes that are not in the
 * key, so nobody knows which of them counted.
 */
#ifndef APP_OPERATE_BALANCES_H
#define APP_OPERATE_BALANCES_H

#include "net/http/http_answer.h"

/* Their owner is a `struct operate`. */
void balances_show(void *operate, struct http_exchange *exchange);
void balances_reset(void *operate, struct http_exchange *exchange);
/* The client is gone, or has its answer. */
void balances_forget_exchange(struct http_exchange *exchange);

#endif
