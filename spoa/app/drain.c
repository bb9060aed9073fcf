/*
 * The states are in drain.h. Their reasons:
 *
 * DRAINING lets whoever sends traffic here notice. HAProxy's health checks fail and /ready says
 * 503, but every request is served: HAProxy goes on to send some until a few checks have failed.
 *
 * ENDING closes the SPOP listeners first. HAProxy must find another agent before it loses the
 * connections to this one. It loses them one after the other, spread over a second, so that it
 * never opens all of them anew at once (spop_server.h).
 *
 * With sockets that systemd keeps, SIGTERM leads to ENDING at once, and there all is served as
 * before: HAProxy must not look for another agent, because the next one gets the same sockets. The
 * sockets of --spop-listen are then not closed before the process ends.
 *
 * CLOSING comes last, because HTTP is how operators and orchestrators watch the end.
 *
 * The timer has the lowest priority: in the turn in which a time is over, requests that have
 * arrived already are still read and answered.
 */
#include "app/drain.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/systemd_notify.h"
#include "app/systemd_sockets.h"
#include "base/clock.h"
#include "net/http/http_server.h"
#include "net/spop/spop_server.h"

#define SPREAD_US US_PER_SECOND

/* Half of a short timeout, so that connections which can't end in their turn have time left. */
static int64_t spread_us(int64_t timeout_us)
{
	return timeout_us / 2 < SPREAD_US ? timeout_us / 2 : SPREAD_US;
}

static void log_connections(const struct drain *drain, enum log_level level, const char *event)
{
	log_event(level, event, LOG_INT("connections", spop_server_connections(drain->config.spop)),
		  LOG_INT("http_requests", http_server_unanswered(drain->config.http)));
}

/* False when there is nothing to wait for. */
static bool start_timer(struct drain *drain, int64_t wait_us)
{
	drain->timer.repeat = (double)wait_us / 1e6;
	if (wait_us > 0)
		ev_timer_again(drain->config.loop, &drain->timer);
	return wait_us > 0;
}

static void end_connections(struct drain *drain)
{
	int64_t timeout_us = drain->config.options->drain_timeout_us;

	drain->state = DRAIN_ENDING;
	spop_server_end_connections(drain->config.spop, spread_us(timeout_us));
	log_connections(drain, LOG_INFO, "ending");
	if (!start_timer(drain, timeout_us))
		ev_break(drain->config.loop, EVBREAK_ALL);
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
	log_connections(drain, LOG_WARN, "drain_timeout");
	ev_break(loop, EVBREAK_ALL);
}

/* Nothing fails for those who ask whether the agent is well: one agent ends, the next begins. */
static void hand_over(struct drain *drain)
{
	int64_t timeout_us = drain->config.options->drain_timeout_us;

	systemd_notify_stopping(drain->config.systemd, timeout_us);
	drain->state = DRAIN_ENDING;
	drain->is_handing_over = true;
	log_event(LOG_INFO, "draining", LOG_TEXT("signal", "SIGTERM"), LOG_INT("delay_ms", 0),
		  LOG_BOOL("handing_over", true));
	http_server_begin_drain(drain->config.http);
	spop_server_hand_over(drain->config.spop, spread_us(timeout_us));
	log_connections(drain, LOG_INFO, "ending");
	if (!start_timer(drain, timeout_us))
		ev_break(drain->config.loop, EVBREAK_ALL);
}

static void begin_drain(struct drain *drain, const char *signal_name)
{
	int64_t delay_us = drain->config.options->drain_delay_us;

	/* The second signal. Nothing is cleaned up, not even the path of a Unix socket. */
	if (drain->state != DRAIN_SERVING)
		_exit(EXIT_FAILURE);
	drain->state = DRAIN_DRAINING;
	*drain->config.is_draining = true;
	log_event(LOG_INFO, "draining", LOG_TEXT("signal", signal_name),
		  LOG_INT("delay_ms", delay_us / US_PER_MS));
	systemd_notify_stopping(drain->config.systemd,
				delay_us + drain->config.options->drain_timeout_us);
	spop_server_begin_drain(drain->config.spop);
	http_server_begin_drain(drain->config.http);
	if (!start_timer(drain, delay_us))
		end_connections(drain);
}

static void on_sigterm(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	struct drain *drain = CONTAINER_OF(watcher, struct drain, on_term);

	(void)loop, (void)events;
	if (drain->state == DRAIN_SERVING && systemd_sockets_outlive(drain->config.options))
		hand_over(drain);
	else
		begin_drain(drain, "SIGTERM");
}

static void on_sigint(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	(void)loop, (void)events;
	begin_drain(CONTAINER_OF(watcher, struct drain, on_int), "SIGINT");
}

void drain_init(struct drain *drain, const struct drain_config *config)
{
	*drain = (struct drain){.config = *config};
	ev_init(&drain->timer, on_timer);
	ev_set_priority(&drain->timer, EV_MINPRI);
	ev_signal_init(&drain->on_term, on_sigterm, SIGTERM);
	ev_signal_init(&drain->on_int, on_sigint, SIGINT);
	ev_signal_start(config->loop, &drain->on_term);
	ev_signal_start(config->loop, &drain->on_int);
}

void drain_advance(struct drain *drain)
{
	if (drain->state == DRAIN_ENDING && spop_server_connections(drain->config.spop) == 0) {
		drain->state = DRAIN_CLOSING;
		http_server_close_listeners(drain->config.http);
	}
	if (drain->state == DRAIN_CLOSING && http_server_unanswered(drain->config.http) == 0)
		ev_break(drain->config.loop, EVBREAK_ALL);
}
