#include "store/redis/redis_slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reply_reader.h"
#include "support/test.h"

/* ---- the slot of a key ---- */

/* What CLUSTER KEYSLOT says; tests/system/test_redis_cluster.py asks a server for more. */
static const struct {
	const char *name, *prefix, *key;
	uint16_t slot;
} keys[] = {
	{"the check value of CRC-16/XMODEM", "", "123456789", 0x31c3},
	{"nothing", "", "", 0},
	{"a word", "", "foo", 12182},
	{"its tag", "", "bar{foo}", 12182},
	{"a tag in front", "", "{foo}bar", 12182},
	{"the first tag", "", "{foo}{bar}", 12182},
	{"a brace in the tag", "", "foo{{bar}}zap", 4015},
	{"an empty tag is none", "", "foo{}{bar}", 8363},
	{"the prefix counts", "fo", "o", 12182},
	{"a tag of the prefix", "{foo}:", "{bar}", 12182},
};

TEST_ROWS(keys)
{
	uint16_t slot = redis_slot_of(bytes_from_text(row->prefix), bytes_from_text(row->key));

	assert_int_equal(slot, row->slot);
}

/* ---- a map ---- */

static struct redis_slot_map map;

static bool read_map(const char *text, const char **ret_why)
{
	struct reply_reader r = reply_reader_new();
	struct redis_reply reply = reply_reader_read(&r, bytes_from_text(text));

	memset(&map, 0xa5, sizeof map);
	bool is_good = redis_slot_map_read(&map, &reply, "asked", ret_why);
	reply_reader_free(&r);
	return is_good;
}

#define RANGE(first, last) "*3\r\n:" first "\r\n:" last "\r\n"
#define OWNER(host, port)  "*3\r\n$" host "\r\n:" port "\r\n$2\r\nid\r\n"
#define A                  "9\r\n127.0.0.1"
#define B                  "9\r\n127.0.0.2"
#define WHOLE              RANGE("0", "16383")

static const char *owner_of(size_t slot)
{
	return map.owner[slot] == 0 ? NULL : map.owners[map.owner[slot] - 1].place.host;
}

TEST(redis_slot_map_read_ranges_and_owners)
{
	const char *why;

	assert_true(read_map("*3\r\n" RANGE("0", "99") OWNER(A, "7001") RANGE("200", "16383")
				     OWNER(B, "7001") RANGE("100", "100") OWNER(A, "7001"),
			     &why));
	assert_int_equal(map.count, 2);
	assert_int_equal(map.covered, 100 + 1 + 16184);
	assert_string_equal(owner_of(0), "127.0.0.1");
	assert_string_equal(owner_of(100), "127.0.0.1");
	assert_null(owner_of(101));
	assert_null(owner_of(199));
	assert_string_equal(owner_of(16383), "127.0.0.2");
	assert_string_equal(map.owners[0].place.port, "7001");
}

TEST(redis_slot_map_read_replicas_are_passed_over)
{
	const char *why;

	assert_true(read_map(
		"*1\r\n*5\r\n:0\r\n:16383\r\n" OWNER(A, "1") OWNER(B, "2") OWNER(B, "3"), &why));
	assert_int_equal(map.count, 1);
	assert_int_equal(map.covered, REDIS_SLOTS);
}

/* The owner of all slots, in the forms in which servers say where it is. */
static const struct {
	const char *name, *owner, *host, *announced;
} owners[] = {
	{"an address", OWNER(A, "1"), "127.0.0.1", ""},
	{"an IPv6 address", OWNER("3\r\n::1", "1"), "::1", ""},
	{"a host name", OWNER("5\r\nredis", "1"), "redis", ""},
	{"no id, as before Redis 4", "*2\r\n$" A "\r\n:1\r\n", "127.0.0.1", ""},
	{"no address: where it was asked", "*3\r\n$-1\r\n:1\r\n$2\r\nid\r\n", "asked", ""},
	{"an empty address", OWNER("0\r\n", "1"), "asked", ""},
	{"an announced host name",
	 "*4\r\n$" A "\r\n:1\r\n$2\r\nid\r\n*2\r\n$8\r\nhostname\r\n$2\r\nh1\r\n", "127.0.0.1",
	 "h1"},
	{"an unknown host name", "*4\r\n$1\r\n?\r\n:1\r\n$2\r\nid\r\n*2\r\n$2\r\nip\r\n$" A "\r\n",
	 "127.0.0.1", ""},
	{"an unknown host name and no address", OWNER("1\r\n?", "1"), NULL, ""},
	{"more that is announced",
	 "*5\r\n$" A "\r\n:1\r\n$2\r\nid\r\n*4\r\n$1\r\nx\r\n$1\r\ny\r\n$8\r\nhostname\r\n"
	 "$0\r\n\r\n*1\r\n*0\r\n",
	 "127.0.0.1", ""},
};

TEST_ROWS(owners)
{
	char text[1024];
	const char *why;

	snprintf(text, sizeof text, "*1\r\n" WHOLE "%s", row->owner);
	assert_true(read_map(text, &why));
	if (row->host == NULL) {
		assert_int_equal(map.covered, 0);
		assert_null(owner_of(0));
		return;
	}
	assert_string_equal(owner_of(0), row->host);
	assert_string_equal(map.owners[0].name, row->announced);
}

static const struct {
	const char *name, *text, *why;
} lies[] = {
	{"no array", "+OK\r\n", "shape"},
	{"a number for a range", "*1\r\n:1\r\n", "shape"},
	{"a range without an owner", "*1\r\n*2\r\n:0\r\n:1\r\n", "shape"},
	{"an owner that is a text", "*1\r\n" WHOLE "$" A "\r\n", "shape"},
	{"an owner that is an empty array", "*1\r\n" WHOLE "*0\r\n", "shape"},
	{"an owner that is nothing", "*1\r\n" WHOLE "$-1\r\n", "shape"},
	{"an owner without a port", "*1\r\n" WHOLE "*1\r\n$" A "\r\n", "shape"},
	{"a port that is a text", "*1\r\n" WHOLE "*2\r\n$" A "\r\n$1\r\n1\r\n", "shape"},
	{"an address that is a number", "*1\r\n" WHOLE "*2\r\n:1\r\n:1\r\n", "shape"},
	{"an id that is a number", "*1\r\n" WHOLE "*3\r\n$" A "\r\n:1\r\n:1\r\n", "shape"},
	{"slots that are texts", "*1\r\n*3\r\n$1\r\n0\r\n$1\r\n1\r\n" OWNER(A, "1"), "shape"},
	{"a slot below the first", "*1\r\n" RANGE("-1", "1") OWNER(A, "1"), "does not exist"},
	{"a slot above the last", "*1\r\n" RANGE("0", "16384") OWNER(A, "1"), "does not exist"},
	{"a range that is turned round", "*1\r\n" RANGE("2", "1") OWNER(A, "1"), "ends before"},
	{"a slot of two owners",
	 "*2\r\n" RANGE("0", "5") OWNER(A, "1") RANGE("5", "9") OWNER(B, "1"), "two servers"},
	{"a slot twice of one owner",
	 "*2\r\n" RANGE("0", "5") OWNER(A, "1") RANGE("3", "3") OWNER(A, "1"), "two servers"},
	{"port 0", "*1\r\n" WHOLE OWNER(A, "0"), "port"},
	{"a port above the last", "*1\r\n" WHOLE OWNER(A, "65536"), "port"},
	{"a port below zero", "*1\r\n" WHOLE OWNER(A, "-1"), "port"},
	{"ranges that overlap in the middle",
	 "*2\r\n" RANGE("100", "16383") OWNER(A, "1") RANGE("0", "200") OWNER(B, "1"),
	 "two servers"},
	{"the same range twice", "*2\r\n" WHOLE OWNER(A, "1") WHOLE OWNER(A, "1"), "two servers"},
	{"a range that is an array of arrays", "*1\r\n*3\r\n*1\r\n:0\r\n*1\r\n:1\r\n*0\r\n",
	 "shape"},
	{"slots that are nothing", "*1\r\n*3\r\n$-1\r\n$-1\r\n" OWNER(A, "1"), "shape"},
	{"an error in the map", "*1\r\n-ERR no\r\n", "shape"},
	{"what is announced is a text",
	 "*1\r\n" WHOLE "*4\r\n$" A "\r\n:1\r\n$2\r\nid\r\n$2\r\nip\r\n", "shape"},
	{"an announced text that is an array",
	 "*1\r\n" WHOLE "*4\r\n$" A "\r\n:1\r\n$2\r\nid\r\n*2\r\n$2\r\nip\r\n*0\r\n", "shape"},
	{"an unknown name with an announced address that is none",
	 "*1\r\n" WHOLE "*4\r\n$1\r\n?\r\n:1\r\n$2\r\nid\r\n*2\r\n$2\r\nip\r\n$3\r\na b\r\n",
	 "address"},
	{"an address with a space", "*1\r\n" WHOLE OWNER("3\r\na b", "1"), "address"},
	{"an address of a URL", "*1\r\n" WHOLE OWNER("6\r\nx@y/z?", "1"), "address"},
};

TEST_ROWS(lies)
{
	const char *why = NULL;

	assert_false(read_map(row->text, &why));
	assert_non_null(strstr(why, row->why));
}

TEST(redis_slot_map_read_no_ranges_is_an_empty_map)
{
	const char *why;

	assert_true(read_map("*0\r\n", &why));
	assert_int_equal(map.covered, 0);
	assert_int_equal(map.count, 0);
}

/* A map in which each slot has another owner, of which only so many are possible. */
TEST(redis_slot_map_read_too_many_owners_are_refused)
{
	static struct redis_item items[1 + 6 * (REDIS_OWNERS_MAX + 1)];
	const char *why;

	for (int n = REDIS_OWNERS_MAX; n <= REDIS_OWNERS_MAX + 1; n++) {
		struct redis_reply reply = {items, 1 + 6 * (size_t)n, false};
		items[0] = (struct redis_item){.kind = REDIS_ARRAY, .number = n};
		for (int i = 0; i < n; i++) {
			struct redis_item *range = &items[1 + 6 * i];
			range[0] = (struct redis_item){.kind = REDIS_ARRAY, .number = 3};
			range[1] = (struct redis_item){.kind = REDIS_NUMBER, .number = i};
			range[2] = (struct redis_item){.kind = REDIS_NUMBER, .number = i};
			range[3] = (struct redis_item){.kind = REDIS_ARRAY, .number = 2};
			range[4] = (struct redis_item){.kind = REDIS_TEXT, .text = BYTES("a")};
			range[5] = (struct redis_item){.kind = REDIS_NUMBER, .number = i + 1};
		}
		bool is_good = redis_slot_map_read(&map, &reply, "asked", &why);
		assert_int_equal(is_good, n == REDIS_OWNERS_MAX);
	}
	assert_non_null(strstr(why, "more servers"));
}

/* Each of them is a whole range; the last one of 10^5 is far beyond what a reply may have. */
TEST(redis_slot_map_read_a_hundred_thousand_ranges_are_refused)
{
	static const char range[] = RANGE("0", "0") OWNER(A, "1");
	const size_t ranges = 100000;
	struct reply_reader r = {
		.replies = redis_replies_new_with(REDIS_SLOTS_ITEMS, REDIS_SLOTS_TEXT),
		.reader = redisReaderCreateWithFunctions(NULL)};
	struct redis_reply reply;
	const char *why;

	redis_replies_collect(r.replies, r.reader);
	reply_reader_feed(&r, BYTES("*100000\r\n"));
	for (size_t i = 0; i < ranges; i++)
		reply_reader_feed(&r, bytes_from(range, sizeof range - 1));
	assert_int_equal(reply_reader_next(&r, &reply), REPLY_WHOLE);

	assert_true(reply.count <= REDIS_SLOTS_ITEMS);
	assert_false(redis_slot_map_read(&map, &reply, "asked", &why));
	assert_non_null(strstr(why, "too long"));
	reply_reader_free(&r);
}

TEST(redis_slot_map_read_a_reply_that_is_cut_is_refused)
{
	struct redis_item items[] = {{.kind = REDIS_ARRAY, .number = 1}};
	struct redis_reply reply = {items, 1, true};
	const char *why;

	assert_false(redis_slot_map_read(&map, &reply, "asked", &why));
	assert_non_null(strstr(why, "too long"));
}

/* Every prefix of a good map is refused, and nothing behind its end is read. */
TEST(redis_slot_map_read_truncated_items_are_refused)
{
	struct redis_item whole[] = {
		{.kind = REDIS_ARRAY, .number = 1},       {.kind = REDIS_ARRAY, .number = 3},
		{.kind = REDIS_NUMBER, .number = 0},      {.kind = REDIS_NUMBER, .number = 16383},
		{.kind = REDIS_ARRAY, .number = 4},       {.kind = REDIS_TEXT, .text = BYTES("a")},
		{.kind = REDIS_NUMBER, .number = 1},      {.kind = REDIS_TEXT, .text = BYTES("id")},
		{.kind = REDIS_ARRAY, .number = 2},       {.kind = REDIS_TEXT, .text = BYTES("ip")},
		{.kind = REDIS_TEXT, .text = BYTES("b")},
	};
	const char *why;

	for (size_t count = 1; count <= ARRAY_SIZE(whole); count++) {
		struct redis_item *items = malloc(count * sizeof *items);
		assert_non_null(items);
		memcpy(items, whole, count * sizeof *items);
		struct redis_reply reply = {items, count, false};
		assert_int_equal(redis_slot_map_read(&map, &reply, "asked", &why),
				 count == ARRAY_SIZE(whole));
		free(items);
	}
}

/* ---- redirects ---- */

static const struct {
	const char *name, *error, *host, *port; /* host NULL: it is none */
	uint16_t slot;
	bool is_ask;
} redirects[] = {
	{"moved", "MOVED 3999 127.0.0.1:6381", "127.0.0.1", "6381", 3999, false},
	{"ask", "ASK 0 redis-1.example:1", "redis-1.example", "1", 0, true},
	{"IPv6", "MOVED 16383 2001:db8::1:6381", "2001:db8::1", "6381", 16383, false},
	{"where it was asked", "MOVED 1 :6381", "asked", "6381", 1, false},
	{"another error", "ERR MOVED 1 h:1", NULL, "", 0, false},
	{"no place", "MOVED 1", NULL, "", 0, false},
	{"no slot", "MOVED x h:1", NULL, "", 0, false},
	{"a slot that does not exist", "MOVED 16384 h:1", NULL, "", 0, false},
	{"no port", "MOVED 1 h", NULL, "", 0, false},
	{"port 0", "MOVED 1 h:0", NULL, "", 0, false},
	{"a port above the last", "ASK 1 h:65536", NULL, "", 0, false},
	{"an unknown host name", "MOVED 1 ?:1", NULL, "", 0, false},
	{"a word too many", "MOVED 1 h:1 x", NULL, "", 0, false},
	{"a host with a space", "MOVED 1 h x:1", NULL, "", 0, false},
	{"nothing", "", NULL, "", 0, false},
	{"only the word", "MOVED ", NULL, "", 0, false},
};

TEST_ROWS(redirects)
{
	struct redis_redirect redirect;
	bool is_read = redis_redirect_read(bytes_from_text(row->error), "asked", &redirect);

	assert_int_equal(is_read, row->host != NULL);
	if (!is_read)
		return;
	assert_string_equal(redirect.place.host, row->host);
	assert_string_equal(redirect.place.port, row->port);
	assert_int_equal(redirect.slot, row->slot);
	assert_int_equal(redirect.is_ask, row->is_ask);
}
