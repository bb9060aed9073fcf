/*
 * The window by itself, with the time in hand; and a simulation: a Redis that serves calls one
 * after the other, stalls now and then, and is offered more than it can decide.
 */
#include "store/redis/redis_health.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "support/chance.h"
#include "support/test.h"

#define TIMEOUT_US 2000
#define WINDOW_MAX 65536

static struct redis_health health;

static void come_up(void)
{
	redis_health_init(&health, TIMEOUT_US, WINDOW_MAX);
	redis_health_add_ping(&health, 100);
	assert_true(redis_health_is_up(&health));
}

/* One request of `checks`, asked at `sent_us`, alone. */
static void ask_alone(uint32_t checks, int64_t sent_us, bool is_late, int64_t now_us)
{
	assert_true(redis_health_admit(&health, checks, sent_us));
	redis_health_add_call(&health, checks, sent_us, is_late, now_us);
}

BEFORE_EACH
{
	come_up();
}

/* ---- the window ---- */

TEST(redis_health_admit_as_many_checks_as_the_window_has)
{
	for (int i = 0; i < 64; i++)
		assert_true(redis_health_admit(&health, 4, 0));
	assert_int_equal(redis_health_state(&health, 0), REDIS_HEALTH_UP);
	assert_false(redis_health_admit(&health, 1, 0));
	assert_int_equal(redis_health_state(&health, 0), REDIS_HEALTH_SHEDDING);
}

TEST(redis_health_admit_a_request_above_the_window_alone)
{
	health.window = 3;
	assert_true(redis_health_admit(&health, 16, 0));
	assert_false(redis_health_admit(&health, 1, 0));
	redis_health_withdraw(&health, 16);
	assert_true(redis_health_admit(&health, 1, 0));
}

TEST(redis_health_init_the_ceiling_bounds_the_window)
{
	redis_health_init(&health, TIMEOUT_US, 10);
	redis_health_add_ping(&health, 1);
	for (int i = 0; i < 10; i++)
		assert_true(redis_health_admit(&health, 1, 0));
	assert_false(redis_health_admit(&health, 1, 0));
	for (int i = 0; i < 5; i++)
		redis_health_add_call(&health, 1, 0, false, 10);
	assert_int_equal(health.window, 10);
}

TEST(redis_health_add_call_in_half_of_the_time_grows_by_one)
{
	assert_true(redis_health_admit(&health, 128, 0));
	redis_health_add_call(&health, 32, 0, false, TIMEOUT_US / 2);
	assert_int_equal(health.window, 257);
}

TEST(redis_health_add_call_after_half_of_the_time_does_not_grow)
{
	assert_true(redis_health_admit(&health, 128, 0));
	redis_health_add_call(&health, 32, 0, false, TIMEOUT_US / 2 + 1);
	assert_int_equal(health.window, 256);
}

TEST(redis_health_add_call_with_less_than_half_in_use_does_not_grow)
{
	assert_true(redis_health_admit(&health, 127, 0));
	redis_health_add_call(&health, 127, 0, false, 10);
	assert_int_equal(health.window, 256);
}

TEST(redis_health_add_call_late_cuts_a_third_once_a_round_trip)
{
	assert_true(redis_health_admit(&health, 200, 0));
	redis_health_add_call(&health, 32, 0, true, 3000);
	assert_int_equal(health.window, 170);
	redis_health_add_call(&health, 32, 10, true, 3001); /* sent before the cut */
	assert_int_equal(health.window, 170);
	redis_health_add_call(&health, 32, 3000, true, 6000);
	assert_int_equal(health.window, 90); /* of the 136 that were in use */
}

TEST(redis_health_add_call_late_again_and_none_in_time_cuts_what_is_in_use)
{
	ask_alone(9, 0, true, 3000);
	assert_int_equal(health.window, 170);
	ask_alone(9, 3000, true, 6000);
	assert_int_equal(health.window, 6);
}

TEST(redis_health_add_call_late_and_in_time_by_turns_cuts_the_window)
{
	ask_alone(9, 0, true, 3000);
	ask_alone(9, 3000, false, 3100);
	ask_alone(9, 4000, true, 7000);
	assert_int_equal(health.window, 113);
}

TEST(redis_health_an_idle_time_leaves_the_window)
{
	assert_true(redis_health_admit(&health, 200, 0));
	redis_health_add_call(&health, 200, 0, true, 3000);
	assert_int_equal(health.window, 170);
	ask_alone(4, INT64_C(3600000000), false, INT64_C(3600000100));
	assert_int_equal(health.window, 170);
}

TEST(redis_health_state_is_up_again_a_second_after_the_last_that_did_not_fit)
{
	assert_true(redis_health_admit(&health, 256, 0));
	assert_false(redis_health_admit(&health, 1, 500));
	assert_int_equal(redis_health_state(&health, 1000499), REDIS_HEALTH_SHEDDING);
	assert_int_equal(redis_health_state(&health, 1000500), REDIS_HEALTH_UP);
}

/* ---- the floor, and below ---- */

TEST(redis_health_late_alone_pauses_that_double)
{
	int64_t now_us = 0;

	health.window = 1;
	for (int64_t pause_us = 1000; pause_us <= 64000; pause_us *= 2) {
		ask_alone(4, now_us, true, now_us + 3000);
		now_us += 3000;
		assert_false(redis_health_admit(&health, 1, now_us + pause_us - 1));
		now_us += pause_us;
	}
	assert_true(redis_health_is_up(&health));
	ask_alone(4, now_us, true, now_us + 3000); /* the eighth */
	assert_int_equal(redis_health_state(&health, now_us), REDIS_HEALTH_DOWN);
	assert_int_equal(health.took_us, 3000);
	assert_false(redis_health_admit(&health, 1, now_us + 1000000));
}

TEST(redis_health_in_time_alone_ends_the_pauses)
{
	health.window = 1;
	for (int i = 0; i < 20; i++) {
		int64_t now_us = i * INT64_C(1000000);
		ask_alone(4, now_us, i % 8 < 7, now_us + 100);
		health.window = 1;
	}
	assert_true(redis_health_is_up(&health));
}

static void go_down(void)
{
	health.window = 1;
	for (int i = 0; i < REDIS_HEALTH_LATE_CALLS_MAX; i++)
		ask_alone(1, i * INT64_C(1000000), true, i * INT64_C(1000000) + 3000);
	assert_int_equal(redis_health_state(&health, 0), REDIS_HEALTH_DOWN);
}

TEST(redis_health_two_late_pings_while_no_call_is_in_time_are_down)
{
	ask_alone(9, 0, true, 3000);
	redis_health_add_ping(&health, TIMEOUT_US + 1);
	assert_true(redis_health_is_up(&health));
	redis_health_add_ping(&health, TIMEOUT_US + 5);
	assert_false(redis_health_is_up(&health));
	assert_int_equal(health.took_us, TIMEOUT_US + 5);
}

TEST(redis_health_late_pings_with_a_call_in_time_between_are_not)
{
	ask_alone(9, 0, true, 3000);
	redis_health_add_ping(&health, TIMEOUT_US + 1);
	ask_alone(9, 3000, false, 3100);
	redis_health_add_ping(&health, TIMEOUT_US + 1);
	redis_health_add_ping(&health, TIMEOUT_US + 1);
	assert_true(redis_health_is_up(&health));
	ask_alone(9, 5000, true, 9000);
	redis_health_add_ping(&health, TIMEOUT_US + 1);
	redis_health_add_ping(&health, TIMEOUT_US);
	redis_health_add_ping(&health, TIMEOUT_US + 1);
	assert_true(redis_health_is_up(&health));
}

TEST(redis_health_down_two_pings_in_time_bring_one_request)
{
	go_down();
	redis_health_add_ping(&health, TIMEOUT_US);
	assert_false(redis_health_is_up(&health));
	redis_health_add_ping(&health, TIMEOUT_US + 1);
	assert_int_equal(health.took_us, TIMEOUT_US + 1);
	redis_health_add_ping(&health, 100);
	assert_false(redis_health_is_up(&health));
	redis_health_add_ping(&health, 100);
	assert_true(redis_health_is_up(&health));
	assert_int_equal(health.window, 1);
	assert_true(redis_health_admit(&health, 4, 0));
	assert_false(redis_health_admit(&health, 1, 0));
}

TEST(redis_health_restart_is_probing_with_the_first_window)
{
	go_down();
	redis_health_restart(&health);
	assert_int_equal(redis_health_state(&health, 5), REDIS_HEALTH_PROBING);
	assert_int_equal(health.window, REDIS_HEALTH_WINDOW_START);
	assert_int_equal(health.in_flight, 0);
	assert_false(redis_health_admit(&health, 1, 5));
	redis_health_add_ping(&health, TIMEOUT_US + 1);
	assert_false(redis_health_is_up(&health));
	redis_health_add_ping(&health, TIMEOUT_US);
	assert_true(redis_health_is_up(&health));
}

/* ---- a simulation ---- */

/*
 * Times are in ns: a call takes 4 us and 2.4 us a check, as Redis 7 takes for a bucket, the way
 * there and back 40 us, and Redis stalls for 3 ms every `stall_every_us` on average. Requests come
 * at random (Poisson) at `load` times what that Redis can decide in calls of 32 checks.
 */
#define NS           INT64_C(1000)
#define CALL_NS      (4 * NS)
#define CHECK_NS     INT64_C(2400)
#define WAY_NS       (20 * NS)
#define STALL_NS     (3000 * NS)
#define CALL_CHECKS  32
#define CALLS_MAX    4096
#define REQUESTS_MAX (CALL_CHECKS)

struct sim_call {
	int64_t sent_ns, replied_ns;
	int64_t asked_ns[REQUESTS_MAX];
	size_t count;
};

struct sim_agent {
	struct redis_health health;
	int64_t waiting_ns[REQUESTS_MAX];
	size_t waiting;
	struct sim_call calls[CALLS_MAX]; /* a ring: replies come in order */
	size_t first, count;
};

struct sim {
	struct chance chance;
	uint32_t checks; /* of a request */
	int64_t stall_every_ns;
	int64_t server_free_ns, stall_ns;
	uint64_t asked, decided, late, shed;
	size_t agent_count;
	struct sim_agent *agents;
	int64_t waits_ns[1 << 20];
};

static int64_t exponential(struct sim *sim, double mean)
{
	double u = ((double)(chance_bits(&sim->chance) >> 11) + 1) / 9007199254740993.0;

	return (int64_t)(-log(u) * mean);
}

static void send_waiting(struct sim *sim, struct sim_agent *agent, int64_t now_ns)
{
	ASSERT(agent->count < CALLS_MAX);
	struct sim_call *call = &agent->calls[(agent->first + agent->count++) % CALLS_MAX];
	int64_t work_ns = CALL_NS + CHECK_NS * (int64_t)(agent->waiting * sim->checks);
	int64_t begin_ns =
		now_ns + WAY_NS > sim->server_free_ns ? now_ns + WAY_NS : sim->server_free_ns;

	while (sim->stall_ns <= begin_ns + work_ns) {
		begin_ns = (begin_ns > sim->stall_ns ? begin_ns : sim->stall_ns) + STALL_NS;
		sim->stall_ns += STALL_NS + exponential(sim, (double)sim->stall_every_ns);
	}
	sim->server_free_ns = begin_ns + work_ns;
	call->sent_ns = now_ns;
	call->replied_ns = sim->server_free_ns + WAY_NS;
	call->count = agent->waiting;
	memcpy(call->asked_ns, agent->waiting_ns, sizeof agent->waiting_ns);
	agent->waiting = 0;
}

/* As the store sends: a full call at once, one that is not full while less than two are out. */
static void send_what_may(struct sim *sim, struct sim_agent *agent, int64_t now_ns)
{
	bool is_full = (agent->waiting + 1) * sim->checks > CALL_CHECKS;

	if (is_full || (agent->waiting > 0 && agent->count < 2))
		send_waiting(sim, agent, now_ns);
}

static void reply_to(struct sim *sim, struct sim_agent *agent)
{
	struct sim_call *call = &agent->calls[agent->first];
	int64_t now_ns = call->replied_ns;
	bool is_late = now_ns - call->asked_ns[0] > TIMEOUT_US * NS;

	for (size_t i = 0; i < call->count; i++) {
		int64_t wait_ns = now_ns - call->asked_ns[i];
		if (wait_ns > TIMEOUT_US * NS) {
			sim->late++;
			wait_ns = TIMEOUT_US * NS; /* the deadline answers */
		} else {
			sim->decided++;
		}
		sim->waits_ns[sim->asked++ % ARRAY_SIZE(sim->waits_ns)] = wait_ns;
	}
	agent->first = (agent->first + 1) % CALLS_MAX;
	agent->count--;
	redis_health_add_call(&agent->health, (uint32_t)call->count * sim->checks,
			      call->sent_ns / NS, is_late, now_ns / NS);
	send_what_may(sim, agent, now_ns);
}

static void arrive(struct sim *sim, int64_t now_ns)
{
	struct sim_agent *agent =
		&sim->agents[chance_bits(&sim->chance) % (uint64_t)sim->agent_count];

	if (!redis_health_admit(&agent->health, sim->checks, now_ns / NS)) {
		sim->shed++;
		return;
	}
	agent->waiting_ns[agent->waiting++] = now_ns;
	send_what_may(sim, agent, now_ns);
}

static struct sim_agent *next_to_reply(struct sim *sim)
{
	struct sim_agent *next = NULL;

	for (size_t i = 0; i < sim->agent_count; i++) {
		struct sim_agent *agent = &sim->agents[i];
		if (agent->count > 0 &&
		    (next == NULL ||
		     agent->calls[agent->first].replied_ns < next->calls[next->first].replied_ns))
			next = agent;
	}
	return next;
}

/* Requests a second that this Redis decides in full calls, stalls left out. */
static double capacity(const struct sim *sim)
{
	double call_s = (double)(CALL_NS + CHECK_NS * CALL_CHECKS) / 1e9;
	double busy = (double)sim->stall_every_ns / (double)(sim->stall_every_ns + STALL_NS);

	return CALL_CHECKS / sim->checks / call_s * busy;
}

/* Offers `load` times the capacity from `begin_ns` on, for a time; the rest comes back later. */
static void offer(struct sim *sim, double load, int64_t begin_ns, int64_t end_ns)
{
	double mean_ns = 1e9 / (capacity(sim) * load);
	int64_t now_ns = begin_ns + exponential(sim, mean_ns);

	while (now_ns < end_ns) {
		struct sim_agent *agent = next_to_reply(sim);
		if (agent != NULL && agent->calls[agent->first].replied_ns <= now_ns) {
			reply_to(sim, agent);
			continue;
		}
		arrive(sim, now_ns);
		now_ns += exponential(sim, mean_ns);
	}
}

static struct sim *sim_new(uint32_t checks, size_t agents, int64_t stall_every_ns)
{
	struct sim *sim = calloc(1, sizeof *sim);

	assert_non_null(sim);
	sim->chance.state = 1;
	sim->checks = checks;
	sim->stall_every_ns = stall_every_ns;
	sim->stall_ns = exponential(sim, (double)stall_every_ns);
	sim->agent_count = agents;
	sim->agents = calloc(agents, sizeof *sim->agents);
	assert_non_null(sim->agents);
	for (size_t i = 0; i < agents; i++) {
		redis_health_init(&sim->agents[i].health, TIMEOUT_US, WINDOW_MAX);
		redis_health_add_ping(&sim->agents[i].health, 50);
	}
	return sim;
}

static void sim_free(struct sim *sim)
{
	free(sim->agents);
	free(sim);
}

static void clear_counts(struct sim *sim)
{
	sim->asked = sim->decided = sim->late = sim->shed = 0;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t p99_us(struct sim *sim)
{
	size_t count =
		sim->asked < ARRAY_SIZE(sim->waits_ns) ? sim->asked : ARRAY_SIZE(sim->waits_ns);

	qsort(sim->waits_ns, count, sizeof *sim->waits_ns, compare);
	return sim->waits_ns[count * 99 / 100] / NS;
}

#define SECOND_NS INT64_C(1000000000)

static void assert_decided(uint32_t checks, size_t agents, double load, double share)
{
	struct sim *sim = sim_new(checks, agents, 100 * 1000 * NS);

	offer(sim, load, 0, SECOND_NS / 2);
	clear_counts(sim);
	offer(sim, load, SECOND_NS / 2, 2 * SECOND_NS);

	double wanted = capacity(sim) * 1.5 * (load < 1 ? load : 1);
	double decided = (double)sim->decided / wanted;
	if (getenv("SHOW") != NULL)
		print_message(
			"%u checks, %zu agents, load %.1f: %.3f decided, %.3f late, p99 %lld us\n",
			checks, agents, load, decided, (double)sim->late / wanted,
			(long long)p99_us(sim));
	assert_true(decided >= share);
	assert_true(p99_us(sim) <= TIMEOUT_US);
	sim_free(sim);
}

TEST(redis_health_simulated_overload_decides_what_redis_can)
{
	static const struct {
		uint32_t checks;
		size_t agents;
		double load, share;
	} cases[] = {
		{4, 1, 0.5, 0.93}, {4, 1, 1, 0.9},   {4, 1, 1.5, 0.95}, {4, 1, 2, 0.95},
		{4, 1, 3, 0.95},   {4, 1, 10, 0.95}, {1, 1, 1, 0.9},    {1, 1, 3, 0.95},
		{16, 1, 3, 0.9},   {4, 8, 1, 0.8},   {4, 8, 2, 0.8},    {4, 8, 3, 0.8},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_decided(cases[i].checks, cases[i].agents, cases[i].load, cases[i].share);
}

/* 0.5 of what Redis can, then 3 times, then 0.5 again: each is served well within a second. */
TEST(redis_health_simulated_step_and_back_recovers_in_a_second)
{
	static const double loads[] = {0.5, 3, 0.5};
	struct sim *sim = sim_new(4, 1, 100 * 1000 * NS);

	for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
		int64_t begin_ns = (int64_t)i * 2 * SECOND_NS;
		offer(sim, loads[i], begin_ns, begin_ns + SECOND_NS);
		clear_counts(sim);
		offer(sim, loads[i], begin_ns + SECOND_NS, begin_ns + 2 * SECOND_NS);
		double wanted = capacity(sim) * (loads[i] < 1 ? loads[i] : 1);
		assert_true((double)sim->decided / wanted >= 0.93);
	}
	sim_free(sim);
}
