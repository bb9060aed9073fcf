/*
 * http_auth_map.h - makes the attributes of a check from what a proxy says of a visitor's request
 * (docs/reference.md, section /auth). Pure.
 *
 * Two kinds of mistakes are told apart. What stands in /auth's own query is the operator's, and a
 * mistake there is 400. What stands in the fields is the visitor's, as the proxy passes it on: a
 * visitor must not get through by it, so it is answered as a denial is.
 *
 * Every proxy has its own fields, and passes on what the visitor sends in those of the others. So
 * only the fields of the proxy that `from` names are read.
 */
#ifndef NET_HTTP_AUTH_MAP_H
#define NET_HTTP_AUTH_MAP_H

#include "base/err.h"
#include "net/http/http_head.h"
#include "net/http/http_question.h"

struct auth_proxy;

/* What /auth's own query says, beside the attributes that it adds to the question. */
struct auth_query {
	const struct auth_proxy *from; /* NULL: none of those that are known */
	unsigned deny_status;          /* 0: not given */
	uint64_t entry;   /* `xff`: which of X-Forwarded-For, from the right; 0 likewise */
	struct bytes uri; /* of Envoy; no data: not given */
	bool names_policy;
	bool is_header[HTTP_ATTRIBUTES_MAX]; /* this attribute of the question is a `header=` */
};

/*
 * Adds the parameters to the question. Also when it returns false, `ret_query` is what was read
 * before the mistake.
 */
MUST_CHECK bool http_auth_read_query(struct http_question *question, struct bytes query,
				     struct auth_query *ret_query, struct err *err);
/* Behind http_auth_read_query: adds what the fields say of the visitor's request. */
MUST_CHECK bool http_auth_read_fields(struct http_question *question, const struct http_head *head,
				      const struct auth_query *query, struct err *err);
/* The status of a denial, and of what the visitor can cause. `from` is known. */
unsigned http_auth_denial(const struct auth_query *query);

#endif
