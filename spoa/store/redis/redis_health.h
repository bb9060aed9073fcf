/*
 * redis_health.h - how many checks Redis may be asked at once, so that it answers them in time.
 *
 * A request waits for Redis for at most --store-timeout. What is asked above the rate at which
 * Redis answers waits in a queue, until every reply comes too late and no limit holds. So the agent
 * keeps a window of checks that may be on their way, which follows what Redis answers in time; a
 * request that does not fit is answered at once by on_error, and costs Redis nothing.
 *
 *                   a PING in time                      a request does not fit
 *      PROBING ---------------------> UP ------------------------------------------> SHEDDING
 *         ^                          ^ ^                                              |    |
 *         | the connection           | `----- every request fitted for a second ------'    |
 *         | is a new one             |                                                     |
 *       (any state)                  `-- two PINGs in a row in time -- DOWN <--------------'
 *                                                     8 late calls in a row, one request at a time;
 *                                                     or 2 late PINGs, and no call in time
 *
 * The window grows by one check for each call that came back within half of the time, while at
 * least half of the window was in use: so Redis keeps a queue of about half of the time, and has
 * always something to do. A call that came back late cuts the window by a third, but at most once a
 * round trip: calls that were sent before the cut say nothing about the window after it. When no
 * call came back in time since the last cut, the window first becomes what is in use. An idle
 * time leaves the window as it is. When nothing is on its way, the next request is asked even if
 * it is larger than the window. If such a call is late, a pause follows in which nothing is asked;
 * the pause doubles with each late call.
 *
 * Late replies never end a connection; redis_link ends one on which nothing comes back at all.
 * There is no clock here: every time is an argument, in us of the monotonic clock.
 */
#ifndef STORE_REDIS_HEALTH_H
#define STORE_REDIS_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* All numbers of this module. */
#define REDIS_HEALTH_WINDOW_START   256 /* checks */
#define REDIS_HEALTH_PAUSE_MIN_US   INT64_C(1000)
#define REDIS_HEALTH_PAUSE_MAX_US   INT64_C(100000)
#define REDIS_HEALTH_LATE_CALLS_MAX 8                /* in a row, with nothing else on its way */
#define REDIS_HEALTH_PING_US        INT64_C(100000)  /* between two PINGs while it is not up */
#define REDIS_HEALTH_LATE_PINGS_MAX 2                /* in a row, while no call is in time */
#define REDIS_HEALTH_PINGS_IN_TIME  2                /* in a row, to leave DOWN */
#define REDIS_HEALTH_SHEDDING_US    INT64_C(1000000) /* after the last request that did not fit */

enum redis_health_state {
	REDIS_HEALTH_PROBING = 0,
	REDIS_HEALTH_UP,
	REDIS_HEALTH_SHEDDING,
	REDIS_HEALTH_DOWN,
};

struct redis_health {
	int64_t timeout_us; /* --store-timeout */
	uint32_t window_max;
	enum redis_health_state state;
	uint32_t window;    /* checks; at least 1 */
	uint32_t in_flight; /* checks that were admitted and have no reply yet */
	int64_t cut_us;     /* when the window was cut */
	bool has_cut;       /* and no call came back in time since then */
	int64_t shed_us;    /* when a request did not fit */
	int64_t pause_us;   /* 0: the last call was in time */
	int64_t resume_us;  /* the end of that pause */
	unsigned late_calls;
	unsigned pings_in_time;
	unsigned late_pings;
	int64_t took_us; /* the last late call or PING */
};

/* `window_max`: --max-in-flight, the ceiling of the window. */
void redis_health_init(struct redis_health *health, int64_t timeout_us, uint32_t window_max);
/* The connection is a new one: PINGs say whether Redis is well. */
void redis_health_restart(struct redis_health *health);

/* Whether Redis may be asked these checks of one request now; if so, they are in flight. */
bool redis_health_admit(struct redis_health *health, uint32_t checks, int64_t now_us);
/* They came back unanswered and are sent once more (NOSCRIPT), whether they fit or not. */
void redis_health_admit_again(struct redis_health *health, uint32_t checks);
/* Admitted checks that were not sent after all, or whose reply was lost. */
void redis_health_withdraw(struct redis_health *health, uint32_t checks);
/*
 * A call came back that was sent at `sent_us`. `is_late`: for one of its requests the time was over
 * before the reply was read.
 */
void redis_health_add_call(struct redis_health *health, uint32_t checks, int64_t sent_us,
			   bool is_late, int64_t now_us);

/* A PING was answered. The link sends one every REDIS_HEALTH_PING_US while this is not up. */
void redis_health_add_ping(struct redis_health *health, int64_t took_us);

/* UP or SHEDDING. */
bool redis_health_is_up(const struct redis_health *health);
enum redis_health_state redis_health_state(const struct redis_health *health, int64_t now_us);

#endif
