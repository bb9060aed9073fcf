/*
 * request_checks.h - requests under test, and their checks as text.
 *
 * A message is written like the query of a URL, without escapes. An attribute is text unless its
 * name is followed by a kind:
 *
 *     "src=192.0.2.1&cost:int=-5"
 *     "a:uint=18446744073709551615&b:bool=true&c:ip=2001:db8::1&d:null"
 */
#ifndef UNIT_LIMIT_REQUEST_CHECKS_H
#define UNIT_LIMIT_REQUEST_CHECKS_H

#include "limit/request.h"

/* Slots for as many checks as a request may have, and for the one that is being put together. */
extern struct pool slots;

/* Call these before and after each test. */
void open_slots(void);
void close_slots(void);

/* The request takes over the reference to the policies. */
struct request request_on(const struct policies *policies);
void add(struct request *request, struct attributes attributes);
void add_message(struct request *request, const char *message);

/* "NAME:VALUES" of each check in order, without the generation, and "*COST" if that is not 1. */
void assert_checks(const struct request *request, const char *expected);
/* The same, and that the request is not invalid. */
void assert_valid_checks(const struct request *request, const char *expected);
/* `why` is NULL for a request that is to be valid. */
void assert_invalid_why(const struct request *request, const char *why);

/* A row of a table: the messages of a request, and the checks that they come to. */
struct request_row {
	const char *name;
	const char *policies[20]; /* in the notation of policy_of */
	const char *messages[5];
	const char *checks;
	size_t left_out;
	const char *invalid_why;
};
void assert_request_row(const struct request_row *row);

#endif
