#include "store/redis/redis_records_call.h"

#include <string.h>

#include "base/compiler.h"
#include "support/test.h"

#define NUMBER(n)                  \
	{                          \
		REDIS_NUMBER, (n), \
		{                  \
			NULL, 0    \
		}                  \
	}
#define TEXT(t)                                             \
	{                                                   \
		REDIS_TEXT, 0,                              \
		{                                           \
			(const uint8_t *)(t), sizeof(t) - 1 \
		}                                           \
	}
#define RUN       "0123456789abcdef"
#define HEAD(run) NUMBER(1700000000000000), TEXT(run), NUMBER(7), NUMBER(2), NUMBER(5), NUMBER(99)
#define ITEMS_MAX 16

static bool read_items(const struct redis_item *items, size_t count, bool is_cut,
		       struct records_reply *reply)
{
	static struct redis_item all[ITEMS_MAX];

	all[0] = (struct redis_item){REDIS_ARRAY, (int64_t)count, {NULL, 0}};
	memcpy(all + 1, items, count * sizeof *items);
	const struct redis_reply from = {all, count + 1, is_cut};
	return records_reply_read(reply, &from);
}

TEST(records_reply_read_head_and_records)
{
	const struct redis_item items[] = {
		HEAD(RUN),    NUMBER(9), TEXT("id"),    NUMBER(8), TEXT("5 6 0 evalue with spaces"),
		TEXT("gone"), NUMBER(9), TEXT("5 0 1 ")};
	struct records_reply reply;
	struct record record;
	uint64_t counter;
	bool is_foreign;

	assert_true(read_items(items, ARRAY_SIZE(items), false, &reply));
	assert_string_equal(reply.version.run, RUN);
	assert_int_equal(reply.version.counter, 7);
	assert_int_equal(reply.version.cut, 2);
	assert_int_equal(reply.number, 9);
	assert_true(records_reply_next(&reply, &record, &counter, &is_foreign));
	assert_int_equal(counter, 8);
	assert_int_equal(record.changed_ms, 5);
	assert_int_equal(record.until_ms, 6);
	assert_false(record.is_removed);
	assert_true(bytes_equal(record.value, BYTES("evalue with spaces")));
	assert_true(records_reply_next(&reply, &record, &counter, &is_foreign));
	assert_true(record.is_removed && record.value.len == 0);
	assert_false(records_reply_next(&reply, &record, &counter, &is_foreign));
	assert_false(is_foreign);
}

static const struct nonsense {
	const char *name;
	struct redis_item items[7];
	size_t count;
	bool is_cut;
} nonsense[] = {
	{"nothing", {NUMBER(0)}, 0, false},
	{"a head that is short", {HEAD(RUN)}, 6, false},
	{"a reply that is cut", {HEAD(RUN), NUMBER(1)}, 7, true},
	{"a run that is too short", {HEAD("0123"), NUMBER(1)}, 7, false},
	{"a run that is too long", {HEAD(RUN "0"), NUMBER(1)}, 7, false},
	{"a negative number", {HEAD(RUN), NUMBER(-1)}, 7, false},
	{"a number that is too large", {HEAD(RUN), NUMBER(INT64_MAX)}, 7, false},
	{"a text in place of a number", {HEAD(RUN), TEXT("1")}, 7, false},
};
TEST_ROWS(nonsense)
{
	struct records_reply reply;

	assert_false(read_items(row->items, row->count, row->is_cut, &reply));
}

static const struct foreign {
	const char *name;
	struct redis_item items[3];
} foreigners[] = {
	{"an id that is a number", {NUMBER(1), NUMBER(1), TEXT("1 0 0 e")}},
	{"an empty id", {TEXT(""), NUMBER(1), TEXT("1 0 0 e")}},
	{"an id with a control character", {TEXT("a\n"), NUMBER(1), TEXT("1 0 0 e")}},
	{"a counter that is a text", {TEXT("a"), TEXT("1"), TEXT("1 0 0 e")}},
	{"an empty value", {TEXT("a"), NUMBER(1), TEXT("")}},
	{"a value without its parts", {TEXT("a"), NUMBER(1), TEXT("1 0 0")}},
	{"a time that is none", {TEXT("a"), NUMBER(1), TEXT("x 0 0 e")}},
	{"a time that is too large", {TEXT("a"), NUMBER(1), TEXT("99999999999999999 0 0 e")}},
	{"an unknown kind", {TEXT("a"), NUMBER(1), TEXT("1 0 3 e")}},
	{"a kind that is no digit", {TEXT("a"), NUMBER(1), TEXT("1 0 00 e")}},
	{"one in force without a value", {TEXT("a"), NUMBER(1), TEXT("1 0 0 ")}},
	{"a removed one with a value", {TEXT("a"), NUMBER(1), TEXT("1 0 1 e")}},
	{"a reset of the kind of others", {TEXT("a"), NUMBER(1), TEXT("1 0 0 r")}},
	{"another one of the kind of resets", {TEXT("a"), NUMBER(1), TEXT("1 0 2 e")}},
};
TEST_ROWS(foreigners)
{
	struct redis_item items[] = {HEAD(RUN),     NUMBER(9),    row->items[0], row->items[1],
				     row->items[2], TEXT("good"), NUMBER(9),     TEXT("1 0 0 e")};
	struct records_reply reply;
	struct record record;
	uint64_t counter;
	bool is_foreign;

	assert_true(read_items(items, ARRAY_SIZE(items), false, &reply));
	assert_false(records_reply_next(&reply, &record, &counter, &is_foreign));
	assert_true(is_foreign);
	assert_true(records_reply_next(&reply, &record, &counter, &is_foreign));
	assert_true(bytes_equal(record.id, BYTES("good")));
}

TEST(records_call_largest_merge_fits)
{
	static uint8_t memory[RECORDS_CALL_MAX], value[RECORD_VALUE_MAX + 1];
	char prefix[88], id[RECORD_ID_MAX];
	const struct records_form form = {BYTES("0123456789012345678901234567890123456789"),
					  bytes_from(prefix, sizeof prefix)};
	struct writer w = writer_on(memory, sizeof memory);

	memset(value, 'e', sizeof value);
	memset(prefix, 'p', sizeof prefix);
	memset(id, 'i', sizeof id);
	records_call_begin(&w, &form, "merge", 4 + 5 * RECORDS_MERGE_MAX);
	writer_put(&w, bytes_from(value, 4 * 30));
	size_t small = (RECORDS_MERGE_BYTES - 1) / (RECORDS_MERGE_MAX - 1);
	for (size_t i = 0; i < RECORDS_MERGE_MAX; i++) {
		const struct record record = {
			.id = bytes_from(id, sizeof id),
			.changed_ms = UINT64_C(1) << 52,
			.until_ms = UINT64_C(1) << 52,
			.value =
				bytes_from(value, i + 1 < RECORDS_MERGE_MAX ? small : sizeof value),
		};
		records_call_put_record(&w, &record, true);
	}

	assert_false(w.full);
}
