/*
 * What comes before a new exception is found in two ways.
 *
 * The names of an exception of a policy are taken for a request. What decides such a request before
 * any policy is named: an exception without a policy, else a list.
 *
 * An exception of no policy is compared with each other one. One that has more names, or a longer
 * network, overrules it for a part of its requests. SCAN_MAX bounds that, since HAProxy's requests
 * wait meanwhile.
 */
#include "app/operate/exception_overrules.h"

#include <string.h>

#define SCAN_MAX 10000 /* exceptions that are looked at: some milliseconds */

/* ---- one value in another ---- */

static bool is_same_address(const struct value *a, const struct value *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == VALUE_IPV4 ? memcmp(a->ipv4, b->ipv4, sizeof a->ipv4) == 0
				     : memcmp(a->ipv6, b->ipv6, sizeof a->ipv6) == 0;
}

bool exception_name_holds(const struct exception_name *name, const struct exception_name *value)
{
	unsigned wide, narrow;
	struct value outer = network_read(name->text, name->name, &wide);
	struct value inner = network_read(value->text, value->name, &narrow);

	if (!value_is_address(&outer) || !value_is_address(&inner))
		return bytes_equal(name->text, value->text);
	if (narrow < wide)
		return false;
	value_cut_address(&inner, wide, wide);
	return is_same_address(&outer, &inner);
}

static const struct exception_name *find_name(const struct exception *exception, struct bytes name)
{
	for (size_t i = 0; i < exception->count; i++)
		if (bytes_equal(exception->names[i].name, name))
			return &exception->names[i];
	return NULL;
}

/* Whether every request that `inner` is for is one of `outer` too. */
static bool is_part_of(const struct exception *inner, const struct exception *outer)
{
	for (size_t i = 0; i < outer->count; i++) {
		const struct exception_name *name = find_name(inner, outer->names[i].name);
		if (name == NULL || !exception_name_holds(&outer->names[i], name))
			return false;
	}
	return true;
}

/* ---- what overrules ---- */

static bool is_named(const struct overrules *overrules, const char *id)
{
	for (size_t i = 0; i < overrules->count; i++)
		if (strcmp(overrules->ids[i], id) == 0)
			return true;
	return false;
}

static void add_id(struct overrules *overrules, const char *id)
{
	if (overrules->count < OVERRULES_MAX && !is_named(overrules, id))
		memcpy(overrules->ids[overrules->count++], id, EXCEPTION_ID_MAX + 1);
}

/* All that is looked at before any policy. A given key stands for the policy's one attribute. */
static void find_before_policies(struct overrules *overrules, const struct exceptions *exceptions,
				 const struct policies *policies, const struct exception *exception,
				 const struct attributes *attributes)
{
	const struct value *key = attributes_find(attributes, BYTES("key"));
	const struct attribute *instead = NULL;
	struct attribute of_key;
	struct exception_hit hit;

	if (key != NULL && exception->key_count == 1) {
		of_key = (struct attribute){exception->key[0], *key};
		instead = &of_key;
	}
	if (exceptions_search(exceptions, attributes, instead, &hit)) {
		add_id(overrules, hit.id);
		return; /* which overrules the lists too */
	}
	enum listed listed = policies_find_listed(policies, attributes, instead);
	overrules->is_allowed = listed == LISTED_ALLOW;
	overrules->is_blocked =
		listed == LISTED_BLOCK && !policies_blocked(policies)->terms.is_shadow;
}

/* Exceptions for a part of its requests: with more names, or a longer network. */
static void find_narrower(struct overrules *overrules, const struct exceptions *exceptions,
			  const struct exception *exception)
{
	size_t count = exceptions_count(exceptions);
	struct exception_hit own = exceptions_hit(exceptions, exception);

	own.changed_ms = UINT64_MAX; /* it is the newest now */
	for (size_t i = 0; i < count && i < SCAN_MAX; i++) {
		const struct exception *other = exceptions_at(exceptions, i);
		if (other->policy.len > 0 || strcmp(other->id, exception->id) == 0 ||
		    other->is_hashed != exception->is_hashed ||
		    exception_has_ended(exceptions, other) || !is_part_of(other, exception))
			continue;
		struct exception_hit hit = exceptions_hit(exceptions, other);
		if (exception_hit_overrules(&hit, &own))
			add_id(overrules, other->id);
	}
}

void overrules_find(struct overrules *ret_overrules, const struct exceptions *exceptions,
		    const struct policies *policies, const struct exception *exception,
		    const struct attributes *attributes)
{
	*ret_overrules = (struct overrules){.count = 0};
	if (exception->policy.len > 0)
		find_before_policies(ret_overrules, exceptions, policies, exception, attributes);
	else
		find_narrower(ret_overrules, exceptions, exception);
}

void overrules_put(const struct overrules *overrules, FILE *to)
{
	const char *separator = "";

	fputs(",\"overruled_by\":[", to);
	if (overrules->is_allowed || overrules->is_blocked) {
		fputs(overrules->is_allowed ? "\"allow list\"" : "\"block list\"", to);
		separator = ",";
	}
	for (size_t i = 0; i < overrules->count; i++) {
		fprintf(to, "%s\"exception %s\"", separator, overrules->ids[i]);
		separator = ",";
	}
	fputc(']', to);
}
