#include "app/operate/agent_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "app/connection.h"
#include "app/probe.h"
#include "base/authority.h"
#include "base/clock.h"
#include "base/parse.h"
#include "net/address_list.h"

#define HTTP       "http://"
#define UNIX       "unix:"
#define ASK_US     (10 * US_PER_SECOND)
#define HEAD_MAX   16384 /* of a request: the target is bounded by the agent */
#define FIRST_READ 65536

#define ACCEPTED "accepted is http://host[:port] or unix:/path"

/* ---- addresses ---- */

/* Of "http://host:8080/" the part "host:8080". */
static struct bytes authority_of(const char *address)
{
	struct bytes text = bytes_from_text(address + strlen(HTTP));

	if (text.len > 0 && text.data[text.len - 1] == '/')
		text.len--;
	return text;
}

bool agent_client_check_address(const char *address, struct err *err)
{
	struct authority found;
	uint64_t port = 80;

	if (strncmp(address, UNIX "/", strlen(UNIX "/")) == 0)
		return true;
	if (strncmp(address, HTTP, strlen(HTTP)) == 0 &&
	    authority_split(authority_of(address), &found) && found.host.len > 0 &&
	    memchr(found.host.data, '/', found.host.len) == NULL &&
	    (found.port.data == NULL || parse_whole(found.port, 65535, &port)) && port > 0)
		return true;
	return err_set(err, "%s is no address of an agent; " ACCEPTED,
		       quoted(bytes_from_text(address)).text);
}

/* Sets the text for Host as well. */
static bool look_up(const char *address, char *host, size_t host_max, struct address_list *ret,
		    struct err *err)
{
	struct bytes text = bytes_from_text(address);
	char with_port[ADDRESS_TEXT_MAX];
	struct authority found;

	snprintf(host, host_max, "localhost");
	if (strncmp(address, HTTP, strlen(HTTP)) == 0) {
		struct bytes authority = authority_of(address);
		bool has_port = authority_split(authority, &found) && found.port.data != NULL;
		snprintf(host, host_max, "%.*s", (int)authority.len, (const char *)authority.data);
		int len =
			snprintf(with_port, sizeof with_port, "%s%s", host, has_port ? "" : ":80");
		if (len < 0 || (size_t)len >= sizeof with_port)
			return err_set(err, "the address is too long");
		text = bytes_from_text(with_port);
	}
	(void)probe_begin(); /* a look-up knows no time-out */
	ret->count = address_parse(text, ret->items, ADDRESS_LIST_MAX, err);
	(void)alarm(0);
	return ret->count > 0;
}

static int open_one(const struct address_list *list, int64_t until_us, struct err *err)
{
	for (size_t i = 0; i < list->count; i++) {
		int fd = connection_open(&list->items[i], until_us);
		if (fd >= 0)
			return fd;
	}
	(void)err_set(err, "can't connect: %s", strerror(errno));
	return -1;
}

/* ---- the question ---- */

static bool send_request(int fd, const char *host, const char *token,
			 const struct agent_request *request, int64_t until_us)
{
	char head[HEAD_MAX];
	int len = snprintf(head, sizeof head,
			   "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s%s%s%s%s",
			   request->method, request->target, host,
			   token == NULL ? "" : "Authorization: Bearer ",
			   token == NULL ? "" : token, token == NULL ? "" : "\r\n",
			   request->if_match == NULL ? "" : "If-Match: \"",
			   request->if_match == NULL ? "" : request->if_match,
			   request->if_match == NULL ? "" : "\"\r\n");

	if (len < 0 || (size_t)len >= sizeof head)
		return false;
	size_t used = (size_t)len;
	len = request->body.data == NULL
		      ? snprintf(head + used, sizeof head - used, "\r\n")
		      : snprintf(head + used, sizeof head - used,
				 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
				 request->body.len);
	if (len < 0 || (size_t)len >= sizeof head - used)
		return false;
	return connection_send(fd, head, used + (size_t)len, until_us) &&
	       connection_send(fd, request->body.data, request->body.len, until_us);
}

/* ---- the answer ---- */

/* All that comes until the agent ends the connection, with a NUL behind it; NULL: too much. */
static char *receive_all(int fd, int64_t until_us, size_t *ret_len)
{
	size_t max = FIRST_READ, len = 0, got;
	char *text = malloc(max + 1);

	while (text != NULL &&
	       (got = connection_receive(fd, text + len, max - len, until_us)) > 0) {
		len += got;
		if (len < max)
			continue;
		max *= 2;
		char *larger = max > AGENT_REPLY_MAX ? NULL : realloc(text, max + 1);
		if (larger == NULL)
			free(text);
		text = larger;
	}
	if (text != NULL)
		text[len] = '\0';
	*ret_len = len;
	return text;
}

/* Returns the value of a header field. The caller writes its name as "\r\nName:". */
static bool find_field(const char *head, const char *end, const char *name, struct bytes *ret_value)
{
	for (const char *at = head; at < end; at++) {
		if (strncasecmp(at, name, strlen(name)) != 0)
			continue;
		at += strlen(name);
		*ret_value = bytes_trim(bytes_from(at, strcspn(at, "\r\n")));
		return true;
	}
	return false;
}

/* The length that the head says; false when it says none, which no agent does. */
static bool find_length(const char *head, const char *end, size_t *ret_len)
{
	struct bytes text;
	uint64_t len;

	if (!find_field(head, end, "\r\nContent-Length:", &text) ||
	    !parse_whole(text, AGENT_REPLY_MAX, &len))
		return false;
	*ret_len = (size_t)len;
	return true;
}

static void find_etag(const char *head, const char *end, char etag[AGENT_ETAG_MAX])
{
	struct bytes text;

	*etag = '\0';
	if (find_field(head, end, "\r\nETag:", &text) && text.len >= 2 && text.data[0] == '"' &&
	    text.len - 2 < AGENT_ETAG_MAX)
		snprintf(etag, AGENT_ETAG_MAX, "%.*s", (int)(text.len - 2),
			 (const char *)text.data + 1);
}

/* RFC 7234, section 5.5.1 */
static bool find_stale(const char *head, const char *end)
{
	struct bytes text;

	return find_field(head, end, "\r\nWarning:", &text) &&
	       bytes_begin_with(text, BYTES("110 "));
}

/* Moves the body to the front of `text`, which the reply takes over. */
static bool read_reply(char *text, size_t len, struct agent_reply *ret_reply, struct err *err)
{
	const char *end = text == NULL ? NULL : strstr(text, "\r\n\r\n");
	unsigned status;
	size_t body_len;

	if (end == NULL || sscanf(text, "HTTP/1.1 %3u ", &status) != 1 ||
	    !find_length(text, end + 1, &body_len)) {
		free(text);
		return err_set(err, len == 0 ? "no answer" : "the answer is not one of an agent");
	}
	end += strlen("\r\n\r\n");
	if ((size_t)(text + len - end) != body_len) {
		free(text);
		return err_set(err, "the answer is cut");
	}
	*ret_reply = (struct agent_reply){.status = status, .body = text, .len = body_len};
	find_etag(text, end, ret_reply->etag);
	ret_reply->is_stale = find_stale(text, end);
	memmove(text, end, body_len + 1);
	return true;
}

bool agent_client_ask(const char *address, const char *token, const struct agent_request *request,
		      struct agent_reply *ret_reply, struct err *err)
{
	char host[ADDRESS_TEXT_MAX];
	struct address_list list;

	if (!look_up(address, host, sizeof host, &list, err))
		return false;
	int64_t until_us = clock_mono_us() + ASK_US;
	int fd = open_one(&list, until_us, err);
	if (fd < 0)
		return false;
	size_t len = 0;
	char *text = NULL;
	bool is_sent = send_request(fd, host, token, request, until_us);
	/* A refusal may come before all is sent. */
	text = receive_all(fd, until_us, &len);
	close(fd);
	if (!is_sent && len == 0) {
		free(text);
		return err_set(err, "the request can't be sent, or is too long");
	}
	return read_reply(text, len, ret_reply, err);
}
