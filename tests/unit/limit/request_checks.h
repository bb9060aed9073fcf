/*
 * request_checks.h - requests under test, and what checks they came to, in words.
 */
#ifndef UNIT_LIMIT_REQUEST_CHECKS_H
#define UNIT_LIMIT_REQUEST_CHECKS_H

#include "limit/request.h"

/* As many as a request may need, and the one that is being put together. */
extern struct pool slots;

/* Around each test. */
void open_slots(void);
void close_slots(void);

/* The request takes over the reference. */
struct request request_on(const struct policies *policies);
void add(struct request *request, struct attributes attributes);

/* "NAME:VALUES" of each check in order, without the generation, and "*COST" if that is not 1. */
void assert_checks(const struct request *request, const char *expected);
/* And the request is not invalid. */
void assert_valid_checks(const struct request *request, const char *expected);

#endif
