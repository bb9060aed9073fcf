#include "store/redis/redis_records_copy.h"

#include <sodium.h>

#include "store/redis/redis_records.h"
#include "support/test.h"

#define NOW (UINT64_C(1000) * RECORDS_KEPT_MS)

static struct records_copy copy;
static unsigned told, told_removed, told_outdated;

static void on_changed(void *owner, const struct record *record)
{
	(void)owner;
	told++;
	told_removed += record->is_removed;
}

static void on_outdated(void *owner, const struct record *record)
{
	(void)owner, (void)record;
	told_outdated++;
}

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

BEFORE_EACH
{
	copy = (struct records_copy){0};
	records_copy_init(&copy, on_outdated, NULL);
	told = told_removed = told_outdated = 0;
}

AFTER_EACH
{
	records_copy_release(&copy);
}

static struct record record_of(const char *id, uint64_t changed_ms)
{
	return (struct record){
		.id = bytes_from_text(id), .value = BYTES("e{}"), .changed_ms = changed_ms};
}

static void restore(const char *id, uint64_t changed_ms)
{
	const struct record record = record_of(id, changed_ms);

	assert_true(records_copy_restore(&copy, &record, NOW));
}

static void listen(void)
{
	records_copy_listen(&copy, on_changed, NULL);
	told = 0;
}

static void take(const char *id, uint64_t changed_ms, uint64_t counter)
{
	const struct record record = record_of(id, changed_ms);

	records_copy_take(&copy, &record, counter, NOW);
}

static struct kept_record *find(const char *id)
{
	return records_table_find(&copy.table, bytes_from_text(id));
}

/* Writes everything that is lacking, as a merge does. */
static void merge_all(void)
{
	const struct record *chosen[RECORDS_MERGE_MAX];

	while (copy.table.lacking > 0) {
		size_t count = records_copy_choose_lacking(&copy, chosen);
		assert_in_range(count, 1, RECORDS_MERGE_MAX);
		for (size_t i = 0; i < count; i++)
			records_copy_note_merged(&copy, chosen[i]->id);
	}
}

TEST(records_copy_of_two_forms_the_later_one_holds)
{
	listen();
	take("a", NOW - 5, 1);
	take("a", NOW - 9, 2);
	assert_int_equal(find("a")->record.changed_ms, NOW - 5);
	assert_true(find("a")->is_lacking);
	take("a", NOW - 4, 3);
	assert_int_equal(find("a")->record.changed_ms, NOW - 4);
	assert_false(find("a")->is_lacking);
	assert_int_equal(told, 2);
}

TEST(records_copy_what_a_file_alone_has_is_dropped)
{
	restore("of the file", NOW - 5);
	restore("of both", NOW - 5);
	listen();

	records_copy_begin_round(&copy);
	take("of both", NOW - 9, 1);
	records_copy_end_round(&copy, false, 0, NOW);

	assert_null(find("of the file"));
	assert_int_equal(find("of both")->record.changed_ms, NOW - 9);
	assert_int_equal(told_outdated, 2);
	assert_int_equal(told_removed, 1);
	assert_int_equal(copy.table.lacking, 0);
}

TEST(records_copy_an_empty_store_gets_what_a_file_has)
{
	for (char id[] = "a"; id[0] <= 'z'; id[0]++)
		restore(id, NOW - 5);
	listen();

	records_copy_lack_all(&copy);

	assert_int_equal(copy.table.lacking, 26);
	merge_all();
	assert_int_equal(copy.table.count, 26);
}

TEST(records_copy_what_the_store_has_forgotten_is_dropped)
{
	listen();
	take("old", NOW - 5, 3);
	take("new", NOW - 5, 7);

	records_copy_begin_round(&copy);
	records_copy_end_round(&copy, true, 3, NOW);

	assert_null(find("old"));
	assert_true(find("new")->is_lacking);
}

TEST(records_copy_a_record_whose_time_is_over_is_removed_and_then_forgotten)
{
	const struct record record = {.id = BYTES("a"),
				      .value = BYTES("e{}"),
				      .changed_ms = NOW - 10,
				      .until_ms = NOW + 10};

	listen();
	records_copy_take(&copy, &record, 1, NOW);
	records_copy_advance(&copy, NOW + 9);
	assert_false(find("a")->record.is_removed);
	records_copy_advance(&copy, NOW + 10);
	assert_true(find("a")->record.is_removed);
	assert_int_equal(told_removed, 1);
	records_copy_advance(&copy, NOW - 10 + RECORDS_KEPT_MS);
	assert_null(find("a"));
	assert_int_equal(told_removed, 1);
}

TEST(records_copy_agrees_by_count_and_sum)
{
	struct records_version version = {.count = 1, .sum = (NOW - 5) % (UINT64_C(1) << 31)};

	listen();
	take("a", NOW - 5, 1);
	assert_true(records_copy_agrees(&copy, &version));
	take("a", NOW - 4, 2);
	assert_false(records_copy_agrees(&copy, &version));
}
