#include "app/state_file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/log.h"
#include "limit/request.h"
#include "store/memory.h"
#include "store/records_memory.h"
#include "support/test.h"

#define COUNT 2500 /* more than are put in a turn of the loop */

static char folder[] = "/tmp/state-file-XXXXXX";
static char path[64], aside[80];
static struct ev_loop *loop;
static struct ev_timer overdue;

static void on_overdue(struct ev_loop *in, struct ev_timer *timer, int events)
{
	(void)in, (void)timer, (void)events;
	fail_msg("the file is not written");
}

BEFORE_EACH
{
	assert_true(sodium_init() >= 0);
	(void)strcpy(folder, "/tmp/state-file-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/state", folder);
	snprintf(aside, sizeof aside, "%s.unusable", path);
	loop = ev_loop_new(EVFLAG_AUTO);
	ev_timer_init(&overdue, on_overdue, 20, 0);
	ev_timer_start(loop, &overdue);
	log_set(LOG_ERROR, LOG_JSON);
}

AFTER_EACH
{
	ev_timer_stop(loop, &overdue);
	ev_loop_destroy(loop);
	(void)unlink(path);
	(void)unlink(aside);
	assert_int_equal(rmdir(folder), 0); /* nothing else is left behind */
}

static void on_done(void *owner, enum records_outcome outcome)
{
	(void)owner;
	assert_int_equal(outcome, RECORDS_DONE);
}

static void put(struct records *records, const char *id, const char *value)
{
	const struct record record = {.id = bytes_from_text(id),
				      .value = bytes_from_text(value),
				      .is_removed = *value == '\0',
				      .until_ms = *value == '\0' ? 0 : UINT64_C(1) << 50};

	records_put(records, &record, on_done, NULL);
}

static bool has(const struct records *records, const char *id, const char *value)
{
	struct record record;

	for (size_t i = 0; records->at(records, i, &record); i++)
		if (bytes_equal(record.id, bytes_from_text(id)))
			return bytes_equal(record.value, bytes_from_text(value)) &&
			       record.until_ms == UINT64_C(1) << 50;
	return false;
}

static struct records *open_new(struct state_file *file)
{
	struct records *records = records_memory_new(clock_now_us);
	struct err err;

	assert_non_null(records);
	if (!state_file_open(file, &(struct state_file_config){.path = path, .records = records},
			     &err))
		fail_msg("%s", err.text);
	return records;
}

static void close_all(struct state_file *file, struct records *records)
{
	state_file_close(file);
	records_free(records);
}

/* A file with one record, closed. */
static void write_one(void)
{
	struct state_file file;
	struct records *records = open_new(&file);

	put(records, "a", "e with spaces\nand\xff lines");
	state_file_note_change(&file);
	close_all(&file, records);
}

static size_t read_bytes(char *memory, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, memory, max);

	(void)close(fd);
	assert_true(len >= 0);
	return (size_t)len;
}

static void write_bytes(const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, len), len);
	(void)close(fd);
}

TEST(state_file_that_is_closed_has_all_and_is_for_its_owner_alone)
{
	struct state_file file;
	struct stat found;

	write_one();
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 0777, 0600);
	struct records *records = open_new(&file);
	assert_true(has(records, "a", "e with spaces\nand\xff lines"));
	close_all(&file, records);
}

TEST(state_file_is_written_beside_the_loop_after_a_change)
{
	struct state_file file, other;
	struct records *records = open_new(&file);
	char id[16];

	state_file_start(&file, loop);
	for (int i = 0; i < COUNT; i++) {
		snprintf(id, sizeof id, "k%d", i);
		put(records, id, "e1");
	}
	state_file_note_change(&file);
	while (file.is_changed || file.is_putting || file.is_writing)
		ev_run(loop, EVRUN_ONCE);
	put(records, "k7", "e2");
	state_file_note_change(&file);
	put(records, "k8", "");
	state_file_note_change(&file);
	while (file.is_changed || file.is_putting || file.is_writing)
		ev_run(loop, EVRUN_ONCE);
	close_all(&file, records);

	records = open_new(&other);
	assert_true(has(records, "k7", "e2"));
	assert_false(has(records, "k8", "e1"));
	for (int i = 9; i < COUNT; i++) {
		snprintf(id, sizeof id, "k%d", i);
		assert_true(has(records, id, "e1"));
	}
	close_all(&other, records);
}

TEST(state_file_of_another_agent_is_refused)
{
	struct state_file file, other;
	struct records *records = open_new(&file);
	struct err err;

	assert_false(state_file_open(
		&other, &(struct state_file_config){.path = path, .records = records}, &err));
	assert_non_null(strstr(err.text, "another agent has it"));
	state_file_close(&other);

	/* Also after it was written anew. */
	put(records, "a", "e");
	state_file_start(&file, loop);
	state_file_note_change(&file);
	while (file.is_changed || file.is_putting || file.is_writing)
		ev_run(loop, EVRUN_ONCE);
	assert_false(state_file_open(
		&other, &(struct state_file_config){.path = path, .records = records}, &err));
	assert_non_null(strstr(err.text, "another agent has it"));
	close_all(&file, records);
}

TEST(state_file_that_cannot_be_is_refused)
{
	struct state_file file;
	struct err err;

	assert_false(state_file_open(&file, &(struct state_file_config){.path = folder}, &err));
	assert_false(state_file_open(&file, &(struct state_file_config){.path = "/nowhere/state"},
				     &err));
	assert_non_null(strstr(err.text, "/nowhere/state"));
	assert_false(
		state_file_open(&file, &(struct state_file_config){.path = "/dev/null"}, &err));
	assert_non_null(strstr(err.text, "not a regular file"));
}

TEST(state_file_without_a_path_does_nothing)
{
	struct state_file file;
	struct err err;

	assert_true(state_file_open(&file, &(struct state_file_config){.path = NULL}, &err));
	state_file_start(&file, loop);
	state_file_note_change(&file);
	state_file_close(&file);
}

TEST(state_file_that_is_cut_or_has_another_byte_is_set_aside)
{
	char good[512];

	write_one();
	size_t len = read_bytes(good, sizeof good);
	for (size_t i = 1; i < 2 * len; i++) {
		char bad[512];
		struct state_file file;
		memcpy(bad, good, len);
		if (i >= len)
			bad[i - len] ^= 1;
		write_bytes(bad, i < len ? i : len);

		struct records *records = open_new(&file);

		assert_false(has(records, "a", "e with spaces\nand\xff lines"));
		assert_int_equal(access(aside, F_OK), 0);
		assert_int_equal(unlink(aside), 0);
		close_all(&file, records);
	}
}

TEST(state_file_that_is_empty_is_as_a_new_one)
{
	struct state_file file;

	write_bytes("", 0);
	struct records *records = open_new(&file);
	assert_int_equal(access(aside, F_OK), -1);
	close_all(&file, records);
}

/* ---- balances ---- */

#define NOW_US clock_now_us()
#define HOUR   INT64_C(3600000000)

static const struct quota quota = {.algorithm = FIXED_WINDOW, .limit = 9, .window_us = 1000 * HOUR};

/* Takes units of a key, and says how many are left. */
static int64_t take(struct store *store, const char *key, int64_t units)
{
	struct check check = {.quota = &quota, .cost = units};
	struct store_op op = {.checks = (struct check *[]){&check}, .count = 1, .now_us = NOW_US};

	check.hash = key_hash_of_values(bytes_from_text(key));
	assert_int_equal(store_ask(store, &op), STORE_DONE);
	return check.outcome.remaining;
}

static struct store *memory_new(void)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);

	assert_non_null(store);
	return store;
}

static struct records *open_with(struct state_file *file, struct store *memory)
{
	struct records *records = records_memory_new(clock_now_us);
	struct err err;

	assert_non_null(records);
	if (!state_file_open(
		    file,
		    &(struct state_file_config){.path = path, .records = records, .memory = memory},
		    &err))
		fail_msg("%s", err.text);
	return records;
}

/* A file with a record and a balance, of which 5 are left. */
static void write_balances(void)
{
	struct state_file file;
	struct store *memory = memory_new();
	struct records *records = open_with(&file, memory);

	put(records, "a", "e");
	take(memory, "k", 4);
	state_file_write_balances(&file, memory);
	close_all(&file, records);
	store_free(memory);
}

static void assert_left(int64_t left)
{
	struct state_file file;
	struct store *memory = memory_new();
	struct records *records = open_with(&file, memory);

	assert_true(has(records, "a", "e"));
	assert_int_equal(take(memory, "k", 0), left);
	close_all(&file, records);
	store_free(memory);
}

TEST(state_file_of_a_clean_end_has_the_balances)
{
	struct stat found;

	write_balances();

	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 0777, 0600);
	assert_left(5);
	assert_left(5); /* who is killed leaves the file as it was */
}

TEST(state_file_that_is_written_while_the_agent_runs_has_no_balances)
{
	struct state_file file;
	struct store *memory = memory_new();

	write_balances();
	struct records *records = open_with(&file, memory);
	state_file_note_change(&file);
	close_all(&file, records);
	store_free(memory);

	assert_left(9);
}

/* An agent that has its balances from systemd opens and closes the file of the one before. */
static void run_with_later_balances(bool starts)
{
	struct state_file file;
	struct store *memory = memory_new();
	struct records *records = records_memory_new(clock_now_us);
	struct err err;

	assert_non_null(records);
	assert_true(state_file_open(
		&file,
		&(struct state_file_config){
			.path = path, .records = records, .memory = memory, .skips_balances = true},
		&err));
	assert_int_equal(take(memory, "k", 0), 9);
	if (starts)
		state_file_drop_skipped(&file);
	close_all(&file, records);
	store_free(memory);
}

TEST(state_file_whose_balances_are_outdated_is_written_without_them)
{
	write_balances();

	run_with_later_balances(true);

	assert_left(9);
}

TEST(state_file_of_an_agent_that_does_not_start_keeps_balances_that_it_skipped)
{
	write_balances();

	run_with_later_balances(false);

	assert_left(5);
}

TEST(state_file_with_damaged_balances_gives_the_rest_and_is_set_aside)
{
	static char good[1024], bad[1024];

	write_balances();
	size_t len = read_bytes(good, sizeof good);
	size_t text = len - (64 + 48 + 48);
	assert_memory_equal(good + text, "rl-spoa\n", 8);
	for (size_t i = text + 1; i < len + (len - text); i++) {
		memcpy(bad, good, len);
		if (i >= len)
			bad[i - (len - text)] ^= 1;
		write_bytes(bad, i < len ? i : len);

		assert_left(9);

		assert_int_equal(unlink(aside), 0);
		assert_left(9); /* written anew */
		assert_int_equal(access(aside, F_OK), -1);
	}
}

TEST(state_file_with_balances_for_an_agent_with_redis_is_set_aside)
{
	struct state_file file;

	write_balances();
	struct records *records = open_with(&file, NULL);
	assert_true(has(records, "a", "e"));
	close_all(&file, records);

	assert_int_equal(access(aside, F_OK), 0);
	assert_int_equal(rename(aside, path), 0);
	assert_left(5);
}

TEST(state_file_that_can_not_be_written_at_the_end_is_as_it_was)
{
	struct state_file file;
	struct store *memory = memory_new();
	char new[80];

	write_balances();
	struct records *records = open_with(&file, memory);
	take(memory, "k", 4);
	snprintf(new, sizeof new, "%s.new", path);
	assert_int_equal(mkdir(new, 0700), 0); /* which nothing replaces */
	state_file_write_balances(&file, memory);
	assert_int_equal(rmdir(new), 0);
	close_all(&file, records);
	store_free(memory);

	assert_left(5);
}

TEST(state_file_is_written_past_what_a_killed_agent_left)
{
	char new[80];

	snprintf(new, sizeof new, "%s.new", path);
	assert_int_equal(mkfifo(new, 0600), 0);
	write_balances();

	assert_left(5);
	assert_int_equal(access(new, F_OK), -1);
}
