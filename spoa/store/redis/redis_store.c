/*
 * The life of an op (a request that the store was asked for):
 *
 *     ask --> asked ------------> a call ------ reply -------> answered
 *      |        |                  |   |                         ^
 *      |        | late             |   `-- no reply: the link ---|  STORE_CONNECTION
 *      |        |                  |       was lost              |
 *      |        |                  |                             |
 *      |        |        NOSCRIPT, |   late: STORE_NOSCRIPT -----|
 *      |        |        once      v                             |
 *      |        |              repeated --> a call --------------|  its reply is final
 *      |        |                  | late                        |
 *      |        `------------------+-----------------------------'  STORE_TIMEOUT, not sent
 *      |
 *      `--> STORE_DONE with the link's error, while it is down
 *
 * An op hangs on exactly one list: `asked`, `repeated`, or the list of its call. Both of the
 * store's lists are sent before the loop waits (on_before_wait); if the link is down by then, the
 * ops in them are answered with its error.
 *
 * "Late" means that the engine has answered the request at its deadline (store_op.is_late). A late
 * op that has not left yet is not sent, so it is not charged. One that has left is answered when
 * its reply comes. Nobody looks at that answer, but Redis may be at work on it until then, so the
 * op counts in --max-in-flight.
 *
 * When is Redis too slow? Single late replies are normal. But when ops have become late for 25 ms
 * and no reply came in time meanwhile, the link is dropped: its probe then decides when Redis is
 * fast enough again, and until then nobody waits.
 */
#include "store/redis/redis_store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/pool.h"
#include "store/redis/redis_link.h"
#include "store/redis/redis_script.h"

/* The link is dropped when ops have become late for so long, and no reply came in time. */
#define LATE_MAX_US INT64_C(25000)
/* Ops that became late so long ago are forgotten: a link that is silent was lost by now. */
#define LATE_OLD_US INT64_C(500000)

struct redis_store {
	struct store store;
	struct store_config config;
	const struct redis_target *target;
	struct redis_link *link;
	struct list asked;    /* ops that were asked in this turn */
	struct list repeated; /* ops that NOSCRIPT brought back, to be sent a second time */
	struct pool calls;
	int64_t late_since_us; /* the first op became late; 0: a reply came in time after it */
	int64_t late_last_us;  /* the last op became late */
	bool has_late;         /* there may be late ops in `asked` or `repeated` */
	bool is_told_down;
	struct store_stats stats;
	uint8_t command[REDIS_CALL_MAX];
};

/* One EVALSHA on its way, with the ops that it asks for. */
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
	redis->stats.errors[error] += !op->is_late; /* a late op is counted already, as a timeout */
}

static void answer_op(struct store_op *op)
{
	list_remove(&op->link);
	op->answered(op);
}

static void fail_all(struct redis_store *redis, struct list *ops, enum store_error error)
{
	struct store_op *op;

	while ((op = first_op(ops)) != NULL) {
		fail_op(redis, op, error);
		answer_op(op);
	}
}

static void tell_refusal(const struct redis_store *redis, const struct store_op *op,
			 struct bytes why)
{
	enum store_error error = store_op_error(op);

	redis->config.refused(redis->config.owner, op, error, why);
	/* The server has become a replica, or was replaced by one that still loads. The name, or a
	 * proxy, may lead to another server that takes writes. */
	if (error == STORE_LOADING || error == STORE_READONLY)
		redis_link_drop(redis->link, error, why);
}

/* Redis answered the whole call by one error. */
static void fail_call(struct call *call, struct bytes why)
{
	enum store_error error = redis_error_kind(why);
	struct store_op *op;

	while ((op = first_op(&call->ops)) != NULL) {
		fail_op(call->redis, op, error);
		tell_refusal(call->redis, op, why);
		answer_op(op);
	}
}

/* Redis did not know the script and has done nothing: ops that still wait are sent once more. */
static void repeat_call(struct call *call)
{
	struct redis_store *redis = call->redis;
	struct store_op *op;

	if (list_is_empty(&redis->repeated))
		redis_link_load_script(redis->link);
	while ((op = first_op(&call->ops)) != NULL) {
		redis->stats.errors[STORE_NOSCRIPT] += !op->is_late;
		if (op->is_late) {
			store_op_fail(op, STORE_NOSCRIPT);
			answer_op(op);
			continue;
		}
		list_remove(&op->link);
		list_append(&redis->repeated, &op->link);
	}
}

/* False when the reply can't be one to this call. Ops that were answered by then stay answered. */
static bool answer_by_reply(struct call *call, const struct redis_reply *reply)
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
			tell_refusal(call->redis, op, why);
		}
		answer_op(op);
	}
	return true;
}

static void finish_call(struct call *call, const struct redis_reply *reply)
{
	struct bytes error = reply->items[0].text;

	if (reply->items[0].kind != REDIS_ERROR) {
		if (!answer_by_reply(call, reply))
			fail_call(call, BYTES("BADREPLY the reply is not one of the script's"));
	} else if (redis_error_kind(error) == STORE_NOSCRIPT && !call->is_repeated &&
		   redis_link_is_up(call->redis->link)) {
		repeat_call(call);
	} else {
		fail_call(call, error);
	}
}

static void on_replied(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct call *call = CONTAINER_OF(asked, struct call, asked);

	if (reply != NULL)
		histogram_add(&call->redis->stats.latency, clock_mono_us() - call->sent_us);
	if (reply == NULL)
		fail_all(call->redis, &call->ops, STORE_CONNECTION);
	else
		finish_call(call, reply);
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

/* Moves ops from the list into the call: as many as fit, and at least the first. */
static void fill_call(struct redis_store *redis, struct list *ops, struct call *call)
{
	size_t room = sizeof redis->command - 128; /* less what stands around the checks */
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
		ASSERT(call != NULL); /* there are as many calls as ops that can be pending */
		call->asked.replied = on_replied;
		call->redis = redis;
		call->is_repeated = is_repeated;
		list_init(&call->ops);
		fill_call(redis, ops, call);
		send_call(redis, call);
	}
}

static void answer_late(struct redis_store *redis, struct list *ops)
{
	for (struct list *link = ops->next, *next; link != ops; link = next) {
		struct store_op *op = CONTAINER_OF(link, struct store_op, link);
		next = link->next;
		if (!op->is_late)
			continue;
		fail_op(redis, op, STORE_TIMEOUT);
		answer_op(op);
	}
}

static void on_before_wait(void *owner)
{
	struct redis_store *redis = owner;

	if (!redis_link_is_up(redis->link)) {
		fail_all(redis, &redis->repeated, redis_link_error(redis->link));
		fail_all(redis, &redis->asked, redis_link_error(redis->link));
		redis->late_since_us = 0;
		return;
	}
	if (redis->has_late) {
		redis->has_late = false;
		answer_late(redis, &redis->repeated);
		answer_late(redis, &redis->asked);
	}
	send_all(redis, &redis->repeated, true);
	send_all(redis, &redis->asked, false);
}

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	struct redis_store *redis = owner;
	const struct store_config *config = &redis->config;

	redis->stats.ups += is_up;
	redis->stats.downs += !is_up && !redis->is_told_down; /* not for another reason */
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
	fail_all(redis, &redis->repeated, STORE_CONNECTION);
	fail_all(redis, &redis->asked, STORE_CONNECTION);
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
						   .flush = on_before_wait,
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
