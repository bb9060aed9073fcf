/*
 * For example, three Sentinels A, B and C follow a failover from the server M to the server N:
 *
 *     A says      B says      C says      the agent follows
 *     ---------   ---------   ---------   -----------------------------------------------------
 *     M, 5        M, 5        M, 5        M, by epoch 5
 *     M, 6 busy   M, 5        M, 5        M: A leads the failover, and names M until all is done
 *     M, 6 busy   N, 6        M, 5        N, by epoch 6: C is stale, and A is busy
 *     N, 6        N, 6        M, 5        N, for as long as C may be stale
 *
 * Two answers of the same epoch may name one server in two ways, by its name and by its address,
 * when the Sentinels are configured differently. So an equal epoch moves the agent only to what a
 * majority names; or, when the followed server is lost, to what is named at all, if nobody names
 * the followed server.
 */
#include "store/redis/redis_master.h"

#include <string.h>

#include "base/parse.h"

void redis_master_init(struct redis_master *master, size_t count, int64_t now_us)
{
	ASSERT(count <= REDIS_PLACES_MAX);
	*master = (struct redis_master){.count = count, .begun_us = now_us, .high_us = now_us};
}

static bool is_same(const struct redis_named *named, const struct redis_named *other)
{
	return named->epoch == other->epoch && redis_place_equal(&named->place, &other->place);
}

static bool is_fresh(const struct redis_vote *vote, int64_t now_us)
{
	return vote->has_answered && now_us - vote->heard_us < REDIS_MASTER_FRESH_US;
}

void redis_master_hear(struct redis_master *master, size_t sentinel,
		       const struct redis_named *named, int64_t now_us)
{
	struct redis_vote *vote = &master->votes[sentinel];
	bool is_going_on = is_fresh(vote, now_us) && is_same(&vote->named, named);

	if (!is_going_on)
		vote->since_us = now_us;
	vote->named = *named;
	vote->heard_us = now_us;
	vote->has_answered = true;
	vote->is_tried = true;
	if (master->is_known && named->epoch >= master->followed.epoch)
		master->high_us = now_us;
}

void redis_master_miss(struct redis_master *master, size_t sentinel)
{
	master->votes[sentinel].is_tried = true;
}

void redis_master_forget(struct redis_master *master, size_t sentinel)
{
	master->votes[sentinel].is_tried = true;
	master->votes[sentinel].has_answered = false;
}

/* ---- counting ---- */

static bool is_majority(const struct redis_master *master, size_t count)
{
	return count > master->count / 2;
}

static bool counts(const struct redis_vote *vote, int64_t now_us)
{
	return is_fresh(vote, now_us) && !vote->named.is_failing_over;
}

/* How many say the same, since `since_us` at the latest. */
static size_t count_same(const struct redis_master *master, const struct redis_named *named,
			 int64_t since_us, int64_t now_us)
{
	size_t count = 0;

	for (size_t i = 0; i < master->count; i++) {
		const struct redis_vote *vote = &master->votes[i];
		count += counts(vote, now_us) && vote->since_us <= since_us &&
			 is_same(&vote->named, named);
	}
	return count;
}

/* Whether `vote` is to be followed rather than `best`: a higher epoch; then, what more say. */
static bool is_better(const struct redis_master *master, const struct redis_vote *vote,
		      const struct redis_vote *best, int64_t now_us)
{
	if (best == NULL || vote->named.epoch != best->named.epoch)
		return best == NULL || vote->named.epoch > best->named.epoch;
	return count_same(master, &vote->named, now_us, now_us) >
	       count_same(master, &best->named, now_us, now_us);
}

/* NULL: no answer counts. */
static const struct redis_named *find_best(const struct redis_master *master, int64_t now_us)
{
	const struct redis_vote *best = NULL;

	for (size_t i = 0; i < master->count; i++) {
		const struct redis_vote *vote = &master->votes[i];
		if (counts(vote, now_us) && is_better(master, vote, best, now_us))
			best = vote;
	}
	return best == NULL ? NULL : &best->named;
}

/* ---- deciding ---- */

static enum redis_master_change follow(struct redis_master *master, const struct redis_named *named,
				       int64_t now_us)
{
	bool is_same_place =
		master->is_known && redis_place_equal(&master->followed.place, &named->place);
	/* The two may be the same memory of a vote, which hear() overwrites later. */
	struct redis_named copy = *named;

	master->followed = copy;
	master->is_known = true;
	master->high_us = now_us;
	return is_same_place ? REDIS_MASTER_SAME : REDIS_MASTER_MOVED;
}

static bool are_all_tried(const struct redis_master *master)
{
	for (size_t i = 0; i < master->count; i++)
		if (!master->votes[i].is_tried)
			return false;
	return true;
}

/* For want of another answer one of a Sentinel that is busy with a failover is followed. */
static const struct redis_named *find_busy(const struct redis_master *master, int64_t now_us)
{
	for (size_t i = 0; i < master->count; i++)
		if (is_fresh(&master->votes[i], now_us))
			return &master->votes[i].named;
	return NULL;
}

/* The first answer may be that of a stale Sentinel, so the others get a moment to contradict. */
static enum redis_master_change decide_first(struct redis_master *master, int64_t now_us)
{
	const struct redis_named *best = find_best(master, now_us);
	bool is_sure =
		best != NULL && is_majority(master, count_same(master, best, now_us, now_us));

	if (!is_sure && !are_all_tried(master) && now_us - master->begun_us < REDIS_MASTER_FIRST_US)
		return REDIS_MASTER_SAME;
	if (best == NULL)
		best = find_busy(master, now_us);
	return best == NULL ? REDIS_MASTER_SAME : follow(master, best, now_us);
}

/* Of the same epoch as the one that is followed. */
static bool should_follow_equal(const struct redis_master *master, const struct redis_named *best,
				bool is_lost, int64_t now_us)
{
	/* What was followed for want of another answer. */
	if (master->followed.is_failing_over)
		return true;
	if (is_majority(master, count_same(master, best, now_us, now_us)))
		return true;
	return is_lost && count_same(master, &master->followed, now_us, now_us) == 0;
}

/* NULL: there is no reason to follow a lower epoch. */
static const struct redis_named *find_reset(const struct redis_master *master, bool is_lost,
					    int64_t now_us)
{
	int64_t since_us = now_us - REDIS_MASTER_RESET_US;

	if (!is_lost || master->high_us > since_us)
		return NULL;
	for (size_t i = 0; i < master->count; i++) {
		const struct redis_named *named = &master->votes[i].named;
		if (is_majority(master, count_same(master, named, since_us, now_us)))
			return named;
	}
	return NULL;
}

enum redis_master_change redis_master_decide(struct redis_master *master, bool is_lost,
					     int64_t now_us)
{
	if (!master->is_known)
		return decide_first(master, now_us);
	const struct redis_named *best = find_best(master, now_us);
	if (best == NULL)
		return REDIS_MASTER_SAME;
	if (best->epoch > master->followed.epoch)
		return follow(master, best, now_us);
	if (best->epoch == master->followed.epoch)
		return should_follow_equal(master, best, is_lost, now_us)
			       ? follow(master, best, now_us)
			       : REDIS_MASTER_SAME;
	const struct redis_named *lower = find_reset(master, is_lost, now_us);
	if (lower == NULL)
		return REDIS_MASTER_SAME;
	(void)follow(master, lower, now_us);
	return REDIS_MASTER_RESET;
}

const struct redis_named *redis_master_followed(const struct redis_master *master)
{
	return master->is_known ? &master->followed : NULL;
}

/* ---- the reply ---- */

static bool read_host(struct bytes text, struct redis_place *place)
{
	if (!redis_target_is_host(text) || text.len >= sizeof place->host)
		return false;
	memcpy(place->host, text.data, text.len);
	place->host[text.len] = '\0';
	return true;
}

static bool read_port(struct bytes text, struct redis_place *place)
{
	uint64_t port;

	if (!parse_whole(text, 65535, &port) || port == 0)
		return false;
	struct writer w = writer_on(place->port, sizeof place->port);
	writer_put_unsigned(&w, port);
	(void)writer_text(&w);
	return true;
}

/* "master,failover_in_progress" */
static bool has_flag(struct bytes flags, struct bytes flag)
{
	struct bytes item;

	while (bytes_next_item(&flags, ',', &item))
		if (bytes_equal(item, flag))
			return true;
	return false;
}

bool redis_master_read(const struct redis_reply *reply, struct redis_named *ret_named)
{
	struct redis_named named = {.epoch = 0};
	bool has_host = false, has_port = false, has_epoch = false;

	if (reply->items[0].kind != REDIS_ARRAY || reply->is_cut)
		return false;
	for (size_t i = 1; i + 1 < reply->count; i += 2) {
		struct bytes field = reply->items[i].text, value = reply->items[i + 1].text;
		if (reply->items[i].kind != REDIS_TEXT || reply->items[i + 1].kind != REDIS_TEXT)
			return false;
		if (bytes_equal(field, BYTES("ip")))
			has_host = read_host(value, &named.place);
		else if (bytes_equal(field, BYTES("port")))
			has_port = read_port(value, &named.place);
		else if (bytes_equal(field, BYTES("config-epoch")))
			has_epoch = parse_whole(value, INT64_MAX, &named.epoch);
		else if (bytes_equal(field, BYTES("flags")))
			named.is_failing_over = has_flag(value, BYTES("failover_in_progress"));
	}
	if (!has_host || !has_port || !has_epoch)
		return false;
	*ret_named = named;
	return true;
}
