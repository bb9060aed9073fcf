#include "app/operate/explain.h"

#include <stdlib.h>
#include <string.h>

#include "app/operate/exception_text.h"
#include "app/operate/explain_lists.h"
#include "app/operate/operate.h"
#include "app/policies/policy_text.h"
#include "base/clock.h"
#include "limit/reserved.h"
#include "net/http/http_map.h"
#include "net/http/http_reply.h"

#define LISTED_MAX 8 /* texts that a reason names */
/* Of JSON: a reason in which every character is escaped, a key, and an exception. */
#define POLICY_MAX (8192 + EXCEPTION_ITEM_MAX)

/* ---- why a policy does not apply ---- */

static void put_quoted(struct writer *w, struct bytes text)
{
	writer_put_text(w, quoted(text).text);
}

static void put_more(struct writer *w, size_t count, size_t listed)
{
	if (count <= listed)
		return;
	writer_put_text(w, " and ");
	writer_put_unsigned(w, count - listed);
	writer_put_text(w, " more");
}

/* Whether the request has it: reserved names are no attributes, and null is absent. */
static bool is_there(const struct attribute *attribute)
{
	return !attribute_name_is_reserved(attribute->name) &&
	       attribute->value.kind != VALUE_ABSENT;
}

/* `no attribute "path"; there are "src", "method"` */
static void put_absent(struct writer *w, struct bytes name, const struct attributes *attributes)
{
	size_t count = 0, listed = 0;

	writer_put_text(w, "no attribute ");
	put_quoted(w, name);
	for (size_t i = 0; i < attributes->count; i++)
		count += is_there(&attributes->items[i]);
	for (size_t i = 0; i < attributes->count && listed < LISTED_MAX; i++) {
		if (!is_there(&attributes->items[i]))
			continue;
		writer_put_text(w, listed > 0 ? ", " : count == 1 ? "; there is " : "; there are ");
		listed++;
		put_quoted(w, attributes->items[i].name);
	}
	put_more(w, count, listed);
	if (count == 0)
		writer_put_text(w, "; there is none");
}

static void put_patterns(struct writer *w, const struct condition *condition)
{
	size_t listed = 0;

	for (; listed < condition->count && listed < LISTED_MAX; listed++) {
		if (listed > 0)
			writer_put_text(w, ", ");
		put_quoted(w, condition->patterns[listed].text);
	}
	put_more(w, condition->count, listed);
}

static void put_unfit(struct writer *w, const struct condition *condition,
		      const struct attributes *attributes)
{
	const struct value *found = attributes_find(attributes, condition->attribute);
	char memory[VALUE_SHORT_TEXT_MAX];

	writer_put_text(w, "match.");
	writer_put_text(w, quoted_unless_plain(condition->attribute).text);
	writer_put_text(w, ": ");
	if (found == NULL) {
		put_absent(w, condition->attribute, attributes);
		return;
	}
	struct value value = attribute_canonical(condition->attribute, found);
	put_quoted(w, value_to_text(&value, memory));
	writer_put_text(w, " is none of ");
	put_patterns(w, condition);
}

/* The first condition of the policy's `match` that does not fit, or NULL. */
static const struct condition *find_unfit(const struct policy *policy,
					  const struct attributes *attributes)
{
	for (size_t i = 0; i < policy->match.count; i++) {
		const struct conditions one = {&policy->match.items[i], 1};
		if (!conditions_fit(&one, attributes, NULL))
			return &policy->match.items[i];
	}
	return NULL;
}

/* The first attribute of the policy's key that is absent; no data when all are there. */
static struct bytes find_absent_key(const struct policy *policy,
				    const struct attributes *attributes)
{
	for (size_t i = 0; i < policy->key_count; i++)
		if (attributes_find(attributes, policy->key[i]) == NULL)
			return policy->key[i];
	return (struct bytes){0};
}

static bool is_named(struct bytes names, const struct policy *policy)
{
	struct bytes name;

	while (bytes_next_item(&names, ',', &name))
		if (bytes_equal(bytes_trim(name), bytes_from_text(policy->name)))
			return true;
	return false;
}

static const struct check *find_check(const struct request *request, const struct policy *policy)
{
	for (size_t i = 0; i < request->count; i++)
		if (request->checks[i]->policy == policy)
			return request->checks[i];
	return NULL;
}

#define NO_OVERRIDE SIZE_MAX

/* The position of the override whose terms they are. */
static size_t find_override(const struct policy *policy, const struct terms *terms)
{
	for (size_t i = 0; i < policy->override_count; i++)
		if (terms == &policy->overrides[i].terms)
			return i;
	return NO_OVERRIDE;
}

/* Whether the request picks the policy. If not, the reason is put. */
static bool put_not_picked(struct writer *w, const struct policy *policy,
			   const struct reserved *reserved, const struct attributes *attributes)
{
	if (reserved->has_policy && !is_named(reserved->policy, policy)) {
		writer_put_text(w, "policy: ");
		put_quoted(w, reserved->policy);
		writer_put_text(w, " does not name this policy");
		return true;
	}
	if (reserved->has_algorithm) {
		writer_put_text(w, "algorithm: the request has an inline policy");
		return true;
	}
	const struct condition *unfit =
		reserved->has_policy ? NULL : find_unfit(policy, attributes);
	if (unfit != NULL)
		put_unfit(w, unfit, attributes);
	return unfit != NULL;
}

static void put_exception_id(struct writer *w, const struct exception_hit *hit)
{
	static const char *const kinds[] = {
		[EXCEPTION_BLOCK] = ": blocked",
		[EXCEPTION_ALLOW] = ": unlimited",
		[EXCEPTION_RAISE] = ": other numbers",
	};

	writer_put_text(w, "exception ");
	writer_put_text(w, hit->id);
	writer_put_text(w, kinds[hit->kind]);
}

/* What has decided before any policy, and which exception of the policy it overrules. */
static void put_settled(struct writer *w, const struct policy *policy,
			const struct request *request, const struct reserved *reserved,
			const struct attributes *attributes)
{
	struct exception_hit overruled;

	if (request->exception.id[0] != '\0')
		put_exception_id(w, &request->exception);
	else
		writer_put_text(w, request->listed == LISTED_ALLOW ? "allow list" : "block list");
	if (reserved == NULL ||
	    !request_find_exception(request, policy, reserved, attributes, &overruled))
		return;
	writer_put_text(w, "; it overrules ");
	put_exception_id(w, &overruled);
}

/* *ret_override: the override that is the reason, or NULL. */
static void put_why(struct writer *w, const struct policy *policy, const struct request *request,
		    const struct attributes *attributes, const struct override **ret_override)
{
	struct exception_hit exception;
	struct reserved reserved;
	const char *why;

	*ret_override = NULL;
	if (find_check(request, policy) != NULL)
		return;
	bool is_read = reserved_read(attributes, &reserved, &why);
	if (request_is_settled(request)) {
		put_settled(w, policy, request, is_read ? &reserved : NULL, attributes);
		return;
	}
	if (!is_read) {
		writer_put_text(w, why);
		return;
	}
	if (put_not_picked(w, policy, &reserved, attributes))
		return;
	struct bytes absent =
		reserved.key != NULL ? (struct bytes){0} : find_absent_key(policy, attributes);
	const struct terms *terms = policy_terms(policy, attributes, reserved.key);
	if (absent.data != NULL) {
		writer_put_text(w, "key: ");
		put_absent(w, absent, attributes);
	} else if (request_find_exception(request, policy, &reserved, attributes, &exception) &&
		   exception.kind == EXCEPTION_ALLOW) {
		put_exception_id(w, &exception);
	} else if (terms->is_unlimited) {
		size_t override = find_override(policy, terms);
		writer_put_text(w, "overrides[");
		writer_put_unsigned(w, override);
		writer_put_text(w, "]: unlimited");
		if (override != NO_OVERRIDE)
			*ret_override = &policy->overrides[override];
	} else {
		writer_put_text(w, "more than 16 policies fit, and only the first 16 of the file "
				   "apply");
	}
}

void explain_put_why(struct writer *w, const struct policy *policy, const struct request *request,
		     const struct attributes *attributes)
{
	const struct override *override;

	put_why(w, policy, request, attributes, &override);
}

/* ---- the JSON ---- */

static void put_text(struct writer *w, const char *name, struct bytes text)
{
	writer_put_text(w, name);
	writer_put_json_string(w, text);
}

static void put_number(struct writer *w, const char *name, int64_t number)
{
	writer_put_text(w, name);
	writer_put_decimal(w, number);
}

static void put_bool(struct writer *w, const char *name, bool value)
{
	writer_put_text(w, name);
	writer_put_text(w, value ? "true" : "false");
}

/* In the notation of the policy file. */
static void put_quota(struct writer *w, const struct quota *quota)
{
	char memory[64];
	struct writer text = writer_on(memory, sizeof memory);
	bool is_by_rate = algorithm_traits(quota->algorithm)->is_by_rate;

	put_text(w, ",\"algorithm\":", bytes_from_text(algorithm_name(quota->algorithm)));
	if (is_by_rate) {
		put_number(w, ",\"capacity\":", quota->limit);
		policy_text_put_refill_rate(&text, quota);
	} else {
		policy_text_put_duration(&text, quota->window_us);
	}
	put_text(w, is_by_rate ? ",\"refill_rate\":" : ",\"window\":", writer_bytes(&text));
}

static void put_terms(struct writer *w, const struct policy *policy, const struct terms *terms)
{
	size_t override = find_override(policy, terms);

	if (override != NO_OVERRIDE)
		put_number(w, ",\"override\":", (int64_t) override);
	if (terms->is_blocked)
		put_bool(w, ",\"blocked\":", true);
	if (terms->is_unlimited)
		put_bool(w, ",\"unlimited\":", true);
}

static void put_outcome(struct writer *w, const struct check *check)
{
	bool is_denied = check_is_denied(check);
	int64_t retry_after_us = is_denied ? VERDICT_ERROR_RETRY_US : 0;

	put_number(w, ",\"limit\":", check_limit(check));
	if (check->is_shadow)
		put_bool(w, ",\"shadow\":", true);
	put_text(w, ",\"on_error\":", bytes_from_text(on_error_names[check->terms->on_error]));
	put_number(w, ",\"cost\":", check->cost);
	if (check->is_skipped) { /* the request is denied by what the agent remembers */
		put_bool(w, ",\"skipped\":", true);
		return;
	}
	if (check->is_remembered)
		put_bool(w, ",\"cached_denial\":", true);
	put_bool(w, ",\"allowed\":", !is_denied);
	if (check->is_decided) {
		put_number(w, ",\"remaining\":", check->outcome.remaining);
		put_number(w, ",\"reset_ms\":", milliseconds_up(check->outcome.reset_us));
		retry_after_us = check->outcome.retry_after_us;
	}
	put_number(w, ",\"retry_after_ms\":", milliseconds_up(retry_after_us));
}

static void put_key(struct writer *w, const struct check *check, struct bytes prefix)
{
	char memory[CHECK_KEY_MAX + 128];
	struct writer key = writer_on(memory, sizeof memory);

	writer_put(&key, prefix);
	writer_put(&key, check_key(check));
	put_text(w, ",\"key\":", writer_bytes(&key));
}

/* An exception may be gone since the check was made: then its id is all that is known. */
static void put_exception(struct writer *w, const char *id, const struct exceptions *exceptions)
{
	struct bytes text = bytes_from_text(id);
	const struct exception *exception =
		exceptions == NULL ? NULL : exceptions_by_id(exceptions, text);

	writer_put_text(w, ",\"exception\":");
	if (exception != NULL) {
		exception_text_put_item(
			w, exception,
			exceptions_is_void(exceptions, exceptions_position(exceptions, text)));
		return;
	}
	put_text(w, "{\"id\":", text);
	writer_put_u8(w, '}');
}

static void put_applying(struct writer *w, const struct check *check, const struct request *request,
			 struct bytes prefix)
{
	put_text(w, "{\"policy\":", bytes_from_text(check->policy->name));
	put_bool(w, ",\"applies\":", true);
	if (check->exception[0] != '\0')
		put_exception(w, check->exception, request->exceptions);
	put_terms(w, check->policy, check->terms);
	put_outcome(w, check);
	put_quota(w, check->quota);
	put_key(w, check, prefix);
}

static void put_other(struct writer *w, const struct policy *policy, const struct request *request,
		      const struct attributes *attributes, const struct override **ret_override)
{
	char memory[EXPLAIN_WHY_MAX];
	struct writer why = writer_on(memory, sizeof memory);

	put_why(&why, policy, request, attributes, ret_override);
	put_text(w, "{\"policy\":", bytes_from_text(policy->name));
	put_bool(w, ",\"applies\":", false);
	put_text(w, ",\"why\":", writer_bytes(&why));
	put_number(w, ",\"limit\":", policy->terms.quota.limit);
	put_quota(w, &policy->terms.quota);
}

/* The items are written as far as their size is bounded; what lists say is written behind that. */
struct list_of_policies {
	FILE *to;
	struct explain_lists *lists;
	size_t count;
};

static void begin_item(struct list_of_policies *list, struct writer *w, uint8_t *memory)
{
	*w = writer_on(memory, POLICY_MAX);
	if (list->count++ > 0)
		writer_put_u8(w, ',');
}

static void end_item(struct list_of_policies *list, const struct writer *w)
{
	ASSERT(!w->full);
	(void)fwrite(w->data, 1, w->len, list->to);
}

static void add_applying(struct list_of_policies *list, const struct check *check,
			 const struct request *request, struct bytes prefix)
{
	const struct policy *policy = check->policy;
	size_t override = find_override(policy, check->terms);
	uint8_t memory[POLICY_MAX];
	struct writer w;

	begin_item(list, &w, memory);
	put_applying(&w, check, request, prefix);
	end_item(list, &w);
	explain_lists_put_files(list->lists, policy,
				override == NO_OVERRIDE ? NULL : &policy->overrides[override]);
	fputc('}', list->to);
}

static void add_other(struct list_of_policies *list, const struct policy *policy,
		      const struct request *request)
{
	const struct override *override;
	uint8_t memory[POLICY_MAX];
	struct writer w;

	begin_item(list, &w, memory);
	put_other(&w, policy, request, list->lists->attributes, &override);
	end_item(list, &w);
	if (override != NULL)
		explain_lists_put_files(list->lists, policy, override);
	fputc('}', list->to);
}

/*
 * In file order. Policies that apply are always in the list; of the others there are as many as fit
 * into EXPLAIN_POLICIES_MAX. Returns how many are left out.
 */
static size_t put_policies(struct explain_lists *lists, const struct request *request,
			   struct bytes prefix)
{
	const struct policies *policies = request->policies;
	struct list_of_policies list = {.to = lists->to, .lists = lists};
	size_t others = EXPLAIN_POLICIES_MAX - request->count, left_out = 0;

	for (size_t i = 0; i < policies_count(policies); i++) {
		const struct policy *policy = policies_at(policies, i);
		const struct check *check = find_check(request, policy);
		if (check == NULL && others == 0) {
			left_out++;
			continue;
		}
		if (check != NULL)
			add_applying(&list, check, request, prefix);
		else
			add_other(&list, policy, request);
		others -= check == NULL;
	}
	const struct check *own = find_check(request, policies_inline(policies));
	if (own != NULL)
		add_applying(&list, own, request, prefix);
	return left_out;
}

bool explain_put(FILE *to, const struct verdict *verdict, const struct attributes *attributes,
		 struct bytes prefix, const char *policy_file)
{
	uint8_t memory[HTTP_VERDICT_MAX + EXCEPTION_ITEM_MAX];
	struct writer w = writer_on(memory, sizeof memory);
	const struct request *request = verdict->request;
	struct reserved reserved;
	const char *why;
	struct explain_lists lists = {
		.to = to,
		.policy_file = policy_file,
		.attributes = attributes,
		.reserved = &reserved,
	};

	/* An operator is told of an invalid request before; in one nothing stands for anything. */
	if (!reserved_read(attributes, &reserved, &why))
		reserved = (struct reserved){0};
	http_reply_put_verdict(&w, verdict);
	if (request->exception.id[0] != '\0')
		put_exception(&w, request->exception.id, request->exceptions);
	ASSERT(!w.full);
	fputs("{\"verdict\":", to);
	(void)fwrite(w.data, 1, w.len, to);
	explain_lists_put_entry(&lists, request);
	fputs(",\"policies\":[", to);
	size_t left_out = put_policies(&lists, request, prefix);
	fprintf(to, "],\"policies_left_out\":%zu", left_out);
	return !lists.has_failed;
}

/* ---- the answer ---- */

/* The body, since the verdict may come when the request's own is gone. */
struct asked {
	size_t len;
	uint8_t body[];
};

static struct asked *keep_body(struct http_exchange *exchange)
{
	struct asked *asked = malloc(sizeof *asked + exchange->body.len);

	if (asked == NULL)
		return NULL;
	asked->len = exchange->body.len;
	if (asked->len > 0)
		memcpy(asked->body, exchange->body.data, asked->len);
	exchange->data = asked;
	return asked;
}

static bool read_question(struct http_question *question, struct bytes text, struct err *err)
{
	struct http_body body;

	http_question_clear(question);
	if (!http_map_read_body(text, BYTES(""), &body, err))
		return false;
	if (body.is_batch)
		return err_set(err, "checks: not accepted; accepted is one check");
	return http_map_read_check(question, body.check, BYTES(""), err);
}

static void answer_verdict(struct operate *operate, struct http_exchange *exchange,
			   const struct verdict *verdict)
{
	const struct asked *asked = exchange->data;
	struct memory_file file;
	struct err err;

	/* It was good before. */
	bool is_read = read_question(&operate->question, bytes_from(asked->body, asked->len), &err);
	ASSERT(is_read);
	const struct attributes attributes = http_question_attributes(&operate->question);
	bool is_whole = memory_file_begin(&file) &&
			explain_put(file.to, verdict, &attributes,
				    bytes_from_text(operate->options->key_prefix),
				    operate->options->policies);
	if (is_whole) {
		operate_put_warnings(operate, file.to);
		fputc('}', file.to);
		operate_send_json(exchange, &file);
		return;
	}
	free(memory_file_end(&file));
	http_answer_problem(exchange, 503, "out of memory");
}

static void on_verdict(const struct asker *asker, const struct verdict *verdict)
{
	struct http_exchange *exchange = asker->owner;

	/* The tag is the address of `struct operate`, for which the asker has no other room. */
	answer_verdict((struct operate *)(uintptr_t)asker->tag[0], exchange, verdict);
}

static void ask_engine(struct operate *operate, struct http_exchange *exchange)
{
	const struct attributes attributes = http_question_attributes(&operate->question);
	struct inquiry *inquiry = engine_begin(operate->engine);
	const struct asker asker = {
		.done = on_verdict,
		.open = &exchange->open,
		.owner = exchange,
		.tag = {(uintptr_t)operate},
		.source = SOURCE_HTTP,
	};
	struct err err;

	engine_look(inquiry);
	engine_add(inquiry, &attributes);
	const struct request *request = engine_request(inquiry);
	if (request->is_invalid) {
		unsigned status = http_map_refuse(&operate->question, request, &err);
		engine_end(inquiry);
		http_answer_problem(exchange, status, err.text);
		return;
	}
	if (engine_submit(inquiry, &asker, clock_now_us(), clock_mono_us()) == ENGINE_PENDING)
		return;
	answer_verdict(operate, exchange, engine_verdict(inquiry));
	engine_end(inquiry);
}

void explain_answer(void *owner, struct http_exchange *exchange)
{
	struct operate *operate = owner;
	struct err err;

	if (exchange->head.query.len > 0)
		http_answer_problem(exchange, 400, "query: not accepted here");
	else if (!read_question(&operate->question, exchange->body, &err))
		http_answer_problem(exchange, 400, err.text);
	else if (keep_body(exchange) == NULL)
		http_answer_problem(exchange, 503, "out of memory");
	else
		ask_engine(operate, exchange);
}
