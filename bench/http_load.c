/*
 * http_load.c - a client of HTTP/1.1 on one thread: some connections with one request in flight
 * each, over which it asks as fast as it is answered, or by the clock at a --rate.
 *
 * Each request has a field X-Client with an address, which is one of --clients random ones from
 * 10.0.0.0 on. With --rate a latency begins at the time when its request was due, so a request that
 * waits until a connection is free, since answers are slow, counts with that wait.
 *
 *     WARMUP --(time)--> MEASURED --(time, and 100 answers)--> done
 *
 * Prints one JSON object. Status 1 when a connection ends or an answer can't be read; what an
 * answer says is counted: allowed is status 200, denied 429, others all the rest.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"
#include "load_process.h"
#include "load_tally.h"
#include "net/address.h"

#define EXIT_USAGE      2
#define CONNECTIONS_MAX 1000
#define PIDS_MAX        8
#define EVENTS_MAX      256
#define WAIT_MS         50
#define TICK_NS         50000 /* with --rate */
#define ANSWER_MAX      8192
#define ANSWERS_MIN     100
#define PATIENCE_US     (30 * US_PER_SECOND)
#define FIRST_ADDRESS   UINT32_C(0x0a000000) /* 10.0.0.0 */

struct http_load_options {
	const char *address;
	uint64_t connections;
	uint64_t rate; /* 0: as fast as answers come */
	uint64_t warmup_ms;
	uint64_t measured_ms;
	uint64_t clients;
	uint64_t pids[PIDS_MAX];
	size_t pid_count;
};

struct connection {
	int fd;
	bool is_waiting;
	int64_t since_us;
	size_t len;
	char answer[ANSWER_MAX];
};

struct http_load {
	struct http_load_options options;
	struct connection *connections;
	struct connection *idle[CONNECTIONS_MAX]; /* with --rate */
	size_t idle_count;
	struct load_tally tally;
	int epoll_fd, tick_fd;
	int64_t start_us; /* the first request is due */
	uint64_t asked;
	uint64_t random;
	struct load_process processes[PIDS_MAX];
};

/* ---- questions ---- */

static uint32_t random_below(struct http_load *load, uint64_t limit)
{
	uint64_t x = load->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	load->random = x;
	return (uint32_t)(((x * UINT64_C(0x2545f4914f6cdd1d)) >> 32) * limit >> 32);
}

static bool ask(struct http_load *load, struct connection *connection, int64_t since_us,
		struct err *err)
{
	uint32_t client = FIRST_ADDRESS + random_below(load, load->options.clients);
	char question[128];
	int len = snprintf(question, sizeof question,
			   "GET / HTTP/1.1\r\nHost: bench\r\nX-Client: %u.%u.%u.%u\r\n\r\n",
			   client >> 24, client >> 16 & 255, client >> 8 & 255, client & 255);

	connection->since_us = since_us;
	connection->is_waiting = true;
	connection->len = 0;
	load->asked++;
	load_tally_ask(&load->tally);
	if (send(connection->fd, question, (size_t)len, MSG_NOSIGNAL) != len)
		return err_set(err, "a request can't be sent: %s", strerror(errno));
	return true;
}

static int64_t due_us(const struct http_load *load, uint64_t number)
{
	return load->start_us + (int64_t)(number * US_PER_SECOND / load->options.rate);
}

static bool ask_what_is_due(struct http_load *load, struct err *err)
{
	int64_t now_us = clock_mono_us();

	while (load->idle_count > 0 && due_us(load, load->asked) <= now_us)
		if (!ask(load, load->idle[--load->idle_count], due_us(load, load->asked), err))
			return false;
	return true;
}

/* ---- answers ---- */

/* How long the whole answer is; 0 while its head is not there; -1 when it can't be read. */
static int64_t answer_size(const struct connection *connection)
{
	const char *end = strstr(connection->answer, "\r\n\r\n");
	const char *field = strcasestr(connection->answer, "\r\ncontent-length:");

	if (end == NULL)
		return connection->len < ANSWER_MAX - 1 ? 0 : -1;
	if (field == NULL || field > end)
		return -1;
	return end + 4 - connection->answer + strtol(strchr(field, ':') + 1, NULL, 10);
}

static bool take_answer(struct http_load *load, struct connection *connection, struct err *err)
{
	bool is_allowed = strncmp(connection->answer, "HTTP/1.1 200", 12) == 0;
	bool is_denied = strncmp(connection->answer, "HTTP/1.1 429", 12) == 0;
	const struct load_answer answer = {
		.has_allowed = is_allowed || is_denied,
		.is_allowed = is_allowed,
	};
	int64_t now_us = clock_mono_us();

	load_tally_add(&load->tally, &answer, now_us - connection->since_us);
	connection->is_waiting = false;
	if (load->options.rate == 0)
		return ask(load, connection, now_us, err);
	load->idle[load->idle_count++] = connection;
	return ask_what_is_due(load, err);
}

static bool read_answer(struct http_load *load, struct connection *connection, struct err *err)
{
	ssize_t got = recv(connection->fd, connection->answer + connection->len,
			   ANSWER_MAX - 1 - connection->len, MSG_DONTWAIT);
	int64_t size;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got <= 0)
		return err_set(err, "a connection ended: %s", got < 0 ? strerror(errno) : "EOF");
	connection->len += (size_t)got;
	connection->answer[connection->len] = '\0';
	size = answer_size(connection);
	if (size < 0 || size >= ANSWER_MAX || !connection->is_waiting)
		return err_set(err, "an answer can't be read: %.200s", connection->answer);
	if (size == 0 || (int64_t)connection->len < size)
		return true;
	return take_answer(load, connection, err);
}

/* ---- the loop ---- */

static bool watch(struct http_load *load, int fd, void *whom)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = whom};

	return epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool turn(struct http_load *load, struct err *err)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(load->epoll_fd, events, EVENTS_MAX, WAIT_MS);
	uint64_t ticks;

	for (int i = 0; i < count; i++) {
		struct connection *connection = events[i].data.ptr;
		if (connection == NULL) {
			(void)!read(load->tick_fd, &ticks, sizeof ticks);
			if (!ask_what_is_due(load, err))
				return false;
		} else if (!read_answer(load, connection, err)) {
			return false;
		}
	}
	return true;
}

static bool run_for(struct http_load *load, uint64_t milliseconds, struct err *err)
{
	int64_t end_us = clock_mono_us() + (int64_t)milliseconds * US_PER_MS;

	while (clock_mono_us() < end_us)
		if (!turn(load, err))
			return false;
	return true;
}

/* On a machine that is busy with other things a short time may bring no answer at all. */
static bool run_until_enough(struct http_load *load, struct err *err)
{
	int64_t give_up_us = clock_mono_us() + PATIENCE_US;

	while (load->tally.checks < ANSWERS_MIN) {
		if (clock_mono_us() > give_up_us)
			return err_set(err, "only %" PRIu64 " requests were answered",
				       load->tally.checks);
		if (!turn(load, err))
			return false;
	}
	return true;
}

static bool begin_asking(struct http_load *load, struct err *err)
{
	const struct itimerspec tick = {{0, TICK_NS}, {0, TICK_NS}};

	load->start_us = clock_mono_us();
	for (size_t i = 0; i < load->options.connections; i++) {
		if (load->options.rate > 0)
			load->idle[load->idle_count++] = &load->connections[i];
		else if (!ask(load, &load->connections[i], load->start_us, err))
			return false;
	}
	if (load->options.rate == 0)
		return true;
	load->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (load->tick_fd < 0 || timerfd_settime(load->tick_fd, 0, &tick, NULL) != 0 ||
	    !watch(load, load->tick_fd, NULL))
		return err_set(err, "timerfd: %s", strerror(errno));
	return true;
}

static bool connect_all(struct http_load *load, struct err *err)
{
	struct address to;
	int yes = 1;

	if (address_parse(bytes_from_text(load->options.address), &to, 1, err) == 0)
		return false;
	for (size_t i = 0; i < load->options.connections; i++) {
		struct connection *connection = &load->connections[i];
		connection->fd = socket(to.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connection->fd < 0 ||
		    connect(connection->fd, (const struct sockaddr *)&to.socket, to.len) != 0 ||
		    !watch(load, connection->fd, connection))
			return err_set(err, "%s: %s", load->options.address, strerror(errno));
		(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	}
	return true;
}

static bool measure(struct http_load *load, int64_t *ret_took_us, struct err *err)
{
	int64_t began_us;

	if (!connect_all(load, err) || !begin_asking(load, err) ||
	    !run_for(load, load->options.warmup_ms, err))
		return false;
	for (size_t i = 0; i < load->options.pid_count; i++)
		if (!load_process_begin(&load->processes[i], (pid_t)load->options.pids[i], err))
			return false;
	load->tally.is_on = true;
	began_us = clock_mono_us();
	if (!run_for(load, load->options.measured_ms, err) || !run_until_enough(load, err))
		return false;
	*ret_took_us = clock_mono_us() - began_us;
	for (size_t i = 0; i < load->options.pid_count; i++)
		if (!load_process_end(&load->processes[i], err))
			return false;
	return true;
}

/* ---- the program ---- */

static void print(const struct http_load *load, int64_t took_us)
{
	const struct load_tally *tally = &load->tally;

	printf("{\"requests\":%" PRIu64 ",\"allowed\":%" PRIu64 ",\"denied\":%" PRIu64
	       ",\"others\":%" PRIu64 ",\"took_us\":%" PRId64
	       ",\"per_second\":%.1f,\"p50_us\":%" PRId64 ",\"p99_us\":%" PRId64 ",\"cpu_us\":[",
	       tally->checks, tally->allowed, tally->denied, tally->undecided, took_us,
	       (double)tally->checks * (double)US_PER_SECOND / (double)took_us,
	       load_tally_latency_us(tally, 500), load_tally_latency_us(tally, 990));
	for (size_t i = 0; i < load->options.pid_count; i++)
		printf("%s%" PRId64, i > 0 ? "," : "", load->processes[i].cpu_us);
	printf("]}\n");
}

static bool take_option(struct http_load_options *options, const char *name, const char *value)
{
	const struct {
		const char *name;
		uint64_t *number, min, max;
	} numbers[] = {
		{"--connections", &options->connections, 1, CONNECTIONS_MAX},
		{"--rate", &options->rate, 1, 10000000},
		{"--warmup-ms", &options->warmup_ms, 0, 3600000},
		{"--measured-ms", &options->measured_ms, 1, 3600000},
		{"--clients", &options->clients, 1, 1 << 24},
		{"--pid", &options->pids[options->pid_count], 1, INT32_MAX},
	};

	if (strcmp(name, "--address") == 0) {
		options->address = value;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t number;
		if (strcmp(name, numbers[i].name) != 0)
			continue;
		if (!parse_whole(bytes_from_text(value), numbers[i].max, &number) ||
		    number < numbers[i].min)
			return false;
		*numbers[i].number = number;
		options->pid_count += strcmp(name, "--pid") == 0;
		return options->pid_count < PIDS_MAX;
	}
	return false;
}

static bool read_usage(struct http_load_options *options, char **args)
{
	*options = (struct http_load_options){
		.connections = 64, .warmup_ms = 500, .measured_ms = 2000, .clients = 10000};
	for (; args[0] != NULL && args[1] != NULL; args += 2)
		if (!take_option(options, args[0], args[1]))
			return false;
	return args[0] == NULL && options->address != NULL;
}

int main(int argc, char **argv)
{
	static struct http_load load = {.random = UINT64_C(0x9e3779b97f4a7c15)};
	int64_t took_us;
	struct err err;

	if (argc < 1 || !read_usage(&load.options, argv + 1)) {
		fprintf(stderr, "usage: http-load --address HOST:PORT [--connections N] [--rate N] "
				"[--warmup-ms N] [--measured-ms N] [--clients N] [--pid N]...\n");
		return EXIT_USAGE;
	}
	load.connections = calloc(load.options.connections, sizeof *load.connections);
	load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load.connections == NULL || load.epoll_fd < 0 || !load_tally_init(&load.tally)) {
		fprintf(stderr, "http-load: out of memory\n");
		return EXIT_FAILURE;
	}
	if (!measure(&load, &took_us, &err)) {
		fprintf(stderr, "http-load: %s\n", err.text);
		return EXIT_FAILURE;
	}
	print(&load, took_us);
	load_tally_release(&load.tally);
	free(load.connections);
	return EXIT_SUCCESS;
}
