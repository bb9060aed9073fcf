/*
 * exception_request.h - makes an exception of a request: PUT /exceptions[/POLICY]?name=value… with
 * a body that says what, how long and why.
 */
#ifndef APP_OPERATE_EXCEPTION_REQUEST_H
#define APP_OPERATE_EXCEPTION_REQUEST_H

#include "app/operate/exception_text.h"
#include "limit/policies.h"

#define EXCEPTION_KEY_HASH 65 /* a SHA-256 in hexadecimal digits, with its NUL */

struct exception_request {
	const struct policies *policies;
	struct bytes policy;                 /* of the path; no data: none */
	const struct attributes *attributes; /* of the query */
	struct bytes body;
	bool hash_keys;
	uint64_t now_ms; /* by the clock by which exceptions end */
	struct http_who who;
};

/*
 * Fills the draft, but for `exception.text`, and sets the SHA-256 of its values, by which the log
 * names it. Returns 200, or the status of a problem with its reason in `err`.
 */
unsigned exception_request_read(const struct exception_request *request,
				struct exception_draft *ret_draft,
				char ret_key_hash[EXCEPTION_KEY_HASH], struct err *err);

/* The same of an exception that was read from its record. */
void exception_key_hash(const struct exception_draft *draft, char ret_key_hash[EXCEPTION_KEY_HASH]);
/* The SHA-256 of a text in hexadecimal digits. */
void exception_hash_text(struct bytes text, char ret_hash[EXCEPTION_KEY_HASH]);

#endif
