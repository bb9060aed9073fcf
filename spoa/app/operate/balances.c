/*
 * The life of a query, which asks for its balances in batches of BATCH_CHECKS:
 *
 *     begun --> a batch is asked --> all of its ops are answered --> the last batch: answered,
 *                ^      |                |                           then freed
 *                |      |                |
 *                |      |                `-- more balances --.
 *                |      |                                    |
 *                |      `-- the client goes away:            |
 *                |          `exchange` is NULL               |
 *                `-------------------------------------------'
 *
 * The ops are the store's until it has answered them, so a query lives on without its client: a
 * reset goes on to its end and is logged, of a look only the batch that was asked is waited for.
 *
 * All queries together have STORE_OPS_BESIDE ops, and a query has those of a batch from its begin
 * to its end. Who comes when all are taken is told to come again.
 *
 * A policy has as many balances of a key as it has overrides with numbers, and one more. Therefore
 * the memory of a query is that of one batch, and of what is shown.
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

#define BATCH_OPS    (STORE_OPS_BESIDE / 4)
#define BATCH_CHECKS (BATCH_OPS * REQUEST_CHECKS_MAX) /* 256 balances */
#define PREFIX       "/balances/"
#define ITEM_MAX     1024 /* of JSON: a key in which every character is escaped */
#define ID_BYTES     8
#define POLICY_TERMS SIZE_MAX

struct query {
	struct operate *operate;
	struct http_exchange *exchange;  /* NULL: the client is gone */
	const struct policies *policies; /* a reference */
	const struct policy *policy;
	struct key_names key;
	bool is_reset;
	bool is_submitted; /* all ops of the batch are asked: the last answer ends the batch */
	bool is_stale;     /* the store is away, and this agent's memory answered */
	bool has_changed;  /* some of the balances are reset, or may be */
	enum store_error error;
	struct http_who who;
	size_t next;         /* the terms that come next: 0 is the policy's, then its overrides' */
	size_t reserved_ops; /* of operate->ops */
	/* The batch. */
	size_t count;
	struct check *checks; /* [BATCH_CHECKS], or fewer */
	size_t *overrides;    /* as many: the position, or POLICY_TERMS */
	struct check **asked; /* as many */
	struct query_op {
		struct query *query;
		struct store_op op;
		bool was_pending;
	} ops[BATCH_OPS];
	size_t op_count, pending;
	/* What is shown. */
	struct memory_file items;
	size_t existing; /* that were written */
};

static void free_query(struct query *query)
{
	if (query == NULL)
		return;
	free(memory_file_end(&query->items));
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
	return memory_file_begin(&query->items) && query->checks != NULL &&
	       query->overrides != NULL && query->asked != NULL;
}

/* The numbers of a raise hold for the balance, whichever terms it is of: see request.c. */
static void apply_raise(struct check *check, const struct exceptions *exceptions)
{
	struct terms terms = *check->terms;
	struct exception_hit hit;
	struct quota quota;
	struct err err;

	if (!exceptions_are_of_policies(exceptions))
		return;
	const struct exception *exception = exceptions_find(exceptions, check, &hit);
	if (exception == NULL || exception->kind != EXCEPTION_RAISE ||
	    !exception_quota(exception, check->quota, &terms.lease_us, &quota, &err))
		return;
	bool is_inline = check->quota == &check->own_quota;
	terms.quota = quota;
	check->own_terms = terms;
	check->own_quota = quota;
	check->terms = &check->own_terms;
	if (!is_inline)
		check->quota = &check->own_terms.quota;
	memcpy(check->exception, hit.id, sizeof check->exception);
}

static void add_check(struct query *query, const struct terms *terms, size_t override)
{
	const struct key_names *key = &query->key;
	struct check *check = &query->checks[query->count];

	*check = (struct check){.policy = query->policy, .terms = terms};
	check->own_quota = key->reserved.quota;
	check->quota = key->is_inline ? &check->own_quota : &terms->quota;
	check_set_key(check, key->values, key->count, key->is_explicit);
	apply_raise(check, query->operate->exceptions);
	query->overrides[query->count] = override;
	query->asked[query->count] = check;
	query->count++;
}

static bool is_at_end(const struct query *query)
{
	return query->next > query->policy->override_count;
}

/* The batch becomes the next checks of the query. */
static void fill_batch(struct query *query)
{
	const struct policy *policy = query->policy;

	query->count = 0;
	if (query->next == 0) {
		add_check(query, &policy->terms, POLICY_TERMS);
		query->next++;
	}
	for (; query->count < BATCH_CHECKS && !is_at_end(query); query->next++) {
		size_t i = query->next - 1;
		if (policy->overrides[i].has_own_balances)
			add_check(query, &policy->overrides[i].terms, i);
	}
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

static void put_balance(const struct query *query, size_t i)
{
	const struct check *check = &query->checks[i];
	const struct outcome *outcome = &check->outcome;
	uint8_t memory[ITEM_MAX], key_memory[CHECK_KEY_MAX + 128];
	struct writer w = writer_on(memory, sizeof memory);
	struct writer key = writer_on(key_memory, sizeof key_memory);

	writer_put_text(&key, query->operate->options->key_prefix);
	writer_put(&key, check_key(check));
	writer_put_text(&w, query->existing > 0 ? "," : "");
	put_terms(&w, query->overrides[i]);
	if (check->exception[0] != '\0')
		put_text(&w, ",\"exception\":", check->exception);
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
	(void)fwrite(w.data, 1, w.len, query->items.to);
}

/* A balance of which nothing is used is none. */
static bool exists(const struct check *check)
{
	return check->is_decided && check->outcome.reset_us > 0;
}

static void put_batch(struct query *query)
{
	for (size_t i = 0; i < query->count; i++) {
		if (!exists(&query->checks[i]))
			continue;
		put_balance(query, i);
		query->existing++;
	}
}

static const char *scope_of(const struct query *query)
{
	return query->operate->store == query->operate->memory ? "this agent" : "all agents";
}

static void put_answer(FILE *to, const struct query *query, struct bytes items, const char *id)
{
	fprintf(to, "{\"policy\":\"%s\"", query->policy->name);
	if (query->is_reset)
		fprintf(to, ",\"id\":\"%s\",\"reset\":%zu", id, query->existing);
	fprintf(to, ",\"scope\":\"%s\"", scope_of(query));
	if (query->is_stale)
		fputs(",\"stale\":true", to);
	fputs(",\"balances\":[", to);
	(void)fwrite(items.data, 1, items.len, to);
	fputs("]", to);
	operate_put_warnings(query->operate, to);
	fputs("}", to);
}

static void send_answer(struct query *query, const char *id)
{
	char *items = memory_file_end(&query->items);
	struct memory_file file;

	if (items == NULL) {
		http_answer_problem(query->exchange, 503, "out of memory");
		return;
	}
	if (memory_file_begin(&file))
		put_answer(file.to, query, bytes_from(items, query->items.len), id);
	free(items);
	operate_send_json(query->exchange, &file);
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
	if (query->error != STORE_OK) {
		log_event(LOG_WARN, "balance_reset_unconfirmed", LOG_TEXT("id", id),
			  LOG_TEXT("who", query->who.name), LOG_TEXT("from", query->who.from),
			  LOG_TEXT("policy", query->policy->name), LOG_TEXT("key_hash", hash_text),
			  LOG_TEXT("reason", store_error_text(query->error)));
		return;
	}
	query->operate->stats->balance_resets++;
	log_event(LOG_INFO, "balance_reset", LOG_TEXT("id", id), LOG_TEXT("who", query->who.name),
		  LOG_TEXT("from", query->who.from), LOG_TEXT("policy", query->policy->name),
		  LOG_TEXT("key_hash", hash_text), LOG_INT("balances", query->existing),
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
	snprintf(text, sizeof text, "the store did not answer (%s%s%.300s), and %s",
		 store_error_text(query->error), store.is_up ? "" : ": ",
		 store.is_up ? "" : store.why,
		 query->has_changed ? "the balances, or some of them, may be reset all the same; "
				      "balance shows them"
				    : "nothing has changed");
	http_answer_problem(query->exchange, 503, text);
}

/*
 * A reset that may have been done is told to the other agents like one that is: to forget a denial
 * is never wrong.
 */
static void finish_reset(struct query *query)
{
	char id[2 * ID_BYTES + 1];

	if (query->has_changed) {
		store_forget_known(
			query->operate->store); /* denials of the key, among all others */
		log_reset(query, id);
		resets_share(query->operate, &query->checks[0]);
	}
	if (query->error != STORE_OK)
		refuse_query(query);
	else if (query->exchange != NULL)
		send_answer(query, id);
}

static void finish(struct query *query)
{
	query->operate->ops -= query->reserved_ops;
	if (query->exchange != NULL)
		query->exchange->data = NULL;
	if (query->is_reset)
		finish_reset(query);
	else if (query->exchange != NULL)
		send_answer(query, "");
	free_query(query);
}

/* Of an op that failed nobody knows whether the store has done it, if the store had been asked. */
static bool may_have_changed(const struct query_op *op)
{
	enum store_error error = store_op_error(&op->op);

	return error == STORE_OK ||
	       (op->was_pending && (error == STORE_TIMEOUT || error == STORE_CONNECTION));
}

/* True: there are more balances to be asked for. */
static bool end_batch(struct query *query)
{
	enum store_error error = error_of(query);

	for (size_t i = 0; i < query->op_count && query->is_reset; i++)
		query->has_changed = query->has_changed || may_have_changed(&query->ops[i]);
	if (query->is_reset && error != STORE_OK) {
		query->error = error;
		return false;
	}
	if (query->is_reset) {
		reset_kept(query);
	} else if (error != STORE_OK) {
		query->is_stale = true;
		ask_memory(query);
	}
	put_batch(query);
	return !is_at_end(query) && (query->is_reset || query->exchange != NULL);
}

static void on_answered(struct store_op *op);

static void ask_batch(struct query *query)
{
	query->op_count = 0;
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
	query->is_submitted = false;
	for (size_t i = 0; i < query->op_count; i++) {
		struct query_op *op = &query->ops[i];
		op->was_pending = store_ask(query->operate->store, &op->op) == STORE_PENDING;
		query->pending += op->was_pending;
	}
	query->is_submitted = true;
}

static void run(struct query *query)
{
	do {
		fill_batch(query);
		ask_batch(query);
		if (query->pending > 0)
			return;
	} while (end_batch(query));
	finish(query);
}

static void on_answered(struct store_op *op)
{
	struct query *query = CONTAINER_OF(op, struct query_op, op)->query;

	query->pending--;
	if (query->pending > 0 || !query->is_submitted)
		return;
	if (end_batch(query))
		run(query);
	else
		finish(query);
}

/* ---- the request ---- */

static unsigned read_request(struct query *query, struct http_exchange *exchange, struct err *err)
{
	struct operate *operate = query->operate;
	bool is_inline;
	unsigned deny_status;
	struct bytes name;

	http_question_clear(&operate->question);
	const char *why = http_question_decode_path(
		&operate->question, bytes_skip(exchange->head.path, strlen(PREFIX)), &name);
	if (why != NULL) {
		(void)err_set(err, "policy: %s", why);
		return 400;
	}
	query->policy = key_names_find_policy(query->policies, name, &is_inline);
	if (query->policy == NULL) {
		(void)err_set(err, "policy: %s is unknown", quoted(name).text);
		return 404;
	}
	if (!http_map_read_query(&operate->question, exchange->head.query, &deny_status, err))
		return 400;
	if (deny_status != 0) {
		(void)err_set(err, "deny_status: not accepted here");
		return 400;
	}
	const struct attributes attributes = http_question_attributes(&operate->question);
	if (!key_names_read(query->policy, is_inline, &attributes, &query->key, err))
		return 400;
	size_t count = count_terms(query->policy);
	count = count < BATCH_CHECKS ? count : BATCH_CHECKS;
	size_t ops = (count + REQUEST_CHECKS_MAX - 1) / REQUEST_CHECKS_MAX;
	if (operate->ops + ops > STORE_OPS_BESIDE) {
		(void)err_set(err, "too many balances are asked for at once; ask again");
		return 503;
	}
	if (!allocate(query, count)) {
		(void)err_set(err, "out of memory");
		return 503;
	}
	query->reserved_ops = ops;
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
	operate->ops += query->reserved_ops;
	run(query);
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
