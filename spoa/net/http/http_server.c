#include "net/http/http_server.h"

#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

#include "net/http/http_check.h"
#include "net/http/http_port.h"
#include "net/http/http_problem.h"

/* What a listener serves. */
enum door { DOOR_MAIN = 1, DOOR_ADMIN = 2 };

#define PAGE_FIELDS_MAX 1024

struct http_server {
	struct http_server_config config;
	struct http_port *port;
	struct http_checks *checks;
	struct http_problems problems;
	uint64_t requests;
};

/* ---- who may ---- */

static bool is_bearer(struct bytes credentials, struct bytes token)
{
	struct bytes scheme = {0};

	if (!bytes_next_item(&credentials, ' ', &scheme) || scheme.len != strlen("Bearer") ||
	    strncasecmp((const char *)scheme.data, "Bearer", scheme.len) != 0)
		return false;
	credentials = bytes_trim(credentials);
	return credentials.len == token.len &&
	       sodium_memcmp(credentials.data, token.data, token.len) == 0;
}

/* Answers when it may not. */
static bool may(struct http_server *server, struct http_exchange *exchange, enum http_access access)
{
	struct bytes token = server->config.token, credentials;

	if (access == HTTP_PUBLIC)
		return true;
	if (token.len > 0) {
		if (http_exchange_field(exchange, "Authorization", &credentials) &&
		    is_bearer(credentials, token))
			return true;
		http_problem_send_with(&server->problems, exchange, 401,
				       "Authorization: a bearer token is needed",
				       (struct http_field){"WWW-Authenticate", "Bearer"});
		return false;
	}
	if (access == HTTP_TOKEN || exchange->is_local)
		return true;
	http_problem_send(&server->problems, exchange, 403,
			  "only over loopback, or with a token (--http-token-file)");
	return false;
}

static void refuse_method(struct http_server *server, struct http_exchange *exchange,
			  const char *accepted)
{
	http_problem_send_with(&server->problems, exchange, 405,
			       "the method is not one of those in Allow",
			       (struct http_field){"Allow", accepted});
}

/* ---- pages ---- */

/* Cuts "Name: value" off the front; the text is cut up for it. */
static void add_fields(struct http_answer *answer, char *lines)
{
	char *line, *rest = lines;

	while ((line = strsep(&rest, "\n")) != NULL) {
		char *colon = strchr(line, ':');
		if (colon == NULL)
			continue;
		*colon = '\0';
		http_answer_add(answer, line, colon + 1 + strspn(colon + 1, " "));
	}
}

static void answer_page(struct http_server *server, struct http_exchange *exchange,
			const struct http_page *page, void *body, size_t len)
{
	const void *owner = server->config.owner;
	char lines[PAGE_FIELDS_MAX] = "";
	struct http_answer answer = {
		.status = page->status == NULL ? 200 : page->status(owner),
		.body = bytes_from(body, len),
		.heap = body,
	};

	http_answer_add(&answer, "Content-Type", page->content_type);
	http_answer_add(&answer, "Cache-Control", "no-store");
	http_answer_add(&answer, "X-Content-Type-Options", "nosniff");
	http_answer_add(&answer, "Referrer-Policy", "no-referrer");
	if (page->headers != NULL) {
		const char *headers = page->headers();
		ASSERT(strlen(headers) < sizeof lines);
		strcpy(lines, headers);
		add_fields(&answer, lines);
	}
	http_port_answer(exchange, &answer);
}

static void send_page(struct http_server *server, struct http_exchange *exchange,
		      const struct http_page *page)
{
	char *body = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&body, &len);
	bool is_whole = to != NULL;

	if (is_whole) {
		is_whole = page->write(server->config.owner, to) && !ferror(to);
		is_whole = fclose(to) == 0 && is_whole;
	}
	if (is_whole) {
		answer_page(server, exchange, page, body, len);
		return;
	}
	free(body);
	http_problem_send(&server->problems, exchange, 503, "out of memory");
}

/* Whoever asks for health may ask anywhere. */
static bool is_served(const struct http_page *page, unsigned door)
{
	unsigned needed = page->is_admin ? DOOR_ADMIN : DOOR_MAIN;

	return (door & needed) != 0 || (page->access == HTTP_PUBLIC && !page->is_admin);
}

static const struct http_page *find_page(const struct http_server *server,
					 const struct http_exchange *exchange)
{
	for (size_t i = 0; i < server->config.page_count; i++) {
		const struct http_page *page = &server->config.pages[i];
		if (bytes_equal(exchange->path, bytes_from_text(page->path)) &&
		    is_served(page, exchange->door))
			return page;
	}
	return NULL;
}

/* ---- requests ---- */

static void take_check(struct http_server *server, struct http_exchange *exchange)
{
	if (!may(server, exchange, HTTP_TOKEN))
		return;
	switch (exchange->method) {
	case HTTP_GET:
		http_check_get(server->checks, exchange);
		break;
	case HTTP_POST:
		http_check_post(server->checks, exchange);
		break;
	case HTTP_HEAD:
	case HTTP_OTHER:
		refuse_method(server, exchange, "GET, POST");
		break;
	}
}

static void take_page(struct http_server *server, struct http_exchange *exchange,
		      const struct http_page *page)
{
	if (!may(server, exchange, page->access))
		return;
	if (exchange->method == HTTP_GET || exchange->method == HTTP_HEAD)
		send_page(server, exchange, page);
	else
		refuse_method(server, exchange, "GET, HEAD");
}

static void on_requested(void *owner, struct http_exchange *exchange)
{
	struct http_server *server = owner;
	const struct http_page *page = find_page(server, exchange);

	server->requests++;
	if ((exchange->door & DOOR_MAIN) != 0 && bytes_equal(exchange->path, BYTES("/check")))
		take_check(server, exchange);
	else if (page != NULL)
		take_page(server, exchange, page);
	else
		http_problem_send(&server->problems, exchange, 404, "there is no such path");
}

static void on_refused(void *owner, struct http_exchange *exchange, unsigned status,
		       const char *why)
{
	struct http_server *server = owner;

	http_check_forget(exchange);
	http_problem_send(&server->problems, exchange, status, why);
}

static void on_ended(void *owner, struct http_exchange *exchange)
{
	(void)owner;
	http_check_forget(exchange);
}

/* ---- the server ---- */

struct http_server *http_server_new(struct ev_loop *loop, const struct http_server_config *config)
{
	struct http_server *server = calloc(1, sizeof *server);

	if (server == NULL)
		return NULL;
	const struct http_handler handler = {
		.requested = on_requested,
		.refused = on_refused,
		.ended = on_ended,
		.owner = server,
	};
	server->config = *config;
	server->checks = http_checks_new(config->engine, &server->problems);
	server->port = server->checks == NULL ? NULL : http_port_new(loop, &handler);
	if (server->port == NULL) {
		http_checks_free(server->checks);
		free(server);
		return NULL;
	}
	return server;
}

bool http_server_listen(struct http_server *server, const struct address *address, bool is_main,
			bool is_admin, struct err *err)
{
	unsigned door = (is_main ? DOOR_MAIN : 0U) | (is_admin ? DOOR_ADMIN : 0U);

	return http_port_listen(server->port, address, door, err);
}

struct http_server_stats http_server_stats(const struct http_server *server)
{
	const struct http_port_stats port = http_port_stats(server->port);
	struct http_server_stats stats = {
		.connections = port.connections,
		.accepted = port.accepted,
		.evicted = port.evicted,
		.timeouts = port.timeouts,
		.refused = port.refused,
		.requests = server->requests,
	};

	memcpy(stats.problems, server->problems.counts, sizeof stats.problems);
	return stats;
}

void http_server_close_listeners(struct http_server *server)
{
	http_port_close_listeners(server->port);
}

bool http_server_is_idle(const struct http_server *server)
{
	return http_port_is_idle(server->port);
}

void http_server_free(struct http_server *server)
{
	if (server == NULL)
		return;
	http_port_free(server->port);
	http_checks_free(server->checks);
	free(server);
}
