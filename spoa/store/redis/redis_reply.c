#include "store/redis/redis_reply.h"

#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/least.h"
#include "base/writer.h"
#include "limit/request.h"
#include "store/redis/redis_script.h"

/* The script has the reply of most items, that of records (redis_records_call.h) of most text. */
#define ITEMS_MAX (2 + REDIS_CALL_OPS_MAX * (1 + REQUEST_CHECKS_MAX * REDIS_STATE_MAX))
#define TEXT_MAX  65536
/* No reply that is asked for has so many elements. hiredis would read any number of them. */
#define ANNOUNCED_MAX 1000000

/* hiredis took an int for the elements of an array before 1.0. */
#if HIREDIS_MAJOR >= 1
typedef size_t array_len;
#else
typedef int array_len;
#endif

struct redis_replies {
	redisReply root; /* what hiredis gets: it looks at the type, and at the text of an error */
	struct redis_item *items;
	size_t items_max;
	size_t count;
	bool is_cut;
	uint64_t announced; /* elements that the arrays of the reply say to have */
	struct writer texts;
	char *memory;
	size_t memory_max;
	const size_t *outstanding; /* NULL: every reply is asked for */
};

static struct redis_replies *replies_of(const redisReadTask *task)
{
	return task->privdata;
}

static bool is_asked_for(const struct redis_replies *replies)
{
	return replies->outstanding == NULL || *replies->outstanding > 0;
}

static void begin_reply(struct redis_replies *replies, int type)
{
	static char unasked[] = "the server sent a reply to no command";

	memset(&replies->root, 0, sizeof replies->root);
	replies->root.type = is_asked_for(replies) ? type : REDIS_REPLY_ERROR;
	replies->root.str = unasked;
	replies->root.len = sizeof unasked - 1;
	replies->count = 0;
	replies->is_cut = false;
	replies->announced = 0;
	replies->texts = writer_on(replies->memory, replies->memory_max);
}

/* Never returns NULL, by which hiredis would understand that memory is short. */
static void *add_item(const redisReadTask *task, enum redis_item_kind kind, int64_t number,
		      struct bytes text)
{
	struct redis_replies *replies = replies_of(task);

	if (task->parent == NULL)
		begin_reply(replies, task->type);
	if (replies->count == replies->items_max)
		replies->is_cut = true;
	else
		replies->items[replies->count++] = (struct redis_item){kind, number, text};
	return &replies->root;
}

static void *on_string(const redisReadTask *task, char *text, size_t len)
{
	struct redis_replies *replies = replies_of(task);
	enum redis_item_kind kind = task->type == REDIS_REPLY_ERROR ? REDIS_ERROR : REDIS_TEXT;

	void *object = add_item(task, kind, 0, BYTES(""));
	if (replies->is_cut)
		return object;
	size_t left = replies->texts.max - replies->texts.len;
	size_t room = left > 0 ? left - 1 : 0; /* without the NUL */
	replies->is_cut = len > room || left == 0;
	struct bytes copy = bytes_from(replies->memory + replies->texts.len, least_size(len, room));
	writer_put(&replies->texts, bytes_from(text, copy.len));
	writer_put_u8(&replies->texts, '\0'); /* hiredis wants one behind root.str */
	replies->items[replies->count - 1].text = copy;
	if (task->parent == NULL && (is_asked_for(replies) || kind == REDIS_ERROR)) {
		replies->root.str = replies->memory;
		replies->root.len = copy.len;
	}
	return object;
}

static void *on_array(const redisReadTask *task, array_len elements)
{
	void *object = add_item(task, REDIS_ARRAY, (int64_t)elements, BYTES(""));

	replies_of(task)->announced += (uint64_t)elements;
	return object;
}

static void *on_integer(const redisReadTask *task, long long value)
{
	return add_item(task, REDIS_NUMBER, value, BYTES(""));
}

static void *on_nil(const redisReadTask *task)
{
	return add_item(task, REDIS_NIL, 0, BYTES(""));
}

#if HIREDIS_MAJOR >= 1
/*
 * Types of RESP3, which the agent never asks for. If these functions were missing, hiredis would
 * hand out a small number in place of a pointer.
 */
static void *on_double(const redisReadTask *task, double value, char *text, size_t len)
{
	(void)value;
	return on_string(task, text, len);
}

static void *on_bool(const redisReadTask *task, int value)
{
	return add_item(task, REDIS_NUMBER, value, BYTES(""));
}
#endif

static void on_free(void *object)
{
	(void)object;
}

struct redis_replies *redis_replies_new_with(size_t items_max, size_t text_max)
{
	struct redis_replies *replies = calloc(1, sizeof *replies);

	if (replies == NULL)
		return NULL;
	replies->items_max = items_max;
	replies->memory_max = text_max;
	replies->items = calloc(items_max, sizeof *replies->items);
	replies->memory = calloc(text_max, 1);
	if (replies->items == NULL || replies->memory == NULL) {
		redis_replies_free(replies);
		return NULL;
	}
	return replies;
}

struct redis_replies *redis_replies_new(void)
{
	return redis_replies_new_with(ITEMS_MAX, TEXT_MAX);
}

void redis_replies_free(struct redis_replies *replies)
{
	if (replies == NULL)
		return;
	free(replies->items);
	free(replies->memory);
	free(replies);
}

void redis_replies_collect(struct redis_replies *replies, struct redisReader *reader)
{
	static redisReplyObjectFunctions functions = {
		.createString = on_string,
		.createArray = on_array,
		.createInteger = on_integer,
		.createNil = on_nil,
		.freeObject = on_free,
#if HIREDIS_MAJOR >= 1
		.createDouble = on_double,
		.createBool = on_bool,
#endif
	};

	reader->fn = &functions;
	reader->privdata = replies;
	replies->announced = 0;
}

void redis_replies_expect(struct redis_replies *replies, const size_t *outstanding)
{
	replies->outstanding = outstanding;
}

bool redis_replies_is_too_long(const struct redis_replies *replies)
{
	return replies->announced > ANNOUNCED_MAX;
}

struct redis_reply redis_replies_last(const struct redis_replies *replies)
{
	return (struct redis_reply){replies->items, replies->count, replies->is_cut};
}

enum store_error redis_error_kind(struct bytes text)
{
	static const struct {
		const char *word;
		enum store_error kind;
	} words[] = {
		{"NOSCRIPT", STORE_NOSCRIPT},
		{"MOVED", STORE_MOVED},
		{"ASK", STORE_MOVED},
		{"CROSSSLOT", STORE_MOVED},
		{"CLUSTERDOWN", STORE_MOVED},
		{"TRYAGAIN", STORE_MOVED},
		{"LOADING", STORE_LOADING},
		{"MASTERDOWN", STORE_LOADING},
		{"READONLY", STORE_READONLY},
		{"MISCONF", STORE_MISCONF},
		{"NOREPLICAS", STORE_NOREPLICAS},
		{"OOM", STORE_OOM},
	};
	struct bytes word;

	if (bytes_next_item(&text, ' ', &word))
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (bytes_equal(word, bytes_from_text(words[i].word)))
				return words[i].kind;
	return STORE_OTHER;
}
