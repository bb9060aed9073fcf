/*
 * A Sentinel that is away is no reason to do anything as long as another one answers: who is
 * followed stays followed, also when all of them are away. So what is wrong with a Sentinel is told
 * in the log and shown, and reaches the store only while no server is known at all.
 */
#include "store/redis/redis_sentinels.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/clock.h"
#include "store/redis/redis_master.h"
#include "store/redis/redis_sentinel.h"

#define PLACE_MAX     (REDIS_HOST_MAX + 10) /* "[host]:65535" */
#define WHY_MAX       240
#define TELL_AGAIN_US (60 * US_PER_SECOND)
#define TELL_FAILURES 2 /* in a row: a Sentinel that was only started anew is nothing to tell */
#define NOT_YET       "it was not asked yet"

struct one_sentinel {
	struct redis_sentinel *sentinel;
	char place[PLACE_MAX];
	char why[WHY_MAX]; /* it is of no use; empty: it is of use */
	bool is_unknown;   /* it answers, and does not know the master */
	unsigned failures; /* in a row */
	bool is_told_down;
	char told_why[WHY_MAX];
	int64_t told_us;
};

struct redis_sentinels {
	struct redis_sentinels_config config;
	struct ev_loop *loop;
	struct redis_credentials credentials;
	struct redis_master master;
	struct ev_prepare before_wait;
	struct ev_timer first; /* the end of the wait for the first answers */
	char followed[PLACE_MAX];
	size_t count;
	struct one_sentinel all[REDIS_PLACES_MAX];
};

static void put_place(const struct redis_place *place, char *memory)
{
	struct writer w = writer_on(memory, PLACE_MAX);

	redis_place_put(place, &w);
	(void)writer_text(&w);
}

/* ---- telling ---- */

static void tell_up(struct redis_sentinels *all, struct one_sentinel *one)
{
	*one->why = '\0';
	one->is_unknown = false;
	one->failures = 0;
	if (!one->is_told_down)
		return;
	one->is_told_down = false;
	if (all->config.changed != NULL)
		all->config.changed(all->config.owner, one->place, true, "");
}

/* A Sentinel that comes and goes is told about at most once a minute. */
static bool is_news(const struct one_sentinel *one)
{
	if (one->failures < TELL_FAILURES)
		return false;
	if (one->told_us != 0 && clock_mono_us() - one->told_us < TELL_AGAIN_US)
		return false;
	return !one->is_told_down || strcmp(one->told_why, one->why) != 0;
}

static void tell_down(struct redis_sentinels *all, struct one_sentinel *one)
{
	if (!is_news(one))
		return;
	one->is_told_down = true;
	one->told_us = clock_mono_us();
	memcpy(one->told_why, one->why, sizeof one->why);
	if (all->config.changed != NULL)
		all->config.changed(all->config.owner, one->place, false, one->why);
}

/* ---- answers ---- */

static void decide(struct redis_sentinels *all)
{
	enum redis_master_change change = redis_master_decide(
		&all->master, all->config.is_lost(all->config.owner), clock_mono_us());

	if (change == REDIS_MASTER_SAME)
		return;
	const struct redis_named *followed = redis_master_followed(&all->master);
	put_place(&followed->place, all->followed);
	all->config.moved(all->config.owner, &followed->place, followed->epoch,
			  change == REDIS_MASTER_RESET);
}

static void on_named(void *owner, size_t index, const struct redis_named *named)
{
	struct redis_sentinels *all = owner;

	redis_master_hear(&all->master, index, named, clock_mono_us());
	tell_up(all, &all->all[index]);
	decide(all);
}

static void put_unknown(const struct redis_sentinels *all, struct writer *w)
{
	writer_put_text(w, "it knows no master of the name ");
	writer_put_text(w, all->config.target->master);
	writer_put_text(w, ": --store needs the NAME of `sentinel monitor NAME`");
}

static void on_failed(void *owner, size_t index, bool is_unknown, struct bytes why)
{
	struct redis_sentinels *all = owner;
	struct one_sentinel *one = &all->all[index];
	struct writer w = writer_on(one->why, sizeof one->why);

	if (is_unknown) {
		put_unknown(all, &w);
		redis_master_forget(&all->master, index);
	} else {
		writer_put(&w, bytes_from(why.data, why.len < w.max - 1 ? why.len : w.max - 1));
		redis_master_miss(&all->master, index);
	}
	(void)writer_text(&w);
	one->is_unknown = is_unknown;
	one->failures++;
	tell_down(all, one);
	decide(all);
}

static void on_first(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)loop, (void)events;
	decide(CONTAINER_OF(timer, struct redis_sentinels, first));
}

static void before_wait(struct ev_loop *loop, struct ev_prepare *watcher, int events)
{
	struct redis_sentinels *all = CONTAINER_OF(watcher, struct redis_sentinels, before_wait);

	(void)loop, (void)events;
	for (size_t i = 0; i < all->count; i++)
		redis_sentinel_flush(all->all[i].sentinel);
}

/* ---- what there is to see ---- */

const char *redis_sentinels_master(const struct redis_sentinels *sentinels, uint64_t *ret_epoch)
{
	const struct redis_named *followed = redis_master_followed(&sentinels->master);

	*ret_epoch = followed == NULL ? 0 : followed->epoch;
	return sentinels->followed;
}

/* Of a Sentinel that answers rather than of one that is away. */
void redis_sentinels_put_why(const struct redis_sentinels *sentinels, struct writer *w)
{
	const struct one_sentinel *one = &sentinels->all[0];

	for (size_t i = 1; i < sentinels->count; i++)
		if (sentinels->all[i].is_unknown && !one->is_unknown)
			one = &sentinels->all[i];
	writer_put_text(w, "no Sentinel has named the master yet; ");
	writer_put_text(w, one->place);
	writer_put_text(w, ": ");
	writer_put_text(w, one->why);
}

size_t redis_sentinels_count(const struct redis_sentinels *sentinels)
{
	return sentinels->count;
}

const char *redis_sentinels_get(const struct redis_sentinels *sentinels, size_t index,
				const char **ret_why)
{
	*ret_why = sentinels->all[index].why;
	return sentinels->all[index].place;
}

void redis_sentinels_set_password(struct redis_sentinels *sentinels, const char *password)
{
	redis_credentials_set(&sentinels->credentials, password);
}

/* ---- start and end ---- */

static bool add_all(struct redis_sentinels *all)
{
	const struct redis_target *target = all->config.target;

	for (size_t i = 0; i < target->place_count; i++) {
		const struct redis_place *place = &target->places[i];
		const struct redis_sentinel_config config = {
			.place = place,
			.master = target->master,
			.credentials = &all->credentials,
			.tls = all->config.tls,
			.tls_name = target->tls.name != NULL ? target->tls.name : place->host,
			.named = on_named,
			.failed = on_failed,
			.owner = all,
		};
		put_place(place, all->all[i].place);
		strcpy(all->all[i].why, NOT_YET);
		all->all[i].sentinel = redis_sentinel_new(all->loop, &config, i);
		if (all->all[i].sentinel == NULL)
			return false;
		all->count++;
	}
	return true;
}

struct redis_sentinels *redis_sentinels_new(struct ev_loop *loop,
					    const struct redis_sentinels_config *config)
{
	struct redis_sentinels *all = calloc(1, sizeof *all);

	if (all == NULL)
		return NULL;
	all->config = *config;
	all->loop = loop;
	redis_credentials_init(&all->credentials, config->target->sentinel_user,
			       config->target->sentinel_password);
	redis_master_init(&all->master, config->target->place_count, clock_mono_us());
	ev_prepare_init(&all->before_wait, before_wait);
	ev_timer_init(&all->first, on_first, REDIS_MASTER_FIRST_US / 1e6 + 0.01, 0);
	if (!add_all(all)) {
		redis_sentinels_free(all);
		return NULL;
	}
	ev_prepare_start(loop, &all->before_wait);
	ev_timer_start(loop, &all->first);
	return all;
}

void redis_sentinels_free(struct redis_sentinels *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->count; i++)
		redis_sentinel_free(all->all[i].sentinel);
	ev_prepare_stop(all->loop, &all->before_wait);
	ev_timer_stop(all->loop, &all->first);
	free(all);
}
