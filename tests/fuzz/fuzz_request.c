/*
 * fuzz_request.c - messages of any attributes, asked of a fixed set of policies with and without
 * the index, decided at random, and answered by an ACK. With and without the index the checks must
 * be the same. Keys must be printable and differ, costs must not wrap, and the ACK must fit and be
 * read back.
 *
 * The input is a byte for on_error, and attributes: a byte of a name, a byte of a kind, what the
 * kind needs. A kind of 0xff begins the next message.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/writer.h"
#include "limit/request.h"
#include "limit/verdict.h"
#include "net/spop/spop_map.h"
#include "store/store_error.h"
#include "wire/reader.h"

#define ATTRIBUTES_MAX 64
#define MESSAGES_MAX   64
#define NEXT_MESSAGE   0xff
#define SMALLEST_ACK   200 /* of the variables that are always set */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what is asked about ---- */

static struct policy policy_of(const char *name, const char *keys, enum on_error on_error)
{
	struct bytes list = bytes_from_text(keys), key;
	struct policy policy = {
		.terms.quota = {.algorithm = FIXED_WINDOW, .limit = 10, .window_us = 60000000},
		.terms.on_error = on_error,
		.ipv4_prefix = 24,
		.ipv6_prefix = 56,
	};

	memcpy(policy.name, name, strlen(name));
	while (list.len > 0 && bytes_next_item(&list, ',', &key))
		policy.key[policy.key_count++] = key;
	return policy;
}

static void add_condition(struct conditions *match, const char *attribute, const char *patterns)
{
	struct condition *condition = conditions_add(match, bytes_from_text(attribute));
	struct bytes list = bytes_from_text(patterns), pattern;

	ASSERT(condition != NULL);
	while (bytes_next_item(&list, '|', &pattern))
		ASSERT(condition_add_pattern(condition, pattern));
}

/* The terms of an override for requests whose attribute fits. */
static struct terms *add_override(struct policy *policy, const char *attribute,
				  const char *patterns)
{
	struct override *override = policy_add_override(policy);

	ASSERT(override != NULL);
	add_condition(&override->match, attribute, patterns);
	return &override->terms;
}

static void add_plain(struct policies *policies, const char *name, const char *keys,
		      enum on_error on_error)
{
	struct policy policy = policy_of(name, keys, on_error);

	ASSERT(policies_add(policies, &policy));
}

/* Conditions of every sort. */
static void add_matched(struct policies *policies)
{
	static const struct {
		const char *name, *attribute, *patterns, *and_attribute, *and_patterns;
	} all[] = {
		{"exact", "path", "/|/login|", "x", "true|1"},
		{"stars", "path", "/a*|*.css|/b*c*", "y", "*"},
		{"nets", "src", "10.0.0.0/8|2001:db8::/32|::/0|192.0.2.1", "path", "*"},
		{"mapped", "src", "::ffff:192.0.2.0/120|::ffff:0:0/97", "src", "*.*|*:*"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct policy policy = policy_of(all[i].name, "src", ON_ERROR_LOCAL);
		add_condition(&policy.match, all[i].attribute, all[i].patterns);
		add_condition(&policy.match, all[i].and_attribute, all[i].and_patterns);
		policy.terms.is_shadow = i % 2 == 1;
		ASSERT(policies_add(policies, &policy));
	}
}

/* Overrides of every sort; and in `plans` so many that they have an index. */
static void add_overridden(struct policies *policies)
{
	struct policy policy = policy_of("terms", "x", ON_ERROR_DENY);
	struct policy plans = policy_of("plans", "y", ON_ERROR_ALLOW);
	static const char *const patterns[] = {"",   "1",    "2*",        "true", "*a",
					       "/*", "::/0", "0.0.0.0/0", "a*b",  "0"};

	add_override(&policy, "y", "u*")->is_unlimited = true;
	add_override(&policy, "y", "b*")->is_blocked = true;
	add_override(&policy, "y", "")->is_shadow = true;
	add_override(&policy, "x", "::/0|true")->cost = 7;
	add_override(&policy, "src", "0.0.0.0/1")->cost_attribute = BYTES("path");
	add_override(&policy, "x", "1*")->quota.limit = 99;
	policy.overrides[policy.override_count - 1].has_own_balances = true;
	ASSERT(policies_add(policies, &policy));
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		add_override(&plans, "y", patterns[i])->quota.limit = 20 + (int64_t)i;
		plans.overrides[i].has_own_balances = true;
	}
	ASSERT(policies_add(policies, &plans));
}

static struct policies *new_policies(bool has_index)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	char name[] = "extra-a";
	ASSERT(policies != NULL);

	add_plain(policies, "src", "src", ON_ERROR_ALLOW);
	add_plain(policies, "path", "path", ON_ERROR_DENY);
	add_plain(policies, "both", "src,path", ON_ERROR_LOCAL);
	add_plain(policies, "all", "", ON_ERROR_ALLOW);
	add_matched(policies);
	add_overridden(policies);
	for (; name[6] <= 'p'; name[6]++) /* more with these than one request takes */
		add_plain(policies, name, "x", ON_ERROR_ALLOW);
	ASSERT(!has_index || policies_compile(policies));
	return policies;
}

/* ---- bytes become attributes ---- */

static const char *const names[] = {
	"src",       "path",     "x",           "y",     "policy", "key", "cost",
	"algorithm", "capacity", "refill_rate", "limit", "window", "Src", "",
};

static const char *const texts[] = {
	"token_bucket",
	"sliding_window",
	"sliding_window_counter",
	"fixed_window",
	"src,path",
	"both",
	"all, src",
	"1/2s",
	"::ffff:192.0.2.1",
	"2001:DB8::1",
	"1m",
	"extra-a,extra-b,extra-c",
	"terms,plans",
	"/login",
	"/a/b.css",
	"10.1.2.3",
	"unlimited",
	"blocked",
};

static bool read_address(struct bytes *from, uint8_t *address, size_t len)
{
	struct bytes bytes;

	if (!read_bytes(from, len, &bytes))
		return false;
	memcpy(address, bytes.data, len);
	return true;
}

static bool read_number(struct bytes *from, struct value *value)
{
	uint64_t number;

	if (!read_varint(from, &number))
		return false;
	*value = value->kind == VALUE_NEGATIVE
			 ? value_integer((int64_t)number)
			 : (struct value){.kind = VALUE_NATURAL, .natural = number};
	return true;
}

static bool read_value(struct bytes *from, uint8_t kind, struct value *value)
{
	uint8_t byte;

	*value = (struct value){.kind = (enum value_kind)(kind % (VALUE_IPV6 + 2))};
	switch ((int)value->kind) {
	case VALUE_ABSENT:
		return true;
	case VALUE_TEXT:
		return read_string(from, &value->text);
	case VALUE_NATURAL:
	case VALUE_NEGATIVE:
		return read_number(from, value);
	case VALUE_BOOL:
		value->boolean = (kind & 0x80) != 0;
		return true;
	case VALUE_IPV4:
		return read_address(from, value->ipv4, sizeof value->ipv4);
	case VALUE_IPV6:
		return read_address(from, value->ipv6, sizeof value->ipv6);
	}
	if (!read_u8(from, &byte))
		return false;
	*value = value_text(bytes_from_text(texts[byte % ARRAY_SIZE(texts)]));
	return true;
}

/* False at the end of the input; *ret_count is what the message has until then. */
static bool read_message(struct bytes *from, struct attribute *items, size_t *ret_count)
{
	uint8_t name, kind;

	for (*ret_count = 0; *ret_count < ATTRIBUTES_MAX; ++*ret_count) {
		struct attribute *item = &items[*ret_count];
		if (!read_u8(from, &name) || !read_u8(from, &kind))
			return false;
		if (kind == NEXT_MESSAGE)
			return true;
		item->name = bytes_from_text(names[name % ARRAY_SIZE(names)]);
		if (!read_value(from, kind, &item->value))
			return false;
	}
	return true;
}

static void fill(struct request *request, struct bytes *from)
{
	struct attribute items[ATTRIBUTES_MAX];

	for (int i = 0; i < MESSAGES_MAX; i++) {
		struct attributes attributes = {.items = items};
		bool more = read_message(from, items, &attributes.count);
		request_add(request, &attributes);
		if (!more)
			return;
	}
}

/* ---- what came of it ---- */

static void check_key_text(const struct check *check)
{
	ASSERT(check->key_len > 0 && check->key_len <= sizeof check->key);
	for (size_t i = 0; i < check->key_len; i++) {
		char c = check->key[i];
		ASSERT(c > ' ' && c <= '~' && c != '{' && c != '}');
	}
}

static void check_request(const struct request *request)
{
	ASSERT(request->count <= REQUEST_CHECKS_MAX);
	ASSERT(request->is_invalid == (*request->invalid_why != '\0'));
	for (size_t i = 0; i < request->count; i++) {
		const struct check *check = request->checks[i];
		check_key_text(check);
		ASSERT(check->cost >= 0);
		ASSERT(check->quota->limit >= 1);
		ASSERT(i == 0 ||
		       request->checks[i - 1]->policy->position <= check->policy->position);
		for (size_t k = 0; k < i; k++)
			ASSERT(!bytes_equal(check_key(check), check_key(request->checks[k])) ||
			       check->is_shadow != request->checks[k]->is_shadow ||
			       check->is_decided != request->checks[k]->is_decided);
		ASSERT(!check->terms->is_unlimited);
		ASSERT(check->is_decided == check->terms->is_blocked);
	}
}

/* The policies of both are the same, but for the index. */
static void check_alike(const struct request *a, const struct request *b)
{
	ASSERT(a->count == b->count && a->left_out == b->left_out);
	ASSERT(a->is_invalid == b->is_invalid && a->invalid_why == b->invalid_why);
	for (size_t i = 0; i < a->count; i++) {
		const struct check *one = a->checks[i], *other = b->checks[i];
		ASSERT(bytes_equal(check_key(one), check_key(other)));
		ASSERT(one->cost == other->cost && one->is_shadow == other->is_shadow);
		ASSERT(one->is_decided == other->is_decided);
		ASSERT(one->quota->limit == other->quota->limit);
		ASSERT(one->terms->on_error == other->terms->on_error);
	}
}

/* Each check gets one of the answers that a store may give, by what its key happens to be. */
static void answer(struct request *request, unsigned seed)
{
	for (size_t i = 0; i < request->count; i++) {
		struct check *check = request->checks[i];
		if (check->is_decided) /* blocked: no store is asked */
			continue;
		unsigned dice = seed + (unsigned)i * 7 + (unsigned)check->key[check->key_len - 1];
		check->error = dice % 3 == 0 ? STORE_TIMEOUT : STORE_OK;
		check->is_decided = dice % 3 != 0 || dice % 2 == 0;
		if (!check->is_decided)
			continue;
		bool passes = dice % 5 < 3;
		check->outcome = (struct outcome){
			.allowed = passes,
			.remaining = passes ? check->quota->limit - 1 : 0,
			.retry_after_us = passes          ? 0
					  : dice % 5 == 3 ? -1
							  : QUOTA_WINDOW_MAX_US,
			.reset_us = quota_full_us(check->quota),
			.grows_us = 1,
		};
	}
}

/* Actions of known types, to the end. */
static void check_ack(struct bytes payload)
{
	uint8_t type, count, scope;
	struct bytes name;
	struct spop_data data;
	unsigned actions = 0;

	for (; payload.len > 0; actions++) {
		ASSERT(read_u8(&payload, &type) && read_u8(&payload, &count));
		ASSERT(read_u8(&payload, &scope) && read_string(&payload, &name));
		ASSERT((type == 1 && count == 3) || (type == 2 && count == 2));
		ASSERT(scope == SPOP_SCOPE_TRANSACTION && name.len > 0);
		ASSERT(type == 2 || spop_data_read(&payload, &data));
	}
	ASSERT(actions >= 5);
}

static void tell(const struct request *request, enum on_error on_error, size_t max)
{
	uint8_t memory[SPOP_ACK_MAX];
	struct writer w = writer_on(memory, max);
	struct verdict verdict = verdict_fold(request, on_error);

	ASSERT((verdict.retry_after_us == 0) == verdict.allowed);
	for (size_t i = 0; i <= REQUEST_CHECKS_MAX; i++) {
		const struct check *check = verdict_header_check(&verdict, i);
		ASSERT(check == NULL ||
		       (check->is_decided && !check->is_shadow && !check->terms->is_blocked));
	}
	spop_map_put_verdict(&w, &verdict, SPOP_VARS_ALL);
	ASSERT(!w.full);
	check_ack(writer_bytes(&w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policies *policies, *without_index;
	static struct pool slots;
	struct bytes from = bytes_from(data, size);
	struct request request, again;
	uint8_t seed;

	if (policies == NULL) {
		policies = new_policies(true);
		without_index = new_policies(false);
		ASSERT(pool_init(&slots, sizeof(struct check), 2 * REQUEST_CHECKS_MAX + 1));
	}
	if (!read_u8(&from, &seed))
		return 0;
	struct bytes from_again = from;
	request_init(&request, policies, &slots);
	fill(&request, &from);
	check_request(&request);
	request_init(&again, without_index, &slots);
	fill(&again, &from_again);
	check_alike(&request, &again);
	request_clear(&again);
	answer(&request, seed / 3u);
	tell(&request, (enum on_error)(seed % 3), SMALLEST_ACK);
	tell(&request, (enum on_error)(seed % 3), SPOP_ACK_MAX);
	request_clear(&request);
	return 0;
}
