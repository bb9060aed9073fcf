/*
 * The life of a change:
 *
 *     asked --> the records take it at once ------------------------> answered, logged, freed
 *        |
 *        `----> the records take it later --> on_put ---------------> answered, logged, freed
 *                        |
 *                        `--> the client goes away: `exchange` is NULL, and nobody is answered; the
 *                             change is logged all the same
 *
 * While the records have a change, exceptions_take_record is called with it, so the table has the
 * exception when it is answered.
 */
#include "app/operate/exceptions.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/operate/exception_overrules.h"
#include "app/operate/exception_request.h"
#include "app/operate/operate.h"
#include "app/operate/rfc3339.h"
#include "base/log.h"
#include "net/http/http_map.h"

#define PREFIX    "/exceptions/"
#define SCAN_MAX  10000 /* exceptions that an answer looks at: some milliseconds */
#define ALIKE_MAX 16    /* names that a list is asked for */

/* ---- records ---- */

/* A denial that the agent remembers was made by the numbers of that time. */
static void forget_denials(const struct operate *operate, struct bytes id, bool is_raise)
{
	const struct exception *old = exceptions_by_id(operate->exceptions, id);

	if (is_raise || (old != NULL && old->kind == EXCEPTION_RAISE))
		store_forget_known(operate->store);
}

static void log_unusable(const struct record *record, const char *why)
{
	log_event(LOG_WARN, "exception_unusable", LOG_BYTES("id", record->id),
		  LOG_TEXT("reason", why));
}

static void put_record(struct operate *operate, const struct record *record)
{
	struct exception_draft draft;

	if (record->id.len != EXCEPTION_ID_MAX ||
	    !exception_text_read(bytes_skip(record->value, 1), &draft)) {
		log_unusable(record, "the record is none that this version writes");
		return;
	}
	memcpy(draft.exception.id, record->id.data, EXCEPTION_ID_MAX);
	draft.exception.id[EXCEPTION_ID_MAX] = '\0';
	draft.exception.changed_ms = record->changed_ms;
	draft.exception.until_ms = record->until_ms;
	forget_denials(operate, record->id, draft.exception.kind == EXCEPTION_RAISE);
	if (!exceptions_put(operate->exceptions, &draft.exception,
			    engine_policies(operate->engine)))
		log_unusable(record, "out of memory");
}

void exceptions_take_record(void *owner, const struct record *record)
{
	struct operate *operate = owner;

	if (record->is_removed) {
		forget_denials(operate, record->id, false);
		exceptions_remove(operate->exceptions, record->id);
	} else if (record->value.len > 0 && record->value.data[0] == RECORD_EXCEPTION) {
		put_record(operate, record);
	}
	operate->stats->exceptions = exceptions_count(operate->exceptions);
}

/* ---- a change ---- */

struct change {
	struct operate *operate;
	struct http_exchange *exchange; /* NULL: the client is gone */
	struct http_who who;
	bool is_removal;
	char id[EXCEPTION_ID_MAX + 1];
	char policy[POLICY_NAME_MAX + 1];
	char key_hash[EXCEPTION_KEY_HASH]; /* of a removal empty */
	/* What an operator is shown: as it was set, or as it was before it was removed. */
	size_t len;
	uint8_t item[EXCEPTION_ITEM_MAX];
	struct overrules overrules;
};

static const char *scope_of(const struct operate *operate)
{
	return operate->records->is_shared ? "all agents" : "this agent";
}

static void log_change(const struct change *change)
{
	struct operate *operate = change->operate;

	if (change->is_removal) {
		operate->stats->exceptions_removed++;
		log_event(LOG_INFO, "exception_removed", LOG_TEXT("id", change->id),
			  LOG_TEXT("who", change->who.name), LOG_TEXT("from", change->who.from),
			  LOG_TEXT("policy", change->policy),
			  LOG_TEXT("key_hash", change->key_hash),
			  LOG_TEXT("scope", scope_of(operate)));
		return;
	}
	operate->stats->exceptions_set++;
	const struct exception *exception =
		exceptions_by_id(operate->exceptions, bytes_from_text(change->id));
	enum exception_kind kind = exception == NULL ? EXCEPTION_BLOCK : exception->kind;
	char memory[64];
	struct writer until = writer_on(memory, sizeof memory);
	static const char *const kinds[] = {
		[EXCEPTION_BLOCK] = "blocked",
		[EXCEPTION_ALLOW] = "unlimited",
		[EXCEPTION_RAISE] = "numbers",
	};
	if (exception != NULL && exception->until_ms != 0)
		rfc3339_put(&until, exception->until_ms);
	log_event(LOG_INFO, "exception_set", LOG_TEXT("id", change->id),
		  LOG_TEXT("who", change->who.name), LOG_TEXT("from", change->who.from),
		  LOG_TEXT("policy", change->policy), LOG_TEXT("key_hash", change->key_hash),
		  LOG_TEXT("what", kinds[kind]), LOG_BYTES("until", writer_bytes(&until)),
		  LOG_TEXT("scope", scope_of(operate)));
}

/* The fields of the item, and what belongs to the change behind them. */
static void put_answer(FILE *to, const struct change *change)
{
	(void)fwrite(change->item, 1, change->len - 1, to);
	fprintf(to, ",\"scope\":\"%s\"", scope_of(change->operate));
	if (change->is_removal)
		fputs(",\"removed\":true", to);
	else
		overrules_put(&change->overrules, to);
	operate_put_warnings(change->operate, to);
	fputc('}', to);
}

static void send_answer(const struct change *change)
{
	struct memory_file file;

	if (memory_file_begin(&file))
		put_answer(file.to, change);
	operate_send_json(change->exchange, &file);
}

static void keep_item(struct change *change, const struct exception *exception)
{
	const struct exceptions *exceptions = change->operate->exceptions;
	struct writer w = writer_on(change->item, sizeof change->item);
	size_t at = exceptions_position(exceptions, bytes_from_text(exception->id));

	exception_text_put_item(&w, exception, exceptions_is_void(exceptions, at));
	ASSERT(!w.full);
	change->len = w.len;
}

/* A change that may be in force has to be in the log with who made it. */
static void log_uncertain(const struct change *change)
{
	log_event(LOG_WARN, "exception_unconfirmed", LOG_TEXT("id", change->id),
		  LOG_TEXT("who", change->who.name), LOG_TEXT("from", change->who.from),
		  LOG_TEXT("policy", change->policy), LOG_TEXT("key_hash", change->key_hash),
		  LOG_TEXT("what", change->is_removal ? "removal" : "exception"));
}

static void refuse_change(const struct change *change, enum records_outcome outcome)
{
	const char *why = "the store did not answer, and nothing has changed";
	unsigned status = 503;

	if (outcome == RECORDS_UNCERTAIN) {
		log_uncertain(change);
		why = "the connection to the store was lost before it answered, and the store may "
		      "have taken the change all the same; exceptions shows it within a second of "
		      "the store's return";
	} else if (outcome == RECORDS_FORBIDDEN) {
		why = "the agent's user of Redis lacks a right that changes need, and nothing has "
		      "changed; /status, exceptions and the log (store_lacks_right) name it";
	} else if (outcome == RECORDS_FULL) {
		why = "100000 exceptions are there already, and more are not accepted; remove "
		      "some first";
		status = 409;
	}
	if (change->exchange != NULL)
		http_answer_problem(change->exchange, status, why);
}

static void finish_change(struct change *change)
{
	const struct exception *exception =
		exceptions_by_id(change->operate->exceptions, bytes_from_text(change->id));

	/* Another operator may have removed it in the meantime. */
	if (!change->is_removal && exception != NULL)
		keep_item(change, exception);
	log_change(change);
	if (change->exchange == NULL)
		return;
	if (change->len > 0)
		send_answer(change);
	else
		http_answer_problem(change->exchange, 409,
				    "another operator has removed the exception again");
}

static void on_put(void *owner, enum records_outcome outcome)
{
	struct change *change = owner;

	if (change->exchange != NULL)
		change->exchange->data = NULL;
	if (outcome == RECORDS_DONE)
		finish_change(change);
	else
		refuse_change(change, outcome);
	free(change);
}

void exceptions_forget_exchange(struct http_exchange *exchange)
{
	struct change *change = exchange->data;

	if (change != NULL)
		change->exchange = NULL;
	exchange->data = NULL;
}

static struct change *new_change(struct operate *operate, struct http_exchange *exchange)
{
	struct change *change = calloc(1, sizeof *change);

	if (change == NULL) {
		http_answer_problem(exchange, 503, "out of memory");
		return NULL;
	}
	change->operate = operate;
	change->exchange = exchange;
	http_access_who(&operate->access, exchange, &change->who);
	return change;
}

static void refuse(struct change *change, unsigned status, const struct err *err)
{
	http_answer_problem(change->exchange, status, err->text);
	free(change);
}

static void submit(struct change *change, const struct record *record)
{
	change->exchange->data = change;
	records_put(change->operate->records, record, on_put, change);
}

/* ---- PUT ---- */

static bool read_names(struct operate *operate, struct bytes query, struct err *err)
{
	unsigned deny_status;

	http_question_clear(&operate->question);
	if (!http_map_read_query(&operate->question, query, &deny_status, err))
		return false;
	return deny_status == 0 || err_set(err, "deny_status: not accepted here");
}

/* Of a path that names no policy the name has no data. */
static bool read_policy_name(struct operate *operate, struct bytes path, struct bytes *ret_name,
			     struct err *err)
{
	const char *why = NULL;

	if (bytes_begin_with(path, BYTES(PREFIX)))
		why = http_question_decode_path(&operate->question,
						bytes_skip(path, strlen(PREFIX)), ret_name);
	return why == NULL || err_set(err, "policy: %s", why);
}

static unsigned read_set(struct change *change, struct exception_draft *draft, struct err *err)
{
	struct operate *operate = change->operate;
	const struct http_exchange *exchange = change->exchange;
	const struct attributes attributes = http_question_attributes(&operate->question);
	struct bytes policy = {0};

	if (!read_policy_name(operate, exchange->head.path, &policy, err))
		return 400;
	const struct exception_request request = {
		.policies = engine_policies(operate->engine),
		.policy = policy,
		.attributes = &attributes,
		.body = exchange->body,
		.hash_keys = operate->options->hash_keys,
		.now_ms = records_now_ms(operate->records),
		.who = change->who,
	};
	unsigned status = exception_request_read(&request, draft, change->key_hash, err);

	if (status != 200)
		return status;
	memcpy(change->id, draft->exception.id, sizeof change->id);
	snprintf(change->policy, sizeof change->policy, "%.*s", (int)draft->exception.policy.len,
		 (const char *)draft->exception.policy.data);
	if (!exceptions_have_room(operate->exceptions, &draft->exception, err))
		return 409;
	overrules_find(&change->overrules, operate->exceptions, request.policies, &draft->exception,
		       &attributes);
	return 200;
}

void exceptions_set(void *owner, struct http_exchange *exchange)
{
	struct operate *operate = owner;
	uint8_t value[RECORD_VALUE_MAX + 1];
	struct writer w = writer_on(value, sizeof value);
	struct exception_draft draft;
	struct err err;
	struct change *change = new_change(operate, exchange);

	if (change == NULL)
		return;
	unsigned status = read_names(operate, exchange->head.query, &err)
				  ? read_set(change, &draft, &err)
				  : 400;
	if (status != 200) {
		refuse(change, status, &err);
		return;
	}
	writer_put_u8(&w, RECORD_EXCEPTION);
	exception_text_put(&w, &draft);
	if (w.full) {
		(void)err_set(&err, "the names, their values and the note are too long");
		refuse(change, 400, &err);
		return;
	}
	submit(change, &(struct record){
			       .id = bytes_from_text(change->id),
			       .until_ms = draft.exception.until_ms,
			       .value = writer_bytes(&w),
		       });
}

/* ---- DELETE ---- */

static unsigned find_removed(struct change *change, const struct exception **ret_exception,
			     struct err *err)
{
	struct operate *operate = change->operate;

	if (!read_names(operate, change->exchange->head.query, err))
		return 400;
	const struct attributes attributes = http_question_attributes(&operate->question);
	const struct value *id = attributes_find(&attributes, BYTES("id"));
	if (id == NULL || attributes.count != 1) {
		(void)err_set(err, id == NULL ? "id: is missing; accepted is id=ID"
					      : "accepted is id=ID alone");
		return 400;
	}
	*ret_exception = exceptions_by_id(operate->exceptions, id->text);
	if (*ret_exception != NULL)
		return 200;
	(void)err_set(err, "id: there is no exception %s", quoted(id->text).text);
	return 404;
}

/* The hash that the line of its setting had. */
static void hash_removed(struct change *change, const struct exception *exception)
{
	struct exception_draft draft;

	if (!exception_text_read(exception->text, &draft))
		return;
	snprintf(change->policy, sizeof change->policy, "%.*s", (int)draft.exception.policy.len,
		 (const char *)draft.exception.policy.data);
	exception_key_hash(&draft, change->key_hash);
}

void exceptions_delete(void *owner, struct http_exchange *exchange)
{
	const struct exception *exception;
	struct change *change = new_change(owner, exchange);
	struct err err;

	if (change == NULL)
		return;
	change->is_removal = true;
	unsigned status = find_removed(change, &exception, &err);
	if (status != 200) {
		refuse(change, status, &err);
		return;
	}
	memcpy(change->id, exception->id, sizeof change->id);
	hash_removed(change, exception);
	keep_item(change, exception);
	submit(change, &(struct record){.id = bytes_from_text(change->id), .is_removed = true});
}

/* ---- GET ---- */

struct listing {
	struct operate *operate;
	struct bytes after; /* an id; empty: from the first one on */
	struct exception_name names[ALIKE_MAX];
	char hashes[ALIKE_MAX][EXCEPTION_KEY_HASH];
	size_t count;
};

static bool read_list(struct listing *list, struct bytes query, struct err *err)
{
	struct operate *operate = list->operate;
	char memory[VALUE_SHORT_TEXT_MAX];

	if (!read_names(operate, query, err))
		return false;
	const struct attributes attributes = http_question_attributes(&operate->question);
	for (size_t i = 0; i < attributes.count; i++) {
		const struct attribute *attribute = &attributes.items[i];
		if (bytes_equal(attribute->name, BYTES("after"))) {
			list->after = attribute->value.text;
			continue;
		}
		if (list->count == ALIKE_MAX)
			return err_set(err, "accepted are up to %d names", ALIKE_MAX);
		struct value value = attribute_canonical(attribute->name, &attribute->value);
		struct bytes text = value_to_text(&value, memory);
		struct exception_name *name = &list->names[list->count];
		*name = (struct exception_name){attribute->name, attribute->value.text};
		exception_hash_text(text, list->hashes[list->count++]);
	}
	return true;
}

/* Whether the exception has the name with this value, or with a network that the value is in. */
static bool has_name(const struct exception *exception, const struct exception_name *wanted,
		     const char *hash)
{
	for (size_t i = 0; i < exception->count; i++) {
		const struct exception_name *name = &exception->names[i];
		if (!bytes_equal(name->name, wanted->name))
			continue;
		return exception->is_hashed ? bytes_equal(name->text, bytes_from_text(hash))
					    : exception_name_holds(name, wanted);
	}
	return false;
}

static bool is_wanted(const struct listing *list, const struct exception *exception)
{
	for (size_t i = 0; i < list->count; i++)
		if (!has_name(exception, &list->names[i], list->hashes[i]))
			return false;
	return !exception_has_ended(list->operate->exceptions, exception);
}

static void put_list(FILE *to, const struct listing *list)
{
	const struct operate *operate = list->operate;
	const struct exceptions *exceptions = operate->exceptions;
	size_t count = exceptions_count(exceptions);
	size_t at = exceptions_position(exceptions, list->after), written = 0;
	const char *next = NULL;
	uint8_t memory[EXCEPTION_ITEM_MAX];

	if (exceptions_by_id(exceptions, list->after) != NULL)
		at++;
	fputs("{\"exceptions\":[", to);
	for (size_t looked = 0; at < count && looked < SCAN_MAX && written < EXCEPTIONS_SHOWN_MAX;
	     at++, looked++) {
		const struct exception *exception = exceptions_at(exceptions, at);
		struct writer w = writer_on(memory, sizeof memory);
		next = exception->id;
		if (!is_wanted(list, exception))
			continue;
		exception_text_put_item(&w, exception, exceptions_is_void(exceptions, at));
		ASSERT(!w.full);
		if (written++ > 0)
			fputc(',', to);
		(void)fwrite(w.data, 1, w.len, to);
	}
	fprintf(to, "],\"count\":%zu,\"scope\":\"%s\"", count, scope_of(operate));
	if (at < count)
		fprintf(to, ",\"next\":\"%s\"", next);
	if (operate->records->is_shared && !store_describe(operate->store).is_up)
		fputs(",\"stale\":true", to);
	operate_put_warnings(operate, to);
	fputs("}", to);
}

void exceptions_list(void *owner, struct http_exchange *exchange)
{
	struct listing list = {.operate = owner};
	struct memory_file file;
	struct err err;

	if (!read_list(&list, exchange->head.query, &err)) {
		http_answer_problem(exchange, 400, err.text);
		return;
	}
	if (memory_file_begin(&file))
		put_list(file.to, &list);
	operate_send_json(exchange, &file);
}
