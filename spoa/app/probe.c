#include "app/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/authority.h"
#include "wire/spop_hello.h"

#define TIMEOUT_SECONDS 2
#define ANSWER_MAX      1024

static int open_connection(const struct address *address)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* On Linux the time-out to send bounds connect() as well. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
	if (connect(fd, (const struct sockaddr *)&address->socket, address->len) != 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static bool send_healthcheck(int fd)
{
	uint8_t memory[256];
	struct writer w = writer_on(memory, sizeof memory);

	spop_put_healthcheck(&w);
	return send(fd, memory, w.len, MSG_NOSIGNAL) == (ssize_t)w.len;
}

static bool read_answer(int fd, uint8_t *memory, struct spop_frame *ret_frame)
{
	size_t len = 0;

	while (len < ANSWER_MAX) {
		ssize_t got = recv(fd, memory + len, ANSWER_MAX - len, 0);
		if (got <= 0)
			return false;
		len += (size_t)got;
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

bool probe_spop(const struct address *address, struct err *err)
{
	uint8_t memory[ANSWER_MAX];
	struct spop_frame frame;
	int fd = open_connection(address);

	if (fd < 0)
		return err_set(err, "can't connect: %s", strerror(errno));
	bool is_answered = send_healthcheck(fd) && read_answer(fd, memory, &frame);
	close(fd);
	return is_answered ? check_answer(&frame, err) : err_set(err, "no answer");
}

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

static bool send_request(int fd, const char *authority, const char *path)
{
	char request[1024];
	int len = snprintf(request, sizeof request,
			   "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
			   authority);

	return len > 0 && (size_t)len < sizeof request &&
	       send(fd, request, (size_t)len, MSG_NOSIGNAL) == len;
}

#define STATUS_LINE_BYTES 12 /* "HTTP/1.1 200" */

static bool read_status(int fd, struct err *err)
{
	char line[STATUS_LINE_BYTES];
	struct bytes bytes = bytes_from(line, sizeof line);

	if (recv(fd, line, sizeof line, MSG_WAITALL) != sizeof line)
		return err_set(err, "no answer");
	if (bytes_begin_with(bytes, BYTES("HTTP/1.1 200")))
		return true;
	return err_set(err, "the answer is %s, not 200", quoted(bytes).text);
}

bool probe_http(const char *url, struct err *err)
{
	char authority[ADDRESS_TEXT_MAX];
	struct address address;
	const char *path;

	if (!split_url(url, authority, sizeof authority, &path))
		return err_set(err, "the URL is too long");
	if (!address_parse(bytes_from_text(authority), &address, err))
		return false;
	int fd = open_connection(&address);
	if (fd < 0)
		return err_set(err, "can't connect: %s", strerror(errno));
	bool is_good = send_request(fd, authority, path) ? read_status(fd, err)
							 : err_set(err, "can't send the request");
	close(fd);
	return is_good;
}
