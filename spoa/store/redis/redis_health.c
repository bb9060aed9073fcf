/*
 * The window is a delay-based one. A window that was cut at late replies alone would sit at the
 * edge, where every stall of Redis makes a whole window late; one that stops growing at half of the
 * time leaves the other half for stalls. tests/unit/store/redis/test_redis_health.c simulates a
 * Redis that stalls, and names the share that has to be decided at each load.
 */
#include "store/redis/redis_health.h"

#include "base/compiler.h"

void redis_health_init(struct redis_health *health, int64_t timeout_us, uint32_t window_max)
{
	*health = (struct redis_health){.timeout_us = timeout_us, .window_max = window_max};
	redis_health_restart(health);
}

void redis_health_restart(struct redis_health *health)
{
	health->state = REDIS_HEALTH_PROBING;
	health->window = health->window_max < REDIS_HEALTH_WINDOW_START ? health->window_max
									: REDIS_HEALTH_WINDOW_START;
	health->cut_us = INT64_MIN;
	health->has_cut = false;
	health->shed_us = INT64_MIN;
	health->pause_us = 0;
	health->resume_us = INT64_MIN;
	health->late_calls = 0;
	health->pings_in_time = 0;
	health->late_pings = 0;
}

bool redis_health_is_up(const struct redis_health *health)
{
	return health->state == REDIS_HEALTH_UP || health->state == REDIS_HEALTH_SHEDDING;
}

/* ---- requests ---- */

static void shed(struct redis_health *health, int64_t now_us)
{
	health->state = REDIS_HEALTH_SHEDDING;
	health->shed_us = now_us;
}

bool redis_health_admit(struct redis_health *health, uint32_t checks, int64_t now_us)
{
	if (!redis_health_is_up(health))
		return false;
	/* A request that is larger than the window is asked alone. */
	bool fits = health->in_flight == 0 ? now_us >= health->resume_us
					   : health->in_flight + checks <= health->window;
	if (!fits) {
		shed(health, now_us);
		return false;
	}
	health->in_flight += checks;
	return true;
}

void redis_health_admit_again(struct redis_health *health, uint32_t checks)
{
	health->in_flight += checks;
}

void redis_health_withdraw(struct redis_health *health, uint32_t checks)
{
	ASSERT(checks <= health->in_flight);
	health->in_flight -= checks;
}

/* ---- what came back ---- */

static void go_down(struct redis_health *health)
{
	health->state = REDIS_HEALTH_DOWN;
	health->pings_in_time = 0;
	health->late_pings = 0;
}

/* Alone on its way, and late all the same: the next one is asked after a pause. */
static void add_late_alone(struct redis_health *health, int64_t now_us)
{
	health->pause_us = health->pause_us == 0 ? REDIS_HEALTH_PAUSE_MIN_US : 2 * health->pause_us;
	if (health->pause_us > REDIS_HEALTH_PAUSE_MAX_US)
		health->pause_us = REDIS_HEALTH_PAUSE_MAX_US;
	health->resume_us = now_us + health->pause_us;
	health->late_calls++;
	if (health->late_calls == REDIS_HEALTH_LATE_CALLS_MAX && redis_health_is_up(health))
		go_down(health);
}

/* A window that is far larger than what is in use would be cut for long before that helps. */
static void fit_to_use(struct redis_health *health, uint32_t in_use)
{
	if (in_use < health->window)
		health->window = in_use > 0 ? in_use : 1;
}

static void add_late(struct redis_health *health, uint32_t in_use, int64_t sent_us, int64_t now_us)
{
	health->took_us = now_us - sent_us;
	if (sent_us < health->cut_us)
		return;
	if (health->has_cut)
		fit_to_use(health, in_use);
	health->has_cut = true;
	health->cut_us = now_us;
	if (health->window > 1)
		health->window -= (health->window + 2) / 3;
	else
		add_late_alone(health, now_us);
}

static void add_in_time(struct redis_health *health, uint32_t in_use, int64_t took_us)
{
	health->pause_us = 0;
	health->late_calls = 0;
	health->has_cut = false;
	if (took_us <= health->timeout_us / 2 && 2 * in_use >= health->window &&
	    health->window < health->window_max)
		health->window++;
}

void redis_health_add_call(struct redis_health *health, uint32_t checks, int64_t sent_us,
			   bool is_late, int64_t now_us)
{
	uint32_t in_use = health->in_flight;

	redis_health_withdraw(health, checks);
	if (is_late)
		add_late(health, in_use, sent_us, now_us);
	else
		add_in_time(health, in_use, now_us - sent_us);
}

/* ---- PINGs ---- */

static void come_up(struct redis_health *health)
{
	/* From DOWN the window grows anew from one request on: the way back is a ramp. */
	if (health->state == REDIS_HEALTH_DOWN)
		health->window = 1;
	health->state = REDIS_HEALTH_UP;
	health->pause_us = 0;
	health->resume_us = INT64_MIN;
	health->late_calls = 0;
}

/* Two PINGs in a row were late, and no call came back in time meanwhile: single requests are late.
 */
static void add_ping_while_up(struct redis_health *health, int64_t took_us)
{
	bool is_late = took_us > health->timeout_us && health->has_cut;

	health->late_pings = is_late ? health->late_pings + 1 : 0;
	if (health->late_pings < REDIS_HEALTH_LATE_PINGS_MAX)
		return;
	health->took_us = took_us;
	go_down(health);
}

void redis_health_add_ping(struct redis_health *health, int64_t took_us)
{
	unsigned needed = health->state == REDIS_HEALTH_DOWN ? REDIS_HEALTH_PINGS_IN_TIME : 1;

	if (redis_health_is_up(health)) {
		add_ping_while_up(health, took_us);
	} else if (took_us > health->timeout_us) {
		health->took_us = took_us;
		health->pings_in_time = 0;
	} else if (++health->pings_in_time >= needed) {
		come_up(health);
	}
}

enum redis_health_state redis_health_state(const struct redis_health *health, int64_t now_us)
{
	if (health->state == REDIS_HEALTH_SHEDDING &&
	    now_us - health->shed_us >= REDIS_HEALTH_SHEDDING_US)
		return REDIS_HEALTH_UP;
	return health->state;
}
