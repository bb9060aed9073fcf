#include "net/http/http_access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/writer.h"
#include "limit/value.h"

_Static_assert(HTTP_TOKEN_HASH == crypto_hash_sha256_BYTES, "a hash is a SHA-256");

/* ---- tokens ---- */

static void hash_token(struct bytes token, uint8_t hash[HTTP_TOKEN_HASH])
{
	crypto_hash_sha256(hash, token.len > 0 ? token.data : (const uint8_t *)"", token.len);
}

bool http_tokens_add(struct http_tokens *tokens, struct bytes name, struct bytes token)
{
	if (tokens->count == HTTP_TOKENS_MAX)
		return false;
	struct http_token *item = &tokens->items[tokens->count++];
	ASSERT(name.len <= HTTP_TOKEN_NAME_MAX);
	if (name.len > 0)
		memcpy(item->name, name.data, name.len);
	item->name[name.len] = '\0';
	hash_token(token, item->hash);
	return true;
}

const struct http_token *http_tokens_find(const struct http_tokens *tokens, struct bytes token)
{
	const struct http_token *found = NULL;
	uint8_t hash[HTTP_TOKEN_HASH];

	if (tokens == NULL)
		return NULL;
	hash_token(token, hash);
	for (size_t i = 0; i < tokens->count; i++)
		if (sodium_memcmp(hash, tokens->items[i].hash, sizeof hash) == 0)
			found = &tokens->items[i];
	return found;
}

/* "Bearer TOKEN", with the scheme in any case (RFC 6750). False when there is no such field. */
static bool find_bearer(const struct http_exchange *exchange, struct bytes *ret_token)
{
	struct bytes scheme = {0}, credentials;

	if (!http_head_find(&exchange->head, BYTES("Authorization"), &credentials) ||
	    !bytes_next_item(&credentials, ' ', &scheme) ||
	    !bytes_equal_in_any_case(scheme, BYTES("Bearer")))
		return false;
	*ret_token = bytes_trim(credentials);
	return ret_token->len > 0;
}

static const struct http_token *find_token(const struct http_tokens *tokens,
					   const struct http_exchange *exchange)
{
	struct bytes token;

	return find_bearer(exchange, &token) ? http_tokens_find(tokens, token) : NULL;
}

/* ---- where from ---- */

/* `name` is of a Host that was found good: what begins with a bracket is an IPv6 address. */
static bool is_ip_literal(struct bytes name)
{
	struct value value = value_text(name);

	value = value_canonical(&value);
	return bytes_begin_with(name, BYTES("[")) || value_is_address(&value);
}

/*
 * A web site may have its name resolved to 127.0.0.1 and so make a browser on this machine ask the
 * agent (DNS rebinding). The Host of such a request is the site's name.
 */
static bool is_host_of_this_machine(const struct http_exchange *exchange)
{
	struct bytes name = http_host_name(exchange->head.host);

	return exchange->is_unix || bytes_equal_in_any_case(name, BYTES("localhost")) ||
	       is_ip_literal(name);
}

/* The socket's file has a mode: who may connect may do everything. */
static bool is_admin_socket(const struct http_exchange *exchange)
{
	return exchange->is_unix && exchange->door == DOOR_ADMIN;
}

/* Whether a browser that shows `host` sends this Origin: "https://agent:8080" for "agent:8080". */
static bool is_origin_of(struct bytes origin, struct bytes host)
{
	struct bytes scheme;

	return bytes_next_item(&origin, ':', &scheme) && bytes_begin_with(origin, BYTES("//")) &&
	       bytes_equal_in_any_case(bytes_skip(origin, 2), host);
}

bool http_access_is_for_another_site(const struct http_head *head)
{
	struct bytes value;

	if (http_head_find(head, BYTES("X-Forwarded-For"), &value))
		return false;
	if (http_head_find(head, BYTES("Sec-Fetch-Site"), &value) &&
	    (bytes_equal_in_any_case(value, BYTES("cross-site")) ||
	     bytes_equal_in_any_case(value, BYTES("same-site"))))
		return true;
	return http_head_find(head, BYTES("Origin"), &value) && !is_origin_of(value, head->host);
}

/* ---- the decision ---- */

static bool is_set(const struct http_tokens *tokens)
{
	return tokens != NULL && tokens->is_set;
}

static bool refuse_without_token(struct http_exchange *exchange)
{
	http_answer_problem_with(exchange, 401, "Authorization: a bearer token is needed",
				 (struct http_field){"WWW-Authenticate", "Bearer"});
	return false;
}

static bool check_local(struct http_exchange *exchange)
{
	if (!exchange->is_local) {
		http_answer_problem(exchange, 403,
				    "only over loopback, or with a token (--http-token-file or "
				    "--admin-token-file)");
		return false;
	}
	if (is_host_of_this_machine(exchange))
		return true;
	http_answer_problem(exchange, 421,
			    "Host: without a token (--http-token-file or --admin-token-file) "
			    "accepted is localhost or an IP address");
	return false;
}

static bool refuse_change(const struct http_access_rules *rules, struct http_exchange *exchange)
{
	http_answer_problem(exchange, 403,
			    is_set(rules->admins)
				    ? "Authorization: a change needs a token of "
				      "--admin-token-file, or a Unix socket of --admin-listen"
				    : "a change needs a token of --admin-token-file, or a Unix "
				      "socket of --admin-listen; set one of these options");
	return false;
}

bool http_access_check(const struct http_access_rules *rules, struct http_exchange *exchange,
		       enum http_access access)
{
	if (access == ACCESS_PUBLIC || is_admin_socket(exchange) ||
	    find_token(rules->admins, exchange) != NULL)
		return true;
	if (access == ACCESS_CHANGE)
		return refuse_change(rules, exchange);
	if (access == ACCESS_PRIVATE && is_set(rules->admins))
		return refuse_without_token(exchange);
	if (is_set(rules->askers))
		return find_token(rules->askers, exchange) != NULL ||
		       refuse_without_token(exchange);
	return access == ACCESS_TOKEN || check_local(exchange);
}

/* ---- who ---- */

static void set_from(struct http_who *who, int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;
	char host[INET6_ADDRSTRLEN];

	snprintf(who->from, sizeof who->from, "unix");
	if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0)
		return;
	if (peer.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&peer;
		(void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(who->from, sizeof who->from, "%s:%u", host, ntohs(in->sin_port));
	} else if (peer.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&peer;
		(void)inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
		snprintf(who->from, sizeof who->from, "[%s]:%u", host, ntohs(in->sin6_port));
	}
}

static void set_user(struct http_who *who, int fd)
{
	struct ucred user = {.uid = (uid_t)-1};
	socklen_t len = sizeof user;

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &len);
	snprintf(who->name, sizeof who->name, "uid %lu", (unsigned long)user.uid);
}

void http_access_who(const struct http_access_rules *rules, const struct http_exchange *exchange,
		     struct http_who *ret_who)
{
	const struct http_token *token = find_token(rules->admins, exchange);
	int fd = http_exchange_descriptor(exchange);

	set_from(ret_who, fd);
	if (token != NULL)
		snprintf(ret_who->name, sizeof ret_who->name, "%s", token->name);
	else
		set_user(ret_who, fd);
}
