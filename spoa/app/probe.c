#include "app/probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/connection.h"
#include "base/authority.h"
#include "base/clock.h"
#include "base/parse.h"
#include "wire/spop_hello.h"

#define ANSWER_MAX 1024

/* ---- look-ups ---- */

static void on_lookup_late(int signal)
{
	static const char line[] = "ratelimit-spoa: the look-up of the host name takes too long\n";

	(void)signal;
	ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
	(void)written; /* the status says it too */
	_exit(EXIT_FAILURE);
}

int64_t probe_begin(void)
{
	(void)signal(SIGALRM, on_lookup_late);
	(void)alarm(PROBE_SECONDS);
	return clock_mono_us() + PROBE_SECONDS * US_PER_SECOND;
}

/* ---- all addresses ---- */

/* Asks for `what` over the connection. */
typedef bool ask_fn(int fd, const void *what, int64_t until_us, struct err *err);

static bool ask_one(const struct address *address, ask_fn *ask, const void *what, int64_t until_us,
		    struct err *err)
{
	int fd = connection_open(address, until_us);

	if (fd < 0)
		return err_set(err, "can't connect: %s", strerror(errno));
	bool is_good = ask(fd, what, until_us, err);
	close(fd);
	return is_good;
}

static bool ask_all(const struct address_list *addresses, ask_fn *ask, const void *what,
		    int64_t until_us, struct err *err)
{
	struct err all = {""};

	(void)alarm(0);
	for (size_t i = 0; i < addresses->count; i++) {
		const struct address *address = &addresses->items[i];
		int64_t now_us = clock_mono_us();
		int64_t share_us = (until_us - now_us) / (int64_t)(addresses->count - i);
		struct err why, before = all;
		if (ask_one(address, ask, what, now_us + share_us, &why))
			return true;
		(void)err_set(&all, "%s%s%s: %s", before.text, i == 0 ? "" : "; ", address->text,
			      why.text);
	}
	*err = all;
	return false;
}

/* ---- SPOP ---- */

static bool send_healthcheck(int fd)
{
	uint8_t memory[256];
	struct writer w = writer_on(memory, sizeof memory);

	spop_put_healthcheck(&w);
	return send(fd, memory, w.len, MSG_NOSIGNAL) == (ssize_t)w.len;
}

static bool read_answer(int fd, uint8_t *memory, int64_t until_us, struct spop_frame *ret_frame)
{
	size_t len = 0;

	while (len < ANSWER_MAX) {
		size_t got = connection_receive(fd, memory + len, ANSWER_MAX - len, until_us);
		if (got == 0)
			return false;
		len += got;
		struct bytes answer = bytes_from(memory, len);
		enum spop_status status;
		switch (spop_frame_next(&answer, ANSWER_MAX - SPOP_LENGTH_BYTES, ret_frame,
					&status)) {
		case SPOP_FOUND_FRAME:
			return true;
		case SPOP_FOUND_BAD:
			return false;
		case SPOP_FOUND_NONE:
			break;
		}
	}
	return false;
}

static bool check_answer(const struct spop_frame *frame, struct err *err)
{
	struct bytes message;
	uint64_t status;

	if (frame->type == SPOP_AGENT_HELLO && spop_agent_hello_is_good(frame->payload))
		return true;
	if (frame->type == SPOP_AGENT_DISCONNECT &&
	    spop_disconnect_read(frame->payload, &status, &message))
		return err_set(err, "the agent disconnects: status %llu, %s",
			       (unsigned long long)status, quoted(message).text);
	return err_set(err, "the answer is not an AGENT-HELLO");
}

static bool ask_spop(int fd, const void *what, int64_t until_us, struct err *err)
{
	uint8_t memory[ANSWER_MAX];
	struct spop_frame frame;

	(void)what;
	if (!send_healthcheck(fd) || !read_answer(fd, memory, until_us, &frame))
		return err_set(err, "no answer");
	return check_answer(&frame, err);
}

bool probe_spop(const struct address_list *addresses, int64_t until_us, struct err *err)
{
	return ask_all(addresses, ask_spop, NULL, until_us, err);
}

/* ---- HTTP ---- */

struct http_question {
	char authority[ADDRESS_TEXT_MAX];
	const char *path;
};

/* Cuts a URL into "host:port", with port 80 when it has none, and "/path". */
static bool split_url(const char *url, char *authority, size_t max, const char **ret_path)
{
	const char *begin = url + strlen(PROBE_HTTP);
	size_t len = strcspn(begin, "/");
	struct authority found;
	bool has_port = authority_split(bytes_from(begin, len), &found) && found.port.data != NULL;
	int written = snprintf(authority, max, "%.*s%s", (int)len, begin, has_port ? "" : ":80");

	*ret_path = begin[len] == '\0' ? "/" : begin + len;
	return written > 0 && (size_t)written < max;
}

static bool has_bad_character(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return true;
	return false;
}

bool probe_check_url(const char *url, struct err *err)
{
	const char *begin = url + strlen(PROBE_HTTP);
	struct bytes text = bytes_from(begin, strcspn(begin, "/"));
	struct authority found;
	uint64_t port = 80;

	if (authority_split(text, &found) && found.host.len > 0 &&
	    (found.port.data == NULL || parse_whole(found.port, 65535, &port)) && port > 0 &&
	    !has_bad_character(url))
		return true;
	return err_set(err, "%s: this is no URL; accepted is http://host[:port]/path",
		       quoted(bytes_from_text(url)).text);
}

static bool send_request(int fd, const struct http_question *question)
{
	char request[1024];
	int len = snprintf(request, sizeof request,
			   "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
			   question->path, question->authority);

	return len > 0 && (size_t)len < sizeof request &&
	       send(fd, request, (size_t)len, MSG_NOSIGNAL) == len;
}

#define STATUS_LINE_BYTES 12 /* "HTTP/1.1 200" */

static bool ask_http(int fd, const void *what, int64_t until_us, struct err *err)
{
	char line[STATUS_LINE_BYTES];
	struct bytes bytes = bytes_from(line, sizeof line);

	if (!send_request(fd, what))
		return err_set(err, "can't send the request");
	for (size_t len = 0, got; len < sizeof line; len += got) {
		got = connection_receive(fd, line + len, sizeof line - len, until_us);
		if (got == 0)
			return err_set(err, "no answer");
	}
	if (bytes_begin_with(bytes, BYTES("HTTP/1.1 200")))
		return true;
	return err_set(err, "the answer is %s, not 200", quoted(bytes).text);
}

bool probe_http(const char *url, int64_t until_us, struct err *err)
{
	struct http_question question;
	struct address_list given;

	if (!split_url(url, question.authority, sizeof question.authority, &question.path))
		return err_set(err, "the URL is too long");
	given.count = address_parse(bytes_from_text(question.authority), given.items,
				    ADDRESS_LIST_MAX, err);
	if (given.count == 0)
		return false;
	struct address_list addresses = address_list_first_reachable(&given);
	return ask_all(&addresses, ask_http, &question, until_us, err);
}
