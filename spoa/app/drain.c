#include "app/drain.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http/http_server.h"
#include "net/spop/spop_server.h"

#define SPREAD_US US_PER_SECOND

/* Half of the time at most: a connection that can't end when it is its turn needs the rest. */
static int64_t spread_us(int64_t timeout_us)
{
	return timeout_us / 2 < SPREAD_US ? timeout_us / 2 : SPREAD_US;
}

static void end_connections(struct drain *drain)
{
	drain->state = DRAIN_ENDING;
	drain->timer.repeat = (double)drain->options->drain_timeout_us / 1e6;
	spop_server_end_connections(drain->spop, spread_us(drain->options->drain_timeout_us));
	log_event(LOG_INFO, "ending", LOG_INT("connections", spop_server_connections(drain->spop)));
	if (drain->timer.repeat > 0)
		ev_timer_again(drain->loop, &drain->timer);
	else
		ev_break(drain->loop, EVBREAK_ALL);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct drain *drain = CONTAINER_OF(timer, struct drain, timer);

	(void)events;
	ev_timer_stop(loop, timer);
	if (drain->state == DRAIN_DRAINING) {
		end_connections(drain);
		return;
	}
	log_event(LOG_WARN, "drain_timeout",
		  LOG_INT("connections", spop_server_connections(drain->spop)));
	ev_break(loop, EVBREAK_ALL);
}

static void stop(struct drain *drain, const char *signal_name)
{
	if (drain->state != DRAIN_SERVING)
		_exit(EXIT_FAILURE); /* it is asked for twice: not even a Unix socket is removed */
	drain->state = DRAIN_DRAINING;
	*drain->is_draining = true;
	log_event(LOG_INFO, "draining", LOG_TEXT("signal", signal_name),
		  LOG_INT("delay_ms", drain->options->drain_delay_us / US_PER_MS));
	spop_server_begin_drain(drain->spop);
	drain->timer.repeat = (double)drain->options->drain_delay_us / 1e6;
	if (drain->timer.repeat > 0)
		ev_timer_again(drain->loop, &drain->timer);
	else
		end_connections(drain);
}

static void on_sigterm(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	(void)loop, (void)events;
	stop(CONTAINER_OF(watcher, struct drain, on_term), "SIGTERM");
}

static void on_sigint(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	(void)loop, (void)events;
	stop(CONTAINER_OF(watcher, struct drain, on_int), "SIGINT");
}

void drain_init(struct drain *drain)
{
	ev_init(&drain->timer, on_timer);
	ev_set_priority(&drain->timer, EV_MINPRI); /* what has come is read first */
	ev_signal_init(&drain->on_term, on_sigterm, SIGTERM);
	ev_signal_init(&drain->on_int, on_sigint, SIGINT);
	ev_signal_start(drain->loop, &drain->on_term);
	ev_signal_start(drain->loop, &drain->on_int);
}

/* The HTTP listeners close last, when SPOP has nobody left. */
void drain_advance(struct drain *drain)
{
	if (drain->state == DRAIN_ENDING && spop_server_connections(drain->spop) == 0) {
		drain->state = DRAIN_CLOSING;
		http_server_close_listeners(drain->http);
	}
	if (drain->state == DRAIN_CLOSING && http_server_is_idle(drain->http))
		ev_break(drain->loop, EVBREAK_ALL);
}
