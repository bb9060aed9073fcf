#include "store/records_memory.h"

#include <stdio.h>
#include <string.h>

#include "support/test.h"

#define START_MS UINT64_C(1700000000000)

static struct records *records;
static uint64_t clock_ms;
static enum records_outcome last_outcome;
static char told[256]; /* what the listener was told since the last look at it */

static int64_t now_us(void)
{
	return (int64_t)clock_ms * 1000;
}

static void on_changed(void *owner, const struct record *record)
{
	size_t len = strlen(told);

	(void)owner;
	snprintf(told + len, sizeof told - len, "%s%.*s=%.*s", record->is_removed ? "-" : "+",
		 (int)record->id.len, (const char *)record->id.data, (int)record->value.len,
		 (const char *)record->value.data);
}

static void on_done(void *owner, enum records_outcome outcome)
{
	(void)owner;
	last_outcome = outcome;
}

static void put_until(const char *id, const char *value, uint64_t until_ms)
{
	const struct record record = {
		.id = bytes_from_text(id), .until_ms = until_ms, .value = bytes_from_text(value)};

	records_put(records, &record, on_done, NULL);
}

static void put(const char *id, const char *value)
{
	put_until(id, value, 0);
}

static void remove_record(const char *id)
{
	const struct record record = {.id = bytes_from_text(id), .is_removed = true};

	records_put(records, &record, on_done, NULL);
}

static void assert_told(const char *expected)
{
	assert_string_equal(told, expected);
	told[0] = '\0';
}

BEFORE_EACH
{
	clock_ms = START_MS;
	told[0] = '\0';
	records = records_memory_new(now_us);
	assert_non_null(records);
	records_on_change(records, on_changed, NULL);
}

AFTER_EACH
{
	records_free(records);
}

TEST(put_of_a_new_record_alone_leaves_one_that_is_there)
{
	const struct record record = {.id = BYTES("a"), .value = BYTES("p2"), .is_new_only = true};
	struct record found;

	put("a", "p1");
	records_put(records, &record, on_done, NULL);
	assert_int_equal(last_outcome, RECORDS_EXISTS);
	assert_true(records_find(records, BYTES("a"), &found));
	assert_memory_equal(found.value.data, "p1", 2);
	remove_record("a");
	assert_false(records_find(records, BYTES("a"), &found));
	records_put(records, &record, on_done, NULL);
	assert_int_equal(last_outcome, RECORDS_DONE);
	assert_true(records_are_known(records));
}

TEST(put_is_told_before_it_is_done)
{
	put("b", "eX");
	put("a", "eY");

	assert_int_equal(last_outcome, RECORDS_DONE);
	assert_told("+b=eX+a=eY");
}

TEST(put_a_later_record_of_the_id_takes_its_place)
{
	put("a", "e1");
	put("a", "e2");
	assert_told("+a=e1+a=e2");

	records_on_change(records, on_changed, NULL);

	assert_told("+a=e2");
}

TEST(put_removed_is_told_once)
{
	put("a", "e1");
	remove_record("a");
	remove_record("a");

	assert_int_equal(last_outcome, RECORDS_DONE);
	assert_told("+a=e1-a=");
}

TEST(on_change_tells_what_is_there_in_the_order_of_ids)
{
	put("c", "e3");
	put("a", "e1");
	put("ab", "e2");
	assert_told("+c=e3+a=e1+ab=e2");

	records_on_change(records, on_changed, NULL);

	assert_told("+a=e1+ab=e2+c=e3");
}

TEST(advance_ends_what_is_over_and_nothing_else)
{
	put_until("a", "e1", START_MS + 1000);
	put_until("b", "e2", START_MS + 1001);
	put("c", "e3");
	assert_told("+a=e1+b=e2+c=e3");

	clock_ms = START_MS + 999;
	records_advance(records);
	assert_told("");
	clock_ms = START_MS + 1000;
	records_advance(records);
	assert_told("-a=");
	clock_ms = START_MS + 5000;
	records_advance(records);

	assert_told("-b=");
}

static uint64_t changed_ms;

static void note_changed(void *owner, const struct record *record)
{
	(void)owner;
	changed_ms = record->changed_ms;
}

TEST(put_after_a_step_back_of_the_clock_is_later_all_the_same)
{
	records_on_change(records, note_changed, NULL);
	put("a", "e1");
	uint64_t first = changed_ms;
	clock_ms -= 5000;

	put("a", "e2");

	assert_int_equal(first, START_MS);
	assert_int_equal(changed_ms, START_MS + 1);
}

TEST(put_of_two_records_at_one_moment_one_is_later)
{
	records_on_change(records, note_changed, NULL);
	put("b", "e1");
	uint64_t first = changed_ms;

	put("a", "e1");

	assert_int_equal(changed_ms, first + 1);
}

TEST(put_more_than_the_bound_is_refused_and_changes_nothing)
{
	char id[16];

	records_on_change(records, note_changed, NULL);
	for (unsigned i = 0; i < RECORDS_MAX; i++) {
		snprintf(id, sizeof id, "%08x", i * 2654435761U);
		put(id, "e");
	}
	assert_int_equal(last_outcome, RECORDS_DONE);
	records_on_change(records, on_changed, NULL);
	told[0] = '\0';

	put("new", "e");
	assert_int_equal(last_outcome, RECORDS_FULL);
	assert_told("");
	put(id, "e2");
	assert_int_equal(last_outcome, RECORDS_DONE);
	remove_record(id);
	put("new", "e");

	assert_int_equal(last_outcome, RECORDS_DONE);
}
