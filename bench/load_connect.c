#include "load_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/parse.h"
#include "wire/reader.h"
#include "wire/spop_data.h"
#include "wire/spop_hello.h"

#define TIMEOUT_SECONDS 2
#define OUR_FRAME_SIZE  16380 /* what HAProxy offers: its buffer less 4 */
#define ANSWER_MAX      1024
#define ENGINE_ID       "00000000-0000-4000-8000-000000000000"

/* ---- where it is ---- */

static bool refuse(const char *text, const char *why, struct err *err)
{
	return err_set(err, "--address: %s: %s; accepted is host:port, [v6]:port or unix:/path",
		       quoted(bytes_from_text(text)).text, why);
}

static bool find_unix(const char *text, struct load_address *address, struct err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address->socket;
	const char *path = text + strlen("unix:");

	if (*path != '/')
		return refuse(text, "the path must begin with /", err);
	if (strlen(path) >= sizeof un->sun_path)
		return refuse(text, "the path is too long", err);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path));
	address->len = sizeof *un;
	return true;
}

/* Splits at the last colon; brackets around the host are taken off. */
static bool split(const char *text, char *host, size_t host_max, const char **ret_port)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	if (colon == NULL || !parse_whole(bytes_from_text(colon + 1), 65535, &port))
		return false;
	size_t len = (size_t)(colon - text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= host_max)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	*ret_port = colon + 1;
	return true;
}

static bool find_inet(const char *text, struct load_address *address, struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char host[256];
	const char *port;

	if (!split(text, host, sizeof host, &port))
		return refuse(text, "not an address", err);
	int status = getaddrinfo(host, port, &hints, &found);
	if (status != 0)
		return refuse(text, gai_strerror(status), err);
	memcpy(&address->socket, found->ai_addr, found->ai_addrlen);
	address->len = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

bool load_address_find(const char *text, struct load_address *ret_address, struct err *err)
{
	struct load_address address = {0};
	bool is_good = strncmp(text, "unix:", 5) == 0 ? find_unix(text, &address, err)
						      : find_inet(text, &address, err);

	if (is_good)
		*ret_address = address;
	return is_good;
}

/* ---- the handshake ---- */

static void put_item(struct writer *w, struct bytes name, struct spop_data data)
{
	spop_put_string(w, name);
	spop_data_put(w, &data);
}

static bool send_hello(int fd)
{
	uint8_t memory[256];
	struct writer w = writer_on(memory, sizeof memory);
	size_t begin = spop_frame_begin(&w, SPOP_HAPROXY_HELLO, 0, 0);

	put_item(&w, BYTES("supported-versions"), spop_str(BYTES("2.0")));
	put_item(&w, BYTES("max-frame-size"), spop_uint32(OUR_FRAME_SIZE));
	put_item(&w, BYTES("capabilities"), spop_str(BYTES("pipelining")));
	put_item(&w, BYTES("engine-id"), spop_str(BYTES(ENGINE_ID)));
	spop_frame_end(&w, begin);
	ASSERT(!w.full);
	return send(fd, memory, w.len, MSG_NOSIGNAL) == (ssize_t)w.len;
}

/* The frame lives in `memory`; the agent may not send more than it before it is asked. */
static bool read_answer(int fd, uint8_t *memory, struct spop_frame *ret_frame, struct err *err)
{
	size_t len = 0;

	while (len < ANSWER_MAX) {
		ssize_t got = recv(fd, memory + len, ANSWER_MAX - len, 0);
		if (got < 0)
			return err_set(err, "no AGENT-HELLO: %s",
				       errno == EAGAIN ? "nothing came for 2 s" : strerror(errno));
		if (got == 0)
			return err_set(err, "no AGENT-HELLO: the agent closed the connection");
		len += (size_t)got;
		struct bytes answer = bytes_from(memory, len);
		enum spop_status status;
		enum spop_found found = spop_frame_next(&answer, ANSWER_MAX - SPOP_LENGTH_BYTES,
							ret_frame, &status);
		if (found == SPOP_FOUND_FRAME && answer.len == 0)
			return true;
		if (found != SPOP_FOUND_NONE)
			break;
	}
	return err_set(err, "no AGENT-HELLO: the answer is no frame, or more than one");
}

static bool has_pipelining(struct bytes capabilities)
{
	struct bytes capability;

	while (bytes_next_item(&capabilities, ',', &capability))
		if (bytes_equal(bytes_trim(capability), BYTES("pipelining")))
			return true;
	return false;
}

static void read_agreement(struct bytes payload, struct load_agreement *agreement)
{
	struct bytes name;
	struct spop_data data;
	uint64_t size;

	while (read_string(&payload, &name) && spop_data_read(&payload, &data)) {
		if (bytes_equal(name, BYTES("max-frame-size")) && spop_data_natural(&data, &size))
			agreement->max_frame_size = (uint32_t)size;
		if (bytes_equal(name, BYTES("capabilities")) && data.type == SPOP_STR)
			agreement->pipelining = has_pipelining(data.bytes);
	}
}

static bool shake_hands(int fd, struct load_agreement *ret_agreement, struct err *err)
{
	struct load_agreement agreement = {0};
	uint8_t memory[ANSWER_MAX];
	struct spop_frame frame;
	struct bytes message;
	uint64_t status;

	if (!send_hello(fd))
		return err_set(err, "HAPROXY-HELLO: %s", strerror(errno));
	if (!read_answer(fd, memory, &frame, err))
		return false;
	if (frame.type == SPOP_AGENT_DISCONNECT &&
	    spop_disconnect_read(frame.payload, &status, &message))
		return err_set(err, "no AGENT-HELLO: AGENT-DISCONNECT %llu %s",
			       (unsigned long long)status, quoted(message).text);
	if (frame.type != SPOP_AGENT_HELLO || !spop_agent_hello_is_good(frame.payload))
		return err_set(err, "AGENT-HELLO is wrong: HAProxy would refuse it");
	read_agreement(frame.payload, &agreement);
	*ret_agreement = agreement;
	return true;
}

static int open_socket(const struct load_address *address, struct err *err)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
	int family = address->socket.ss_family, one = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		(void)err_set(err, "socket: %s", strerror(errno));
		return -1;
	}
	/* Linux bounds connect() by the time to send. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
	if (family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, (const struct sockaddr *)&address->socket, address->len) == 0)
		return fd;
	(void)err_set(err, "can't connect: %s", strerror(errno));
	close(fd);
	return -1;
}

int load_connect(const struct load_address *address, struct load_agreement *ret_agreement,
		 struct err *err)
{
	int fd = open_socket(address, err);

	if (fd < 0)
		return -1;
	if (!shake_hands(fd, ret_agreement, err)) {
		close(fd);
		return -1;
	}
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}
