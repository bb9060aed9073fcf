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
 *      `--> STORE_DONE with the link's error while it is down, with STORE_FULL when the request
 * does not fit into the window of the link's health
 *
 * An op hangs on exactly one list: `asked`, `repeated`, or the list of its call. Before the loop
 * waits (on_before_wait) `repeated` is sent whole. From `asked` full calls are sent; a call that is
 * not full waits while two calls are on their way, so that calls are full under load, which costs
 * Redis less. If the link is down by then, the ops of both lists are answered with its error.
 *
 * "Late" means that the engine has answered the request at its deadline (store_op.is_late). A late
 * op that has not left yet is not sent, so it is not charged. One that has left is answered when
 * its reply comes. Nobody looks at that answer, but Redis may be at work on it until then, so the
 * op counts in --max-in-flight.
 *
 * Late replies never end the link. redis_health.h decides how much Redis is asked, and when the
 * store counts as down.
 */
#include "store/redis/redis_store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/pool.h"
#include "limit/request.h"
#include "store/redis/redis_link.h"
#include "store/redis/redis_script.h"

/* A call has as many requests as have no more checks than these together. */
#define CALL_CHECKS_MAX REDIS_CALL_OPS_MAX
_Static_assert(STORE_PASSWORD_MAX <= REDIS_PASSWORD_MAX, "a password of any store fits");
_Static_assert(REQUEST_CHECKS_MAX <= CALL_CHECKS_MAX, "a call has room for any request");
/* A call that is not full waits while so many are on their way: then calls are full under load. */
#define CALLS_UNDER_WAY 2

struct redis_store {
	struct store store;
	struct store_config config;
	const struct redis_target *target;
	struct redis_credentials credentials;
	struct redis_tls *tls; /* NULL: the target has no TLS */
	struct redis_link *link;
	struct list asked;    /* ops that were asked and not sent yet */
	size_t asked_checks;  /* of those ops */
	size_t under_way;     /* calls without a reply */
	struct list repeated; /* ops that NOSCRIPT brought back, to be sent a second time */
	struct pool calls;
	bool has_late;   /* there may be late ops in `asked` or `repeated` */
	int64_t turn_us; /* the monotonic clock in this turn of the loop; 0: not read yet */
	bool is_told_down;
	struct store_stats stats;
	uint8_t command[REDIS_CALL_MAX];
};

/* One EVALSHA on its way, with the ops that it asks for. */
struct call {
	struct redis_asked asked;
	struct redis_store *redis;
	struct list ops;
	uint32_t checks; /* of the ops */
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
	/* The server has become a replica, or was replaced by one that still loads, or has given
	 * away the slot of all keys. The name, or a proxy, may lead to another server that takes
	 * writes. */
	if (error == STORE_LOADING || error == STORE_READONLY ||
	    (redis_prefix_has_hash_tag(redis->config.prefix) &&
	     bytes_begin_with(why, BYTES("MOVED "))))
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

/* One of the call's requests has waited too long: says how long Redis took, once a minute. */
static void tell_late(struct call *call)
{
	const struct redis_store *redis = call->redis;
	char why[128];
	struct writer w = writer_on(why, sizeof why);
	struct store_op *op = first_op(&call->ops);

	redis_link_put_slowness(redis->link, &w);
	redis->config.refused(redis->config.owner, op, STORE_TIMEOUT, writer_bytes(&w));
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
		redis_health_admit_again(redis_link_health(redis->link), (uint32_t)op->count);
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

static void count_reply(struct call *call)
{
	struct redis_store *redis = call->redis;
	bool is_late = first_op(&call->ops)->is_late; /* they were asked in order */

	histogram_add(&redis->stats.latency, clock_mono_us() - call->sent_us);
	redis_link_add_call(redis->link, call->checks, call->sent_us, is_late);
	if (is_late)
		tell_late(call);
}

static void on_replied(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct call *call = CONTAINER_OF(asked, struct call, asked);
	struct redis_store *redis = call->redis;

	redis->under_way--;
	if (reply == NULL) {
		redis_health_withdraw(redis_link_health(redis->link), call->checks);
		fail_all(redis, &call->ops, STORE_CONNECTION);
	} else {
		count_reply(call);
		finish_call(call, reply);
	}
	pool_put(&redis->calls, call);
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

/* Moves ops from the list into the call: as many as may be in one, which is at least the first. */
static void fill_call(struct redis_store *redis, struct list *ops, struct call *call)
{
	int64_t now_us = first_op(ops)->now_us;
	struct store_op *op;
	size_t count;

	call->checks = 0;
	for (count = 0; (op = first_op(ops)) != NULL; count++) {
		if (call->checks + op->count > CALL_CHECKS_MAX ||
		    (redis->config.is_time_given && op->now_us != now_us))
			break;
		call->checks += (uint32_t)op->count;
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

static uint32_t send_one(struct redis_store *redis, struct list *ops, bool is_repeated)
{
	struct call *call = pool_get(&redis->calls);

	ASSERT(call != NULL); /* there are as many calls as ops that can be pending */
	call->asked.replied = on_replied;
	call->redis = redis;
	call->is_repeated = is_repeated;
	list_init(&call->ops);
	fill_call(redis, ops, call);
	uint32_t checks = call->checks; /* the call may be over when it was sent */
	redis->under_way++;
	send_call(redis, call);
	return checks;
}

static void send_asked(struct redis_store *redis)
{
	while (redis->asked_checks >= CALL_CHECKS_MAX ||
	       (redis->asked_checks > 0 && redis->under_way < CALLS_UNDER_WAY))
		redis->asked_checks -= send_one(redis, &redis->asked, false);
}

/* Redis was not asked after all. */
static void take_back(struct redis_store *redis, struct store_op *op, enum store_error error)
{
	redis_health_withdraw(redis_link_health(redis->link), (uint32_t)op->count);
	fail_op(redis, op, error);
	answer_op(op);
}

/* Nobody waits for them any more: they are not sent, and so not charged. */
static void leave_out_late(struct redis_store *redis, struct list *ops, size_t *checks)
{
	for (struct list *link = ops->next, *next; link != ops; link = next) {
		struct store_op *op = CONTAINER_OF(link, struct store_op, link);
		next = link->next;
		if (!op->is_late)
			continue;
		*checks -= op->count;
		take_back(redis, op, STORE_TIMEOUT);
	}
}

static void take_all_back(struct redis_store *redis, struct list *ops)
{
	struct store_op *op;

	while ((op = first_op(ops)) != NULL)
		take_back(redis, op, redis_link_error(redis->link));
}

static void on_before_wait(void *owner)
{
	struct redis_store *redis = owner;
	size_t repeated_checks = 0;

	redis->turn_us = 0;
	if (!redis_link_is_up(redis->link)) {
		take_all_back(redis, &redis->repeated);
		take_all_back(redis, &redis->asked);
		redis->asked_checks = 0;
		return;
	}
	if (redis->has_late) {
		redis->has_late = false;
		leave_out_late(redis, &redis->repeated, &repeated_checks);
		leave_out_late(redis, &redis->asked, &redis->asked_checks);
	}
	while (!list_is_empty(&redis->repeated))
		(void)send_one(redis, &redis->repeated, true);
	send_asked(redis);
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

static void on_forgets(void *owner, const char *policy, const char *hint)
{
	const struct redis_store *redis = owner;

	if (redis->config.forgets != NULL)
		redis->config.forgets(redis->config.owner, policy, hint);
}

static void on_lacks_right(void *owner, const char *command, const char *hint)
{
	const struct redis_store *redis = owner;

	if (redis->config.lacks_right != NULL)
		redis->config.lacks_right(redis->config.owner, command, hint);
}

static void on_authenticated(void *owner, bool is_taken, struct bytes why)
{
	const struct redis_store *redis = owner;

	if (redis->config.authenticated != NULL)
		redis->config.authenticated(redis->config.owner, is_taken, why);
}

/* ---- the store ---- */

static enum store_state ask(struct store *store, struct store_op *op)
{
	struct redis_store *redis = redis_of(store);

	if (!redis_link_is_up(redis->link)) {
		fail_op(redis, op, redis_link_error(redis->link));
		return STORE_DONE;
	}
	if (redis->turn_us == 0)
		redis->turn_us = clock_mono_us();
	if (!redis_health_admit(redis_link_health(redis->link), (uint32_t)op->count,
				redis->turn_us)) {
		store_op_fail(op, STORE_FULL);
		redis->stats.shed++;
		return STORE_DONE;
	}
	list_init(&op->link);
	list_append(&redis->asked, &op->link);
	redis->asked_checks += op->count;
	return STORE_PENDING;
}

static void expired(struct store *store, int64_t mono_us)
{
	struct redis_store *redis = redis_of(store);

	(void)mono_us;
	redis->stats.errors[STORE_TIMEOUT]++;
	redis->has_late = true;
}

static void catch_up(struct store *store)
{
	redis_link_read_all(redis_of(store)->link);
}

static void set_password(struct store *store, const char *password)
{
	redis_credentials_set(&redis_of(store)->credentials, password);
}

static void reread_files(struct store *store)
{
	struct redis_store *redis = redis_of(store);

	if (redis->tls != NULL)
		redis_tls_reread(redis->tls);
}

static void on_reread(void *owner, const char *why, bool may_pass)
{
	const struct redis_store *redis = owner;

	if (redis->config.reread != NULL)
		redis->config.reread(redis->config.owner, why, may_pass);
}

static void release(struct store *store)
{
	struct redis_store *redis = redis_of(store);

	take_all_back(redis, &redis->repeated);
	take_all_back(redis, &redis->asked);
	redis_link_free(redis->link);
	redis_tls_free(redis->tls);
	pool_release(&redis->calls);
	free(redis);
}

static struct store_description describe(const struct store *store)
{
	const struct redis_store *redis = redis_of(store);
	struct store_stats stats = redis->stats;

	const struct redis_health *health = redis_link_health_seen(redis->link);

	stats.connects = redis_link_connects(redis->link);
	stats.window = health->window;
	stats.heartbeat_us = redis_link_heartbeat_us(redis->link);
	return (struct store_description){
		.kind = "redis",
		.address = redis->target->text,
		.is_up = redis_link_is_up(redis->link),
		.is_shedding = redis_link_is_up(redis->link) &&
			       redis_health_state(health, clock_mono_us()) == REDIS_HEALTH_SHEDDING,
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
	redis->store = (struct store){.ask = ask,
				      .catch_up = catch_up,
				      .expired = expired,
				      .set_password = set_password,
				      .reread_files = reread_files,
				      .describe = describe,
				      .free = release};
	redis->config = *config;
	redis->target = target;
	redis_credentials_init(&redis->credentials, target);
	list_init(&redis->asked);
	list_init(&redis->repeated);
	if (!pool_init(&redis->calls, sizeof(struct call), config->max_in_flight)) {
		free(redis);
		return NULL;
	}
	if (target->is_tls) {
		redis->tls = redis_tls_new(loop, &target->tls, on_reread, redis);
		if (redis->tls == NULL) {
			pool_release(&redis->calls);
			free(redis);
			return NULL;
		}
	}
	redis->link = redis_link_new(loop, &(struct redis_link_config){
						   .target = target,
						   .credentials = &redis->credentials,
						   .tls = redis->tls,
						   .script = redis_script_text(),
						   .prefix = config->prefix,
						   .timeout_us = config->timeout_us,
						   .window_max = (uint32_t)config->max_in_flight,
						   .silence_us = config->silence_us,
						   .flush = on_before_wait,
						   .changed = on_changed,
						   .forgets = on_forgets,
						   .lacks_right = on_lacks_right,
						   .authenticated = on_authenticated,
						   .owner = redis,
					   });
	if (redis->link == NULL) {
		redis_tls_free(redis->tls);
		pool_release(&redis->calls);
		free(redis);
		return NULL;
	}
	return &redis->store;
}
