/*
 * The life of a query:
 *
 *     asked --> every op is answered at once ------------------------> answered, freed
 *        |
 *        `----> some ops are PENDING --> the last one is answered ---> answered, freed
 *                        |
 *                        `--> the client goes away: `exchange` is NULL, and nobody is answered; a
 *                             reset is logged all the same
 *
 * The ops are the store's until it has answered them, so a query lives on without its client. All
 * queries together have STORE_OPS_BESIDE ops; who comes when these are taken is told to come again.
 */
#include "app/operate/balances.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/operate/key_names.h"
#include "app/operate/operate.h"
#include "app/operate/resets.h"
#include "app/policies/policy_text.h"
#include "base/clock.h"
#include "base/log.h"
#include "limit/verdict.h"
#include "net/http/http_map.h"

#define CHECKS_MAX   (STORE_OPS_BESIDE / 4 * REQUEST_CHECKS_MAX) /* 256 balances of a key */
#define PREFIX       "/balances/"
#define ITEM_MAX     1024 /* of JSON: a key in which every character is escaped */
#define ID_BYTES     8
#define POLICY_TERMS SIZE_MAX

struct query {
	struct operate *operate;
	struct http_exchange *exchange;  /* NULL: the client is gone */
	const struct policies *policies; /* a reference */
	const struct policy *policy;
	bool is_reset;
	bool is_submitted; /* all ops are asked: the last answer ends the query */
	bool is_stale;     /* the store is away, and this agent's memory answered */
	enum store_error error;
	struct http_who who;
	size_t count;
	struct check *checks; /* [count] */
	size_t *overrides;    /* [count]: the position, or POLICY_TERMS */
	struct check **asked; /* [count] */
	struct query_op {
		struct query *query;
		struct store_op op;
	} ops[STORE_OPS_BESIDE / 4];
	size_t op_count, pending;
};

static void free_query(struct query *query)
{
	if (query == NULL)
		return;
	policies_unref(query->policies);
	free(query->checks);
	free(query->overrides);
	free(query->asked);
	free(query);
}

/* ---- which balances ---- */

static size_t count_terms(const struct policy *policy)
{
	size_t count = 1;

	for (size_t i = 0; i < policy->override_count; i++)
		count += policy->overrides[i].has_own_balances;
	return count;
}

static bool allocate(struct query *query, size_t count)
{
	query->checks = calloc(count, sizeof *query->checks);
	query->overrides = calloc(count, sizeof *query->overrides);
	query->asked = calloc(count, sizeof(struct check *));
	return query->checks != NULL && query->overrides != NULL && query->asked != NULL;
}

static void add_check(struct query *query, const struct key_names *key, const struct terms *terms,
		      size_t override)
{
	struct check *check = &query->checks[query->count];

	check->policy = query->policy;
	check->terms = terms;
	check->own_quota = key->reserved.quota;
	check->quota = key->is_inline ? &check->own_quota : &terms->quota;
	check_set_key(check, key->values, key->count, key->is_explicit);
	query->overrides[query->count] = override;
	query->asked[query->count] = check;
	query->count++;
}

static void add_checks(struct query *query, const struct key_names *key)
{
	const struct policy *policy = query->policy;

	add_check(query, key, &policy->terms, POLICY_TERMS);
	for (size_t i = 0; i < policy->override_count; i++)
		if (policy->overrides[i].has_own_balances)
			add_check(query, key, &policy->overrides[i].terms, i);
}

/* ---- the answer ---- */

static void put_text(struct writer *w, const char *name, const char *text)
{
	writer_put_text(w, name);
	writer_put_json_string(w, bytes_from_text(text));
}

static void put_number(struct writer *w, const char *name, int64_t number)
{
	writer_put_text(w, name);
	writer_put_decimal(w, number);
}

static void put_terms(struct writer *w, size_t override)
{
	if (override == POLICY_TERMS) {
		writer_put_text(w, "{\"terms\":\"policy\"");
		return;
	}
	put_number(w, "{\"terms\":\"overrides[", (int64_t) override);
	put_number(w, "]\",\"override\":", (int64_t) override);
}

static void put_balance(FILE *to, const struct query *query, size_t i, const char *separator)
{
	const struct check *check = &query->checks[i];
	const struct outcome *outcome = &check->outcome;
	uint8_t memory[ITEM_MAX], key_memory[CHECK_KEY_MAX + 128];
	struct writer w = writer_on(memory, sizeof memory);
	struct writer key = writer_on(key_memory, sizeof key_memory);

	writer_put_text(&key, query->operate->options->key_prefix);
	writer_put(&key, check_key(check));
	writer_put_text(&w, separator);
	put_terms(&w, query->overrides[i]);
	put_text(&w, ",\"algorithm\":", algorithm_name(check->quota->algorithm));
	put_number(&w, ",\"limit\":", check->quota->limit);
	/* After a lower limit more may be used than it allows: `remaining` is 0 then. */
	put_number(&w, ",\"used\":", check->quota->limit - outcome->remaining);
	put_number(&w, ",\"remaining\":", outcome->remaining);
	put_number(&w, ",\"reset_ms\":", milliseconds_up(outcome->reset_us));
	writer_put_text(&w, ",\"key\":");
	writer_put_json_string(&w, writer_bytes(&key));
	writer_put_u8(&w, '}');
	ASSERT(!w.full && !key.full);
	(void)fwrite(w.data, 1, w.len, to);
}

/* A balance of which nothing is used is none. */
static bool exists(const struct check *check)
{
	return check->is_decided && check->outcome.reset_us > 0;
}

static size_t count_existing(const struct query *query)
{
	size_t count = 0;

	for (size_t i = 0; i < query->count; i++)
		count += exists(&query->checks[i]);
	return count;
}

static const char *scope_of(const struct query *query)
{
	return query->operate->store == query->operate->memory ? "this agent" : "all agents";
}

static void put_answer(FILE *to, const struct query *query, const char *id)
{
	size_t written = 0;

	fprintf(to, "{\"policy\":\"%s\"", query->policy->name);
	if (query->is_reset)
		fprintf(to, ",\"id\":\"%s\",\"reset\":%zu", id, count_existing(query));
	fprintf(to, ",\"scope\":\"%s\"", scope_of(query));
	if (query->is_stale)
		fputs(",\"stale\":true", to);
	fputs(",\"balances\":[", to);
	for (size_t i = 0; i < query->count; i++)
		if (exists(&query->checks[i]))
			put_balance(to, query, i, written++ > 0 ? "," : "");
	fputs("]}", to);
}

static void send_answer(const struct query *query, const char *id)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	if (to != NULL) {
		put_answer(to, query, id);
		bool is_whole = !ferror(to);
		if (fclose(to) != 0 || !is_whole) {
			free(text);
			text = NULL;
		}
	}
	operate_send_json(query->exchange, text, len);
}

/* The key itself may be personal, and is found in the log by this hash. */
static void log_reset(const struct query *query, char id[2 * ID_BYTES + 1])
{
	struct bytes values = check_values(&query->checks[0]);
	uint8_t hash[crypto_hash_sha256_BYTES], random[ID_BYTES];
	char hash_text[2 * sizeof hash + 1];

	randombytes_buf(random, sizeof random);
	(void)sodium_bin2hex(id, 2 * ID_BYTES + 1, random, sizeof random);
	crypto_hash_sha256(hash, values.data, values.len);
	(void)sodium_bin2hex(hash_text, sizeof hash_text, hash, sizeof hash);
	query->operate->stats->balance_resets++;
	log_event(LOG_INFO, "balance_reset", LOG_TEXT("id", id), LOG_TEXT("who", query->who.name),
		  LOG_TEXT("from", query->who.from), LOG_TEXT("policy", query->policy->name),
		  LOG_TEXT("key_hash", hash_text), LOG_INT("balances", count_existing(query)),
		  LOG_TEXT("scope", scope_of(query)));
}

/* ---- the store ---- */

static enum store_error error_of(const struct query *query)
{
	enum store_error error = STORE_OK;

	for (size_t i = 0; i < query->op_count && error == STORE_OK; i++)
		error = store_op_error(&query->ops[i].op);
	return error;
}

/* All checks at once, by a store that answers at once. */
static void ask_memory(struct query *query)
{
	struct operate *operate = query->operate;

	for (size_t i = 0; i < query->op_count; i++) {
		struct store_op op = query->ops[i].op;
		op.now_us = clock_now_us();
		enum store_state state = store_ask(operate->memory, &op);
		ASSERT(state == STORE_DONE);
	}
}

/* Balances of Redis that this agent keeps for on_error=local are reset here as well. */
static void reset_kept(struct query *query)
{
	struct outcome *outcomes = NULL;

	if (query->operate->store == query->operate->memory)
		return;
	outcomes = calloc(query->count, sizeof *outcomes);
	for (size_t i = 0; i < query->count && outcomes != NULL; i++)
		outcomes[i] = query->checks[i].outcome;
	ask_memory(query);
	for (size_t i = 0; i < query->count && outcomes != NULL; i++)
		query->checks[i].outcome = outcomes[i];
	free(outcomes);
}

static void refuse_query(const struct query *query)
{
	struct store_description store = store_describe(query->operate->store);
	char text[512];

	if (query->exchange == NULL)
		return;
	snprintf(text, sizeof text,
		 "the store did not answer (%s%s%.300s), and nothing has changed",
		 store_error_text(query->error), store.is_up ? "" : ": ",
		 store.is_up ? "" : store.why);
	http_answer_problem(query->exchange, 503, text);
}

static void finish_reset(struct query *query)
{
	char id[2 * ID_BYTES + 1];

	if (query->error != STORE_OK) {
		refuse_query(query);
		return;
	}
	reset_kept(query);
	store_forget_known(query->operate->store); /* denials of the key, among all others */
	log_reset(query, id);
	resets_share(query->operate, &query->checks[0]);
	if (query->exchange != NULL)
		send_answer(query, id);
}

static void finish(struct query *query)
{
	struct http_exchange *exchange = query->exchange;

	query->error = error_of(query);
	query->operate->ops -= query->op_count;
	if (exchange != NULL)
		exchange->data = NULL;
	if (query->is_reset) {
		finish_reset(query);
	} else if (exchange != NULL) {
		query->is_stale = query->error != STORE_OK;
		if (query->is_stale)
			ask_memory(query);
		send_answer(query, "");
	}
	free_query(query);
}

static void on_answered(struct store_op *op)
{
	struct query *query = CONTAINER_OF(op, struct query_op, op)->query;

	query->pending--;
	if (query->pending == 0 && query->is_submitted)
		finish(query);
}

static void submit(struct query *query)
{
	for (size_t first = 0; first < query->count; first += REQUEST_CHECKS_MAX) {
		size_t left = query->count - first;
		query->ops[query->op_count].query = query;
		query->ops[query->op_count++].op = (struct store_op){
			.checks = &query->asked[first],
			.count = left < REQUEST_CHECKS_MAX ? left : REQUEST_CHECKS_MAX,
			.now_us = clock_now_us(),
			.is_look = !query->is_reset,
			.is_reset = query->is_reset,
			.answered = on_answered,
		};
	}
	query->operate->ops += query->op_count;
	for (size_t i = 0; i < query->op_count; i++)
		query->pending +=
			store_ask(query->operate->store, &query->ops[i].op) == STORE_PENDING;
	query->is_submitted = true;
	if (query->pending == 0)
		finish(query);
}

/* ---- the request ---- */

static unsigned read_request(struct query *query, struct http_exchange *exchange, struct err *err)
{
	struct operate *operate = query->operate;
	struct key_names key;
	bool is_inline;
	unsigned deny_status;

	struct bytes name = bytes_skip(exchange->head.path, strlen(PREFIX));
	query->policy = key_names_find_policy(query->policies, name, &is_inline);
	if (query->policy == NULL) {
		(void)err_set(err, "policy: %s is unknown", quoted(name).text);
		return 404;
	}
	http_question_clear(&operate->question);
	if (!http_map_read_query(&operate->question, exchange->head.query, &deny_status, err))
		return 400;
	if (deny_status != 0) {
		(void)err_set(err, "deny_status: not accepted here");
		return 400;
	}
	const struct attributes attributes = http_question_attributes(&operate->question);
	if (!key_names_read(query->policy, is_inline, &attributes, &key, err))
		return 400;
	size_t count = count_terms(query->policy);
	if (count > CHECKS_MAX) {
		(void)err_set(err,
			      "the policy has %zu overrides with balances of their own; "
			      "accepted are %d",
			      count - 1, CHECKS_MAX - 1);
		return 400;
	}
	if (operate->ops + (count + REQUEST_CHECKS_MAX - 1) / REQUEST_CHECKS_MAX >
	    STORE_OPS_BESIDE) {
		(void)err_set(err, "too many balances are asked for at once; ask again");
		return 503;
	}
	if (!allocate(query, count)) {
		(void)err_set(err, "out of memory");
		return 503;
	}
	add_checks(query, &key);
	return 200;
}

static void begin(struct operate *operate, struct http_exchange *exchange, bool is_reset)
{
	struct query *query = calloc(1, sizeof *query);
	struct err err;

	if (query == NULL) {
		http_answer_problem(exchange, 503, "out of memory");
		return;
	}
	query->operate = operate;
	query->policies = policies_ref(engine_policies(operate->engine));
	query->is_reset = is_reset;
	unsigned status = read_request(query, exchange, &err);
	if (status != 200) {
		free_query(query);
		http_answer_problem(exchange, status, err.text);
		return;
	}
	if (is_reset)
		http_access_who(&operate->access, exchange, &query->who);
	query->exchange = exchange;
	exchange->data = query;
	submit(query);
}

void balances_show(void *operate, struct http_exchange *exchange)
{
	begin(operate, exchange, false);
}

void balances_reset(void *operate, struct http_exchange *exchange)
{
	begin(operate, exchange, true);
}

void balances_forget_exchange(struct http_exchange *exchange)
{
	struct query *query = exchange->data;

	if (query != NULL)
		query->exchange = NULL;
	exchange->data = NULL;
}
