#include "app/operate/policy_versions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/records_memory.h"
#include "support/test.h"

#define START_MS UINT64_C(1700000000000)

static struct records *records;
static struct policy_versions versions;
static uint64_t clock_ms;

static int64_t now_us(void)
{
	return (int64_t)clock_ms * US_PER_MS;
}

static void on_changed(void *owner, const struct record *record)
{
	(void)owner;
	assert_true(policy_versions_have_record(record));
	assert_true(policy_versions_take(&versions, record));
}

static void on_done(void *owner, enum records_outcome outcome)
{
	*(enum records_outcome *)owner = outcome;
}

static enum records_outcome put(const struct record *record)
{
	enum records_outcome outcome = RECORDS_FULL;

	records_put(records, record, on_done, &outcome);
	return outcome;
}

static struct policy_version make_version(uint64_t number, size_t len)
{
	struct policy_version version = {.number = number, .who = "uid 0"};

	policy_version_set_upload(&version, len);
	return version;
}

static void put_piece(const struct policy_version *version, struct bytes text, size_t i)
{
	struct policy_record piece;

	policy_version_make_piece(version, text, i, &piece);
	assert_int_equal(put(&piece.record), RECORDS_DONE);
}

static enum records_outcome put_head(const struct policy_version *version)
{
	struct policy_record head;

	policy_version_make_head(version, &head);
	return put(&head.record);
}

static void put_version(uint64_t number, const char *text)
{
	struct policy_version version = make_version(number, strlen(text));

	put_piece(&version, bytes_from_text(text), 0);
	assert_int_equal(put_head(&version), RECORDS_DONE);
}

BEFORE_EACH
{
	clock_ms = START_MS;
	versions = (struct policy_versions){.count = 0};
	records = records_memory_new(now_us);
	assert_non_null(records);
	records_on_change(records, on_changed, NULL);
}

AFTER_EACH
{
	records_free(records);
}

TEST(policy_versions_the_latest_has_the_highest_number)
{
	assert_null(policy_versions_latest(&versions));
	put_version(2, "two");
	put_version(1, "one");
	put_version(10, "ten");

	assert_int_equal(policy_versions_latest(&versions)->number, 10);
	assert_int_equal(policy_versions_find(&versions, 2)->len, 3);
	assert_string_equal(policy_versions_find(&versions, 2)->who, "uid 0");
	assert_null(policy_versions_find(&versions, 3));
	assert_int_equal(put(&(struct record){.id = BYTES("policies.10"), .is_removed = true}),
			 RECORDS_DONE);
	assert_int_equal(policy_versions_latest(&versions)->number, 2);
}

TEST(policy_versions_a_number_is_taken_once)
{
	struct policy_version first = make_version(1, 3), second = make_version(1, 3);

	assert_int_equal(put_head(&first), RECORDS_DONE);
	assert_int_equal(put_head(&second), RECORDS_EXISTS);
	assert_true(policy_version_is_same(policy_versions_latest(&versions), &first));
	assert_false(policy_version_is_same(policy_versions_latest(&versions), &second));
}

TEST(policy_version_text_is_whole_or_not_there)
{
	static char text[3 * RECORD_VALUE_MAX];
	const size_t lens[] = {1, RECORD_VALUE_MAX - 1, RECORD_VALUE_MAX, RECORD_VALUE_MAX + 1,
			       sizeof text};

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)('a' + i % 23);
	for (size_t n = 0; n < ARRAY_SIZE(lens); n++) {
		struct policy_version version = make_version(n + 1, lens[n]);
		struct bytes bytes = bytes_from(text, lens[n]);
		size_t count = policy_version_pieces(&version);
		for (size_t i = count; i > 0; i--) {
			char *early = policy_version_text(&version, records);
			assert_null(early);
			put_piece(&version, bytes, i - 1);
		}
		assert_int_equal(put_head(&version), RECORDS_DONE);
		char *found = policy_version_text(policy_versions_latest(&versions), records);
		assert_non_null(found);
		assert_int_equal(strlen(found), lens[n]);
		assert_memory_equal(found, text, lens[n]);
		free(found);
	}
}

TEST(policy_versions_foreign_records_are_refused)
{
	static const char *const bad[][2] = {
		{"policies.1", ""},
		{"policies.1", "e0123456789abcdef 3 uid 0"},
		{"policies.1", "p0123456789abcde 3 uid 0"},
		{"policies.1", "p0123456789abcdeg 3 uid 0"},
		{"policies.1", "p0123456789abcdef x uid 0"},
		{"policies.1", "p0123456789abcdef 1048577 uid 0"},
		{"policies.1", "p0123456789abcdef 3"},
		{"policies.0", "p0123456789abcdef 3 uid 0"},
		{"policies.x", "p0123456789abcdef 3 uid 0"},
		{"policies.", "p0123456789abcdef 3 uid 0"},
		{"policies.0123.0", "pxyz"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct record record = {.id = bytes_from_text(bad[i][0]),
					      .value = bytes_from_text(bad[i][1])};
		assert_false(policy_versions_take(&versions, &record));
	}
	assert_int_equal(versions.count, 0);
}

TEST(policy_versions_more_than_there_is_room_for_the_oldest_are_forgotten)
{
	for (uint64_t number = 1; number <= POLICY_VERSIONS_MAX + 3; number++)
		put_version(number, "x");
	put_version(POLICY_VERSIONS_MAX + 5, "y");

	assert_int_equal(versions.count, POLICY_VERSIONS_MAX);
	assert_null(policy_versions_find(&versions, 4));
	assert_int_equal(policy_versions_latest(&versions)->number, POLICY_VERSIONS_MAX + 5);
	assert_non_null(policy_versions_find(&versions, POLICY_VERSIONS_MAX + 3));
}

/* The whole walk, with each record removed that is found. Returns how many. */
static size_t sweep_all(const struct policy_uploads *refused, char *ret_last)
{
	struct policy_sweep sweep = {0};
	struct policy_record_id id;
	size_t found = 0;

	while (!policy_sweep_is_over(&sweep)) {
		if (!policy_versions_sweep(&versions, records, &sweep, refused, &id))
			continue;
		assert_int_equal(
			put(&(struct record){.id = bytes_from_text(id.text), .is_removed = true}),
			RECORDS_DONE);
		memcpy(ret_last, id.text, sizeof id.text);
		found++;
	}
	return found;
}

TEST(policy_versions_sweep_finds_old_versions_and_abandoned_pieces)
{
	struct policy_version abandoned = make_version(0, 1);
	const struct policy_uploads none = {0};
	char last[RECORD_ID_MAX + 1];

	for (uint64_t number = 1; number <= POLICY_VERSIONS_KEPT; number++)
		put_version(number, "x");
	put_piece(&abandoned, BYTES("x"), 0);
	assert_int_equal(sweep_all(&none, last), 0);

	put_version(POLICY_VERSIONS_KEPT + 1, "x");
	assert_int_equal(sweep_all(&none, last), 2);
	assert_string_equal(last, "policies.1");

	clock_ms += 3600 * 1000;
	assert_int_equal(sweep_all(&none, last), 1);
}

/* As by an agent that has started while others bring back what the store has lost. */
TEST(policy_versions_sweep_that_keeps_late_pieces_waits_for_their_heads)
{
	struct policy_version late = make_version(1, 1), refused = make_version(2, 1);
	struct policy_sweep sweep = {.keeps_late = true};
	struct policy_uploads uploads = {0};
	struct policy_record_id id;

	put_piece(&late, BYTES("x"), 0);
	put_piece(&refused, BYTES("x"), 0);
	clock_ms += 3600 * 1000;
	while (!policy_sweep_is_over(&sweep))
		assert_false(policy_versions_sweep(&versions, records, &sweep, &uploads, &id));

	policy_uploads_note(&uploads, &refused);
	sweep = (struct policy_sweep){.keeps_late = true};
	assert_true(policy_versions_sweep(&versions, records, &sweep, &uploads, &id));
	assert_non_null(strstr(id.text, refused.upload));
}

/* As when memory is too short for the agent to note that it is removed. */
TEST(policy_versions_sweep_passes_over_what_is_there_after_its_removal)
{
	struct policy_version abandoned[2] = {make_version(0, 1), make_version(0, 1)};
	const struct policy_uploads none = {0};
	struct policy_sweep sweep = {0};
	struct policy_record_id first, second, id;

	for (size_t i = 0; i < 2; i++)
		put_piece(&abandoned[i], BYTES("x"), 0);
	clock_ms += 3600 * 1000;

	assert_true(policy_versions_sweep(&versions, records, &sweep, &none, &first));
	assert_true(policy_versions_sweep(&versions, records, &sweep, &none, &second));
	assert_string_not_equal(first.text, second.text);
	assert_false(policy_versions_sweep(&versions, records, &sweep, &none, &id));
	assert_true(policy_sweep_is_over(&sweep));
}

TEST(policy_versions_sweep_finds_the_pieces_of_a_refused_upload_at_once)
{
	struct policy_version put = make_version(1, 3 * RECORD_VALUE_MAX), other = put;
	struct policy_uploads refused = {0};
	char text[3 * RECORD_VALUE_MAX], last[RECORD_ID_MAX + 1];

	memset(text, ' ', sizeof text);
	policy_version_set_upload(&other, sizeof text);
	for (size_t i = 0; i < 3; i++) {
		put_piece(&put, bytes_from(text, sizeof text), i);
		put_piece(&other, bytes_from(text, sizeof text), i);
	}
	policy_uploads_note(&refused, &put);

	assert_int_equal(sweep_all(&refused, last), 3);
	assert_non_null(strstr(last, put.upload));
	assert_int_equal(sweep_all(&refused, last), 0);
}

TEST(policy_versions_sweep_looks_at_some_records_in_a_call)
{
	const struct policy_uploads none = {0};
	struct policy_sweep sweep = {0};
	struct policy_record_id ret_id;
	char id[32];
	unsigned calls = 0;

	for (unsigned i = 0; i < 3 * POLICY_SWEEP_LOOKS; i++) {
		snprintf(id, sizeof id, "policies.%016x.%u", i, 0);
		assert_int_equal(
			put(&(struct record){.id = bytes_from_text(id), .value = BYTES("p")}),
			RECORDS_DONE);
	}
	for (; !policy_sweep_is_over(&sweep); calls++)
		assert_false(policy_versions_sweep(&versions, records, &sweep, &none, &ret_id));

	assert_in_range(calls, 6, 7);
}
