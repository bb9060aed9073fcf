/*
 * spop_load.c - a load generator for SPOP agents: it plays HAProxy's part over some connections,
 * each with a fixed number of checks in flight, and reports how many are answered a second.
 *
 * Without --rate the loop is closed: the next check follows as soon as an answer comes. So the
 * latencies are those of an agent under full load, and a request to a less busy agent waits for
 * less time. With --rate checks are asked by the clock, 5,000 times a second, whether others are
 * answered or not, as long as a connection has one of its --in-flight left.
 *
 *     WARMUP --(time, and --fill is done)--> MEASURED --(time, or enough checks)--> DRAIN --(all
 * answered)--> done
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "load_connect.h"
#include "load_message.h"
#include "load_options.h"
#include "load_peer.h"
#include "load_process.h"
#include "load_report.h"
#include "load_tally.h"

#define EXIT_USAGE    2
#define EVENTS_MAX    256
#define WAIT_MS       50
#define TICK_NS       200000              /* with --rate */
#define LOOK_EVERY_US (US_PER_SECOND / 4) /* for checks that are not answered */

enum load_phase { LOAD_WARMUP = 0, LOAD_MEASURED, LOAD_DRAIN, LOAD_DONE };

struct load {
	struct load_options options;
	struct load_address address;
	struct load_question question;
	struct load_tally tally;
	struct load_peer *peers;
	size_t peer_count;
	int epoll_fd;
	int tick_fd; /* with --rate; else -1 */
	int64_t rate_start_us;
	uint64_t rate_asked; /* or that could not be asked, since then */
	size_t rate_peer;    /* the next one that asks */
	enum load_phase phase;
	int64_t phase_end_us;
	int64_t next_look_us;
	int64_t measured_us;                              /* when it began, later how long it was */
	struct load_process processes[1 + LOAD_PIDS_MAX]; /* the first is this one */
	size_t process_count;
};

/* ---- connections ---- */

static bool watch(struct load *load, struct load_peer *peer, int how)
{
	struct epoll_event event = {
		.events = EPOLLIN | (peer->out.len > 0 ? EPOLLOUT : 0),
		.data.ptr = peer,
	};

	return epoll_ctl(load->epoll_fd, how, peer->fd, &event) == 0;
}

static bool check_agreement(const struct load *load, const struct load_agreement *agreement,
			    struct err *err)
{
	if (!agreement->pipelining && load->options.in_flight > 1)
		return err_set(err, "the agent does not announce pipelining: --in-flight 1 only");
	if (load_question_size(&load->question) > agreement->max_frame_size)
		return err_set(err, "the agent takes frames of %u bytes at most: too small",
			       agreement->max_frame_size);
	return true;
}

static bool open_peer(struct load *load, struct err *err)
{
	struct load_peer *peer = &load->peers[load->peer_count];
	struct load_agreement agreement;
	int fd = load_connect(&load->address, &agreement, err);

	if (fd < 0)
		return false;
	if (!check_agreement(load, &agreement, err)) {
		close(fd);
		return false;
	}
	if (!load_peer_init(peer, fd, load->options.in_flight,
			    load_question_size(&load->question))) {
		close(fd);
		return err_set(err, "out of memory");
	}
	load->peer_count++;
	return watch(load, peer, EPOLL_CTL_ADD) || err_set(err, "epoll: %s", strerror(errno));
}

/* Says which connection it was, if there is more than one. */
static bool fail_at(const struct load *load, size_t index, struct err *err)
{
	if (load->options.connections > 1)
		return err_at(err, "%s: connection %zu: ", load->options.address, index + 1);
	return err_at(err, "%s: ", load->options.address);
}

static bool open_all(struct load *load, struct err *err)
{
	for (size_t i = 0; i < load->options.connections; i++)
		if (!open_peer(load, err))
			return fail_at(load, i, err);
	return true;
}

/* ---- phases ---- */

static bool begin_processes(struct load *load, struct err *err)
{
	for (size_t i = 0; i < load->process_count; i++)
		if (!load_process_begin(&load->processes[i],
					i == 0 ? getpid() : load->options.pids[i - 1], err))
			return false;
	return true;
}

static bool begin_measured(struct load *load, int64_t now_us, struct err *err)
{
	load->phase = LOAD_MEASURED;
	load->phase_end_us = load->options.checks > 0
				     ? INT64_MAX
				     : now_us + (int64_t)load->options.seconds * US_PER_SECOND;
	load->measured_us = now_us;
	load->tally.is_on = true;
	return begin_processes(load, err);
}

static bool begin_drain(struct load *load, int64_t now_us, struct err *err)
{
	load->phase = LOAD_DRAIN;
	load->measured_us = now_us - load->measured_us;
	load->tally.is_on = false;
	for (size_t i = 0; i < load->process_count; i++)
		if (!load_process_end(&load->processes[i], err))
			return false;
	return true;
}

/*
 * How many more checks may be asked now. With --checks the measured time asks exactly that many,
 * and in the warm-up, which counts no checks, never more than that many are in flight.
 */
static uint64_t still_to_ask(const struct load *load)
{
	if (load->phase >= LOAD_DRAIN)
		return 0;
	if (load->options.checks == 0)
		return UINT64_MAX;
	return load->options.checks - load->tally.checks - load->tally.in_flight;
}

static bool step(struct load *load, int64_t now_us, struct err *err)
{
	const uint64_t enough = load->options.checks;

	switch (load->phase) {
	case LOAD_WARMUP:
		return now_us < load->phase_end_us || load_question_is_filling(&load->question) ||
		       begin_measured(load, now_us, err);
	case LOAD_MEASURED:
		if (now_us < load->phase_end_us && (enough == 0 || load->tally.checks < enough))
			return true;
		return begin_drain(load, now_us, err);
	case LOAD_DRAIN:
		if (load->tally.in_flight == 0)
			load->phase = LOAD_DONE;
		return true;
	case LOAD_DONE:
		break;
	}
	return true;
}

/* ---- the loop ---- */

static bool serve_peer(struct load *load, struct load_peer *peer, uint32_t events, struct err *err)
{
	bool was_behind = peer->out.len > 0;

	if ((events & EPOLLOUT) != 0 && !load_peer_write(peer, err))
		return false;
	if ((events & ~(uint32_t)EPOLLOUT) != 0 && !load_peer_read(peer, &load->tally, err))
		return false;
	if (load->options.rate == 0 &&
	    !load_peer_ask(peer, &load->question, still_to_ask(load), &load->tally, err))
		return false;
	if (was_behind != (peer->out.len > 0) && !watch(load, peer, EPOLL_CTL_MOD))
		return err_set(err, "epoll: %s", strerror(errno));
	return true;
}

static bool look_for_lost(struct load *load, int64_t now_us, struct err *err)
{
	if (now_us < load->next_look_us)
		return true;
	load->next_look_us = now_us + LOOK_EVERY_US;
	for (size_t i = 0; i < load->peer_count; i++)
		if (!load_peer_is_in_time(&load->peers[i], now_us - LOAD_WAIT_MAX_US, err))
			return fail_at(load, i, err);
	return true;
}

/* One check at a time and connection, so that all connections have the same share. */
static bool ask_at_rate(struct load *load, struct err *err)
{
	int64_t elapsed_us = clock_mono_us() - load->rate_start_us;
	uint64_t due = (uint64_t)elapsed_us * load->options.rate / US_PER_SECOND;
	uint64_t ticks;

	if (read(load->tick_fd, &ticks, sizeof ticks) < 0)
		return true;
	for (; load->rate_asked < due; load->rate_asked++) {
		struct load_peer *peer = &load->peers[load->rate_peer++ % load->peer_count];
		if (still_to_ask(load) > 0)
			load_peer_put(peer, &load->question, &load->tally);
	}
	for (size_t i = 0; i < load->peer_count; i++)
		if (!serve_peer(load, &load->peers[i], EPOLLOUT, err))
			return false;
	return true;
}

static bool turn(struct load *load, struct err *err)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(load->epoll_fd, events, EVENTS_MAX, WAIT_MS);

	for (int i = 0; i < count; i++) {
		struct load_peer *peer = events[i].data.ptr;
		if (peer == NULL) {
			if (!ask_at_rate(load, err))
				return false;
			continue;
		}
		if (!serve_peer(load, peer, events[i].events, err))
			return fail_at(load, (size_t)(peer - load->peers), err);
	}
	int64_t now_us = clock_mono_us();
	return step(load, now_us, err) && look_for_lost(load, now_us, err);
}

static bool start_ticking(struct load *load, struct err *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct itimerspec tick = {{0, TICK_NS}, {0, TICK_NS}};

	load->rate_start_us = clock_mono_us();
	load->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (load->tick_fd >= 0 && timerfd_settime(load->tick_fd, 0, &tick, NULL) == 0 &&
	    epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->tick_fd, &event) == 0)
		return true;
	return err_set(err, "timerfd: %s", strerror(errno));
}

static bool run(struct load *load, struct err *err)
{
	if (!open_all(load, err))
		return false;
	load->phase_end_us =
		clock_mono_us() + (int64_t)load->options.warmup_seconds * US_PER_SECOND;
	if (!step(load, clock_mono_us(), err))
		return false;
	for (size_t i = 0; i < load->peer_count; i++)
		if (!serve_peer(load, &load->peers[i], 0, err))
			return fail_at(load, i, err);
	if (load->options.rate > 0 && !start_ticking(load, err))
		return false;
	while (load->phase != LOAD_DONE)
		if (!turn(load, err))
			return false;
	return true;
}

/* ---- set-up ---- */

static bool read_usage(struct load *load, char **args, struct err *err)
{
	return load_options_read(args, &load->options, err) &&
	       load_address_find(load->options.address, &load->address, err) &&
	       load_question_init(&load->question, &load->options, err);
}

static bool load_init(struct load *load, struct err *err)
{
	load->process_count = 1 + load->options.pid_count;
	load->peers = calloc(load->options.connections, sizeof *load->peers);
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load->epoll_fd < 0)
		return err_set(err, "epoll: %s", strerror(errno));
	if (load->peers == NULL || !load_tally_init(&load->tally))
		return err_set(err, "out of memory");
	return begin_processes(load, err); /* so that a wrong --pid is noticed now */
}

static void load_release(struct load *load)
{
	for (size_t i = 0; i < load->peer_count; i++)
		load_peer_release(&load->peers[i]);
	free(load->peers);
	load_tally_release(&load->tally);
	if (load->epoll_fd >= 0)
		close(load->epoll_fd);
	if (load->tick_fd >= 0)
		close(load->tick_fd);
}

static void report(const struct load *load)
{
	load_report_print(&(struct load_report){
		.options = &load->options,
		.tally = &load->tally,
		.took_us = load->measured_us,
		.processes = load->processes,
		.process_count = load->process_count,
	});
}

static int refuse(const struct err *err, int status)
{
	fprintf(stderr, "spop-load: %s\n", err->text);
	return status;
}

int main(int argc, char **argv)
{
	static struct load load = {.epoll_fd = -1, .tick_fd = -1};
	struct err err;

	if (argc < 1 || !read_usage(&load, argv + 1, &err))
		return refuse(&err, EXIT_USAGE);
	if (load.options.help) {
		load_options_print_help();
		return EXIT_SUCCESS;
	}
	bool is_good = load_init(&load, &err) && run(&load, &err);
	if (is_good)
		report(&load);
	load_release(&load);
	return is_good ? EXIT_SUCCESS : refuse(&err, EXIT_FAILURE);
}
