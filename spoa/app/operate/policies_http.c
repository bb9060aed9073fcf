#include "app/operate/policies_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/operate/operate.h"
#include "app/operate/policies_store.h"
#include "app/operate/rfc3339.h"
#include "base/parse.h"
#include "limit/quota.h"
#include "net/http/http_ask.h"
#include "net/http/http_map.h"
#include "net/http/http_reply.h"

#define NO_POLICIES "{\"policies\":{}}\n" /* of an empty store */
#define ETAG_MAX    24                    /* a number in quotes */
#define WHEN_MAX    32

/* False, with the answer, when this agent's policies are not in the store. */
static bool is_in_store(const struct operate *operate, struct http_exchange *exchange)
{
	if (operate->policies != NULL)
		return true;
	http_answer_problem(exchange, 404,
			    "the policies of this agent are not in the store; with --policies "
			    "store: they are");
	return false;
}

static bool is_stale(const struct operate *operate)
{
	return operate->records->is_shared && !store_describe(operate->store).is_up;
}

static const char *scope_of(const struct operate *operate)
{
	return operate->records->is_shared ? "all agents" : "this agent";
}

/* ---- GET /policies ---- */

/* The version that is asked for; 0, when none is, for the latest. */
static bool read_wanted(struct operate *operate, struct bytes query, uint64_t *ret_number,
			struct err *err)
{
	unsigned deny_status;

	*ret_number = 0;
	http_question_clear(&operate->question);
	if (!http_map_read_query(&operate->question, query, &deny_status, err))
		return false;
	const struct attributes attributes = http_question_attributes(&operate->question);
	if (attributes.count == 0 && deny_status == 0)
		return true;
	const struct value *number = attributes_find(&attributes, BYTES("version"));
	if (number == NULL || attributes.count != 1 || deny_status != 0)
		return err_set(err, "accepted is version=N alone");
	return parse_whole(number->text, QUOTA_EXACT_MAX, ret_number) ||
	       err_set(err, "version: %s is not the number of a version",
		       quoted(number->text).text);
}

static void send_text(const struct operate *operate, struct http_exchange *exchange, char *text,
		      uint64_t number)
{
	struct http_answer answer = {.status = 200};
	char etag[ETAG_MAX];

	if (text != NULL)
		answer.large = stream_body_new(exchange->streams, text, strlen(text));
	if (answer.large == NULL) {
		http_answer_problem(exchange, 503, "out of memory");
		return;
	}
	snprintf(etag, sizeof etag, "\"%llu\"", (unsigned long long)number);
	http_ask_add_common_fields(&answer);
	http_answer_add(&answer, "ETag", etag);
	if (is_stale(operate)) /* RFC 7234, section 5.5.1 */
		http_answer_add(&answer, "Warning", "110 - \"the store does not answer\"");
	http_answer_send(exchange, &answer);
}

static void refuse_version(const struct operate *operate, struct http_exchange *exchange,
			   uint64_t number)
{
	struct err err;

	(void)err_set(&err,
		      "version %llu is not in the store; the latest is %llu, and the last %d "
		      "versions are kept",
		      (unsigned long long)number,
		      (unsigned long long)policies_store_latest(operate->policies),
		      POLICY_VERSIONS_KEPT);
	http_answer_problem(exchange, 404, err.text);
}

void policies_get(void *owner, struct http_exchange *exchange)
{
	struct operate *operate = owner;
	uint64_t number;
	struct err err;

	if (!is_in_store(operate, exchange))
		return;
	if (!read_wanted(operate, exchange->head.query, &number, &err)) {
		http_answer_problem(exchange, 400, err.text);
		return;
	}
	const struct policy_versions *versions = &operate->policies->versions;
	const struct policy_version *version = number == 0 ? policy_versions_latest(versions)
							   : policy_versions_find(versions, number);
	if (version == NULL && !policies_store_is_known(operate->policies)) {
		http_answer_problem(exchange, 503, "the store has not answered yet");
	} else if (version == NULL && number > 0) {
		refuse_version(operate, exchange, number);
	} else if (version == NULL) {
		send_text(operate, exchange, strdup(NO_POLICIES), 0);
	} else {
		char *text = policy_version_text(version, operate->records);
		if (text == NULL)
			http_answer_problem(exchange, 503,
					    "the text of this version is not complete yet");
		else
			send_text(operate, exchange, text, version->number);
	}
}

/* ---- GET /policies/history ---- */

static void put_string(FILE *to, const char *text)
{
	char memory[8 * ERR_TEXT_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_json_string(&w, bytes_from_text(text));
	fputs(writer_text(&w), to);
}

static void put_version(FILE *to, const struct policy_version *version)
{
	char memory[WHEN_MAX];
	struct writer when = writer_on(memory, sizeof memory);

	rfc3339_put(&when, version->changed_ms);
	fprintf(to,
		"{\"version\":%llu,\"when\":\"%s\",\"who\":", (unsigned long long)version->number,
		writer_text(&when));
	put_string(to, version->who);
	fprintf(to, ",\"bytes\":%zu}", version->len);
}

static void put_history(FILE *to, const struct operate *operate)
{
	const struct policies_store *store = operate->policies;
	const struct policy_versions *versions = &store->versions;
	size_t first =
		versions->count > POLICY_VERSIONS_KEPT ? versions->count - POLICY_VERSIONS_KEPT : 0;

	fprintf(to, "{\"version\":%llu,\"used\":%llu,\"versions\":[",
		(unsigned long long)policies_store_latest(store),
		(unsigned long long)store->used.number);
	for (size_t i = versions->count; i > first; i--) {
		if (i < versions->count)
			fputc(',', to);
		put_version(to, &versions->items[i - 1]);
	}
	fprintf(to, "],\"scope\":\"%s\"", scope_of(operate));
	if (store->refused.number > 0) {
		fprintf(to, ",\"refused\":{\"version\":%llu,\"reason\":",
			(unsigned long long)store->refused.number);
		put_string(to, store->refused_why.text);
		fputc('}', to);
	}
	if (is_stale(operate))
		fputs(",\"stale\":true", to);
	operate_put_warnings(operate, to);
	fputc('}', to);
}

void policies_history(void *owner, struct http_exchange *exchange)
{
	const struct operate *operate = owner;
	struct memory_file file;

	if (!is_in_store(operate, exchange))
		return;
	if (exchange->head.query.len > 0) {
		http_answer_problem(exchange, 400, "no parameter is accepted here");
		return;
	}
	if (memory_file_begin(&file))
		put_history(file.to, operate);
	operate_send_json(exchange, &file);
}

/* ---- PUT /policies ---- */

struct change {
	struct operate *operate;
	struct http_exchange *exchange; /* NULL: the client is gone */
};

static void put_change(FILE *to, const struct operate *operate, uint64_t number)
{
	fprintf(to, "{\"version\":%llu,\"used\":%llu,\"scope\":\"%s\"", (unsigned long long)number,
		(unsigned long long)operate->policies->used.number, scope_of(operate));
	operate_put_warnings(operate, to);
	fputc('}', to);
}

static void send_put(const struct change *change, uint64_t number)
{
	struct http_answer answer = {.status = 200};
	struct memory_file file;
	char etag[ETAG_MAX];

	if (memory_file_begin(&file))
		put_change(file.to, change->operate, number);
	char *text = memory_file_end(&file);
	if (text == NULL) {
		http_answer_problem(change->exchange, 503,
				    "the version is put, but memory is short");
		return;
	}
	snprintf(etag, sizeof etag, "\"%llu\"", (unsigned long long)number);
	answer.body = bytes_from(text, file.len);
	http_ask_add_common_fields(&answer);
	http_answer_add(&answer, "ETag", etag);
	http_answer_send(change->exchange, &answer);
	free(text);
}

static void put_problems(FILE *to, const struct problems *problems)
{
	size_t kept = problems->count < PROBLEMS_MAX ? problems->count : PROBLEMS_MAX;
	struct err first;

	problems_to_err(problems, &first);
	fprintf(to, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":422,\"detail\":",
		http_reply_status_text(422));
	put_string(to, first.text);
	fputs(",\"problems\":[", to);
	for (size_t i = 0; i < kept; i++) {
		if (i > 0)
			fputc(',', to);
		put_string(to, problems->items[i].text);
	}
	fprintf(to, "],\"count\":%zu}", problems->count);
}

static void refuse_policies(const struct change *change, const struct problems *problems)
{
	struct http_exchange *exchange = change->exchange;
	struct http_answer answer = {.status = 422};
	struct memory_file file;

	if (memory_file_begin(&file))
		put_problems(file.to, problems);
	char *text = memory_file_end(&file);
	if (text == NULL) {
		http_answer_problem(exchange, 503, "out of memory");
	} else {
		answer.body = bytes_from(text, file.len);
		http_answer_add(&answer, "Content-Type", "application/problem+json");
		http_answer_add(&answer, "Cache-Control", "no-store");
		exchange->stats->problems[4]++;
		http_answer_send(exchange, &answer);
	}
	free(text);
}

static void refuse_expected(const struct change *change)
{
	struct err err;
	char etag[ETAG_MAX];
	unsigned long long latest = policies_store_latest(change->operate->policies);

	snprintf(etag, sizeof etag, "\"%llu\"", latest);
	(void)err_set(&err,
		      "If-Match is not the latest version, which is %llu; get that one first, and "
		      "change it",
		      latest);
	http_answer_problem_with(change->exchange, 412, err.text,
				 (struct http_field){"ETag", etag});
}

static void answer_put(const struct change *change, enum policies_put_outcome outcome,
		       uint64_t number, const struct problems *problems)
{
	switch (outcome) {
	case POLICIES_PUT:
		send_put(change, number);
		break;
	case POLICIES_BAD:
		refuse_policies(change, problems);
		break;
	case POLICIES_NOT_LATEST:
		refuse_expected(change);
		break;
	case POLICIES_UNAVAILABLE:
		http_answer_problem(change->exchange, 503,
				    "the store did not answer, and nothing has changed");
		break;
	case POLICIES_FULL:
		http_answer_problem(change->exchange, 409,
				    "the store has no room for more records; remove exceptions "
				    "first");
		break;
	case POLICIES_FORBIDDEN:
		http_answer_problem(change->exchange, 503,
				    "the agent's user of Redis lacks a right that changes need, "
				    "and nothing has changed; /status and the log "
				    "(store_lacks_right) name it");
		break;
	case POLICIES_UNCERTAIN:
		http_answer_problem(change->exchange, 503,
				    "the connection to the store was lost before it answered, and "
				    "the store may have taken the version all the same; policies "
				    "history shows it when the store is back");
		break;
	}
}

static void on_put(void *owner, enum policies_put_outcome outcome, uint64_t number,
		   const struct problems *problems)
{
	struct change *change = owner;

	if (change->exchange != NULL) {
		change->exchange->data = NULL;
		answer_put(change, outcome, number, problems);
	}
	free(change);
}

void policies_forget_exchange(struct http_exchange *exchange)
{
	struct change *change = exchange->data;

	if (change != NULL)
		change->exchange = NULL;
	exchange->data = NULL;
}

/* `7` or `"7"` (RFC 9110, section 13.1.1). */
static unsigned read_expected(const struct http_exchange *exchange, uint64_t *ret_number,
			      struct err *err)
{
	struct bytes value;

	if (!http_head_find(&exchange->head, BYTES("if-match"), &value)) {
		(void)err_set(err, "If-Match is missing; accepted is the version that was changed, "
				   "as GET /policies has it in ETag; 0 for the first one");
		return 428;
	}
	value = bytes_trim(value);
	if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
		value = bytes_from(value.data + 1, value.len - 2);
	if (parse_whole(value, QUOTA_EXACT_MAX, ret_number))
		return 200;
	(void)err_set(err, "If-Match: %s is not the number of a version", quoted(value).text);
	return 400;
}

void policies_put(void *owner, struct http_exchange *exchange)
{
	struct operate *operate = owner;
	struct http_who who;
	uint64_t expected;
	struct err err;

	if (!is_in_store(operate, exchange))
		return;
	unsigned status = read_expected(exchange, &expected, &err);
	if (status == 200 && exchange->head.query.len > 0) {
		(void)err_set(&err, "no parameter is accepted here");
		status = 400;
	}
	if (status != 200) {
		http_answer_problem(exchange, status, err.text);
		return;
	}
	struct change *change = calloc(1, sizeof *change);
	char *text = malloc(exchange->body.len + 1);
	if (change == NULL || text == NULL) {
		free(change);
		free(text);
		http_answer_problem(exchange, 503, "out of memory");
		return;
	}
	if (exchange->body.len > 0)
		memcpy(text, exchange->body.data, exchange->body.len);
	*change = (struct change){operate, exchange};
	exchange->data = change;
	http_access_who(&operate->access, exchange, &who);
	if (policies_store_put(operate->policies, expected, text, exchange->body.len, &who, on_put,
			       change) != NULL)
		return;
	exchange->data = NULL;
	free(change);
	http_answer_problem(exchange, 503, "too many changes of the policies are under way");
}
