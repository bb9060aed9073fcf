/*
 * Several agents and a real Redis: a change of one reaches the others, and what Redis loses comes
 * back from the agents.
 */
#include "store/redis/redis_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/clock.h"
#include "store/records_table.h"
#include "store/redis/redis_records_call.h"
#include "store/redis/redis_store.h"
#include "support/redis_server.h"
#include "support/test.h"

#define AGENTS      3
#define PATIENCE_US (20 * US_PER_SECOND)

struct agent {
	struct store *store;
	struct records_table known; /* what it was told */
	size_t lost, outdated, lacks, regained, failed;
	size_t done[RECORDS_UNCERTAIN + 1]; /* puts, by their outcome */
};

static struct ev_loop *loop;
static struct ev_timer tick;
static struct redis_server *server;
static struct redis_target target;
static struct agent agents[AGENTS];
static int64_t silence_us; /* of agents that are opened */

/* ---- the stage ---- */

static void on_tick(struct ev_loop *in, struct ev_timer *timer, int events)
{
	(void)in, (void)timer, (void)events;
}

#define AWAIT(fact)                                                \
	do {                                                       \
		int64_t until_us_ = clock_mono_us() + PATIENCE_US; \
		while (!(fact)) {                                  \
			if (clock_mono_us() > until_us_)           \
				fail_msg("%s", #fact);             \
			ev_run(loop, EVRUN_ONCE);                  \
		}                                                  \
	} while (0)

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	(void)owner, (void)is_up, (void)error, (void)why;
}

static void on_lost(void *owner, const char *why, uint64_t known, uint64_t found)
{
	(void)why, (void)known, (void)found;
	((struct agent *)owner)->lost++;
}

static void on_outdated(void *owner, const struct record *record)
{
	assert_true(record->value.len > 0);
	((struct agent *)owner)->outdated++;
}

static void on_lacks(void *owner, const char *command, const char *hint)
{
	(void)command;
	assert_non_null(strstr(hint, "+zadd"));
	((struct agent *)owner)->lacks++;
}

static void on_regained(void *owner, const char *hint)
{
	assert_non_null(strstr(hint, "+zadd"));
	((struct agent *)owner)->regained++;
}

static void on_failed(void *owner, struct bytes why)
{
	(void)why;
	((struct agent *)owner)->failed++;
}

static void on_record(void *owner, const struct record *record)
{
	struct agent *agent = owner;

	assert_non_null(records_table_put(&agent->known, record));
}

static void on_done(void *owner, enum records_outcome outcome)
{
	((struct agent *)owner)->done[outcome]++;
}

static void open_agent(struct agent *agent)
{
	const struct store_config config = {
		.prefix = BYTES("rl:"),
		.timeout_us = PATIENCE_US / 2, /* a busy machine fails no put */
		.silence_us = silence_us,
		.max_in_flight = 16,
		.changed = on_changed,
		.records_lost = on_lost,
		.record_outdated = on_outdated,
		.records_failed = on_failed,
		.lacks_right = on_lacks,
		.regained_right = on_regained,
		.owner = agent,
	};

	*agent = (struct agent){.store = redis_store_new(loop, &target, &config)};
	assert_non_null(agent->store);
	records_table_init(&agent->known);
}

static void open_and_listen(struct agent *agent)
{
	open_agent(agent);
	records_on_change(agent->store->records, on_record, agent);
}

static void close_agent(struct agent *agent)
{
	store_free(agent->store);
	records_table_release(&agent->known);
	agent->store = NULL;
}

static bool is_ready(const struct agent *agent)
{
	return store_describe(agent->store).is_up;
}

BEFORE_EACH
{
	struct err err;
	char url[160];

	silence_us = PATIENCE_US;
	server = redis_server_start();
	snprintf(url, sizeof url, "redis+unix://%s", redis_server_path(server));
	assert_true(redis_target_parse(bytes_from_text(url), &target, &err));
	loop = ev_loop_new(EVFLAG_AUTO);
	ev_timer_init(&tick, on_tick, 0.005, 0.005);
	ev_timer_start(loop, &tick);
	for (size_t i = 0; i < AGENTS; i++)
		open_and_listen(&agents[i]);
	for (size_t i = 0; i < AGENTS; i++)
		AWAIT(is_ready(&agents[i]));
}

AFTER_EACH
{
	for (size_t i = 0; i < AGENTS; i++)
		if (agents[i].store != NULL)
			close_agent(&agents[i]);
	ev_timer_stop(loop, &tick);
	ev_loop_destroy(loop);
	redis_server_stop(server);
}

static void put_until(struct agent *agent, const char *id, const char *value, uint64_t until_ms)
{
	const struct record record = {.id = bytes_from_text(id),
				      .value = bytes_from_text(value),
				      .is_removed = *value == '\0',
				      .until_ms = until_ms};

	records_put(agent->store->records, &record, on_done, agent);
}

static enum records_outcome put_record_and_await(struct agent *agent, const struct record *record)
{
	size_t before[RECORDS_UNCERTAIN + 1];

	memcpy(before, agent->done, sizeof before);
	records_put(agent->store->records, record, on_done, agent);
	AWAIT(memcmp(before, agent->done, sizeof before) != 0);
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		if (agent->done[i] != before[i])
			return (enum records_outcome)i;
	return RECORDS_FULL;
}

static enum records_outcome put_and_await(struct agent *agent, const char *id, const char *value)
{
	const struct record record = {.id = bytes_from_text(id),
				      .value = bytes_from_text(value),
				      .is_removed = *value == '\0'};

	return put_record_and_await(agent, &record);
}

/* Whether the agent has the value under the id; "" is for a record that is not in force. */
static bool knows(const struct agent *agent, const char *id, const char *value)
{
	const struct kept_record *kept = records_table_find(&agent->known, bytes_from_text(id));

	if (*value == '\0')
		return kept == NULL || kept->record.is_removed;
	return kept != NULL && bytes_equal(kept->record.value, bytes_from_text(value));
}

static bool was_ended(const struct agent *agent, const char *id)
{
	const struct kept_record *kept = records_table_find(&agent->known, bytes_from_text(id));

	return kept != NULL && kept->record.is_removed;
}

static void await_all(const char *id, const char *value)
{
	for (size_t i = 0; i < AGENTS; i++)
		if (agents[i].store != NULL)
			AWAIT(knows(&agents[i], id, value));
}

static int64_t count_in_redis(void)
{
	return redis_server_ask_number(server, "HLEN rl:{records}:values");
}

/* ---- changes ---- */

TEST(put_reaches_every_agent)
{
	assert_int_equal(put_and_await(&agents[0], "a", "e1"), RECORDS_DONE);
	await_all("a", "e1");
	assert_int_equal(put_and_await(&agents[1], "a", "e2"), RECORDS_DONE);
	await_all("a", "e2");
	assert_int_equal(put_and_await(&agents[2], "a", ""), RECORDS_DONE);
	await_all("a", "");
	for (size_t i = 0; i < AGENTS; i++)
		assert_int_equal(agents[i].lost, 0);
}

TEST(put_of_a_new_record_alone_leaves_one_that_is_in_force)
{
	const struct record first = {.id = BYTES("a"), .value = BYTES("p1"), .is_new_only = true};
	const struct record second = {.id = BYTES("a"), .value = BYTES("p2"), .is_new_only = true};

	assert_int_equal(put_record_and_await(&agents[0], &first), RECORDS_DONE);
	assert_int_equal(put_record_and_await(&agents[1], &second), RECORDS_EXISTS);
	await_all("a", "p1");
	assert_int_equal(put_and_await(&agents[2], "a", ""), RECORDS_DONE);
	assert_int_equal(put_record_and_await(&agents[1], &second), RECORDS_DONE);
	await_all("a", "p2");
}

TEST(put_many_at_once_loses_none)
{
	char id[16];

	for (int i = 0; i < 900; i++) {
		snprintf(id, sizeof id, "k%d", i);
		put_until(&agents[i % AGENTS], id, "e", 0);
	}
	for (size_t i = 0; i < AGENTS; i++)
		AWAIT(agents[i].done[RECORDS_DONE] == 300);
	for (size_t i = 0; i < AGENTS; i++)
		AWAIT(agents[i].known.count == 900);
}

TEST(start_of_an_agent_reads_all_in_pages)
{
	char id[16], value[RECORD_VALUE_MAX + 2] = "e";

	memset(value + 1, 'x', RECORD_VALUE_MAX);
	close_agent(&agents[2]);
	for (int i = 0; i < 500; i++) {
		snprintf(id, sizeof id, "k%d", i);
		put_until(&agents[0], id, i < 50 ? value : "e", 0);
	}
	AWAIT(agents[0].done[RECORDS_DONE] == 500);
	open_and_listen(&agents[2]);

	AWAIT(agents[2].known.count == 500);
	assert_true(knows(&agents[2], "k0", value));
}

TEST(end_comes_to_every_agent_by_itself)
{
	struct records *records = agents[0].store->records;

	assert_int_equal(put_and_await(&agents[0], "before", "e"), RECORDS_DONE);
	put_until(&agents[0], "a", "e", records_now_ms(records) + 1000);
	AWAIT(agents[0].done[RECORDS_DONE] == 2);
	for (size_t i = 0; i < AGENTS; i++)
		AWAIT((records_advance(agents[i].store->records), was_ended(&agents[i], "a")));

	/* The store keeps it as one that was removed. */
	assert_int_equal(put_and_await(&agents[0], "b", "e"), RECORDS_DONE);
	assert_int_equal(redis_server_ask_number(server, "ZCARD rl:{records}:ends"), 0);
	assert_int_equal(redis_server_ask_number(server, "ZCARD rl:{records}:gone"), 1);
}

TEST(reset_is_told_to_every_agent)
{
	assert_int_equal(put_and_await(&agents[0], "reset-x", "r{}"), RECORDS_DONE);
	await_all("reset-x", "r{}");
	assert_int_equal(put_and_await(&agents[0], "reset-x", "r{1}"), RECORDS_DONE);
	await_all("reset-x", "r{1}");
	assert_int_equal(count_in_redis(), 1);
}

/* ---- a server that has lost something ---- */

static void put_three(void)
{
	assert_int_equal(put_and_await(&agents[0], "a", "e1"), RECORDS_DONE);
	assert_int_equal(put_and_await(&agents[1], "b", "e2"), RECORDS_DONE);
	assert_int_equal(put_and_await(&agents[2], "c", "e3"), RECORDS_DONE);
	assert_int_equal(put_and_await(&agents[2], "c", ""), RECORDS_DONE);
	await_all("a", "e1");
	await_all("b", "e2");
	await_all("c", "");
}

TEST(emptied_server_gets_back_what_the_agents_know)
{
	put_three();
	redis_server_ask(server, "FLUSHALL");

	AWAIT(count_in_redis() == 3);
	for (size_t i = 0; i < AGENTS; i++)
		AWAIT(agents[i].lost == 1);
	assert_int_equal(put_and_await(&agents[1], "a", "e9"), RECORDS_DONE);
	await_all("a", "e9");
	close_agent(&agents[0]);
	open_and_listen(&agents[0]);
	AWAIT(agents[0].known.count == 3);
	assert_true(knows(&agents[0], "a", "e9"));
	assert_true(knows(&agents[0], "c", ""));
	for (size_t i = 1; i < AGENTS; i++)
		assert_int_equal(agents[i].lost, 1);
}

TEST(emptied_server_that_an_agent_writes_to_at_once_keeps_both)
{
	put_three();
	redis_server_ask(server, "FLUSHALL");
	assert_int_equal(put_and_await(&agents[0], "a", "e9"), RECORDS_DONE);
	assert_int_equal(put_and_await(&agents[0], "d", "e4"), RECORDS_DONE);

	AWAIT(count_in_redis() == 4);
	await_all("a", "e9");
	await_all("b", "e2");
	await_all("c", "");
	await_all("d", "e4");
}

TEST(server_that_is_back_at_an_earlier_state_gets_the_later_changes)
{
	put_three();
	redis_server_ask(server, "COPY rl:{records}:version old:version");
	redis_server_ask(server, "COPY rl:{records}:values old:values");
	redis_server_ask(server, "COPY rl:{records}:changes old:changes");
	assert_int_equal(put_and_await(&agents[0], "a", ""), RECORDS_DONE);
	assert_int_equal(put_and_await(&agents[0], "d", "e4"), RECORDS_DONE);
	await_all("a", "");
	await_all("d", "e4");
	redis_server_ask(server, "MULTI");
	redis_server_ask(server, "RENAME old:version rl:{records}:version");
	redis_server_ask(server, "RENAME old:values rl:{records}:values");
	redis_server_ask(server, "RENAME old:changes rl:{records}:changes");
	redis_server_ask(server, "DEL rl:{records}:gone");
	redis_server_ask(server, "EXEC");

	AWAIT(count_in_redis() == 4);
	for (size_t i = 0; i < AGENTS; i++)
		AWAIT(agents[i].lost == 1);
	close_agent(&agents[1]);
	open_and_listen(&agents[1]);
	AWAIT(agents[1].known.count == 4);
	assert_true(knows(&agents[1], "a", ""));
	assert_true(knows(&agents[1], "d", "e4"));
	assert_true(knows(&agents[0], "b", "e2"));
}

TEST(agent_that_was_away_gets_what_was_removed_and_forgotten)
{
	put_three();
	/* As after 7 days: the server has forgotten that `c` was removed, and all of `b`. */
	close_agent(&agents[1]);
	close_agent(&agents[2]);
	redis_server_ask(server, "ZADD rl:{records}:gone 1 c");
	assert_int_equal(put_and_await(&agents[0], "d", "e4"), RECORDS_DONE);
	assert_int_equal(count_in_redis(), 3);
	open_and_listen(&agents[1]);

	AWAIT(knows(&agents[1], "d", "e4"));
	assert_true(knows(&agents[1], "c", ""));
	assert_int_equal(agents[0].lost + agents[1].lost, 0);
}

TEST(part_of_the_keys_that_is_gone_is_as_if_all_were)
{
	put_three();
	redis_server_ask(server, "DEL rl:{records}:values");

	AWAIT(count_in_redis() == 3);
	await_all("a", "e1");
	for (size_t i = 0; i < AGENTS; i++)
		AWAIT(agents[i].lost == 1);
}

/* ---- a state file ---- */

static void restore(struct agent *agent, const char *id, const char *value)
{
	const struct record record = {.id = bytes_from_text(id),
				      .value = bytes_from_text(value),
				      .is_removed = *value == '\0',
				      .changed_ms = (uint64_t)(clock_now_us() / 1000)};

	assert_true(agent->store->records->restore(agent->store->records, &record));
}

TEST(state_file_is_in_force_until_the_store_answers_and_fills_an_empty_one)
{
	for (size_t i = 0; i < AGENTS; i++)
		close_agent(&agents[i]);
	open_agent(&agents[0]);
	restore(&agents[0], "a", "e1");
	restore(&agents[0], "b", "");
	records_on_change(agents[0].store->records, on_record, &agents[0]);
	assert_true(knows(&agents[0], "a", "e1"));
	AWAIT(count_in_redis() == 2);
	open_and_listen(&agents[1]);

	AWAIT(knows(&agents[1], "a", "e1"));
	assert_int_equal(agents[0].lost + agents[0].outdated, 0);
}

TEST(state_file_gives_way_to_a_store_that_has_a_version)
{
	put_three();
	close_agent(&agents[0]);
	open_agent(&agents[0]);
	restore(&agents[0], "a", "e1 of the file");
	restore(&agents[0], "b", "");
	restore(&agents[0], "d", "e4");
	records_on_change(agents[0].store->records, on_record, &agents[0]);
	assert_true(knows(&agents[0], "d", "e4"));

	AWAIT(knows(&agents[0], "a", "e1"));
	AWAIT(knows(&agents[0], "b", "e2"));
	AWAIT(knows(&agents[0], "d", ""));
	assert_int_equal(agents[0].outdated, 2);
	assert_int_equal(count_in_redis(), 3);
	assert_true(knows(&agents[1], "a", "e1"));
	assert_true(knows(&agents[1], "d", ""));
}

/* ---- what can't be ---- */

TEST(foreign_value_is_told_once_and_changes_nothing)
{
	put_three();
	redis_server_ask(server, "DEL rl:{records}:version");
	redis_server_ask(server, "LPUSH rl:{records}:version foreign");

	for (size_t i = 0; i < AGENTS; i++)
		AWAIT(agents[i].failed == 1);
	assert_int_equal(put_and_await(&agents[0], "a", "e9"), RECORDS_UNAVAILABLE);
	await_all("a", "e1");
	assert_int_equal(redis_server_ask_number(server, "LLEN rl:{records}:version"), 1);
	redis_server_ask(server, "DEL rl:{records}:version");
	AWAIT(put_and_await(&agents[0], "a", "e9") == RECORDS_DONE);
	await_all("a", "e9");
	await_all("b", "e2");
}

TEST(missing_right_is_told_once)
{
	redis_server_ask(server, "ACL SETUSER default -zadd");
	for (size_t i = 0; i < AGENTS; i++)
		AWAIT(agents[i].lacks == 1); /* before anybody wants to change something */
	assert_int_equal(put_and_await(&agents[0], "a", "e1"), RECORDS_FORBIDDEN);
	assert_int_equal(put_and_await(&agents[0], "a", "e1"), RECORDS_FORBIDDEN);
	assert_int_equal(agents[0].lacks, 1);
	assert_int_equal(redis_server_ask_number(server, "DBSIZE"), 0);
	assert_true(is_ready(&agents[0]));
	redis_server_ask(server, "ACL SETUSER default +@all");
	for (size_t i = 0; i < AGENTS; i++)
		assert_int_equal(agents[i].regained, 0);
	assert_int_equal(put_and_await(&agents[0], "a", "e1"), RECORDS_DONE);
	for (size_t i = 0; i < AGENTS; i++)
		AWAIT(agents[i].regained == 1);
}

TEST(forgotten_script_is_loaded_again)
{
	assert_int_equal(put_and_await(&agents[0], "a", "e1"), RECORDS_DONE);
	redis_server_ask(server, "SCRIPT FLUSH");
	assert_int_equal(put_and_await(&agents[0], "b", "e2"), RECORDS_DONE);
	await_all("b", "e2");
}

TEST(lost_connection_ends_a_put)
{
	silence_us = 0; /* the usual */
	close_agent(&agents[0]);
	open_and_listen(&agents[0]);
	AWAIT(is_ready(&agents[0]));
	redis_server_ask(server, "CLIENT PAUSE 600000 WRITE");
	put_until(&agents[0], "a", "e1", 0);
	AWAIT(agents[0].done[RECORDS_UNCERTAIN] == 1);
	assert_int_equal(agents[0].done[RECORDS_DONE], 0);
}
