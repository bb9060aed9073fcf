/* The states of a drain, with servers that do what the test says in place of the real ones. */
#include "app/drain.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/http/http_server.h"
#include "net/spop/spop_server.h"
#include "support/test.h"

#define MS     INT64_C(1000)
#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)

/* ---- the servers ---- */

static struct {
	size_t connections; /* of SPOP */
	bool http_is_busy;
	unsigned drains_begun, http_drains_begun, ends, http_closes, hand_overs;
	int64_t spread_us;
} servers;

void spop_server_begin_drain(struct spop_server *server)
{
	(void)server;
	servers.drains_begun++;
}

void spop_server_end_connections(struct spop_server *server, int64_t spread_us)
{
	(void)server;
	servers.ends++;
	servers.spread_us = spread_us;
}

void spop_server_hand_over(struct spop_server *server, int64_t patience_us)
{
	(void)server;
	servers.hand_overs++;
	servers.spread_us = patience_us;
}

size_t spop_server_connections(const struct spop_server *server)
{
	(void)server;
	return servers.connections;
}

void http_server_close_listeners(struct http_server *server)
{
	(void)server;
	servers.http_closes++;
}

void http_server_begin_drain(struct http_server *server)
{
	(void)server;
	servers.http_drains_begun++;
}

size_t http_server_unanswered(const struct http_server *server)
{
	(void)server;
	return servers.http_is_busy;
}

/* ---- a drain in a loop ---- */

struct world {
	struct ev_loop *loop;
	struct options options;
	struct drain drain;
	bool is_draining;
	struct ev_prepare before_wait;
	struct ev_idle idle; /* keeps the loop from waiting */
	unsigned turns_left; /* then the test ends the loop, if the drain has not */
};

static struct world *world;

static void before_wait(struct ev_loop *loop, struct ev_prepare *watcher, int events)
{
	(void)watcher, (void)events;
	if (world->turns_left == 0) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	world->turns_left--;
	drain_advance(&world->drain);
}

static void on_idle(struct ev_loop *loop, struct ev_idle *watcher, int events)
{
	(void)loop, (void)watcher, (void)events;
}

BEFORE_EACH
{
	world = calloc(1, sizeof *world);
	assert_non_null(world);
	memset(&servers, 0, sizeof servers);
	world->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(world->loop);
	drain_init(&world->drain, &(struct drain_config){
					  .loop = world->loop,
					  .options = &world->options,
					  .is_draining = &world->is_draining,
				  });
	ev_prepare_init(&world->before_wait, before_wait);
	ev_prepare_start(world->loop, &world->before_wait);
	ev_idle_init(&world->idle, on_idle);
	ev_idle_start(world->loop, &world->idle);
}

AFTER_EACH
{
	ev_signal_stop(world->loop, &world->drain.on_term);
	ev_signal_stop(world->loop, &world->drain.on_int);
	ev_loop_destroy(world->loop);
	free(world);
}

static void set_times(int64_t delay_us, int64_t timeout_us)
{
	world->options.drain_delay_us = delay_us;
	world->options.drain_timeout_us = timeout_us;
}

/* Whether the drain ends the loop within so many turns. */
static bool ends_within(unsigned turns)
{
	world->turns_left = turns;
	ev_run(world->loop, 0);
	return world->turns_left > 0;
}

static void get_signal(int number)
{
	ev_feed_signal_event(world->loop, number);
}

/* Until the timer, which is short, has fired. */
static void run_until(enum drain_state wanted)
{
	while (world->drain.state != wanted)
		assert_false(ends_within(1));
}

/* ---- what happens ---- */

TEST(drain_without_a_signal_nothing_happens)
{
	set_times(0, SECOND);

	assert_false(ends_within(9));

	assert_int_equal(world->drain.state, DRAIN_SERVING);
	assert_false(world->is_draining);
	assert_int_equal(servers.drains_begun + servers.ends + servers.http_closes, 0);
}

static const struct {
	const char *name;
	int signal;
} drain_with_nobody_there_ends_at_once[] = {
	{"SIGTERM", SIGTERM},
	{"SIGINT", SIGINT},
};

TEST_ROWS(drain_with_nobody_there_ends_at_once)
{
	set_times(0, HOUR);
	get_signal(row->signal);

	assert_true(ends_within(9));

	assert_true(world->is_draining);
	assert_int_equal(servers.drains_begun, 1);
	assert_int_equal(servers.http_drains_begun, 1);
	assert_int_equal(servers.ends, 1);
	assert_int_equal(servers.http_closes, 1);
}

TEST(drain_during_the_delay_all_is_served)
{
	set_times(HOUR, SECOND);
	get_signal(SIGTERM);

	assert_false(ends_within(9));

	assert_int_equal(world->drain.state, DRAIN_DRAINING);
	assert_true(world->is_draining);
	assert_int_equal(servers.drains_begun, 1);
	assert_int_equal(servers.http_drains_begun, 1);
	assert_int_equal(servers.ends + servers.http_closes, 0);
}

TEST(drain_after_the_delay_connections_end)
{
	set_times(5 * MS, HOUR);
	servers.connections = 1;
	get_signal(SIGTERM);

	run_until(DRAIN_ENDING);

	assert_int_equal(servers.ends, 1);
	assert_int_equal(servers.http_closes, 0);
}

TEST(drain_waits_for_spop_then_closes_http_then_waits_for_http)
{
	set_times(0, HOUR);
	servers.connections = 2;
	servers.http_is_busy = true;
	get_signal(SIGTERM);
	assert_false(ends_within(9));
	assert_int_equal(world->drain.state, DRAIN_ENDING);

	servers.connections = 1;
	assert_false(ends_within(9));
	assert_int_equal(servers.http_closes, 0);

	servers.connections = 0;
	assert_false(ends_within(9));
	assert_int_equal(world->drain.state, DRAIN_CLOSING);
	assert_int_equal(servers.http_closes, 1);

	servers.http_is_busy = false;
	assert_true(ends_within(9));
	assert_int_equal(servers.http_closes, 1);
}

TEST(drain_timeout_ends_the_loop_with_spop_connections_left)
{
	set_times(0, 5 * MS);
	servers.connections = 1;
	get_signal(SIGTERM);

	assert_true(ends_within(UINT32_MAX));

	assert_int_equal(world->drain.state, DRAIN_ENDING);
	assert_int_equal(servers.http_closes, 0);
}

TEST(drain_timeout_ends_the_loop_with_http_requests_left)
{
	set_times(0, 5 * MS);
	servers.http_is_busy = true;
	get_signal(SIGTERM);

	assert_true(ends_within(UINT32_MAX));

	assert_int_equal(world->drain.state, DRAIN_CLOSING);
	assert_int_equal(servers.http_closes, 1);
}

TEST(drain_timeout_of_0_waits_for_nobody)
{
	set_times(0, 0);
	servers.connections = 1;
	get_signal(SIGTERM);

	assert_true(ends_within(9));

	assert_int_equal(servers.ends, 1);
}

static const struct {
	const char *name;
	int64_t timeout_us, spread_us;
} drain_spreads_the_ends_of_connections[] = {
	{"over a second", HOUR, SECOND},
	{"over a second of two", 2 * SECOND, SECOND},
	{"over half of a short timeout", 2 * SECOND - 2, SECOND - 1},
	{"over half a second of one", SECOND, SECOND / 2},
	{"not without a timeout", 0, 0},
};

TEST_ROWS(drain_spreads_the_ends_of_connections)
{
	set_times(0, row->timeout_us);
	servers.connections = 1;
	get_signal(SIGTERM);

	(void)ends_within(3);

	assert_int_equal(servers.ends, 1);
	assert_int_equal(servers.spread_us, row->spread_us);
}

TEST(drain_second_signal_ends_the_process_at_once)
{
	pid_t pid = fork();

	if (pid == 0) {
		set_times(HOUR, HOUR);
		get_signal(SIGTERM);
		(void)ends_within(3);
		get_signal(SIGINT);
		(void)ends_within(3);
		_exit(77);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
}

/* ---- sockets that systemd keeps ---- */

static void inherit(struct address_list *list)
{
	list->count = 1;
	list->items[0].is_inherited = true;
}

TEST(drain_of_inherited_sockets_hands_over_without_delay_and_no_check_fails)
{
	set_times(HOUR, HOUR);
	inherit(&world->options.spop_listen);
	servers.connections = 1;
	get_signal(SIGTERM);

	assert_false(ends_within(9));

	assert_int_equal(world->drain.state, DRAIN_ENDING);
	assert_false(world->is_draining);
	assert_int_equal(servers.hand_overs, 1);
	assert_int_equal(servers.http_drains_begun, 1);
	assert_int_equal(servers.drains_begun + servers.ends + servers.http_closes, 0);
	servers.connections = 0;
	assert_true(ends_within(9));
	assert_int_equal(servers.http_closes, 1);
}

TEST(drain_of_inherited_sockets_ends_at_the_timeout)
{
	set_times(0, 5 * MS);
	inherit(&world->options.spop_listen);
	servers.connections = 1;
	get_signal(SIGTERM);

	while (!ends_within(1000))
		;
}

TEST(drain_by_sigint_hands_nothing_over)
{
	set_times(0, HOUR);
	inherit(&world->options.spop_listen);
	get_signal(SIGINT);

	assert_true(ends_within(9));

	assert_true(world->is_draining);
	assert_int_equal(servers.hand_overs, 0);
	assert_int_equal(servers.ends, 1);
}

static const struct {
	const char *name;
	bool has_spop, spop_is_inherited, http_is_inherited, hands_over;
} drain_hands_over_what_haproxy_connects_to[] = {
	{"all of it", true, true, true, true},
	{"HAProxy's socket alone", true, true, false, true},
	{"HTTP's socket alone", true, false, true, false},
	{"HTTP's socket, and HAProxy does not connect", false, false, true, true},
	{"nothing", true, false, false, false},
};

TEST_ROWS(drain_hands_over_what_haproxy_connects_to)
{
	set_times(0, HOUR);
	world->options.spop_listen.count = row->has_spop;
	world->options.spop_listen.items[0].is_inherited = row->spop_is_inherited;
	world->options.http_listen.count = 1;
	world->options.http_listen.items[0].is_inherited = row->http_is_inherited;
	get_signal(SIGTERM);

	assert_true(ends_within(9));

	assert_int_equal(servers.hand_overs, row->hands_over);
}

TEST(drain_second_signal_ends_a_hand_over_at_once)
{
	set_times(HOUR, HOUR);
	inherit(&world->options.spop_listen);
	servers.connections = 1;
	get_signal(SIGTERM);
	assert_false(ends_within(9));

	pid_t child = fork();
	if (child == 0) {
		get_signal(SIGTERM);
		ends_within(9);
		_exit(EXIT_SUCCESS);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
}
