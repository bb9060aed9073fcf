/*
 * fuzz_request.c - messages of any attributes, asked about a fixed set of policies, decided at
 * random, and told as an ACK. Keys must be printable and differ, costs must not wrap, the ACK must
 * fit and be read back.
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
#include "net/spop_map.h"
#include "wire/reader.h"

#define ATTRIBUTES_MAX 64
#define MESSAGES_MAX   64
#define NEXT_MESSAGE   0xff
#define SMALLEST_ACK   200 /* of the variables that are always set */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what is asked about ---- */

static void add_policy(struct policies *policies, const char *name, const char *keys,
		       enum on_error on_error)
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
	ASSERT(policies_add(policies, &policy));
}

static struct policies *new_policies(void)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	char name[] = "extra-a";
	ASSERT(policies != NULL);

	add_policy(policies, "src", "src", ON_ERROR_ALLOW);
	add_policy(policies, "path", "path", ON_ERROR_DENY);
	add_policy(policies, "both", "src,path", ON_ERROR_LOCAL);
	add_policy(policies, "all", "", ON_ERROR_ALLOW);
	for (; name[6] <= 'p'; name[6]++) /* 20 with these: more than one request takes */
		add_policy(policies, name, "x", ON_ERROR_ALLOW);
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
			ASSERT(!bytes_equal(check_key(check), check_key(request->checks[k])));
	}
}

/* Each check gets one of the answers that a store may give, by what its key happens to be. */
static void answer(struct request *request, unsigned seed)
{
	for (size_t i = 0; i < request->count; i++) {
		struct check *check = request->checks[i];
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
		ASSERT(check == NULL || check->is_decided);
	}
	spop_map_put_verdict(&w, &verdict, SPOP_VARS_ALL);
	ASSERT(!w.full);
	check_ack(writer_bytes(&w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policies *policies;
	static struct pool slots;
	struct bytes from = bytes_from(data, size);
	struct request request;
	uint8_t seed;

	if (policies == NULL) {
		policies = new_policies();
		ASSERT(pool_init(&slots, sizeof(struct check), REQUEST_CHECKS_MAX + 1));
	}
	if (!read_u8(&from, &seed))
		return 0;
	request_init(&request, policies, &slots);
	fill(&request, &from);
	check_request(&request);
	answer(&request, seed / 3u);
	tell(&request, (enum on_error)(seed % 3), SMALLEST_ACK);
	tell(&request, (enum on_error)(seed % 3), SPOP_ACK_MAX);
	request_clear(&request);
	return 0;
}
