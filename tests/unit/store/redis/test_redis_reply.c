#include "store/redis/redis_reply.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/writer.h"
#include "limit/request.h"
#include "reply_reader.h"
#include "store/redis/redis_script.h"
#include "support/sweep.h"
#include "support/test.h"

/* What redis_reply.c has room for: the longest reply of the script; and the texts of one. */
#define ITEMS_MAX (2 + REDIS_CALL_OPS_MAX * (1 + REQUEST_CHECKS_MAX * REDIS_STATE_MAX))
#define TEXT_MAX  65536

/* ---- replies as text: 'nil', 7, "text", !error, *2 before what is in an array ---- */

static void put_item(struct writer *w, const struct redis_item *item)
{
	switch (item->kind) {
	case REDIS_NIL:
		writer_put_text(w, "nil");
		break;
	case REDIS_NUMBER:
		writer_put_decimal(w, item->number);
		break;
	case REDIS_TEXT:
		writer_put_u8(w, '"');
		writer_put(w, item->text);
		writer_put_u8(w, '"');
		break;
	case REDIS_ERROR:
		writer_put_u8(w, '!');
		writer_put(w, item->text);
		break;
	case REDIS_ARRAY:
		writer_put_u8(w, '*');
		writer_put_decimal(w, item->number);
		break;
	}
}

static void put_reply(struct writer *w, const struct redis_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++) {
		if (i > 0)
			writer_put_u8(w, ' ');
		put_item(w, &reply->items[i]);
	}
}

static void assert_reply(const struct redis_reply *reply, const char *expected)
{
	char memory[1024];
	struct writer w = writer_on(memory, sizeof memory);

	put_reply(&w, reply);
	assert_false(w.full);
	assert_string_equal(writer_text(&w), expected);
	assert_false(reply->is_cut);
}

/* Whatever was read is within its bounds: every text is there to the last byte. */
static void walk(const struct redis_reply *reply)
{
	volatile uint8_t sum = 0;
	size_t texts = 0;

	assert_in_range(reply->count, 1, ITEMS_MAX);
	for (size_t i = 0; i < reply->count; i++) {
		const struct redis_item *item = &reply->items[i];
		assert_in_range(item->kind, REDIS_NIL, REDIS_ARRAY);
		assert_true(item->kind != REDIS_ARRAY || item->number >= 0);
		for (size_t k = 0; k < item->text.len; k++)
			sum = (uint8_t)(sum + item->text.data[k]);
		texts += item->text.len;
	}
	assert_true(texts < TEXT_MAX);
}

static const struct {
	const char *wire;
	const char *items;
} vectors[] = {
	{"+OK\r\n", "\"OK\""},
	{"+\r\n", "\"\""},
	{"-ERR no\r\n", "!ERR no"},
	{"-\r\n", "!"},
	{":0\r\n", "0"},
	{":-1\r\n", "-1"},
	{":9223372036854775807\r\n", "9223372036854775807"},
	{":-9223372036854775808\r\n", "-9223372036854775808"},
	{"$0\r\n\r\n", "\"\""},
	{"$5\r\na\r\nbc\r\n", "\"a\r\nbc\""},
	{"$-1\r\n", "nil"},
	{"*0\r\n", "*0"},
	{"*-1\r\n", "nil"},
	{"*1\r\n:7\r\n", "*1 7"},
	{"*2\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n", "*2 \"a\" *2 1 2"},
	{"*4\r\n:1\r\n-OOM x\r\n$-1\r\n+y\r\n", "*4 1 !OOM x nil \"y\""},
	{"*3\r\n*0\r\n*-1\r\n*1\r\n*1\r\n:3\r\n", "*3 *0 nil *1 *1 3"},
	{"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "*1 *1 *1 *1 *1 *1 *1 1"},
};

TEST(redis_replies_collect_each_kind_is_one_item)
{
	struct reply_reader r = reply_reader_new();

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct redis_reply reply = reply_reader_read(&r, bytes_from_text(vectors[i].wire));
		assert_reply(&reply, vectors[i].items);
		walk(&reply);
	}
	reply_reader_free(&r);
}

/* ---- mutilated ---- */

/* Whole, in a reader of its own, and what comes of it. */
static int decode(struct bytes input, void *context)
{
	struct reply_reader r = reply_reader_new();
	struct redis_reply reply;
	enum reply_state state;
	int taken = 0;

	(void)context;
	reply_reader_feed(&r, input);
	while ((state = reply_reader_next(&r, &reply)) == REPLY_WHOLE) {
		walk(&reply);
		taken = 1;
	}
	reply_reader_free(&r);
	return state == REPLY_BROKEN ? -1 : taken;
}

TEST(redis_replies_collect_truncated_is_no_reply)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct sweep_counts cut =
			sweep_decoder(bytes_from_text(vectors[i].wire), decode, NULL);
		assert_int_equal(cut.taken, 0);
		assert_int_equal(cut.refused, 0);
	}
}

TEST(redis_replies_collect_byte_by_byte_is_the_same)
{
	struct reply_reader r = reply_reader_new();

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct bytes wire = bytes_from_text(vectors[i].wire);
		struct redis_reply reply;
		for (size_t at = 0; at < wire.len; at++) {
			assert_int_equal(reply_reader_next(&r, &reply), REPLY_NONE);
			reply_reader_feed(&r, bytes_from(wire.data + at, 1));
		}
		assert_int_equal(reply_reader_next(&r, &reply), REPLY_WHOLE);
		assert_reply(&reply, vectors[i].items);
	}
	reply_reader_free(&r);
}

/* All of them in one piece, one after the other: each begins anew. */
TEST(redis_replies_collect_new_root_begins_anew)
{
	struct reply_reader r = reply_reader_new();
	struct redis_reply reply;

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		reply_reader_feed(&r, bytes_from_text(vectors[i].wire));
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		assert_int_equal(reply_reader_next(&r, &reply), REPLY_WHOLE);
		assert_reply(&reply, vectors[i].items);
	}
	assert_int_equal(reply_reader_next(&r, &reply), REPLY_NONE);
	reply_reader_free(&r);
}

TEST(redis_replies_collect_what_is_no_reply_is_refused)
{
	static const char *const wires[] = {
		"HTTP/1.1 400 Bad Request\r\n",
		"220 mail.example ESMTP\r\n",
		"\x15\x03\x01\r\n",
		"\r\n",
		":x\r\n",
		":\r\n",
		":1 2\r\n",
		":9223372036854775808\r\n",
		"$x\r\n",
		"$-2\r\n",
		"*x\r\n",
		"*-2\r\n",
		"*9223372036854775807\r\n",
		"*1\r\nx\r\n",
		"*2\r\n:1\r\n*1\r\n:x\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wires); i++)
		if (decode(bytes_from_text(wires[i]), NULL) != -1)
			fail_msg("taken, or awaited: %s", wires[i]);
}

/* ---- what does not fit ---- */

static void put_array(struct writer *w, size_t count, const char *element)
{
	writer_put_u8(w, '*');
	writer_put_unsigned(w, count);
	writer_put_text(w, "\r\n");
	for (size_t i = 0; i < count; i++)
		writer_put_text(w, element);
}

static struct redis_reply read_array(struct reply_reader *r, size_t count, const char *element)
{
	static char memory[1 << 20];
	struct writer w = writer_on(memory, sizeof memory);

	put_array(&w, count, element);
	assert_false(w.full);
	return reply_reader_read(r, writer_bytes(&w));
}

TEST(redis_replies_collect_longest_array_fits_and_one_more_is_cut)
{
	struct reply_reader r = reply_reader_new();

	struct redis_reply fits = read_array(&r, ITEMS_MAX - 1, ":7\r\n");
	assert_int_equal(fits.count, ITEMS_MAX);
	assert_false(fits.is_cut);
	assert_int_equal(fits.items[ITEMS_MAX - 1].number, 7);

	static const char *const elements[] = {":7\r\n", "+x\r\n", "$-1\r\n",
					       "*0\r\n", "-x\r\n", "*1\r\n+x\r\n"};
	for (size_t i = 0; i < ARRAY_SIZE(elements); i++) {
		struct redis_reply cut = read_array(&r, 2 * ITEMS_MAX, elements[i]);
		assert_int_equal(cut.count, ITEMS_MAX);
		assert_true(cut.is_cut);
		walk(&cut);
		/* And it does not stay so. */
		struct redis_reply next = reply_reader_read(&r, BYTES("+OK\r\n"));
		assert_reply(&next, "\"OK\"");
	}
	reply_reader_free(&r);
}

/* What is announced costs nothing until it comes, and then no more than there is room. */
TEST(redis_replies_collect_huge_announced_array_is_awaited)
{
	struct reply_reader r = reply_reader_new();
	struct redis_reply reply;

	reply_reader_feed(&r, BYTES("*2147483647\r\n"));
	for (int i = 0; i < 20000; i++) {
		reply_reader_feed(&r, BYTES(":1\r\n$1\r\nx\r\n"));
		assert_int_equal(reply_reader_next(&r, &reply), REPLY_NONE);
	}
	reply = redis_replies_last(r.replies);
	assert_true(reply.is_cut);
	assert_int_equal(reply.items[0].number, 2147483647);
	walk(&reply);
	reply_reader_free(&r);
}

/* "$<len>\r\nxxx...\r\n" */
static void put_string(struct writer *w, size_t len)
{
	writer_put_u8(w, '$');
	writer_put_unsigned(w, len);
	writer_put_text(w, "\r\n");
	for (size_t i = 0; i < len; i++)
		writer_put_u8(w, 'x');
	writer_put_text(w, "\r\n");
}

static struct redis_reply read_strings(struct reply_reader *r, size_t first, size_t second)
{
	static char memory[4 * TEXT_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_text(&w, "*2\r\n");
	put_string(&w, first);
	put_string(&w, second);
	assert_false(w.full);
	return reply_reader_read(r, writer_bytes(&w));
}

TEST(redis_replies_is_too_long_of_a_million_elements)
{
	static const struct {
		const char *wire;
		bool is_too_long;
	} cases[] = {
		{"*1000000\r\n:1\r\n", false},
		{"*1000001\r\n", true},
		{"*2\r\n*999999\r\n", true},
		{"*2147483647\r\n:1\r\n:1\r\n", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reply_reader r = reply_reader_new();
		struct redis_reply reply;
		reply_reader_feed(&r, bytes_from_text(cases[i].wire));
		assert_int_equal(reply_reader_next(&r, &reply), REPLY_NONE);
		assert_int_equal(redis_replies_is_too_long(r.replies), cases[i].is_too_long);
		reply_reader_free(&r);
	}
}

TEST(redis_replies_collect_long_text_is_cut)
{
	static const size_t lens[] = {TEXT_MAX - 2, TEXT_MAX - 1, TEXT_MAX, 3 * TEXT_MAX};
	static char memory[4 * TEXT_MAX];
	struct reply_reader r = reply_reader_new();

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct writer w = writer_on(memory, sizeof memory);
		put_string(&w, lens[i]);
		struct redis_reply reply = reply_reader_read(&r, writer_bytes(&w));
		bool fits = lens[i] < TEXT_MAX;
		assert_int_equal(reply.is_cut, !fits);
		assert_int_equal(reply.count, 1);
		assert_int_equal(reply.items[0].text.len, fits ? lens[i] : TEXT_MAX - 1);
		walk(&reply);
	}
	reply_reader_free(&r);
}

/* Two texts that together have room, have it to the byte, and do not. */
TEST(redis_replies_collect_texts_up_to_the_room_are_whole)
{
	struct reply_reader r = reply_reader_new();

	for (size_t first = TEXT_MAX - 8; first <= TEXT_MAX + 1; first++) {
		for (size_t second = 0; second < 10; second++) {
			struct redis_reply reply = read_strings(&r, first, second);
			/* Each has a NUL behind it. */
			assert_int_equal(reply.is_cut, first + 1 + second + 1 > TEXT_MAX);
			walk(&reply);
		}
	}
	reply_reader_free(&r);
}

TEST(redis_replies_collect_nul_bytes_are_bytes)
{
	struct reply_reader r = reply_reader_new();

	struct redis_reply reply = reply_reader_read(&r, BYTES("*2\r\n$4\r\na\0b\0\r\n-E\0RR\r\n"));

	assert_int_equal(reply.count, 3);
	assert_bytes_equal(reply.items[1].text, BYTES("a\0b\0"));
	assert_int_equal(reply.items[2].kind, REDIS_ERROR);
	assert_bytes_equal(reply.items[2].text, BYTES("E\0RR"));
	reply_reader_free(&r);
}

/* ---- what an error is ---- */

TEST(redis_error_kind_is_by_the_first_word)
{
	static const struct {
		const char *text;
		enum store_error kind;
	} cases[] = {
		{"NOSCRIPT No matching script. Please use EVAL.", STORE_NOSCRIPT},
		{"NOSCRIPT", STORE_NOSCRIPT},
		{"MOVED 3999 127.0.0.1:6381", STORE_MOVED},
		{"ASK 3999 127.0.0.1:6381", STORE_MOVED},
		{"CROSSSLOT Keys in request don't hash to the same slot", STORE_MOVED},
		{"CLUSTERDOWN The cluster is down", STORE_MOVED},
		{"TRYAGAIN Multiple keys request during rehashing of slot", STORE_MOVED},
		{"LOADING Redis is loading the dataset in memory", STORE_LOADING},
		{"MASTERDOWN Link with MASTER is down", STORE_LOADING},
		{"READONLY You can't write against a read only replica.", STORE_READONLY},
		{"MISCONF Redis is configured to save RDB snapshots", STORE_MISCONF},
		{"NOREPLICAS Not enough good replicas to write.", STORE_NOREPLICAS},
		{"OOM command not allowed when used memory > 'maxmemory'.", STORE_OOM},
		{"ERR Error running script", STORE_OTHER},
		{"WRONGTYPE Operation against a key", STORE_OTHER},
		{"BROKENSTATE the value is not what a token_bucket writes", STORE_OTHER},
		{"NOAUTH Authentication required.", STORE_OTHER},
		{"WRONGPASS invalid username-password pair", STORE_OTHER},
		{"NOPERM this user has no permissions", STORE_OTHER},
		{"BUSY Redis is busy running a script.", STORE_OTHER},
		{"EXECABORT Transaction discarded", STORE_OTHER},
		/* The word counts whole, as it is written, and first. */
		{"", STORE_OTHER},
		{" ", STORE_OTHER},
		{" OOM", STORE_OTHER},
		{"oom", STORE_OTHER},
		{"OOMX", STORE_OTHER},
		{"OO", STORE_OTHER},
		{"OOM\t", STORE_OTHER},
		{"ERR OOM", STORE_OTHER},
		{"ASKING", STORE_OTHER},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(redis_error_kind(bytes_from_text(cases[i].text)), cases[i].kind);
	assert_int_equal(redis_error_kind((struct bytes){NULL, 0}), STORE_OTHER);
	assert_int_equal(redis_error_kind(BYTES("OOM\0")), STORE_OTHER);
}
