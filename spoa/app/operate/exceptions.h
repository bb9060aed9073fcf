/*
 * exceptions.h - exceptions as an operator makes, removes and lists them (docs/reference.md,
 * section Operating), and how they come from their records into the table that requests look at.
 *
 * A change goes to the records (store/records.h) first; from there it comes back like the change of
 * any other agent, and only then is it in force and answered.
 */
#ifndef APP_OPERATE_EXCEPTIONS_H
#define APP_OPERATE_EXCEPTIONS_H

#include "net/http/http_answer.h"
#include "store/records.h"

#define EXCEPTIONS_SHOWN_MAX 1000 /* in an answer */

/* A records_changed_fn, whose owner is a `struct operate`. */
void exceptions_take_record(void *operate, const struct record *record);

/* PUT and DELETE. */
void exceptions_set(void *operate, struct http_exchange *exchange);
void exceptions_delete(void *operate, struct http_exchange *exchange);
void exceptions_forget_exchange(struct http_exchange *exchange);
/* GET */
void exceptions_list(void *operate, struct http_exchange *exchange);

#endif
