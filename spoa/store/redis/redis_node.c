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
 *      `--> STORE_DONE: with the link's error while it is down, with STORE_FULL when the request
 *           does not fit into the window of the link's health
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
#include "store/redis/redis_node.h"

#include "base/clock.h"
#include "base/compiler.h"
#include "limit/request.h"

/* A call has as many requests as have no more checks than these together. */
#define CALL_CHECKS_MAX REDIS_CALL_OPS_MAX
_Static_assert(REQUEST_CHECKS_MAX <= CALL_CHECKS_MAX, "a call has room for any request");
/* A call that is not full waits while so many are on their way: then calls are full under load. */
#define CALLS_UNDER_WAY 2
#define PASSED_MAX      32 /* ops of other slots that are passed over to fill a call */

/* One EVALSHA on its way, with the ops that it asks for. */
struct call {
	struct redis_asked asked;
	struct redis_node *node;
	struct list ops;
	uint32_t checks; /* of the ops */
	bool is_repeated;
	int64_t sent_us;
};

static struct store_op *first_op(const struct list *ops)
{
	return list_is_empty(ops) ? NULL : CONTAINER_OF(ops->next, struct store_op, link);
}

/* ---- answers ---- */

/* A late op is counted already, as a timeout; of a part the whole is (redis_parts.h). */
static void count_error(struct redis_node *node, const struct store_op *op)
{
	if (store_op_is_request(op))
		node->common->stats.errors[store_op_error(op)] += !op->is_late && !op->is_part;
}

static void fail_op(struct redis_node *node, struct store_op *op, enum store_error error)
{
	store_op_fail(op, error);
	count_error(node, op);
}

static void answer_op(struct store_op *op)
{
	list_remove(&op->link);
	op->answered(op);
}

static void fail_all(struct redis_node *node, struct list *ops, enum store_error error)
{
	struct store_op *op;

	while ((op = first_op(ops)) != NULL) {
		fail_op(node, op, error);
		answer_op(op);
	}
}

static void tell_refusal(const struct redis_node *node, const struct store_op *op, struct bytes why)
{
	enum store_error error = store_op_error(op);

	if (!store_op_is_request(op))
		return; /* nobody waits for it */
	node->common->config.refused(node->common->config.owner, op, error, why);
	/* The server has become a replica, or was replaced by one that still loads, or has given
	 * away the slot of all keys. The name, or a proxy, may lead to another server that takes
	 * writes. */
	if (error == STORE_LOADING || error == STORE_READONLY ||
	    (node->config.redirected == NULL &&
	     redis_prefix_has_hash_tag(node->common->config.prefix) &&
	     bytes_begin_with(why, BYTES("MOVED "))))
		redis_link_drop(node->link, error, why);
}

/* The ops have left, and nobody will say what the server did with them. */
static void mark_all_unsure(const struct list *ops)
{
	for (const struct list *link = ops->next; link != ops; link = link->next) {
		struct store_op *op = CONTAINER_OF(link, struct store_op, link);
		op->is_unsure = !op->is_look && !op->is_denied;
	}
}

/*
 * Redis answered the whole call by one error. Errors of a known kind come before the script runs.
 * Any other one may end a script that has charged something.
 */
static void fail_call(struct call *call, struct bytes why)
{
	enum store_error error = redis_error_kind(why);
	struct store_op *op;

	if (error == STORE_OTHER)
		mark_all_unsure(&call->ops);
	while ((op = first_op(&call->ops)) != NULL) {
		fail_op(call->node, op, error);
		tell_refusal(call->node, op, why);
		answer_op(op);
	}
}

/* NULL when the call has none: then nobody waits for it. */
static const struct store_op *first_request(const struct list *ops)
{
	for (const struct list *link = ops->next; link != ops; link = link->next) {
		const struct store_op *op = CONTAINER_OF(link, struct store_op, link);
		if (store_op_is_request(op))
			return op;
	}
	return NULL;
}

/* One of the call's requests has waited too long: says how long Redis took, once a minute. */
static void tell_late(struct call *call)
{
	const struct redis_node *node = call->node;
	char why[128];
	struct writer w = writer_on(why, sizeof why);
	const struct store_op *op = first_request(&call->ops);

	if (op == NULL)
		return;
	redis_link_put_slowness(node->link, &w);
	node->common->config.refused(node->common->config.owner, op, STORE_TIMEOUT,
				     writer_bytes(&w));
}

/* Redis did not know the script and has done nothing: ops that still wait are sent once more. */
static void repeat_call(struct call *call)
{
	struct redis_node *node = call->node;
	struct store_op *op;

	if (!node->is_script_asked)
		redis_link_load_script(node->link);
	node->is_script_asked = true;
	while ((op = first_op(&call->ops)) != NULL) {
		node->common->stats.errors[STORE_NOSCRIPT] +=
			!op->is_late && store_op_is_request(op);
		if (op->is_late) {
			store_op_fail(op, STORE_NOSCRIPT);
			answer_op(op);
			continue;
		}
		list_remove(&op->link);
		list_append(&node->repeated, &op->link);
		redis_health_admit_again(redis_link_health(node->link), (uint32_t)op->count);
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
		op->server = call->node->number;
		if (!redis_call_next(&reader, op, &why))
			return false;
		if (store_op_is_request(op) && store_op_error(op) != STORE_OK) {
			count_error(call->node, op);
			tell_refusal(call->node, op, why);
		}
		answer_op(op);
	}
	return true;
}

/* A node of a cluster has done nothing, and says who may. */
static void redirect_call(struct call *call, struct bytes why)
{
	struct redis_node *node = call->node;
	bool is_alone = call->ops.next->next == &call->ops;
	struct store_op *op;

	while ((op = first_op(&call->ops)) != NULL) {
		list_remove(&op->link);
		if (!op->is_late && node->config.redirected(node, op, why, is_alone))
			continue;
		fail_op(node, op, STORE_MOVED);
		tell_refusal(node, op, why);
		answer_op(op);
	}
}

static void finish_call(struct call *call, const struct redis_reply *reply)
{
	struct bytes error = reply->items[0].text;

	if (reply->items[0].kind != REDIS_ERROR) {
		if (!answer_by_reply(call, reply))
			fail_call(call, BYTES("BADREPLY the reply is not one of the script's"));
	} else if (redis_error_kind(error) == STORE_NOSCRIPT && !call->is_repeated &&
		   redis_link_is_up(call->node->link)) {
		repeat_call(call);
	} else if (call->node->config.redirected != NULL &&
		   redis_error_kind(error) == STORE_MOVED) {
		redirect_call(call, error);
	} else {
		fail_call(call, error);
	}
}

/* What is settled or given back has no deadline: then the time that the call took decides. */
static bool is_call_late(const struct call *call, int64_t took_us)
{
	const struct store_op *op = first_request(&call->ops); /* they were asked in order */

	return op != NULL ? op->is_late : took_us > call->node->common->config.timeout_us;
}

static void count_reply(struct call *call)
{
	struct redis_node *node = call->node;
	int64_t took_us = clock_mono_us() - call->sent_us;
	bool is_late = is_call_late(call, took_us);

	histogram_add(&node->common->stats.latency, took_us);
	redis_link_add_call(node->link, call->checks, call->sent_us, is_late);
	if (is_late)
		tell_late(call);
}

static void on_replied(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct call *call = CONTAINER_OF(asked, struct call, asked);
	struct redis_node *node = call->node;

	node->under_way--;
	if (reply == NULL) {
		redis_health_withdraw(redis_link_health(node->link), call->checks);
		mark_all_unsure(&call->ops);
		fail_all(node, &call->ops, STORE_CONNECTION);
	} else {
		count_reply(call);
		finish_call(call, reply);
	}
	pool_put(&node->common->calls, call);
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

/* A cluster refuses a call with keys of two slots. Without a cluster all of this is equal. */
static bool can_share_call(const struct store_op *first, const struct store_op *op)
{
	return op == first ||
	       (op->slot == first->slot && op->is_asking == first->is_asking && !op->is_alone &&
		!first->is_alone && (op->taken_us == NULL) == (first->taken_us == NULL));
}

/*
 * Moves ops from the list into the call: as many as may be in one, which is at least the first. Of
 * a cluster, ops of other slots stand in between; so that a long list is not walked for every call,
 * only a few of them are passed over.
 */
static void fill_call(struct redis_node *node, struct list *ops, struct call *call)
{
	const struct store_op *first = first_op(ops);
	int64_t now_us = first->now_us;
	size_t count = 0, passed = 0;

	call->checks = 0;
	for (struct list *link = ops->next, *next; link != ops; link = next) {
		struct store_op *op = CONTAINER_OF(link, struct store_op, link);
		next = link->next;
		if (!can_share_call(first, op)) {
			if (++passed == PASSED_MAX)
				break;
			continue;
		}
		if (call->checks + op->count > CALL_CHECKS_MAX ||
		    (node->common->config.is_time_given && op->now_us != now_us))
			break;
		call->checks += (uint32_t)op->count;
		list_remove(&op->link);
		list_append(&call->ops, &op->link);
		count++;
	}
	count_batch(&node->common->stats, count);
}

static void send_call(struct redis_node *node, struct call *call)
{
	struct writer w = writer_on(node->common->command, sizeof node->common->command);
	struct redis_call_form form = {
		.hash = redis_link_hash(node->link),
		.prefix = node->common->config.prefix,
		.is_time_given = node->common->config.is_time_given,
		.time_us = first_op(&call->ops)->now_us,
		.terms = &node->common->terms,
	};

	redis_call_put(&w, &form, &call->ops);
	call->sent_us = clock_mono_us();
	ASSERT(!w.full);
	if (first_op(&call->ops)->is_asking)
		redis_link_ask(node->link, &node->asking, &BYTES("ASKING"), 1);
	redis_link_send(node->link, writer_bytes(&w), &call->asked);
}

static uint32_t send_one(struct redis_node *node, struct list *ops, bool is_repeated)
{
	struct call *call = pool_get(&node->common->calls);

	ASSERT(call != NULL); /* there are as many calls as ops that can be pending */
	call->asked.replied = on_replied;
	call->node = node;
	call->is_repeated = is_repeated;
	list_init(&call->ops);
	fill_call(node, ops, call);
	uint32_t checks = call->checks; /* the call may be over when it was sent */
	node->under_way++;
	send_call(node, call);
	return checks;
}

/*
 * In a cluster calls do not become full by waiting, since most keys are in slots of their own: then
 * every op is sent at once.
 */
static bool are_calls_filled(const struct redis_node *node)
{
	return node->config.told_slots == NULL ||
	       redis_prefix_has_hash_tag(node->common->config.prefix);
}

static void send_asked(struct redis_node *node)
{
	size_t under_way_max = are_calls_filled(node) ? CALLS_UNDER_WAY : SIZE_MAX;

	while (node->asked_checks >= CALL_CHECKS_MAX ||
	       (node->asked_checks > 0 && node->under_way < under_way_max))
		node->asked_checks -= send_one(node, &node->asked, false);
}

/* Redis was not asked after all. */
static void take_back(struct redis_node *node, struct store_op *op, enum store_error error)
{
	redis_health_withdraw(redis_link_health(node->link), (uint32_t)op->count);
	fail_op(node, op, error);
	answer_op(op);
}

/* Nobody waits for them any more: they are not sent, and so not charged. */
static void leave_out_late(struct redis_node *node, struct list *ops, size_t *checks)
{
	for (struct list *link = ops->next, *next; link != ops; link = next) {
		struct store_op *op = CONTAINER_OF(link, struct store_op, link);
		next = link->next;
		if (!op->is_late)
			continue;
		*checks -= op->count;
		take_back(node, op, STORE_TIMEOUT);
	}
}

static void take_all_back(struct redis_node *node, struct list *ops)
{
	struct store_op *op;

	while ((op = first_op(ops)) != NULL)
		take_back(node, op, redis_link_error(node->link));
}

/*
 * The first connection to the node is being made: a slot has just moved there, and MOVED has said
 * so before any map did. Without waiting for it all requests of the slot would fail until the
 * connection is there, though nothing is broken. When that connection ends, nothing waits any more,
 * although the news that the node was up may still be to come.
 */
static bool is_first_connection_awaited(const struct redis_node *node)
{
	return node->is_awaited && redis_link_connects(node->link) == 0;
}

static void on_before_wait(void *owner)
{
	struct redis_node *node = owner;
	size_t repeated_checks = 0;

	node->common->turn_us = 0;
	node->is_script_asked = false;
	if (!redis_link_is_up(node->link)) {
		if (is_first_connection_awaited(node)) {
			leave_out_late(node, &node->repeated, &repeated_checks);
			return;
		}
		take_all_back(node, &node->repeated);
		take_all_back(node, &node->asked);
		node->asked_checks = 0;
		return;
	}
	if (node->late_turns != node->common->late_turns) {
		node->late_turns = node->common->late_turns;
		leave_out_late(node, &node->repeated, &repeated_checks);
		leave_out_late(node, &node->asked, &node->asked_checks);
	}
	while (!list_is_empty(&node->repeated))
		(void)send_one(node, &node->repeated, true);
	send_asked(node);
}

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	struct redis_node *node = owner;

	node->is_awaited = false;
	node->config.changed(node, is_up, error, why);
}

static void on_forgets(void *owner, const char *policy, const char *hint)
{
	const struct store_config *config = &((const struct redis_node *)owner)->common->config;

	if (config->forgets != NULL)
		config->forgets(config->owner, policy, hint);
}

static void on_lacks_right(void *owner, const char *command, const char *hint)
{
	redis_warnings_lack(&((struct redis_node *)owner)->warnings, command, hint);
}

static void on_regained_right(void *owner, const char *hint)
{
	(void)hint; /* the link tells of one right only */
	redis_warnings_regain(&((struct redis_node *)owner)->warnings);
}

static void on_eviction(void *owner, const char *policy)
{
	redis_warnings_set_eviction(&((struct redis_node *)owner)->warnings, policy);
}

static void on_authenticated(void *owner, bool is_taken, struct bytes why)
{
	const struct store_config *config = &((const struct redis_node *)owner)->common->config;

	if (config->authenticated != NULL)
		config->authenticated(config->owner, is_taken, why);
}

static void on_master_named(void *owner, const char *master, uint64_t epoch, bool is_reset)
{
	const struct redis_node *node = owner;
	const struct store_config *config = &node->common->config;

	if (config->master_named != NULL)
		config->master_named(config->owner, master, epoch, is_reset);
}

static void on_sentinel_changed(void *owner, const char *sentinel, bool is_up, const char *why)
{
	const struct redis_node *node = owner;
	const struct store_config *config = &node->common->config;

	if (config->sentinel_changed != NULL)
		config->sentinel_changed(config->owner, sentinel, is_up, why);
}

static const char *on_told_slots(void *owner, const struct redis_reply *reply)
{
	struct redis_node *node = owner;

	return node->config.told_slots(node, reply);
}

/* ---- the node ---- */

/* What is settled takes no place that the request behind it needs. */
static bool has_room_behind(const struct redis_node *node, const struct store_op *op)
{
	const struct redis_health *health = redis_link_health(node->link);

	return health->in_flight + op->count + op->room_behind <= health->window;
}

static enum store_state shed_op(struct redis_node *node, struct store_op *op)
{
	store_op_fail(op, STORE_FULL);
	node->common->stats.shed += !op->is_part && store_op_is_request(op);
	return STORE_DONE;
}

/* As many wait as one window has. A request that is larger than the window waits alone. */
static enum store_state wait_for_connection(struct redis_node *node, struct store_op *op)
{
	const struct redis_health *health = redis_link_health(node->link);

	if (health->in_flight > 0 && health->in_flight + op->count > health->window)
		return shed_op(node, op);
	list_init(&op->link);
	redis_node_repeat(node, op);
	return STORE_PENDING;
}

enum store_state redis_node_ask(struct redis_node *node, struct store_op *op)
{
	struct redis_common *common = node->common;

	if (!redis_link_is_up(node->link)) {
		if (is_first_connection_awaited(node) && !op->is_settling)
			return wait_for_connection(node, op);
		fail_op(node, op, redis_link_error(node->link));
		return STORE_DONE;
	}
	if (common->turn_us == 0)
		common->turn_us = clock_mono_us();
	if (op->is_settling && !has_room_behind(node, op))
		return shed_op(node, op);
	if (!redis_health_admit(redis_link_health(node->link), (uint32_t)op->count,
				common->turn_us))
		return shed_op(node, op);
	list_init(&op->link);
	list_append(&node->asked, &op->link);
	node->asked_checks += op->count;
	return STORE_PENDING;
}

void redis_node_repeat(struct redis_node *node, struct store_op *op)
{
	redis_health_admit_again(redis_link_health(node->link), (uint32_t)op->count);
	list_append(&node->repeated, &op->link);
}

bool redis_node_is_idle(const struct redis_node *node)
{
	return list_is_empty(&node->asked) && list_is_empty(&node->repeated) &&
	       node->under_way == 0;
}

size_t redis_node_call_size(void)
{
	return sizeof(struct call);
}

/* What ASKING is replied does not matter: without it the call itself is refused by MOVED. */
static void on_asking(struct redis_asked *asked, const struct redis_reply *reply)
{
	(void)asked, (void)reply;
}

bool redis_node_init(struct redis_node *node, struct ev_loop *loop,
		     const struct redis_node_config *node_config)
{
	struct redis_common *common = node_config->common;
	const struct store_config *config = &common->config;

	*node = (struct redis_node){.config = *node_config,
				    .common = common,
				    .asking.replied = on_asking,
				    .late_turns = common->late_turns};
	list_init(&node->asked);
	list_init(&node->repeated);
	redis_warnings_add(&common->warnings, &node->warnings);
	node->link = redis_link_new(
		loop, &(struct redis_link_config){
			      .target = node_config->target,
			      .credentials = &common->credentials,
			      .tls = common->tls,
			      .script = redis_script_text(),
			      .prefix = config->prefix,
			      .timeout_us = config->timeout_us,
			      .window_max = (uint32_t)config->max_in_flight,
			      .silence_us = config->silence_us,
			      .flush = on_before_wait,
			      .changed = on_changed,
			      .forgets = on_forgets,
			      .lacks_right = on_lacks_right,
			      .regained_right = on_regained_right,
			      .told_eviction = on_eviction,
			      .authenticated = on_authenticated,
			      .master_named = on_master_named,
			      .sentinel_changed = on_sentinel_changed,
			      .told_slots = node_config->told_slots == NULL ? NULL : on_told_slots,
			      .owner = node,
		      });
	if (node->link == NULL)
		redis_warnings_remove(&node->warnings);
	return node->link != NULL;
}

void redis_node_release(struct redis_node *node)
{
	take_all_back(node, &node->repeated);
	take_all_back(node, &node->asked);
	node->asked_checks = 0;
	redis_link_free(node->link);
	node->link = NULL;
	redis_warnings_remove(&node->warnings);
}
