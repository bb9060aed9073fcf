/*
 * What is refused here is refused before anything has changed. The order is that of the request:
 * the policy, the names, the body, and last whether all of it goes together.
 */
#include "app/operate/exception_request.h"

#include <sodium.h>
#include <string.h>

#include "app/operate/key_names.h"
#include "app/operate/rfc3339.h"
#include "base/clock.h"
#include "base/json_reader.h"
#include "base/utf8.h"
#include "limit/check.h"

#define WIDE_IPV4_PREFIX 8 /* shorter ones want `wide` */
#define WIDE_IPV6_PREFIX 24
#define FOR_MAX_US       (INT64_C(3650) * 86400 * US_PER_SECOND)
#define TEXTS_TOO_LONG   "the names and their values are too long"

/* What the body says. */
struct body {
	bool is_wide;
	bool has_blocked, has_unlimited;
	bool has_limit, has_capacity, has_rate; /* in the exception */
	bool has_for, has_until;
	int64_t for_us;
};

/* ---- the body ---- */

static bool refuse_field(struct err *err, const char *name, const char *accepted)
{
	return err_set(err, "%s: accepted is %s", name, accepted);
}

static bool read_units(const struct json_value *value, const char *name,
		       struct exception *exception, struct err *err)
{
	struct ratio number;

	if (value->kind != JSON_NUMBER || !parse_decimal(value->text, &number) || number.den != 1 ||
	    number.num > QUOTA_UNITS_MAX)
		return err_set(err, "%s: accepted is a whole number from 1 to %lld", name,
			       (long long)QUOTA_UNITS_MAX);
	exception->units = number.num;
	return true;
}

static bool read_rate(const struct json_value *value, struct exception *exception, struct err *err)
{
	if ((value->kind == JSON_NUMBER || value->kind == JSON_STRING) &&
	    refill_rate_parse(value->text, &exception->tokens_per_us))
		return true;
	return refuse_field(err, "refill_rate",
			    "tokens per second above 0, or a ratio such as \"1000/1m\"");
}

static bool read_note(const struct json_value *value, struct exception_draft *draft,
		      struct err *err)
{
	uint8_t memory[6 * EXCEPTION_NOTE_MAX]; /* \u001b is the longest form of a byte */
	struct writer w = writer_on(memory, sizeof memory);

	if (value->kind != JSON_STRING)
		return refuse_field(err, "note", "a text");
	if (value->text.len <= sizeof memory) {
		struct bytes text = json_string(value, &w);
		if (text.len <= EXCEPTION_NOTE_MAX)
			return exception_draft_keep(draft, text, &draft->note) ||
			       err_set(err, TEXTS_TOO_LONG);
	}
	return err_set(err, "note: accepted are up to %d bytes", EXCEPTION_NOTE_MAX);
}

static bool read_true(const struct json_value *value, const char *name, bool *ret_has,
		      struct err *err)
{
	*ret_has = true;
	return value->kind == JSON_TRUE || refuse_field(err, name, "true");
}

static bool read_for(const struct json_value *value, struct body *body, struct err *err)
{
	body->has_for = true;
	if (value->kind == JSON_STRING && parse_duration(value->text, &body->for_us) &&
	    body->for_us > 0 && body->for_us <= FOR_MAX_US)
		return true;
	return refuse_field(err, "for", "a duration above 0, such as \"1h\", of at most \"3650d\"");
}

static bool read_until(const struct json_value *value, struct body *body,
		       struct exception *exception, struct err *err)
{
	body->has_until = true;
	if (value->kind == JSON_STRING && rfc3339_read(value->text, &exception->until_ms))
		return true;
	return refuse_field(err, "until",
			    "a time as RFC 3339 writes it, such as \"2030-01-31T12:00:00Z\"");
}

static bool read_field(struct bytes name, const struct json_value *value, struct body *body,
		       struct exception_draft *draft, struct err *err)
{
	struct exception *exception = &draft->exception;

	if (bytes_equal(name, BYTES("blocked")))
		return read_true(value, "blocked", &body->has_blocked, err);
	if (bytes_equal(name, BYTES("unlimited")))
		return read_true(value, "unlimited", &body->has_unlimited, err);
	if (bytes_equal(name, BYTES("limit"))) {
		body->has_limit = true;
		return read_units(value, "limit", exception, err);
	}
	if (bytes_equal(name, BYTES("capacity"))) {
		body->has_capacity = true;
		return read_units(value, "capacity", exception, err);
	}
	if (bytes_equal(name, BYTES("refill_rate"))) {
		body->has_rate = true;
		return read_rate(value, exception, err);
	}
	if (bytes_equal(name, BYTES("for")))
		return read_for(value, body, err);
	if (bytes_equal(name, BYTES("until")))
		return read_until(value, body, exception, err);
	if (bytes_equal(name, BYTES("note")))
		return read_note(value, draft, err);
	if (bytes_equal(name, BYTES("wide"))) {
		body->is_wide = value->kind == JSON_TRUE;
		return value->kind == JSON_TRUE || value->kind == JSON_FALSE ||
		       refuse_field(err, "wide", "true or false");
	}
	return err_set(err,
		       "%s: unknown field; accepted are blocked, unlimited, limit, capacity, "
		       "refill_rate, for, until, note and wide",
		       quoted_unless_plain(name).text);
}

static bool has_come_before(struct json_value object, size_t position, struct bytes name)
{
	struct json_value other, value;

	for (size_t i = 0; i < position && json_next_field(&object, &other, &value); i++)
		if (bytes_equal(other.text, name))
			return true;
	return false;
}

static bool read_body(const struct exception_request *request, struct body *body,
		      struct exception_draft *draft, struct err *err)
{
	struct json_value root, rest, name, value;

	if (!json_read(request->body, &root, err))
		return false;
	if (root.kind != JSON_OBJECT)
		return err_set(err, "the body is no JSON object");
	rest = root;
	for (size_t i = 0; json_next_field(&rest, &name, &value); i++) {
		if (has_come_before(root, i, name.text))
			return err_set(err, "%s: is given twice",
				       quoted_unless_plain(name.text).text);
		if (value.kind != JSON_NULL && !read_field(name.text, &value, body, draft, err))
			return false;
	}
	return true;
}

/* ---- what, and until when ---- */

static bool set_kind(const struct body *body, struct exception *exception, struct err *err)
{
	bool has_numbers = body->has_limit || body->has_capacity || body->has_rate;

	if (body->has_blocked + body->has_unlimited + has_numbers != 1)
		return err_set(err, "accepted is one of \"blocked\":true, \"unlimited\":true, and "
				    "numbers (limit, or capacity and refill_rate)");
	exception->kind = body->has_blocked     ? EXCEPTION_BLOCK
			  : body->has_unlimited ? EXCEPTION_ALLOW
						: EXCEPTION_RAISE;
	return true;
}

static bool set_until(const struct exception_request *request, const struct body *body,
		      struct exception *exception, struct err *err)
{
	if (body->has_for && body->has_until)
		return err_set(err, "accepted is one of for and until");
	if (body->has_for)
		exception->until_ms =
			request->now_ms + (uint64_t)divide_up(body->for_us, US_PER_MS);
	if (body->has_until && exception->until_ms <= request->now_ms)
		return err_set(err, "until: the time is in the past; accepted is one to come");
	return true;
}

/* ---- numbers ---- */

static bool refuse_number(const char *name, enum algorithm algorithm, struct err *err)
{
	return err_set(err, "%s: is not a number of a %s; accepted %s", name,
		       algorithm_name(algorithm),
		       algorithm_traits(algorithm)->is_by_rate ? "are capacity and refill_rate"
							       : "is limit");
}

/* The numbers have to go with those of every override, since any of them may hold for the key. */
static bool check_numbers(const struct exception *exception, const struct body *body,
			  const struct policy *policy, const struct key_names *key, struct err *err)
{
	const struct quota *quota = key->is_inline ? &key->reserved.quota : &policy->terms.quota;
	int64_t lease_us = policy->terms.lease_us;
	struct quota unused;

	if (exception->kind != EXCEPTION_RAISE)
		return true;
	if (!algorithm_traits(quota->algorithm)->is_by_rate && body->has_capacity)
		return refuse_number("capacity", quota->algorithm, err);
	if (!algorithm_traits(quota->algorithm)->is_by_rate && body->has_rate)
		return refuse_number("refill_rate", quota->algorithm, err);
	if (algorithm_traits(quota->algorithm)->is_by_rate && body->has_limit)
		return refuse_number("limit", quota->algorithm, err);
	if (!exception_quota(exception, quota, &lease_us, &unused, err))
		return false;
	for (size_t i = 0; i < policy->override_count; i++) {
		const struct terms *terms = &policy->overrides[i].terms;
		lease_us = terms->lease_us;
		if (!exception_quota(exception, &terms->quota, &lease_us, &unused, err))
			return err_at(err, "with the numbers of overrides[%zu]: ", i);
	}
	return true;
}

/* ---- hashes ---- */

void exception_hash_text(struct bytes text, char ret_hash[EXCEPTION_KEY_HASH])
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, text.len > 0 ? text.data : (const uint8_t *)"", text.len);
	(void)sodium_bin2hex(ret_hash, EXCEPTION_KEY_HASH, hash, sizeof hash);
}

static bool hash_names(struct exception_draft *draft, bool is_inline)
{
	char hash[EXCEPTION_KEY_HASH];

	for (size_t i = 0; i < draft->exception.count; i++) {
		struct exception_name *name = &draft->names[i];
		/* The numbers of an inline policy are nobody's. */
		if (is_inline && !bytes_equal(name->name, BYTES("key")))
			continue;
		exception_hash_text(name->text, hash);
		if (!exception_draft_keep(draft, bytes_from_text(hash), &name->text))
			return false;
	}
	draft->exception.is_hashed = true;
	draft->exception.hash = draft->counted_as;
	return true;
}

/*
 * Of a policy the values as it counts by them, else the values with `|` between: what a policy that
 * counts by these names would count by.
 */
void exception_key_hash(const struct exception_draft *draft, char ret_key_hash[EXCEPTION_KEY_HASH])
{
	uint8_t memory[sizeof draft->memory];
	struct writer w = writer_on(memory, sizeof memory);

	if (draft->exception.policy.len > 0)
		writer_put(&w, draft->counted_as);
	for (size_t i = 0; i < draft->exception.count && draft->exception.policy.len == 0; i++) {
		if (i > 0)
			writer_put_u8(&w, '|');
		writer_put(&w, draft->names[i].text);
	}
	exception_hash_text(writer_bytes(&w), ret_key_hash);
}

/* So every agent comes to the same id for the same client, and a second exception replaces it. */
static void set_id(struct exception *exception, struct bytes identity)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, identity.data, identity.len);
	(void)sodium_bin2hex(exception->id, sizeof exception->id, hash, EXCEPTION_ID_MAX / 2);
}

/* ---- what is meant as an address ---- */

static bool refuse_failed_address(struct bytes name, struct bytes text, struct err *err)
{
	return err_set(err,
		       "%s: %s is no address and no network; accepted are such as \"192.0.2.1\", "
		       "\"192.0.2.0/24\" and \"2001:db8::/32\"",
		       quoted_unless_plain(name).text, quoted(text).text);
}

/* ---- the names, of a policy ---- */

static bool refuse_networks(const struct attributes *attributes, struct err *err)
{
	for (size_t i = 0; i < attributes->count; i++) {
		const struct attribute *attribute = &attributes->items[i];
		if (attribute->value.kind == VALUE_TEXT &&
		    text_is_written_as_network(attribute->value.text))
			return err_set(err,
				       "%s: a network is accepted without a policy only; a policy "
				       "counts by single values",
				       quoted_unless_plain(attribute->name).text);
	}
	return true;
}

/* The name of a policy's one attribute, in place of `key`. */
static struct bytes own_name(const struct policy *policy, struct bytes name, bool is_inline)
{
	bool is_key = bytes_equal(name, BYTES("key"));

	return is_key && !is_inline && policy->key_count == 1 ? policy->key[0] : name;
}

static bool keep_names(const struct exception_request *request, const struct policy *policy,
		       bool is_inline, struct exception_draft *draft)
{
	const struct attributes *attributes = request->attributes;
	char memory[VALUE_SHORT_TEXT_MAX];

	for (size_t i = 0; i < attributes->count; i++) {
		struct exception_name *name = &draft->names[i];
		struct bytes own = own_name(policy, attributes->items[i].name, is_inline);
		struct value value = attribute_canonical(own, &attributes->items[i].value);
		if (!exception_draft_keep(draft, own, &name->name) ||
		    !exception_draft_keep(draft, value_to_text(&value, memory), &name->text))
			return false;
	}
	for (size_t i = 0; i < policy->key_count && !is_inline; i++)
		if (!exception_draft_keep(draft, policy->key[i], &draft->key[i]))
			return false;
	draft->exception.count = attributes->count;
	draft->exception.key_count = is_inline ? 0 : policy->key_count;
	return true;
}

/* Of a policy that counts by `src`, which `key` may stand for. */
static bool refuse_failed_addresses(const struct attributes *attributes,
				    const struct policy *policy, bool is_inline, struct err *err)
{
	for (size_t i = 0; i < attributes->count; i++) {
		const struct attribute *attribute = &attributes->items[i];
		if (attribute->value.kind == VALUE_TEXT &&
		    text_is_failed_address(own_name(policy, attribute->name, is_inline),
					   attribute->value.text))
			return refuse_failed_address(attribute->name, attribute->value.text, err);
	}
	return true;
}

static bool name_policy(const struct exception_request *request, const struct policy *policy,
			const struct key_names *key, struct exception_draft *draft)
{
	struct check check = {
		.policy = policy, .terms = &policy->terms, .own_quota = key->reserved.quota};
	uint8_t identity[CHECK_KEY_MAX + POLICY_NAME_MAX];
	struct writer w = writer_on(identity, sizeof identity);

	check.quota = key->is_inline ? &check.own_quota : &policy->terms.quota;
	check_set_key(&check, key->values, key->count, key->is_explicit);
	writer_put_text(&w, policy->name);
	writer_put_u8(&w, ':');
	writer_put(&w, key->is_inline ? check_key(&check) : check_values(&check));
	set_id(&draft->exception, writer_bytes(&w));
	draft->exception.algorithm = check.quota->algorithm;
	return exception_draft_keep(draft, check_values(&check), &draft->counted_as) &&
	       exception_draft_keep(draft, bytes_from_text(policy->name),
				    &draft->exception.policy) &&
	       keep_names(request, policy, key->is_inline, draft) &&
	       (!request->hash_keys || hash_names(draft, key->is_inline));
}

static unsigned read_policy(const struct exception_request *request, const struct body *body,
			    struct exception_draft *draft, struct err *err)
{
	struct key_names key;
	bool is_inline;
	const struct policy *policy =
		key_names_find_policy(request->policies, request->policy, &is_inline);

	if (policy == NULL) {
		(void)err_set(err, "policy: %s is unknown", quoted(request->policy).text);
		return 404;
	}
	if (!refuse_networks(request->attributes, err) ||
	    !key_names_read(policy, is_inline, request->attributes, &key, err) ||
	    !refuse_failed_addresses(request->attributes, policy, is_inline, err) ||
	    !check_numbers(&draft->exception, body, policy, &key, err))
		return 400;
	if (!is_inline && policy->key_count == 0 && !body->is_wide) {
		(void)err_set(err, "the policy counts everybody together; accepted is "
				   "\"wide\":true (--wide) beside the other fields");
		return 400;
	}
	if (name_policy(request, policy, &key, draft))
		return 200;
	(void)err_set(err, TEXTS_TOO_LONG);
	return 400;
}

/* ---- the names, without a policy ---- */

/* The value as it is kept: "@@x" is the text "@x". */
static bool read_value(const struct attribute *attribute, const struct exception_request *request,
		       bool is_wide, struct writer *ret_text, struct err *err)
{
	struct quoted name = quoted_unless_plain(attribute->name);
	struct bytes text = attribute->value.text;
	char memory[VALUE_SHORT_TEXT_MAX];
	unsigned prefix;

	if (bytes_begin_with(text, BYTES("@@")))
		text = bytes_skip(text, 1);
	else if (bytes_begin_with(text, BYTES("@")))
		return err_set(err, "%s: a file is not accepted here; \"@@x\" is the text \"@x\"",
			       name.text);
	struct value network = network_read(text, attribute->name, &prefix);
	struct value value = value_text(text);
	bool is_network = value_is_address(&network) && memchr(text.data, '/', text.len) != NULL;
	unsigned bits = network.kind == VALUE_IPV4 ? 32 : 128;
	unsigned least = network.kind == VALUE_IPV4 ? WIDE_IPV4_PREFIX : WIDE_IPV6_PREFIX;
	if (text_is_written_as_network(text) && !value_is_address(&network))
		return err_set(err, "%s: %s is no network", name.text, quoted(text).text);
	if (text_is_failed_address(attribute->name, text))
		return refuse_failed_address(attribute->name, text, err);
	if (is_network && request->hash_keys)
		return err_set(err, "%s: with --hash-keys a network is not accepted", name.text);
	if (is_network && prefix < least && !is_wide)
		return err_set(err, "%s: a network wider than /%u wants \"wide\":true (--wide)",
			       name.text, least);
	value = is_network ? network : attribute_canonical(attribute->name, &value);
	writer_put(ret_text, value_to_text(&value, memory));
	if (is_network && prefix < bits) {
		writer_put_u8(ret_text, '/');
		writer_put_unsigned(ret_text, prefix);
	}
	return true;
}

static bool read_name(const struct attribute *attribute, const struct exception_request *request,
		      bool is_wide, struct exception_draft *draft, struct err *err)
{
	struct exception_name *name = &draft->names[draft->exception.count];
	uint8_t memory[RECORD_VALUE_MAX];
	struct writer text = writer_on(memory, sizeof memory);

	if (attribute_name_is_reserved(attribute->name))
		return err_set(err, "%s: is no attribute; accepted without a policy are attributes",
			       quoted_unless_plain(attribute->name).text);
	if (draft->exception.count == EXCEPTION_NAMES_MAX)
		return err_set(err, "accepted are up to %d attributes", EXCEPTION_NAMES_MAX);
	if (!read_value(attribute, request, is_wide, &text, err))
		return false;
	draft->exception.count++;
	return (!text.full && exception_draft_keep(draft, attribute->name, &name->name) &&
		exception_draft_keep(draft, writer_bytes(&text), &name->text)) ||
	       err_set(err, TEXTS_TOO_LONG);
}

static bool put_identity(struct writer *w, const struct exception_draft *draft)
{
	writer_put_u8(w, 0); /* no policy */
	for (size_t i = 0; i < draft->exception.count; i++) {
		writer_put_u32_be(w, (uint32_t)draft->names[i].name.len);
		writer_put(w, draft->names[i].name);
		writer_put_u32_be(w, (uint32_t)draft->names[i].text.len);
		writer_put(w, draft->names[i].text);
	}
	return !w->full;
}

static bool read_attributes(const struct exception_request *request, const struct body *body,
			    struct exception_draft *draft, struct err *err)
{
	const struct attributes *attributes = request->attributes;
	uint8_t memory[3 * RECORD_VALUE_MAX];
	struct writer identity = writer_on(memory, sizeof memory);

	if (draft->exception.kind == EXCEPTION_RAISE)
		return err_set(err, "numbers are accepted with a policy only: /exceptions/POLICY");
	if (attributes->count == 0)
		return err_set(err, "names are missing; accepted is at least one name=value");
	for (size_t i = 0; i < attributes->count; i++)
		if (!read_name(&attributes->items[i], request, body->is_wide, draft, err))
			return false;
	exception_draft_sort(draft);
	if (!put_identity(&identity, draft) || (request->hash_keys && !hash_names(draft, false)))
		return err_set(err, TEXTS_TOO_LONG);
	set_id(&draft->exception, writer_bytes(&identity));
	return true;
}

/* ---- all of it ---- */

unsigned exception_request_read(const struct exception_request *request,
				struct exception_draft *ret_draft,
				char ret_key_hash[EXCEPTION_KEY_HASH], struct err *err)
{
	struct exception *exception = &ret_draft->exception;
	struct body body = {0};
	unsigned status = 200;

	memset(ret_draft, 0, offsetof(struct exception_draft, memory));
	if (!read_body(request, &body, ret_draft, err) || !set_kind(&body, exception, err) ||
	    !set_until(request, &body, exception, err))
		return 400;
	if (request->policy.data != NULL)
		status = read_policy(request, &body, ret_draft, err);
	else if (!read_attributes(request, &body, ret_draft, err))
		status = 400;
	if (status != 200)
		return status;
	exception_draft_sort(ret_draft);
	exception->names = ret_draft->names;
	exception->key = ret_draft->key;
	exception_key_hash(ret_draft, ret_key_hash);
	if (exception_draft_keep(ret_draft, bytes_from_text(request->who.name), &ret_draft->who) &&
	    exception_draft_keep(ret_draft, bytes_from_text(request->who.from), &ret_draft->from))
		return 200;
	(void)err_set(err, TEXTS_TOO_LONG);
	return 400;
}
