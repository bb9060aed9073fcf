#include "limit/request.h"

#include <string.h>

#include "limit/reserved.h"

void request_init(struct request *request, const struct policies *policies, struct pool *slots)
{
	request->policies = policies_ref(policies);
	request->slots = slots;
	request->count = 0;
	request->is_look = false;
	request->exceptions = NULL;
	request->exception.id[0] = '\0';
	request->listed = LISTED_NOT;
	request->lacks_policies = policies_are_unknown(policies);
	request->is_invalid = false;
	request->is_policy_unknown = false;
	request->invalid_why = "";
	request->left_out = 0;
	request->key_never_came = NULL;
}

void request_drop_checks(struct request *request)
{
	while (request->count > 0)
		pool_put(request->slots, request->checks[--request->count]);
}

void request_clear(struct request *request)
{
	request_drop_checks(request);
	policies_unref(request->policies);
	request->policies = NULL;
}

static void set_invalid(struct request *request, const char *why)
{
	request->is_invalid = true;
	request->invalid_why = why;
}

/* Whose on_error holds for both. */
static bool is_stricter(const struct terms *a, const struct terms *b)
{
	static const int ranks[] = {
		[ON_ERROR_ALLOW] = 0, [ON_ERROR_LOCAL] = 1, [ON_ERROR_DENY] = 2};

	return ranks[a->on_error] > ranks[b->on_error];
}

/* One in shadow takes no part in what is charged, and what is blocked is not counted. */
static bool are_added_up(const struct check *a, const struct check *b)
{
	return a->is_shadow == b->is_shadow && a->is_decided == b->is_decided &&
	       bytes_equal(check_key(a), check_key(b));
}

/* `from` goes back to the pool, and terms of its own with it. */
static void take_terms(struct check *to, const struct check *from)
{
	if (from->terms != &from->own_terms) {
		to->terms = from->terms;
		return;
	}
	to->own_terms = from->own_terms;
	to->terms = &to->own_terms;
}

/*
 * Adds the cost to the check that counts by the same balance, if there is one already. The quotas
 * are equal, or the balances were not.
 */
static bool merge(struct request *request, const struct check *check)
{
	for (size_t i = 0; i < request->count; i++) {
		struct check *other = request->checks[i];
		if (!are_added_up(other, check))
			continue;
		if (__builtin_add_overflow(other->cost, check->cost, &other->cost))
			other->cost = INT64_MAX;
		if (is_stricter(check->terms, other->terms))
			take_terms(other, check);
		return true;
	}
	return false;
}

static bool stands_before(const struct check *a, const struct check *b)
{
	return a->policy->position < b->policy->position;
}

/* In file order; of more than fit, the last in the file is left out. */
static void insert(struct request *request, struct check *check)
{
	if (request->count == REQUEST_CHECKS_MAX) {
		struct check *last = request->checks[REQUEST_CHECKS_MAX - 1];
		bool is_before = stands_before(check, last);
		request->left_out++;
		pool_put(request->slots, is_before ? last : check);
		if (!is_before)
			return;
		request->count--;
	}
	size_t at = request->count++;

	for (; at > 0 && stands_before(check, request->checks[at - 1]); at--)
		request->checks[at] = request->checks[at - 1];
	request->checks[at] = check;
}

/* Whose value a given key is: `key` stands for the policy's one attribute, else for none. */
static struct bytes name_of_key(const struct policy *policy)
{
	return policy->key_count == 1 ? policy->key[0] : BYTES("key");
}

bool request_key_values(const struct policy *policy, const struct reserved *reserved,
			const struct attributes *attributes, bool is_inline, struct value *values,
			size_t *ret_count, bool *ret_is_explicit)
{
	size_t count = reserved->key != NULL ? 1 : policy->key_count;

	for (size_t i = 0; i < count; i++) {
		bool is_given = reserved->key != NULL;
		struct bytes name = is_given ? name_of_key(policy) : policy->key[i];
		const struct value *value =
			is_given ? reserved->key : attributes_find(attributes, name);
		if (value == NULL)
			return false;
		values[i] = attribute_canonical(name, value);
		value_cut_address(&values[i], policy->ipv4_prefix, policy->ipv6_prefix);
	}
	*ret_count = count;
	*ret_is_explicit = reserved->key != NULL && !is_inline && policy->key_count != 1;
	return true;
}

/* A request that only asks stays one; a number of the policy's holds for all others. */
static int64_t find_cost(const struct request *request, const struct policy *policy,
			 const struct terms *terms, const struct reserved *reserved,
			 const struct attributes *attributes)
{
	const struct value *value;
	int64_t cost = 1;

	if (reserved->cost == 0 || (terms->cost == 0 && terms->cost_attribute.data == NULL))
		return reserved->cost;
	if (terms->cost > 0)
		return terms->cost;
	value = attributes_find(attributes, terms->cost_attribute);
	if (value != NULL && value_is_huge(value))
		return INT64_MAX; /* above every limit: a larger lie is not cheaper */
	if ((value == NULL || !value_to_whole(value, 1, &cost)) && !request->is_look)
		policy->tally->bad_costs++;
	return cost;
}

static void set_quota(struct check *check, const struct reserved *reserved, bool is_inline)
{
	if (is_inline)
		check->own_quota = reserved->quota;
	check->quota = is_inline ? &check->own_quota : &check->terms->quota;
}

/* Is denied already, without the store, for so long; -1: for ever. */
static struct outcome blocked(int64_t left_us)
{
	return (struct outcome){.allowed = false, .retry_after_us = left_us, .reset_us = left_us};
}

/* ---- exceptions of a policy ---- */

/* What the exception makes of the check. False when the request is not checked by the policy. */
static bool apply_exception(struct check *check, const struct exception *exception,
			    const struct exception_hit *hit)
{
	struct terms terms = *check->terms;
	struct quota quota;
	struct err err;

	if (hit->kind == EXCEPTION_ALLOW)
		return false;
	if (hit->kind == EXCEPTION_RAISE) {
		/* The policies may have changed so that the numbers fit no longer. */
		if (!exception_quota(exception, check->quota, &terms.lease_us, &quota, &err))
			return !terms.is_unlimited;
		terms.quota = quota;
		terms.header_len = 0;     /* what the headers say is of the other numbers */
		check->own_quota = quota; /* the key has the inline policy's own numbers already */
	} else {
		terms.is_shadow = false;
		terms.shadow_share = 0;
	}
	terms.is_unlimited = false;
	terms.is_blocked = hit->kind == EXCEPTION_BLOCK;
	check->own_terms = terms;
	check->terms = &check->own_terms;
	if (check->quota != &check->own_quota)
		check->quota = &check->own_terms.quota;
	memcpy(check->exception, hit->id, sizeof check->exception);
	return true;
}

/* Another policy that is to be told waits for its next request. */
static void count_absent_key(struct request *request, const struct policy *policy)
{
	struct tally *tally = policy->tally;

	tally->keys_absent++;
	if (tally->has_key_come || tally->is_absence_told || request->key_never_came != NULL ||
	    tally->keys_absent - tally->keys_absent_before < REQUEST_ABSENT_KEYS)
		return;
	tally->is_absence_told = true;
	request->key_never_came = policy;
}

/* False when the request is not checked by the policy. */
static bool look_for_exception(const struct request *request, struct check *check,
			       int64_t *ret_blocked_us)
{
	struct exception_hit hit;
	const struct exception *exception = exceptions_find(request->exceptions, check, &hit);

	if (exception == NULL)
		return !check->terms->is_unlimited;
	*ret_blocked_us = hit.kind == EXCEPTION_BLOCK ? hit.left_us : -1;
	return apply_exception(check, exception, &hit);
}

bool request_find_exception(const struct request *request, const struct policy *policy,
			    const struct reserved *reserved, const struct attributes *attributes,
			    struct exception_hit *ret_hit)
{
	bool is_inline = policy == policies_inline(request->policies), is_explicit;
	struct value values[POLICY_KEY_MAX];
	struct check check;
	size_t count;

	if (request->exceptions == NULL || !exceptions_are_of_policies(request->exceptions) ||
	    !request_key_values(policy, reserved, attributes, is_inline, values, &count,
				&is_explicit))
		return false;
	check.policy = policy;
	check.terms = &policy->terms;
	set_quota(&check, reserved, is_inline);
	check_set_key(&check, values, count, is_explicit);
	return exceptions_find(request->exceptions, &check, ret_hit) != NULL;
}

/* Nothing is added when an attribute that the policy counts by is absent. */
static void add_check(struct request *request, const struct policy *policy,
		      const struct reserved *reserved, const struct attributes *attributes)
{
	bool is_inline = policy == policies_inline(request->policies);
	struct value values[POLICY_KEY_MAX];
	bool is_explicit;
	size_t count;

	if (!request_key_values(policy, reserved, attributes, is_inline, values, &count,
				&is_explicit)) {
		if (!request->is_look)
			count_absent_key(request, policy);
		return;
	}
	/* A balance's line of memory is not written for nothing. */
	if (!policy->tally->has_key_come && !request->is_look)
		policy->tally->has_key_come = true;
	const struct terms *terms = policy_terms(policy, attributes, reserved->key);
	bool may_be_excepted =
		request->exceptions != NULL && exceptions_are_of_policies(request->exceptions);
	if (terms->is_unlimited && !may_be_excepted)
		return;
	struct check *check = pool_get(request->slots);
	int64_t blocked_us = -1;
	ASSERT(check != NULL);
	check->policy = policy;
	check->terms = terms;
	check->exception[0] = '\0';
	set_quota(check, reserved, is_inline);
	check_set_key(check, values, count, is_explicit);
	if (may_be_excepted && !look_for_exception(request, check, &blocked_us)) {
		pool_put(request->slots, check);
		return;
	}
	terms = check->terms;
	check->cost = find_cost(request, policy, terms, reserved, attributes);
	check->error = 0;
	check->is_decided = terms->is_blocked;
	check->is_skipped = check->is_remembered = false;
	check->outcome = terms->is_blocked ? blocked(blocked_us) : (struct outcome){0};
	check->is_shadow = check_is_to_be_in_shadow(check);
	if (merge(request, check))
		pool_put(request->slots, check);
	else
		insert(request, check);
}

/* ---- what comes before all policies: exceptions without one, the lists `allow` and `block` ----
 */

static bool has_exception(const struct request *request)
{
	return request->exception.id[0] != '\0';
}

bool request_is_settled(const struct request *request)
{
	return has_exception(request) || request->listed == LISTED_ALLOW ||
	       (request->listed == LISTED_BLOCK &&
		!policies_blocked(request->policies)->terms.is_shadow);
}

/* Before all other checks, which are of earlier messages. */
static void insert_first(struct request *request, struct check *check)
{
	if (request->count == REQUEST_CHECKS_MAX) {
		pool_put(request->slots, request->checks[--request->count]);
		request->left_out++;
	}
	memmove(request->checks + 1, request->checks, request->count * sizeof request->checks[0]);
	request->checks[0] = check;
	request->count++;
}

static struct check *add_blocked(struct request *request)
{
	const struct policy *policy = policies_blocked(request->policies);
	struct check *check = pool_get(request->slots);

	ASSERT(check != NULL);
	check->policy = policy;
	check->terms = &policy->terms;
	check->quota = &policy->terms.quota;
	check->is_shadow = policy->terms.is_shadow;
	check->cost = 1;
	check->error = 0;
	check->is_decided = true;
	check->is_skipped = check->is_remembered = false;
	check->outcome = blocked(-1);
	check->exception[0] = '\0';
	check_set_key(check, NULL, 0, false);
	insert_first(request, check);
	return check;
}

static void set_listed(struct request *request, enum listed listed)
{
	if (listed <= request->listed)
		return;
	request->listed = listed;
	if (request_is_settled(request)) {
		request_drop_checks(request);
		request->left_out = 0;
	}
	if (listed == LISTED_BLOCK)
		(void)add_blocked(request);
}

/* Of several messages the exception holds that overrules the others. */
static void look_at_exceptions(struct request *request, const struct attributes *attributes,
			       const struct attribute *instead)
{
	struct exception_hit hit;

	if (!exceptions_search(request->exceptions, attributes, instead, &hit) ||
	    (has_exception(request) && !exception_hit_overrules(&hit, &request->exception)))
		return;
	request->exception = hit;
	request->listed = LISTED_NOT;
	request_drop_checks(request);
	request->left_out = 0;
	if (hit.kind != EXCEPTION_BLOCK)
		return;
	struct check *check = add_blocked(request);
	check->is_shadow = false; /* --shadow-all is of what the file says */
	check->outcome = blocked(hit.left_us);
	memcpy(check->exception, hit.id, sizeof check->exception);
}

static void look_at_both(struct request *request, const struct attributes *attributes,
			 const struct attribute *instead)
{
	if (request->exceptions != NULL)
		look_at_exceptions(request, attributes, instead);
	if (!has_exception(request) && policies_have_lists(request->policies))
		set_listed(request, policies_find_listed(request->policies, attributes, instead));
}

/* A given key stands for the one attribute that a named policy counts by, as it does in overrides.
 */
static void look_by_given_key(struct request *request, const struct reserved *reserved,
			      const struct attributes *attributes)
{
	struct bytes names = reserved->policy, name;

	for (size_t i = 0; i < REQUEST_CHECKS_MAX && bytes_next_item(&names, ',', &name); i++) {
		const struct policy *policy = policies_find(request->policies, bytes_trim(name));
		if (policy == NULL || policy->key_count != 1)
			continue;
		const struct attribute instead = {policy->key[0], *reserved->key};
		look_at_both(request, attributes, &instead);
	}
}

static bool find_entry(const struct request *request, const struct attributes *attributes,
		       const struct attribute *instead, struct request_entry *ret_entry)
{
	const struct match_list *list = policies_get_list(request->policies, request->listed);
	size_t position = match_list_find(list, attributes, instead);

	if (position >= list->count)
		return false;
	*ret_entry = (struct request_entry){
		.position = position,
		.match = &list->matches[position],
		.has_instead = instead != NULL,
	};
	if (instead != NULL)
		ret_entry->instead = *instead;
	return true;
}

/* Looks where look_before_policies looked, in the same order. */
bool request_find_entry(const struct request *request, const struct reserved *reserved,
			const struct attributes *attributes, struct request_entry *ret_entry)
{
	struct bytes names = reserved->policy, name;

	if (request->listed == LISTED_NOT)
		return false;
	if (find_entry(request, attributes, NULL, ret_entry))
		return true;
	if (!reserved->has_policy || reserved->key == NULL)
		return false;
	for (size_t i = 0; i < REQUEST_CHECKS_MAX && bytes_next_item(&names, ',', &name); i++) {
		const struct policy *policy = policies_find(request->policies, bytes_trim(name));
		if (policy == NULL || policy->key_count != 1)
			continue;
		const struct attribute instead = {policy->key[0], *reserved->key};
		if (find_entry(request, attributes, &instead, ret_entry))
			return true;
	}
	return false;
}

/* `reserved` is NULL when the message is invalid. */
static void look_before_policies(struct request *request, const struct reserved *reserved,
				 const struct attributes *attributes)
{
	look_at_both(request, attributes, NULL);
	if (reserved != NULL && reserved->has_policy && reserved->key != NULL)
		look_by_given_key(request, reserved, attributes);
}

/* ---- messages ---- */

/* Policies that a message names, each once. */
struct named {
	const struct policy *policies[REQUEST_CHECKS_MAX];
	size_t count;
	size_t left_out;
};

static bool is_named(const struct named *named, const struct policy *policy)
{
	for (size_t i = 0; i < named->count; i++)
		if (named->policies[i] == policy)
			return true;
	return false;
}

/* False when one is unknown. */
static bool find_named(const struct policies *policies, struct bytes names, struct named *named)
{
	struct bytes name;

	while (bytes_next_item(&names, ',', &name)) {
		const struct policy *policy = policies_find(policies, bytes_trim(name));
		if (policy == NULL)
			return false;
		if (is_named(named, policy))
			continue;
		if (named->count == REQUEST_CHECKS_MAX)
			named->left_out++;
		else
			named->policies[named->count++] = policy;
	}
	return true;
}

static bool has_key(const struct policy *policy, const struct attributes *attributes)
{
	for (size_t i = 0; i < policy->key_count; i++)
		if (attributes_find(attributes, policy->key[i]) == NULL)
			return false;
	return true;
}

/* All of them are looked at first: a message is taken whole or not at all. */
static void add_named(struct request *request, const struct reserved *reserved,
		      const struct attributes *attributes)
{
	struct named named = {.count = 0};

	if (!find_named(request->policies, reserved->policy, &named)) {
		set_invalid(request, "unknown policy");
		request->is_policy_unknown = true;
		return;
	}
	for (size_t i = 0; i < named.count; i++) {
		if (reserved->key == NULL && !has_key(named.policies[i], attributes)) {
			set_invalid(request, "neither key nor the policy's attributes");
			return;
		}
	}
	if (request_is_settled(request))
		return;
	request->left_out += named.left_out;
	for (size_t i = 0; i < named.count; i++)
		add_check(request, named.policies[i], reserved, attributes);
}

static void add_matching(struct request *request, const struct reserved *reserved,
			 const struct attributes *attributes)
{
	const struct policy *policy;
	struct policy_search search;

	policy_search_begin(&search, request->policies, attributes);
	while ((policy = policy_search_next(&search)) != NULL)
		add_check(request, policy, reserved, attributes);
}

void request_add(struct request *request, const struct attributes *attributes)
{
	struct reserved reserved;
	const char *why;

	bool is_good = reserved_read(attributes, &reserved, &why);

	if (policies_have_lists(request->policies) || request->exceptions != NULL)
		look_before_policies(request, is_good ? &reserved : NULL, attributes);
	if (!is_good) {
		set_invalid(request, why);
	} else if (request->lacks_policies) {
		return;
	} else if (reserved.has_policy) {
		add_named(request, &reserved, attributes);
	} else if (request_is_settled(request)) {
		return;
	} else if (reserved.has_algorithm) {
		add_check(request, policies_inline(request->policies), &reserved, attributes);
	} else {
		add_matching(request, &reserved, attributes);
	}
}
