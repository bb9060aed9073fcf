#include "store/records_table.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "support/test.h"

#define IDS 300

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

static struct record record_of(const char *id, const char *value, uint64_t changed_ms)
{
	return (struct record){.id = bytes_from_text(id),
			       .value = bytes_from_text(value),
			       .changed_ms = changed_ms};
}

TEST(records_table_random_steps_keep_what_was_put)
{
	struct records_table table;
	uint64_t is[IDS] = {0}; /* when it changed; 0: it is not there */
	size_t count = 0, lacking = 0;
	char id[16];

	records_table_init(&table);
	srand(1);
	for (uint64_t step = 1; step < 20000; step++) {
		size_t n = (size_t)rand() % IDS;
		snprintf(id, sizeof id, "id-%zu", n);
		struct kept_record *kept = records_table_find(&table, bytes_from_text(id));
		assert_int_equal(kept == NULL ? 0 : kept->record.changed_ms, is[n]);
		lacking -= kept != NULL && kept->is_lacking;
		if (rand() % 3 == 0 && kept != NULL) {
			records_table_remove(&table, kept);
			is[n] = 0;
			count--;
		} else {
			const struct record record = record_of(id, "e", step);
			struct kept_record *new = records_table_put(&table, &record);
			assert_non_null(new);
			records_table_set_lacking(&table, new, step % 2 == 0);
			lacking += step % 2 == 0;
			count += kept == NULL;
			is[n] = step;
		}
		assert_int_equal(table.count, count);
		assert_int_equal(table.lacking, lacking);
	}
	for (size_t i = 0; i < table.count; i++)
		assert_int_equal(table.items[i]->place, i);
	records_table_release(&table);
}

static const struct order {
	const char *name;
	struct {
		uint64_t changed_ms;
		const char *value;
	} a, b;
	int order;
} orders[] = {
	{"the later one", {2, "ea"}, {1, "eb"}, 1},
	{"of one time, the greater value", {1, "ea"}, {1, "eb"}, -1},
	{"of one time, the longer value", {1, "ea"}, {1, "e"}, 1},
	{"of one time, a value and not a removal", {1, ""}, {1, "e"}, -1},
	{"the same", {1, "e"}, {1, "e"}, 0},
};
TEST_ROWS(orders)
{
	const struct record a = record_of("x", row->a.value, row->a.changed_ms);
	const struct record b = record_of("x", row->b.value, row->b.changed_ms);
	int order = record_compare(&a, &b), reverse = record_compare(&b, &a);

	assert_int_equal((order > 0) - (order < 0), row->order);
	assert_int_equal((reverse > 0) - (reverse < 0), -row->order);
}
