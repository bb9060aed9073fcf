/*
 * http_access.h - who may ask for what: tokens, this machine, and the admin's Unix socket
 * (docs/reference.md, section HTTP).
 *
 *     access            is granted to
 *     ----------------  ------------------------------------------------------------------------
 *     ACCESS_PUBLIC     everybody
 *     ACCESS_TOKEN      everybody, or who has a token if --http-token-file is given
 *     ACCESS_PRIVATE    who has a token of --admin-token-file; without that option who has the one
 *                       of --http-token-file; without both this machine
 *     ACCESS_CHANGE     who has a token of --admin-token-file, and nobody else
 *
 * A Unix socket of --admin-listen has all rights: the mode of its file says who may connect. A
 * token of --admin-token-file opens whatever a token opens.
 *
 * Tokens are kept as their SHA-256, so that to compare takes one time for all of them, and no token
 * stays in memory.
 */
#ifndef NET_HTTP_ACCESS_H
#define NET_HTTP_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "net/http/http_answer.h"

/* What a listener serves. */
enum http_door_kind { DOOR_MAIN = 1, DOOR_ADMIN = 2 };

enum http_access { ACCESS_PUBLIC = 0, ACCESS_TOKEN, ACCESS_PRIVATE, ACCESS_CHANGE };

#define HTTP_TOKENS_MAX     256
#define HTTP_TOKEN_MAX      512 /* bytes of a token */
#define HTTP_TOKEN_NAME_MAX 64
#define HTTP_TOKEN_HASH     32

struct http_token {
	char name[HTTP_TOKEN_NAME_MAX + 1]; /* who has it; empty for --http-token-file */
	uint8_t hash[HTTP_TOKEN_HASH];
};

struct http_tokens {
	bool is_set; /* there is a file. Without tokens in it, it opens nothing */
	size_t count;
	struct http_token items[HTTP_TOKENS_MAX];
};

/* Puts a token at the end. False when there are HTTP_TOKENS_MAX already. */
MUST_CHECK bool http_tokens_add(struct http_tokens *tokens, struct bytes name, struct bytes token);
/* The one that this is, or NULL. */
const struct http_token *http_tokens_find(const struct http_tokens *tokens, struct bytes token);

/* Both outlive the server, and may change while it runs. NULL counts as not set. */
struct http_access_rules {
	const struct http_tokens *askers; /* of --http-token-file: one at most */
	const struct http_tokens *admins; /* of --admin-token-file */
};

/* Answers and returns false when the client may not have what it asks for. */
MUST_CHECK bool http_access_check(const struct http_access_rules *rules,
				  struct http_exchange *exchange, enum http_access access);

#define HTTP_WHO_MAX  (HTTP_TOKEN_NAME_MAX + 1)
#define HTTP_FROM_MAX 64

/*
 * Who asks for a change that was granted, and from where: the token's NAME, or `uid N` over the
 * admin's Unix socket; the address with its port, or `unix`.
 */
struct http_who {
	char name[HTTP_WHO_MAX];
	char from[HTTP_FROM_MAX];
};

void http_access_who(const struct http_access_rules *rules, const struct http_exchange *exchange,
		     struct http_who *ret_who);

/*
 * Whether a browser sends the request for a page of another site: it says so (Fetch Metadata; the
 * fetch standard's Origin), and lets no page add X-Forwarded-For, which only a proxy does.
 */
bool http_access_is_for_another_site(const struct http_head *head);
#define HTTP_FOR_ANOTHER_SITE \
	"a browser sends this for a page of another site (Sec-Fetch-Site, Origin)"

#endif
