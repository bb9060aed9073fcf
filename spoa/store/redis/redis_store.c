#include "store/redis/redis_store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/pool.h"
#include "store/redis/redis_link.h"
#include "store/redis/redis_script.h"

/* The connection is given up when replies have come too late for so long, and none in time. */
#define LATE_MAX_US INT64_C(25000)
/* Some that were late so long ago say nothing of now; the link's heartbeat has looked since. */
#define LATE_OLD_US INT64_C(500000)

struct redis_store {
	struct store store;
	struct store_config config;
	const struct redis_target *target;
	struct redis_link *link;
	struct list asked;    /* ops to be sent before the loop waits */
	struct list repeated; /* and those that are sent for the second time */
	struct pool calls;
	int64_t late_since_us, late_last_us; /* 0: the last reply came in time */
	bool has_late;                       /* since what is asked was looked through */
	bool is_told_down;
	struct store_stats stats;
	uint8_t command[REDIS_CALL_MAX];
};

/* Some ops on their way in one EVALSHA. */
struct call {
	struct redis_asked asked;
	struct redis_store *redis;
	struct list ops;
	bool is_repeated;
	int64_t sent_us;
};

static struct redis_store *redis_of(const struct store *store)
{
	return CONTAINER_OF(store, struct redis_store, store);
}

static struct store_op *first_op(const struct list *ops)
{
	return list_is_empty(ops) ? NULL : CONTAINER_OF(ops->next, struct store_op, link);
}

/* ---- answers ---- */

static void fail_op(struct redis_store *redis, struct store_op *op, enum store_error error)
{
	store_op_fail(op, error);
	redis->stats.errors[error] += !op->is_late; /* that was counted as a timeout */
}

static void answer(struct store_op *op)
{
	list_remove(&op->link);
	op->answered(op);
}

static void answer_all(struct redis_store *redis, struct list *ops, enum store_error error)
{
	struct store_op *op;

	while ((op = first_op(ops)) != NULL) {
		fail_op(redis, op, error);
		answer(op);
	}
}

static void tell_refused(const struct redis_store *redis, const struct store_op *op,
			 struct bytes why)
{
	enum store_error error = store_op_error(op);

	redis->config.refused(redis->config.owner, op, error, why);
	/* A replica by now: the name, or what stands between, may lead to the one that takes
	 * writes. */
	if (error == STORE_LOADING || error == STORE_READONLY)
		redis_link_drop(redis->link, error, why);
}

/* Redis refused the call as a whole. */
static void refuse_all(struct call *call, struct bytes why)
{
	enum store_error error = redis_error_kind(why);
	struct store_op *op;

	while ((op = first_op(&call->ops)) != NULL) {
		fail_op(call->redis, op, error);
		tell_refused(call->redis, op, why);
		answer(op);
	}
}

/* The script was not there, so nothing was done: what still waits is asked again, once. */
static void repeat(struct call *call)
{
	struct redis_store *redis = call->redis;
	struct store_op *op;

	if (list_is_empty(&redis->repeated))
		redis_link_load_script(redis->link);
	while ((op = first_op(&call->ops)) != NULL) {
		redis->stats.errors[STORE_NOSCRIPT] += !op->is_late;
		if (op->is_late) {
			store_op_fail(op, STORE_NOSCRIPT);
			answer(op);
			continue;
		}
		list_remove(&op->link);
		list_append(&redis->repeated, &op->link);
	}
}

/* False when the reply is not one to such a call; what was not answered by then is left. */
static bool read_reply(struct call *call, const struct redis_reply *reply)
{
	struct redis_call_reader reader;
	struct bytes why = BYTES("");
	struct store_op *op;

	if (!redis_call_read(&reader, reply) || !redis_call_is_for(&reader, &call->ops))
		return false;
	while ((op = first_op(&call->ops)) != NULL) {
		if (!redis_call_next(&reader, op, &why))
			return false;
		if (!op->is_late)
			call->redis->late_since_us = 0;
		if (store_op_error(op) != STORE_OK) {
			call->redis->stats.errors[store_op_error(op)] += !op->is_late;
			tell_refused(call->redis, op, why);
		}
		answer(op);
	}
	return true;
}

static void take_reply(struct call *call, const struct redis_reply *reply)
{
	struct bytes error = reply->items[0].text;

	if (reply->items[0].kind != REDIS_ERROR) {
		if (!read_reply(call, reply))
			refuse_all(call, BYTES("BADREPLY the reply is not one of the script's"));
	} else if (redis_error_kind(error) == STORE_NOSCRIPT && !call->is_repeated &&
		   redis_link_is_up(call->redis->link)) {
		repeat(call);
	} else {
		refuse_all(call, error);
	}
}

static void on_replied(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct call *call = CONTAINER_OF(asked, struct call, asked);

	if (reply != NULL)
		histogram_add(&call->redis->stats.latency, clock_mono_us() - call->sent_us);
	if (reply == NULL)
		answer_all(call->redis, &call->ops, STORE_CONNECTION);
	else
		take_reply(call, reply);
	pool_put(&call->redis->calls, call);
}

/* ---- calls ---- */

static void count_batch(struct store_stats *stats, size_t ops)
{
	size_t bucket = 0;

	while ((size_t)1 << bucket < ops)
		bucket++;
	stats->batches[bucket]++;
	stats->calls++;
	stats->requests += ops;
}

/* Moves from `ops` what goes into one call, which is at least the first. */
static void collect(struct redis_store *redis, struct list *ops, struct call *call)
{
	size_t room = sizeof redis->command - 128; /* around the checks */
	int64_t now_us = first_op(ops)->now_us;
	struct store_op *op;
	size_t count;

	for (count = 0; count < REDIS_CALL_OPS_MAX && (op = first_op(ops)) != NULL; count++) {
		size_t size = redis_call_size(op, redis->config.prefix);
		if (size > room || (redis->config.is_time_given && op->now_us != now_us))
			break;
		room -= size;
		list_remove(&op->link);
		list_append(&call->ops, &op->link);
	}
	count_batch(&redis->stats, count);
}

static void send_call(struct redis_store *redis, struct call *call)
{
	struct writer w = writer_on(redis->command, sizeof redis->command);
	struct redis_call_form form = {
		.hash = redis_link_hash(redis->link),
		.prefix = redis->config.prefix,
		.is_time_given = redis->config.is_time_given,
		.time_us = first_op(&call->ops)->now_us,
	};

	redis_call_put(&w, &form, &call->ops);
	call->sent_us = clock_mono_us();
	ASSERT(!w.full);
	redis_link_send(redis->link, writer_bytes(&w), &call->asked);
}

static void send_all(struct redis_store *redis, struct list *ops, bool is_repeated)
{
	while (!list_is_empty(ops)) {
		struct call *call = pool_get(&redis->calls);
		ASSERT(call != NULL); /* there are as many as ops */
		call->asked.replied = on_replied;
		call->redis = redis;
		call->is_repeated = is_repeated;
		list_init(&call->ops);
		collect(redis, ops, call);
		send_call(redis, call);
	}
}

/* Nobody waits for them any more: they are not sent, and so not charged. */
static void leave_out_late(struct redis_store *redis, struct list *ops)
{
	for (struct list *link = ops->next, *next; link != ops; link = next) {
		struct store_op *op = CONTAINER_OF(link, struct store_op, link);
		next = link->next;
		if (!op->is_late)
			continue;
		fail_op(redis, op, STORE_TIMEOUT);
		answer(op);
	}
}

static void flush(void *owner)
{
	struct redis_store *redis = owner;

	if (!redis_link_is_up(redis->link)) {
		answer_all(redis, &redis->repeated, redis_link_error(redis->link));
		answer_all(redis, &redis->asked, redis_link_error(redis->link));
		redis->late_since_us = 0;
		return;
	}
	if (redis->has_late) {
		redis->has_late = false;
		leave_out_late(redis, &redis->repeated);
		leave_out_late(redis, &redis->asked);
	}
	send_all(redis, &redis->repeated, true);
	send_all(redis, &redis->asked, false);
}

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	struct redis_store *redis = owner;
	const struct store_config *config = &redis->config;

	redis->stats.ups += is_up;
	redis->stats.downs += !is_up && !redis->is_told_down; /* the reason may change */
	redis->is_told_down = !is_up;
	config->changed(config->owner, is_up, error, why);
}

/* ---- the store ---- */

static enum store_state ask(struct store *store, struct store_op *op)
{
	struct redis_store *redis = redis_of(store);

	if (!redis_link_is_up(redis->link)) {
		fail_op(redis, op, redis_link_error(redis->link));
		return STORE_DONE;
	}
	list_init(&op->link);
	list_append(&redis->asked, &op->link);
	return STORE_PENDING;
}

static void expired(struct store *store, int64_t mono_us)
{
	struct redis_store *redis = redis_of(store);

	redis->stats.errors[STORE_TIMEOUT]++;
	redis->has_late = true;
	if (redis->late_since_us == 0 || mono_us - redis->late_last_us > LATE_OLD_US)
		redis->late_since_us = mono_us;
	redis->late_last_us = mono_us;
	if (mono_us - redis->late_since_us >= LATE_MAX_US)
		redis_link_drop(redis->link, STORE_TIMEOUT, BYTES("no answer in time"));
}

static void release(struct store *store)
{
	struct redis_store *redis = redis_of(store);

	redis_link_free(redis->link);
	answer_all(redis, &redis->repeated, STORE_CONNECTION);
	answer_all(redis, &redis->asked, STORE_CONNECTION);
	pool_release(&redis->calls);
	free(redis);
}

static struct store_description describe(const struct store *store)
{
	const struct redis_store *redis = redis_of(store);
	struct store_stats stats = redis->stats;

	stats.connects = redis_link_connects(redis->link);
	return (struct store_description){
		.kind = "redis",
		.address = redis->target->text,
		.is_up = redis_link_is_up(redis->link),
		.error = redis_link_error(redis->link),
		.why = redis_link_why(redis->link),
		.since_us = redis_link_since_us(redis->link),
		.stats = stats,
	};
}

struct store *redis_store_new(struct ev_loop *loop, const struct redis_target *target,
			      const struct store_config *config)
{
	struct redis_store *redis = calloc(1, sizeof *redis);

	if (redis == NULL)
		return NULL;
	redis->store = (struct store){
		.ask = ask, .expired = expired, .describe = describe, .free = release};
	redis->config = *config;
	redis->target = target;
	list_init(&redis->asked);
	list_init(&redis->repeated);
	if (!pool_init(&redis->calls, sizeof(struct call), config->max_in_flight)) {
		free(redis);
		return NULL;
	}
	redis->link = redis_link_new(loop, &(struct redis_link_config){
						   .target = target,
						   .script = redis_script_text(),
						   .timeout_us = config->timeout_us,
						   .silence_us = config->silence_us,
						   .flush = flush,
						   .changed = on_changed,
						   .owner = redis,
					   });
	if (redis->link == NULL) {
		pool_release(&redis->calls);
		free(redis);
		return NULL;
	}
	return &redis->store;
}
