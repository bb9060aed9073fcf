/*
 * A server with a clock of its own, which is neither exact nor near, stands behind the store under
 * test. Its balances are those of limit/, so the test knows at every moment whether a check would
 * pass at the server right now.
 *
 * DENIALS_STEPS and DENIALS_SEED change how long and how the random walk at the end goes.
 */
#include "store/denials.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/pool.h"
#include "contract.h"
#include "limit/request.h"
#include "support/chance.h"
#include "support/test.h"

#define SECOND   INT64_C(1000000)
#define MS       INT64_C(1000)
#define NS       INT64_C(1000) /* in a microsecond */
#define EPOCH_US INT64_C(1700000000000000)
#define LONGEST  SECOND

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

/* ---- the server ---- */

#define LOG_MAX     32
#define KEYS_MAX    16
#define PENDING_MAX 64

struct server_log {
	struct window_entry entries[LOG_MAX];
	size_t count;
	int64_t total_before;
};

struct server_balance {
	char key[24];
	size_t key_len;
	const struct quota *quota;
	bool is_there;
	union plain_state plain;
	struct server_log log;
	uint64_t version; /* grows with each taking */
};

/* An op that was asked. The server looks at it once it arrives, and the reply comes later. */
struct pending {
	struct store_op *op;
	uint16_t at; /* the server */
	int64_t arrives_ns, replies_ns;
	bool is_decided, is_allowed;
	int64_t store_us;
	struct balance found[REQUEST_CHECKS_MAX];
	struct outcome outcomes[REQUEST_CHECKS_MAX];
	bool is_charged[REQUEST_CHECKS_MAX];
	uint64_t versions[REQUEST_CHECKS_MAX];
};

static struct server {
	struct store store;
	struct server_balance balances[KEYS_MAX];
	size_t balance_count;
	struct pending pending[PENDING_MAX]; /* in order */
	size_t pending_count;
	int64_t there_ns, back_ns; /* how long a question is under way, and a reply */
	uint64_t connection;
	size_t asked;
	int64_t expired_us;
	const struct store_op *expired, *settled;
	bool is_settled_by_denial;
	const char *password, *sentinel_password;
	size_t told; /* to catch up, and to read files again */
} server;

/* Time in nanoseconds: ours, and by how many the server's clock runs faster in a million. */
static int64_t now_ns;
static int64_t server_ns, server_drift;
/* The server may be one of two, whose clocks differ: which one is asked, and decides, and by how
 * much the clock of each is ahead. */
static uint16_t server_at;
static int64_t ahead_us[2];

static struct store *denials;

static void pass(int64_t ns)
{
	now_ns += ns;
	server_ns += ns + ns * server_drift / 1000000;
}

static int64_t mono_us(void)
{
	return now_ns / NS;
}

static int64_t server_now_us(void)
{
	return EPOCH_US + server_ns / NS + ahead_us[server_at];
}

static struct server_balance *balance_of(const struct check *check)
{
	for (size_t i = 0; i < server.balance_count; i++)
		if (server.balances[i].key_len == check->key_len &&
		    memcmp(server.balances[i].key, check->key, check->key_len) == 0)
			return &server.balances[i];
	assert_true(server.balance_count < KEYS_MAX);
	struct server_balance *new = &server.balances[server.balance_count++];
	*new = (struct server_balance){.key_len = check->key_len, .quota = check->quota};
	assert_true(check->key_len <= sizeof new->key);
	memcpy(new->key, check->key, check->key_len);
	return new;
}

static struct window_entry log_entry(const void *state, size_t index)
{
	return ((const struct server_log *)state)->entries[index];
}

static struct balance look(const struct server_balance *b)
{
	struct balance balance = {.is_new = !b->is_there};

	if (algorithm_traits(b->quota->algorithm)->is_log)
		balance.log = (struct window_log){.count = b->log.count,
						  .entry = log_entry,
						  .state = &b->log,
						  .total_before = b->log.total_before};
	else
		balance.plain = b->plain;
	balance_look(&balance, b->quota, server_now_us());
	if (balance.is_new && algorithm_traits(b->quota->algorithm)->is_log)
		balance.log.entry = log_entry;
	return balance;
}

static void append_to_log(struct server_log *log, const struct window_log *seen, int64_t units)
{
	if (seen->expired > 0)
		log->total_before = log->entries[seen->expired - 1].total;
	log->count -= seen->expired;
	memmove(log->entries, log->entries + seen->expired, log->count * sizeof log->entries[0]);
	int64_t total = log->count == 0 ? log->total_before : log->entries[log->count - 1].total;
	if (log->count == 0 || log->entries[log->count - 1].time_us != seen->last_us) {
		assert_true(log->count < LOG_MAX);
		log->entries[log->count++].time_us = seen->last_us;
	}
	log->entries[log->count - 1].total = total + units;
}

/* Returns the balance after the taking. */
static struct balance take(struct server_balance *b, int64_t units)
{
	struct balance balance = look(b);

	if (units == 0)
		return balance;
	balance_take(&balance, b->quota, units);
	if (algorithm_traits(b->quota->algorithm)->is_log)
		append_to_log(&b->log, &balance.log, units);
	else
		b->plain = balance.plain;
	b->is_there = true;
	b->version++;
	return balance;
}

static bool would_pass(const struct check *check)
{
	const struct server_balance *b = balance_of(check);
	struct balance balance = look(b);

	return check->cost <= balance_remaining(&balance, b->quota);
}

static int64_t true_wait_us(const struct check *check)
{
	const struct server_balance *b = balance_of(check);
	struct balance balance = look(b);

	return balance_wait_us(&balance, b->quota, server_now_us(), check->cost);
}

/* As lua/main.lua. */
static void decide(struct pending *pending)
{
	const struct store_op *op = pending->op;
	size_t limiting = op->count - op->shadow;

	server_at = pending->at;
	pending->is_decided = true;
	pending->store_us = server_now_us();
	pending->is_allowed = !op->is_denied;
	for (size_t i = 0; i < limiting; i++)
		pending->is_allowed = pending->is_allowed && would_pass(op->checks[i]);
	for (size_t i = 0; i < op->count; i++) {
		const struct check *check = op->checks[i];
		pending->is_charged[i] = pending->is_allowed && (i < limiting || would_pass(check));
		pending->found[i] =
			take(balance_of(check), pending->is_charged[i] ? check->cost : 0);
		pending->outcomes[i] =
			balance_outcome(&pending->found[i], check->quota, pending->store_us,
					check->cost, pending->is_charged[i]);
		pending->versions[i] = balance_of(check)->version;
	}
}

/* What the agent knows of each balance: which version it was told of last. */
static uint64_t told[KEYS_MAX];

static void reply(struct pending *pending)
{
	struct store_op *op = pending->op;

	op->server = pending->at;
	for (size_t i = 0; i < op->count; i++) {
		struct check *check = op->checks[i];
		const struct balance *found = &pending->found[i];
		bool is_charged = pending->is_charged[i];
		check->outcome = pending->outcomes[i];
		check->is_decided = true;
		check->error = STORE_OK;
		/* Of a log that passes, the agent learns nothing of what others wait for. */
		if (is_charged || !check->outcome.allowed ||
		    !algorithm_traits(check->quota->algorithm)->is_log)
			told[balance_of(check) - server.balances] = pending->versions[i];
		op->seen(op, check, found, is_charged, pending->store_us);
	}
	op->answered(op);
}

/* The moment of the next arrival or reply; INT64_MAX when nothing is pending. */
static int64_t next_ns(void)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < server.pending_count; i++) {
		const struct pending *p = &server.pending[i];
		int64_t at = p->is_decided ? p->replies_ns : p->arrives_ns;
		next = at < next ? at : next;
	}
	return next;
}

static void run_pending(void)
{
	for (size_t i = 0; i < server.pending_count; i++)
		if (!server.pending[i].is_decided && server.pending[i].arrives_ns <= now_ns)
			decide(&server.pending[i]);
	while (server.pending_count > 0 && server.pending[0].is_decided &&
	       server.pending[0].replies_ns <= now_ns) {
		struct pending first = server.pending[0];
		server.pending_count--;
		memmove(server.pending, server.pending + 1,
			server.pending_count * sizeof server.pending[0]);
		reply(&first);
	}
}

/* Lets so much time pass, in which the server decides and replies when it is time. */
static void advance(int64_t us)
{
	int64_t end_ns = now_ns + us * NS;

	for (int64_t next; (next = next_ns()) <= end_ns;) {
		if (next > now_ns)
			pass(next - now_ns);
		run_pending();
	}
	pass(end_ns - now_ns);
}

static enum store_state server_ask(struct store *store, struct store_op *op)
{
	(void)store;
	assert_true(server.pending_count < PENDING_MAX);
	struct pending *p = &server.pending[server.pending_count];
	const struct pending *last = p - 1;
	memset(p, 0, sizeof *p);
	p->op = op;
	p->at = server_at;
	p->arrives_ns = now_ns + server.there_ns;
	/* One connection: nothing overtakes. */
	if (server.pending_count > 0 && last->arrives_ns > p->arrives_ns)
		p->arrives_ns = last->arrives_ns;
	p->replies_ns = p->arrives_ns + server.back_ns;
	if (server.pending_count > 0 && last->replies_ns > p->replies_ns)
		p->replies_ns = last->replies_ns;
	server.pending_count++;
	server.asked++;
	return STORE_PENDING;
}

static uint64_t server_connection(const struct store *store)
{
	(void)store;
	return server.connection;
}

static void server_expired(struct store *store, struct store_op *op, int64_t time_us)
{
	(void)store;
	server.expired = op;
	server.expired_us = time_us;
}

static void server_settled(struct store *store, struct store_op *op, bool is_denied)
{
	(void)store;
	server.settled = op;
	server.is_settled_by_denial = is_denied;
}

static void server_set_password(struct store *store, const char *password)
{
	(void)store;
	server.password = password;
}

static void server_set_sentinel_password(struct store *store, const char *password)
{
	(void)store;
	server.sentinel_password = password;
}

static void server_count(struct store *store)
{
	(void)store;
	server.told++;
}

static struct store_description server_describe(const struct store *store)
{
	(void)store;
	return (struct store_description){.kind = "test", .stats = {.requests = server.asked}};
}

static void server_free(struct store *store)
{
	(void)store;
}

BEFORE_EACH
{
	memset(&server, 0, sizeof server);
	memset(told, 0, sizeof told);
	server.store = (struct store){.ask = server_ask,
				      .connection = server_connection,
				      .expired = server_expired,
				      .settled = server_settled,
				      .catch_up = server_count,
				      .set_password = server_set_password,
				      .set_sentinel_password = server_set_sentinel_password,
				      .reread_files = server_count,
				      .describe = server_describe,
				      .free = server_free};
	server.connection = 1;
	server.there_ns = 40 * NS;
	server.back_ns = 60 * NS;
	now_ns = 77 * SECOND * NS;
	server_ns = server_drift = 0;
	server_at = 0;
	ahead_us[0] = ahead_us[1] = 0;
	denials = denials_new(&server.store, LONGEST, mono_us);
	assert_non_null(denials);
}

AFTER_EACH
{
	store_free(denials);
}

/* ---- questions ---- */

#define TOGETHER_MAX 4

struct question {
	struct store_op op;
	struct check checks[TOGETHER_MAX];
	struct check *pointers[TOGETHER_MAX];
	size_t seen, answers;
};

static void on_answered(struct store_op *op)
{
	CONTAINER_OF(op, struct question, op)->answers++;
}

static void on_seen(struct store_op *op, const struct check *check, const struct balance *balance,
		    bool is_charged, int64_t now_us)
{
	(void)check, (void)balance, (void)is_charged, (void)now_us;
	CONTAINER_OF(op, struct question, op)->seen++;
}

static void add(struct question *question, const char *key, const struct quota *quota, int64_t cost)
{
	size_t i = question->op.count++;

	question->pointers[i] = check_make(&question->checks[i], key, quota, cost);
	question->op.checks = question->pointers;
}

/* Behind all others. */
static void add_shadow(struct question *question, const char *key, const struct quota *quota)
{
	add(question, key, quota, 1);
	question->checks[question->op.count - 1].is_shadow = true;
	question->op.shadow++;
}

static enum store_state put(struct question *question)
{
	question->op.mono_us = mono_us();
	question->op.answered = on_answered;
	question->op.seen = on_seen;
	return store_ask(denials, &question->op);
}

/* Asks, and waits for the answer. Returns whether the server was asked. */
static bool ask_all(struct question *question)
{
	bool is_asked = put(question) == STORE_PENDING;

	while (is_asked && question->answers == 0)
		advance(1);
	return is_asked;
}

/* The same for one check, whose outcome is in *ret_outcome. */
static bool ask_one(const char *key, const struct quota *quota, int64_t cost,
		    struct outcome *ret_outcome)
{
	struct question question = {.answers = 0};

	add(&question, key, quota, cost);
	bool is_asked = ask_all(&question);
	assert_int_equal(question.checks[0].error, STORE_OK);
	assert_true(question.checks[0].is_decided);
	assert_false(question.checks[0].is_skipped);
	*ret_outcome = question.checks[0].outcome;
	return is_asked;
}

static bool is_asked(const char *key, const struct quota *quota, int64_t cost)
{
	struct outcome outcome;

	return ask_one(key, quota, cost, &outcome);
}

/* Takes everything, and lets the server deny one more. Each time the server is asked. */
static void exhaust(const char *key, const struct quota *quota)
{
	struct outcome outcome;

	assert_true(ask_one(key, quota, quota->limit, &outcome));
	assert_true(outcome.allowed);
	assert_true(ask_one(key, quota, 1, &outcome));
	assert_false(outcome.allowed);
}

/* ---- what is answered here ---- */

static const struct {
	const char *name;
	enum algorithm algorithm;
} algorithms[] = {
	{"of a bucket", TOKEN_BUCKET},
	{"of a log", SLIDING_WINDOW},
	{"of a counter", SLIDING_WINDOW_COUNTER},
	{"of a fixed window", FIXED_WINDOW},
};

TEST_ROWS(algorithms)
{
	struct quota quota = quota_of(row->algorithm, 5, 10 * SECOND);
	struct outcome outcome, before;

	assert_true(ask_one("a", &quota, 5, &outcome));
	assert_true(outcome.allowed);
	assert_true(ask_one("a", &quota, 1, &before));
	advance(100 * MS);

	assert_false(ask_one("a", &quota, 1, &outcome));
	assert_false(outcome.allowed);
	assert_int_equal(outcome.remaining, 0);
	/* The reply was 60 us old when it was read, and the drift of 0.1 s is 0.1 ms. */
	assert_in_range(outcome.retry_after_us, before.retry_after_us - 100 * MS - 60,
			before.retry_after_us - 100 * MS + 200);
	assert_in_range(outcome.reset_us, before.reset_us - 100 * MS - 60,
			before.reset_us - 100 * MS + 200);
	assert_int_equal(store_describe(denials).stats.deny_cache_hits, 1);
	assert_int_equal(store_describe(denials).stats.requests, 2);
}

TEST(ask_whoever_is_not_denied_is_asked_for_each_time)
{
	struct quota quota = bucket_of(100, "0.001");

	for (int i = 0; i < 100; i++)
		assert_true(is_asked("a", &quota, 1));
	assert_true(is_asked("a", &quota, 1));
	assert_false(is_asked("a", &quota, 1));
	assert_true(is_asked("b", &quota, 1));
	assert_true(is_asked("a", &quota, 0)); /* asks without taking, and passes always */
}

/* A question takes 40 us to the server: the one that gets there when the wait is over is put. */
TEST(ask_passes_at_the_moment_at_which_it_would_there)
{
	struct quota quota = bucket_of(1, "20");
	struct outcome outcome;

	exhaust("a", &quota);
	int64_t wait_us = true_wait_us(check_make(&(struct check){0}, "a", &quota, 1));
	advance(wait_us - 40 - wait_us / 1000 - 10);
	assert_false(is_asked("a", &quota, 1));
	advance(wait_us / 1000 + 10);

	assert_true(ask_one("a", &quota, 1, &outcome));
	assert_true(outcome.allowed);
}

TEST(ask_a_client_that_waits_as_told_passes)
{
	struct quota quota = bucket_of(1, "20");
	struct outcome outcome;

	exhaust("a", &quota);
	advance(13 * MS);
	assert_false(ask_one("a", &quota, 1, &outcome));
	advance(outcome.retry_after_us);

	assert_true(ask_one("a", &quota, 1, &outcome));
	assert_true(outcome.allowed);
}

TEST(ask_another_cost_gets_its_own_wait)
{
	struct quota quota = bucket_of(10, "10");
	struct outcome one, three, never;

	exhaust("a", &quota);
	advance(50 * MS);
	assert_false(ask_one("a", &quota, 1, &one));
	assert_false(ask_one("a", &quota, 3, &three));
	assert_false(ask_one("a", &quota, 11, &never));

	assert_int_equal(three.retry_after_us - one.retry_after_us, 200 * MS);
	assert_int_equal(never.retry_after_us, -1);
	advance(100 * MS);
	assert_true(is_asked("a", &quota, 1)); /* it passes, and takes what there was */
	assert_false(ask_one("a", &quota, 3, &three));
	assert_in_range(three.retry_after_us, 240 * MS, 260 * MS);
}

/* Of a log only the entry is known that has to leave for the cost that was asked for. */
TEST(ask_of_a_log_another_cost_is_asked_for)
{
	struct quota quota = window_of(SLIDING_WINDOW, 5, 10 * SECOND);

	exhaust("a", &quota);

	assert_false(is_asked("a", &quota, 1));
	assert_true(is_asked("a", &quota, 2));
	assert_true(is_asked("a", &quota, 1));
	assert_false(is_asked("a", &quota, 1));
}

TEST(ask_what_never_passes_is_denied_for_the_longest_time)
{
	struct quota quotas[] = {bucket_of(5, "1000"), window_of(SLIDING_WINDOW, 5, SECOND)};
	struct outcome outcome;

	for (size_t i = 0; i < ARRAY_SIZE(quotas); i++) {
		const char *key = i == 0 ? "a" : "b";
		assert_true(is_asked(key, &quotas[i], 6));
		assert_false(ask_one(key, &quotas[i], 6, &outcome));
		assert_int_equal(outcome.retry_after_us, -1);
		assert_true(is_asked(key, &quotas[i], 1));
	}
}

TEST(ask_longer_than_the_longest_time_is_asked_again)
{
	struct quota quota = window_of(SLIDING_WINDOW, 5, 3600 * SECOND);

	exhaust("a", &quota);
	advance(LONGEST - MS);
	assert_false(is_asked("a", &quota, 1));
	advance(2 * MS);

	assert_true(is_asked("a", &quota, 1));
}

/* Who looks wants to know what the request would get. */
TEST(ask_a_look_is_answered_as_the_request_and_not_remembered)
{
	struct quota quota = bucket_of(5, "0.001");
	struct question known = {.op.is_look = true}, unknown = {.op.is_look = true};

	exhaust("a", &quota);
	add(&known, "a", &quota, 1);
	add(&unknown, "b", &quota, 6);

	assert_false(ask_all(&known));
	assert_false(known.checks[0].outcome.allowed);
	assert_true(known.checks[0].is_remembered);
	assert_true(ask_all(&unknown));
	assert_true(is_asked("b", &quota, 6));
	assert_int_equal(store_describe(denials).stats.deny_cache_hits, 0);
}

/* Its state is the one before the reset, which would be a denial. */
TEST(ask_a_reset_is_passed_on_and_not_remembered)
{
	struct quota quota = bucket_of(5, "0.001");
	struct question known = {.op.is_reset = true}, reset = {.op.is_reset = true};

	exhaust("a", &quota);
	add(&known, "a", &quota, 1);
	add(&reset, "a", &quota, 1);

	assert_true(ask_all(&known));
	store_forget_known(denials);
	assert_true(ask_all(&reset));
	assert_true(is_asked("a", &quota, 1));
}

/* ---- several checks ---- */

TEST(ask_of_several_the_unknown_are_skipped)
{
	struct quota quota = bucket_of(5, "0.001");
	struct question question = {.answers = 0};

	exhaust("b", &quota);
	add(&question, "a", &quota, 1);
	add(&question, "b", &quota, 1);
	add(&question, "c", &quota, 1);

	assert_int_equal(put(&question), STORE_DONE);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(question.checks[i].is_decided, i == 1);
		assert_int_equal(question.checks[i].is_skipped, i != 1);
		assert_int_equal(question.checks[i].error, STORE_OK);
	}
	assert_false(question.checks[1].outcome.allowed);
	assert_int_equal(question.answers, 0);
}

/* A check in shadow stops nothing, so it can't be why nobody is asked. */
TEST(ask_what_is_denied_in_shadow_alone_is_asked_for)
{
	struct quota quota = bucket_of(5, "0.001");
	struct question question = {.answers = 0};

	exhaust("b", &quota);
	add(&question, "a", &quota, 1);
	add_shadow(&question, "b", &quota);

	assert_true(ask_all(&question));
	assert_true(question.checks[0].outcome.allowed);
	assert_false(question.checks[1].outcome.allowed);
	assert_int_equal(question.seen, 2); /* the asker hears of both as well */
}

TEST(ask_beside_a_known_denial_those_in_shadow_are_known_or_skipped)
{
	struct quota quota = bucket_of(5, "0.001");
	struct question question = {.answers = 0};

	exhaust("a", &quota);
	exhaust("b", &quota);
	add(&question, "a", &quota, 1);
	add_shadow(&question, "b", &quota);
	add_shadow(&question, "c", &quota);

	assert_false(ask_all(&question));
	assert_true(question.checks[1].is_decided);
	assert_false(question.checks[1].outcome.allowed);
	assert_false(question.checks[2].is_decided);
	assert_true(question.checks[2].is_skipped);
}

/* ---- what is forgotten ---- */

TEST(forget_known_everybody_is_asked_for_again)
{
	struct quota quota = bucket_of(5, "0.001");

	exhaust("a", &quota);
	exhaust("b", &quota);
	store_forget_known(denials);
	advance(1);

	assert_true(is_asked("a", &quota, 1));
	assert_true(is_asked("b", &quota, 1));
	assert_false(is_asked("a", &quota, 1));
}

TEST(ask_a_reset_forgets_and_is_passed_on)
{
	struct quota quota = bucket_of(5, "0.001");
	struct question reset = {.op.is_reset = true};

	exhaust("a", &quota);
	add(&reset, "a", &quota, 0);
	assert_true(ask_all(&reset));
	advance(1);

	assert_true(is_asked("a", &quota, 1));
	assert_false(is_asked("a", &quota, 1));
}

/* The server denied it before the balance was forgiven, say. */
TEST(forget_known_a_reply_that_was_asked_for_before_is_not_remembered)
{
	struct quota quota = bucket_of(5, "0.001");
	struct question question = {.answers = 0};

	assert_true(is_asked("a", &quota, 5));
	add(&question, "a", &quota, 1);
	assert_int_equal(put(&question), STORE_PENDING);
	store_forget_known(denials);
	advance(MS);
	assert_int_equal(question.answers, 1);
	assert_false(question.checks[0].outcome.allowed);

	assert_true(is_asked("a", &quota, 1));
	assert_false(is_asked("a", &quota, 1));
}

TEST(connection_that_ended_takes_all_denials_with_it)
{
	struct quota quota = bucket_of(5, "0.001");

	exhaust("a", &quota);
	server.connection = 0;
	assert_true(is_asked("a", &quota, 1));
	server.connection = 2;
	advance(1);

	assert_true(is_asked("a", &quota, 1));
	assert_false(is_asked("a", &quota, 1));
	server.connection = 3; /* nobody asked in between */
	assert_true(is_asked("a", &quota, 1));
}

TEST(gives_back_denials_are_short)
{
	struct quota quota = bucket_of(5, "0.001");

	server.store.gives_back = true;
	exhaust("a", &quota);
	advance(9 * MS);
	assert_false(is_asked("a", &quota, 1));
	advance(2 * MS);

	assert_true(is_asked("a", &quota, 1));
}

/* ---- clocks that are set ---- */

/* The first reply by the new clock ends what the old one said. */
TEST(clock_that_is_set_forward_ends_denials)
{
	struct quota quota = bucket_of(1, "0.1");

	exhaust("a", &quota);
	server_ns += 20 * SECOND * NS;
	assert_false(is_asked("a", &quota, 1)); /* nobody can know yet */
	assert_true(is_asked("b", &quota, 1));

	assert_true(is_asked("a", &quota, 1));
}

TEST(clock_that_is_set_back_costs_the_longest_time_at_most)
{
	struct quota quota = bucket_of(1, "10");

	exhaust("a", &quota);
	server_ns -= 20 * SECOND * NS;
	assert_true(is_asked("b", &quota, 1));
	advance(500 * MS);
	assert_false(is_asked("a", &quota, 1));
	advance(501 * MS);

	assert_true(is_asked("a", &quota, 1));
}

/* ---- bounds ---- */

static void deny_many(const struct quota *quota, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char key[24];
		struct question question = {.answers = 0};
		snprintf(key, sizeof key, "%zu", i);
		add(&question, key, quota,
		    6); /* above the limit, so that a balance needs no state */
		question.op.mono_us = mono_us();
		server.balance_count = 0;
		(void)ask_all(&question);
	}
}

static size_t count_known(const struct quota *quota, size_t count)
{
	size_t known = 0;

	for (size_t i = 0; i < count; i++) {
		char key[24];
		struct question question = {.op = {.mono_us = mono_us()}};
		snprintf(key, sizeof key, "%zu", i);
		add(&question, key, quota, 6);
		known += store_answer_known(denials, &question.op);
	}
	return known;
}

TEST(denials_of_more_keys_than_fit_push_out_older_ones)
{
	struct quota quota = bucket_of(5, "1");

	server.there_ns = server.back_ns = 0; /* or the first ones would be over by time */
	deny_many(&quota, 3000);
	assert_in_range(count_known(&quota, 3000), 2990, 3000);
	deny_many(&quota, DENIALS_MAX + DENIALS_MAX / 2);

	assert_in_range(count_known(&quota, DENIALS_MAX + DENIALS_MAX / 2), DENIALS_MAX / 2,
			DENIALS_MAX);
}

TEST(the_other_store_hears_what_is_said)
{
	struct store_op op = {.count = 0};

	store_expired(denials, &op, 5);
	store_settled(denials, &op, true);

	assert_int_equal(server.expired_us, 5);
	assert_ptr_equal(server.expired, &op);
	assert_ptr_equal(server.settled, &op);
	assert_true(server.is_settled_by_denial);
	assert_string_equal(store_describe(denials).kind, "test");
	store_catch_up(denials);
	store_reread_files(denials);
	assert_int_equal(server.told, 2);
	store_set_password(denials, "x");
	assert_string_equal(server.password, "x");
	store_set_sentinel_password(denials, "y");
	assert_string_equal(server.sentinel_password, "y");
}

/* A cluster's: by how much the clock of the second server is ahead of that of the first one. */
static const struct {
	const char *name;
	int64_t ahead_us;
} clocks[] = {
	{"a clock that is an hour ahead", 3600 * SECOND},
	{"a clock that is an hour behind", -3600 * SECOND},
	{"a clock that is a bit ahead", SECOND / 10},
	{"a clock that is a bit behind", -SECOND / 10},
};

TEST_ROWS(clocks)
{
	struct quota quota = bucket_of(1, "2"); /* the wait is half a second */

	ahead_us[1] = row->ahead_us;
	assert_true(is_asked("a", &quota, 1));
	assert_true(is_asked("a", &quota, 1)); /* and is denied */
	server_at = 1;
	assert_true(is_asked("b", &quota, 1));
	assert_true(is_asked("b", &quota, 1));

	advance(350 * MS);
	assert_false(is_asked("a", &quota, 1));
	assert_false(is_asked("b", &quota, 1));
	advance(200 * MS);
	server_at = 0;
	assert_true(is_asked("a", &quota, 1));
	server_at = 1;
	assert_true(is_asked("b", &quota, 1));
}

/* ---- the random walk ---- */

#define QUESTIONS 32

static struct chance chance;
static struct quota walk_quotas[KEYS_MAX];
static const char *const walk_keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
static struct question walk_questions[QUESTIONS];
static bool is_under_way[QUESTIONS];

static struct walk_counts {
	uint64_t known, asked, needless;
} counts;

static void make_quotas(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(walk_keys); i++) {
		enum algorithm algorithm = (enum algorithm)(i % ALGORITHM_COUNT);
		int64_t full_us = chance_between(&chance, 2 * MS, 4 * SECOND);
		walk_quotas[i] = quota_of(algorithm, chance_between(&chance, 1, 20), full_us);
	}
}

static void note_answers(void)
{
	for (size_t i = 0; i < QUESTIONS; i++)
		is_under_way[i] = is_under_way[i] && walk_questions[i].answers == 0;
}

static int64_t longest_delay_us;

/* What was answered here is what the server would have answered now. */
static void check_known(const struct check *check)
{
	if (check->is_skipped)
		return;
	if (would_pass(check))
		fail_msg("%s: a cost of %d would pass at the server",
			 walk_keys[check->key[0] - 'a'], (int)check->cost);
	assert_false(check->outcome.allowed);
	int64_t wait_us = true_wait_us(check), told_us = check->outcome.retry_after_us;
	if (wait_us < 0 || told_us < 0) {
		assert_int_equal(told_us, wait_us);
		return;
	}
	const struct server_balance *b = balance_of(check);
	/* Others may have taken since then, and the client waits for longer than it was told. */
	if (b->version == told[b - server.balances])
		assert_true(told_us >= wait_us);
	assert_true(told_us <= wait_us + longest_delay_us + LONGEST / 500 + 10);
}

static void walk_ask(void)
{
	size_t i = 0;

	while (i < QUESTIONS && is_under_way[i])
		i++;
	if (i == QUESTIONS)
		return;
	struct question *question = &walk_questions[i];
	memset(&question->op, 0, sizeof question->op);
	question->answers = 0;
	size_t count = (size_t)chance_between(&chance, 1, 3);
	size_t first = (size_t)chance_between(&chance, 0, ARRAY_SIZE(walk_keys) - 1);
	bool is_shadow = false;
	for (size_t k = 0; k < count; k++) {
		size_t key = (first + k) % ARRAY_SIZE(walk_keys);
		int64_t cost = chance_is_one_in(&chance, 3)
				       ? chance_between(&chance, 0, walk_quotas[key].limit + 1)
				       : 1;
		is_shadow = is_shadow || chance_is_one_in(&chance, 8);
		if (is_shadow)
			add_shadow(question, walk_keys[key], &walk_quotas[key]);
		else
			add(question, walk_keys[key], &walk_quotas[key], cost);
	}
	server.there_ns = chance_between(&chance, 0, longest_delay_us * NS / 2);
	server.back_ns = chance_between(&chance, 0, longest_delay_us * NS / 2);
	if (put(question) == STORE_PENDING) {
		is_under_way[i] = true;
		counts.asked++;
		return;
	}
	counts.known++;
	for (size_t k = 0; k < count; k++)
		check_known(&question->checks[k]);
}

/* Another agent takes from a balance that we know. */
static void walk_take(void)
{
	if (server.balance_count == 0)
		return;
	struct server_balance *b = &server.balances[chance_bits(&chance) % server.balance_count];
	struct balance balance = look(b);

	if (balance_remaining(&balance, b->quota) > 0)
		(void)take(b, 1);
}

static void walk_step(void)
{
	switch (chance_bits(&chance) % 16) {
	case 0:
		walk_take();
		break;
	case 1:
		server_drift = chance_between(&chance, -1000, 1000);
		break;
	case 2:
		advance(chance_between(&chance, 0,
				       chance_is_one_in(&chance, 50) ? SECOND : 20 * MS));
		break;
	case 3:
		if (chance_is_one_in(&chance, 5000)) {
			longest_delay_us = chance_between(&chance, 0, 3 * MS);
			store_forget_known(denials);
		}
		break;
	case 4:
	case 5:
		advance(chance_between(&chance, 0, 300));
		break;
	default:
		walk_ask();
	}
	note_answers();
}

TEST(random_walk_no_denial_outlasts_that_of_the_server)
{
	int64_t steps = environment_number("DENIALS_STEPS", 200000);

	chance.state = (uint64_t)environment_number("DENIALS_SEED", 1);
	memset(is_under_way, 0, sizeof is_under_way);
	memset(&counts, 0, sizeof counts);
	longest_delay_us = 200;
	make_quotas();
	for (int64_t i = 0; i < steps; i++)
		walk_step();
	while (server.pending_count > 0)
		advance(MS);

	print_message("# asked %llu, known %llu\n", (unsigned long long)counts.asked,
		      (unsigned long long)counts.known);
	assert_true(counts.known > (uint64_t)steps / 20);
	assert_true(counts.asked > (uint64_t)steps / 20);
}
