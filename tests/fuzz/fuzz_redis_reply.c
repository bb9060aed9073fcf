/*
 * fuzz_redis_reply.c - a stream of bytes as from Redis. Each reply in it is read as the reply to a
 * call of some requests. It must decide all checks of a request, with outcomes that are possible,
 * or none of them; checks in shadow are decided one by one. The memory store keeps what is decided,
 * and then decides the same checks.
 *
 * The first byte says which requests, and in what pieces the rest comes.
 */
#include <stdint.h>
#include <stdlib.h>

#include <hiredis/read.h>
#include <sodium.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/request.h"
#include "store/memory.h"
#include "store/redis/redis_reply.h"
#include "store/redis/redis_script.h"
#include "support/quotas.h"

#define OPS_MAX    4
#define CHECKS_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what was asked ---- */

/*
 * A letter for one of the quotas, a digit for a cost; a comma between two requests. Behind a slash
 * they are in shadow; a request with an exclamation mark is denied already.
 */
static const char *const calls[] = {
	"a1",
	"b1",
	"c1",
	"d1",
	"a0b0c0d0",
	"a9,b9,c9,d9",
	"b5,b4,b3,b2",
	"a7",
	"b6",
	"e1",
	"f8g8h8e8",
	"d1,d1d1,b2,a3",
	"h1,g1,f1b1c1d1,e9",
	"d1/d1",
	"a3/b1c1d0",
	"/b1,d1/a1",
	"!d1a1/c1,/d2d9",
};

static const int64_t costs[] = {
	0, 1, 2, 3, 4, 5, 6, 10, 1000000, INT64_MAX,
};

/* What a reply says is kept in memory, to stand in for Redis. */
static struct store *memory;

static void keep(struct store_op *op, const struct check *check, const struct balance *balance,
		 bool is_charged, int64_t now_us)
{
	(void)is_charged;
	(void)op;
	memory->keep(memory, check, balance, now_us);
}

struct call {
	struct list ops;
	struct store_op op[OPS_MAX];
	struct check checks[OPS_MAX][CHECKS_MAX];
	struct check *pointers[OPS_MAX][CHECKS_MAX];
};

static void add_check(struct call *call, size_t op, char quota, char cost)
{
	struct check *check = &call->checks[op][call->op[op].count];

	check->quota = &quotas[(quota - 'a') % ARRAY_SIZE(quotas)];
	check->cost = costs[(cost - '0') % ARRAY_SIZE(costs)];
	check->key[0] = quota; /* each has a balance of its own */
	check->key_len = 1;
	check->hash = key_hash_of_values(check_key(check));
	check->error = STORE_FULL; /* that is not said by Redis */
	call->pointers[op][call->op[op].count++] = check;
}

static void fill(struct call *call, const char *text)
{
	size_t op = 0;

	memset(call, 0, sizeof *call);
	list_init(&call->ops);
	for (bool is_shadow = false; *text != '\0'; text++) {
		if (*text == ',') {
			op++;
			is_shadow = false;
		} else if (*text == '!') {
			call->op[op].is_denied = true;
		} else if (*text == '/') {
			is_shadow = true;
		} else {
			add_check(call, op, text[0], text[1]);
			call->op[op].shadow += is_shadow;
			text++;
		}
	}
	for (size_t i = 0; i <= op; i++) {
		call->op[i].checks = call->pointers[i];
		call->op[i].seen = keep;
		list_append(&call->ops, &call->op[i].link);
	}
}

/* ---- what came of it ---- */

static void check_outcome(const struct check *check)
{
	const struct outcome *outcome = &check->outcome;
	int64_t limit = check->quota->limit;

	ASSERT(outcome->remaining >= 0 && outcome->remaining <= limit);
	ASSERT(outcome->retry_after_us >= -1);
	ASSERT(outcome->allowed == (outcome->retry_after_us == 0));
	ASSERT((outcome->retry_after_us == -1) == (check->cost > limit));
	ASSERT(outcome->reset_us >= 0 && outcome->reset_us <= 2 * quota_full_us(check->quota));
	ASSERT((outcome->reset_us == 0) == (outcome->remaining == limit));
	ASSERT(outcome->grows_us >= 0 && outcome->grows_us <= outcome->reset_us);
	ASSERT(outcome->retry_after_us <= outcome->reset_us);
}

/* What the memory store makes of it is possible, too. */
static void ask_memory(const struct check *check, int64_t now_us)
{
	struct check asked = *check;
	struct store_op op = {
		.checks = (struct check *[]){&asked},
		.count = 1,
		.now_us = now_us,
		.is_stand_in = true,
	};

	ASSERT(store_ask(memory, &op) == STORE_DONE);
	ASSERT(asked.is_decided && asked.error == STORE_OK);
	check_outcome(&asked);
}

/* All or nothing, but for what is in shadow. */
static void check_op(const struct store_op *op)
{
	size_t together = op->count - op->shadow;

	for (size_t i = 0; i < op->count; i++) {
		const struct check *check = op->checks[i];
		ASSERT(check->error != STORE_FULL);
		ASSERT(i >= together || check->error == op->checks[0]->error);
		ASSERT(check->is_decided == (check->error == STORE_OK));
		if (check->is_decided)
			check_outcome(check);
	}
}

static void read_call(const struct redis_reply *reply, const char *text)
{
	struct redis_call_reader reader;
	struct call call;
	struct bytes why;

	fill(&call, text);
	if (!redis_call_read(&reader, reply) || !redis_call_is_for(&reader, &call.ops))
		return;
	for (struct list *link = call.ops.next; link != &call.ops; link = link->next) {
		struct store_op *op = CONTAINER_OF(link, struct store_op, link);
		if (!redis_call_next(&reader, op, &why))
			return;
		check_op(op);
		for (size_t i = 0; i < op->count; i++)
			if (op->checks[i]->is_decided)
				ask_memory(op->checks[i], reader.now_us);
	}
	ASSERT(reader.next == reader.end);
}

/* Each item is there to its last byte. */
static void walk(const struct redis_reply *reply)
{
	static volatile uint8_t sum;

	ASSERT(reply->count > 0);
	for (size_t i = 0; i < reply->count; i++) {
		const struct redis_item *item = &reply->items[i];
		ASSERT(item->kind != REDIS_ARRAY || item->number >= 0);
		for (size_t k = 0; k < item->text.len; k++)
			sum = (uint8_t)(sum + item->text.data[k]);
		if (item->kind == REDIS_ERROR)
			ASSERT(redis_error_kind(item->text) != STORE_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct redis_replies *replies;
	redisReader *reader = redisReaderCreateWithFunctions(NULL);
	size_t piece = size > 0 && data[0] >= 0x80 ? 1 : SIZE_MAX;
	void *object;

	if (replies == NULL) {
		ASSERT(sodium_init() >= 0);
		replies = redis_replies_new();
	}
	memory = memory_store_new(MEMORY_LIMIT_MIN);
	ASSERT(reader != NULL && replies != NULL && memory != NULL);
	redis_replies_collect(replies, reader);
	for (size_t at = 1; at < size;) {
		size_t len = size - at < piece ? size - at : piece;
		(void)redisReaderFeed(reader, (const char *)data + at, len);
		at += len;
		while (redisReaderGetReply(reader, &object) == REDIS_OK && object != NULL) {
			struct redis_reply reply = redis_replies_last(replies);
			walk(&reply);
			read_call(&reply, calls[data[0] % ARRAY_SIZE(calls)]);
		}
	}
	redisReaderFree(reader);
	store_free(memory);
	return 0;
}
