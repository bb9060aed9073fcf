/* A store that asks three Sentinels, all of them and two servers in the test's own loop. */
#include "store/redis/redis_sentinels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store_world.h"
#include "support/test.h"

#define REPLICA "$12\r\nrole:slave\r\n\r\n"
#define UNKNOWN "-ERR No such master with that name\r\n"

BEFORE_ALL
{
	world_prepare();
}

struct trio {
	struct world *world;
	struct fake_redis *first, *second; /* servers */
	struct fake_redis *sentinels[3];
	char texts[3][512]; /* what each says of the master */
};

static const char *place_of(const struct fake_redis *fake)
{
	return fake_redis_url(fake) + strlen("redis://");
}

static const char *port_of(const struct fake_redis *fake)
{
	return strrchr(fake_redis_url(fake), ':') + 1;
}

/* From now on the Sentinel names this server. */
static void name(struct trio *trio, size_t sentinel, const struct fake_redis *server,
		 const char *epoch, const char *flags)
{
	const char *words[] = {"name",          "mymaster", "ip",  "127.0.0.1",    "port",
			       port_of(server), "flags",    flags, "config-epoch", epoch};
	struct writer w = writer_on(trio->texts[sentinel], sizeof trio->texts[sentinel]);

	writer_put_text(&w, "*10\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		writer_put_text(&w, "$");
		writer_put_unsigned(&w, strlen(words[i]));
		writer_put_text(&w, "\r\n");
		writer_put_text(&w, words[i]);
		writer_put_text(&w, "\r\n");
	}
	assert_false(w.full);
	fake_redis_say(trio->sentinels[sentinel], FAKE_SENTINEL, writer_text(&w), FAKE_ALWAYS);
}

static void all_name(struct trio *trio, const struct fake_redis *server, const char *epoch)
{
	for (size_t i = 0; i < 3; i++)
		name(trio, i, server, epoch, "master");
}

static void all_say(struct trio *trio, const char *text)
{
	for (size_t i = 0; i < 3; i++)
		fake_redis_say(trio->sentinels[i], FAKE_SENTINEL, text, FAKE_ALWAYS);
}

/* All three name the first server. The store is not there yet. */
static struct trio *trio_new(void)
{
	struct trio *trio = calloc(1, sizeof *trio);
	char url[256];
	struct err err;

	assert_non_null(trio);
	trio->world = world_open(true);
	trio->first = trio->world->fake;
	trio->second = fake_redis_new(trio->world->loop, true);
	for (size_t i = 0; i < 3; i++)
		trio->sentinels[i] = fake_redis_new(trio->world->loop, true);
	snprintf(url, sizeof url, "redis+sentinel://%s,%s,%s/mymaster",
		 place_of(trio->sentinels[0]), place_of(trio->sentinels[1]),
		 place_of(trio->sentinels[2]));
	assert_true(redis_target_parse(bytes_from_text(url), &trio->world->target, &err));
	all_name(trio, trio->first, "5");
	return trio;
}

static struct trio *trio_up(void)
{
	struct trio *trio = trio_new();

	connect_store(trio->world, usual);
	await_up(trio->world);
	return trio;
}

static void trio_close(struct trio *trio)
{
	struct store *store = trio->world->store;

	/* The store first: the servers of its connections end after it. */
	trio->world->store = NULL;
	store_free(store);
	fake_redis_free(trio->second);
	for (size_t i = 0; i < 3; i++)
		fake_redis_free(trio->sentinels[i]);
	world_close(trio->world);
	free(trio);
}

static size_t asked(const struct trio *trio, size_t sentinel)
{
	return fake_redis_counts(trio->sentinels[sentinel])->commands[FAKE_SENTINEL];
}

/* Each Sentinel is asked so many times more. */
static void await_rounds(struct trio *trio, size_t count)
{
	size_t before[3];

	for (size_t i = 0; i < 3; i++)
		before[i] = asked(trio, i);
	for (size_t i = 0; i < 3; i++)
		AWAIT(trio->world, asked(trio, i) >= before[i] + count);
	ev_run(trio->world->loop, EVRUN_NOWAIT); /* for the last answer */
}

static size_t checks(const struct fake_redis *server)
{
	return fake_redis_counts(server)->commands[FAKE_EVALSHA];
}

static void assert_asks(struct trio *trio, const struct fake_redis *server)
{
	size_t before = checks(server);

	assert_int_equal(ask_and_await(trio->world), STORE_OK);
	assert_int_equal(checks(server), before + 1);
}

/* ---- who is followed ---- */

TEST(sentinels_lead_to_the_master)
{
	struct trio *trio = trio_up();

	assert_asks(trio, trio->first);
	assert_int_equal(trio->world->named_count, 1);
	assert_string_equal(trio->world->master, place_of(trio->first));
	assert_int_equal(fake_redis_counts(trio->second)->connections, 0);
	assert_string_equal(fake_redis_last(trio->sentinels[0], FAKE_SENTINEL),
			    "SENTINEL MASTER mymaster");
	struct store_description description = store_describe(trio->world->store);
	assert_string_equal(description.master, place_of(trio->first));
	assert_int_equal(description.master_epoch, 5);
	assert_int_equal(description.sentinel_count, 3);
	assert_string_equal(description.sentinels[2].address, place_of(trio->sentinels[2]));
	assert_string_equal(description.sentinels[0].why, "");
	trio_close(trio);
}

TEST(sentinels_a_store_without_them_describes_none)
{
	struct world *world = world_up();

	assert_null(store_describe(world->store).master);
	assert_int_equal(store_describe(world->store).sentinel_count, 0);
	world_close(world);
}

TEST(sentinels_failover_moves_the_link)
{
	struct trio *trio = trio_up();

	assert_true(await_change(trio->world, 1)->is_up);
	all_name(trio, trio->second, "6");
	const struct change *change = await_change(trio->world, 2);
	assert_false(change->is_up);
	assert_int_equal(change->error, STORE_CONNECTION);
	assert_non_null(strstr(change->why, "the Sentinels name another master: 127.0.0.1:"));
	assert_true(await_change(trio->world, 3)->is_up);

	assert_asks(trio, trio->second);
	assert_string_equal(trio->world->master, place_of(trio->second));
	assert_string_equal(store_describe(trio->world->store).master, place_of(trio->second));
	assert_int_equal(trio->world->reset_count, 0);
	trio_close(trio);
}

TEST(sentinels_failover_answers_each_once)
{
	struct trio *trio = trio_up();

	fake_redis_say(trio->first, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	fake_redis_say(trio->first, FAKE_PING, FAKE_SILENCE, FAKE_ALWAYS);
	fake_redis_say(trio->first, FAKE_INFO, FAKE_SILENCE, FAKE_ALWAYS);
	ask_many(trio->world, 50);
	AWAIT(trio->world, checks(trio->first) > 1);
	all_name(trio, trio->second, "6");
	AWAIT(trio->world, are_answered(50));

	assert_errors(50, STORE_CONNECTION);
	await_up(trio->world);
	assert_errors(50, STORE_CONNECTION);
	trio_close(trio);
}

/* The first server still says that it is a master, and one Sentinel that it is the master. */
TEST(sentinels_stale_one_moves_nobody)
{
	struct trio *trio = trio_up();

	name(trio, 1, trio->second, "6", "master");
	AWAIT(trio->world, trio->world->named_count == 2);
	await_up(trio->world);
	size_t connections = fake_redis_counts(trio->first)->connections;
	await_rounds(trio, 3);

	assert_asks(trio, trio->second);
	assert_int_equal(fake_redis_counts(trio->first)->connections, connections);
	assert_int_equal(trio->world->named_count, 2);
	trio_close(trio);
}

TEST(sentinels_same_place_is_no_move)
{
	struct trio *trio = trio_up();

	all_name(trio, trio->first, "9");
	await_rounds(trio, 2);

	assert_int_equal(fake_redis_counts(trio->first)->connections, 1);
	assert_int_equal(store_describe(trio->world->store).master_epoch, 9);
	trio_close(trio);
}

TEST(sentinels_that_name_a_replica_are_waited_for)
{
	struct trio *trio = trio_new();

	fake_redis_say(trio->first, FAKE_INFO, REPLICA, FAKE_ALWAYS);
	connect_store(trio->world, usual);
	const struct change *change = await_change(trio->world, 1);
	assert_int_equal(change->error, STORE_READONLY);
	assert_non_null(strstr(change->why, "until they name another one"));
	name(trio, 0, trio->second, "6", "master");
	await_up(trio->world);

	assert_asks(trio, trio->second);
	trio_close(trio);
}

/* ---- Sentinels that are away, or of no use ---- */

TEST(sentinels_all_away_at_the_start_are_waited_for)
{
	struct trio *trio = trio_new();

	for (size_t i = 0; i < 3; i++)
		fake_redis_set_listening(trio->sentinels[i], false);
	connect_store(trio->world, usual);
	const struct change *change = await_change(trio->world, 1);
	assert_int_equal(change->error, STORE_CONNECTION);
	assert_non_null(strstr(change->why, "no Sentinel has named the master yet"));
	assert_non_null(strstr(change->why, "Connection refused"));
	assert_int_equal(trio->world->sentinel_down_count, 3);
	assert_string_equal(store_describe(trio->world->store).master, "");
	fake_redis_set_listening(trio->sentinels[2], true);
	await_up(trio->world);

	assert_int_equal(trio->world->sentinel_up_count, 1);
	assert_asks(trio, trio->first);
	trio_close(trio);
}

TEST(sentinels_all_away_later_change_nothing)
{
	struct trio *trio = trio_up();

	for (size_t i = 0; i < 3; i++) {
		fake_redis_set_listening(trio->sentinels[i], false);
		fake_redis_hang_up(trio->sentinels[i]);
	}
	AWAIT(trio->world, trio->world->sentinel_down_count == 3);

	assert_asks(trio, trio->first);
	assert_int_equal(fake_redis_counts(trio->first)->connections, 1);
	assert_string_equal(store_describe(trio->world->store).master, place_of(trio->first));
	assert_true(*store_describe(trio->world->store).sentinels[0].why != '\0');
	/* The master is lost too, and comes back. */
	(void)await_change(trio->world, 1);
	fake_redis_hang_up(trio->first);
	assert_false(await_change(trio->world, 2)->is_up);
	await_up(trio->world);
	trio_close(trio);
}

TEST(sentinels_name_that_is_unknown_is_told_with_what_to_do)
{
	struct trio *trio = trio_new();

	all_say(trio, UNKNOWN);
	fake_redis_set_listening(trio->sentinels[0], false);
	connect_store(trio->world, usual);
	const struct change *change = await_change(trio->world, 1);

	assert_int_equal(change->error, STORE_CONNECTION);
	assert_non_null(strstr(change->why, "it knows no master of the name mymaster"));
	assert_non_null(strstr(trio->world->sentinel_why, "sentinel monitor"));
	assert_int_equal(fake_redis_counts(trio->sentinels[1])->connections, 1);
	name(trio, 1, trio->first, "0", "master");
	await_up(trio->world);
	trio_close(trio);
}

/* The master that they named goes on. */
TEST(sentinels_that_have_forgotten_the_name_change_nothing)
{
	struct trio *trio = trio_up();

	all_say(trio, UNKNOWN);
	await_rounds(trio, 2);

	assert_int_equal(trio->world->sentinel_down_count, 3);
	assert_asks(trio, trio->first);
	trio_close(trio);
}

static const struct {
	const char *name; /* what it says */
	const char *why;
} rubbish[] = {
	{"+OK\r\n", "was not answered by an address"},
	{"*0\r\n", "was not answered by an address"},
	{"*2\r\n$2\r\nip\r\n$1\r\nh\r\n", "was not answered by an address"},
	{"-NOPERM this user has no permissions\r\n", "NOPERM"},
	{"-NOAUTH Authentication required.\r\n", "RATELIMIT_SENTINEL_PASSWORD"},
	{"-ERR unknown command 'SENTINEL', with args\r\n", "there is no Sentinel at this port"},
	{"HTTP/1.1 400 Bad Request\r\n", "Protocol error"},
	{"*1000001\r\n:1\r\n", "a reply is too long"},
	{"*6\r\n$2\r\nip\r\n$1\r\nh\r\n$4\r\nport\r\n$1\r\n0\r\n$12\r\nconfig-epoch\r\n$1\r\n9\r\n",
	 "was not answered by an address"},
};

/* It is told, and the others are followed. */
TEST_ROWS(rubbish)
{
	struct trio *trio = trio_new();

	fake_redis_say(trio->sentinels[0], FAKE_SENTINEL, row->name, FAKE_ALWAYS);
	connect_store(trio->world, usual);
	await_up(trio->world);
	AWAIT(trio->world, trio->world->sentinel_down_count == 1);

	assert_asks(trio, trio->first);
	assert_string_equal(trio->world->sentinel, place_of(trio->sentinels[0]));
	assert_non_null(strstr(trio->world->sentinel_why, row->why));
	assert_int_equal(trio->world->named_count, 1);
	trio_close(trio);
}

/* It is told once, and tried once a round. */
TEST(sentinels_rubbish_is_no_reason_to_hurry)
{
	struct trio *trio = trio_up();

	fake_redis_say(trio->sentinels[0], FAKE_SENTINEL, rubbish[0].name, FAKE_ALWAYS);
	int64_t start_us = clock_mono_us();
	await_rounds(trio, 3);

	assert_int_equal(trio->world->sentinel_down_count, 1);
	size_t rounds = (size_t)((clock_mono_us() - start_us) / (500 * US_PER_MS)) + 2;
	assert_in_range(fake_redis_counts(trio->sentinels[0])->connections, 2, 1 + rounds);
	trio_close(trio);
}

/* Each try is a new connection. */
TEST(sentinels_that_refuse_the_question_are_tried_in_each_fourth_round)
{
	struct trio *trio = trio_up();

	fake_redis_say(trio->sentinels[0], FAKE_SENTINEL, "-NOAUTH Authentication required.\r\n",
		       FAKE_ALWAYS);
	size_t before = fake_redis_counts(trio->sentinels[0])->connections;
	size_t rounds = asked(trio, 1);
	AWAIT(trio->world, asked(trio, 1) >= rounds + 5);

	assert_in_range(fake_redis_counts(trio->sentinels[0])->connections - before, 1, 3);
	name(trio, 0, trio->first, "5", "master"); /* somebody has mended it */
	size_t mended = asked(trio, 0);
	AWAIT(trio->world, asked(trio, 0) > mended);
	trio_close(trio);
}

TEST(sentinels_silent_one_is_given_up_and_tried_again)
{
	struct trio *trio = trio_new();

	fake_redis_say(trio->sentinels[0], FAKE_SENTINEL, FAKE_SILENCE, FAKE_ALWAYS);
	connect_store(trio->world, usual);
	AWAIT(trio->world, trio->world->sentinel_down_count == 1);
	assert_string_equal(trio->world->sentinel_why, "no answer in time");
	name(trio, 0, trio->first, "5", "master");
	AWAIT(trio->world, trio->world->sentinel_up_count == 1);

	assert_int_equal(fake_redis_counts(trio->sentinels[0])->connections, 3);
	trio_close(trio);
}

/* A connection that is lost once is nothing to tell. */
TEST(sentinels_that_are_lost_once_are_not_told)
{
	struct trio *trio = trio_up();

	for (size_t i = 0; i < 3; i++)
		fake_redis_hang_up(trio->sentinels[i]);
	await_rounds(trio, 2);

	for (size_t i = 0; i < 3; i++)
		assert_int_equal(fake_redis_counts(trio->sentinels[i])->connections, 2);
	assert_int_equal(trio->world->sentinel_down_count, 0);
	trio_close(trio);
}

/* Nor is a name that has no address waited for. */
TEST(sentinels_name_without_an_address_is_passed_over)
{
	struct trio *trio = trio_new();
	char url[256];
	struct err err;

	snprintf(url, sizeof url, "redis+sentinel://no-such-host.invalid,%s/mymaster",
		 place_of(trio->sentinels[1]));
	assert_true(redis_target_parse(bytes_from_text(url), &trio->world->target, &err));
	connect_store(trio->world, usual);
	await_up(trio->world);
	AWAIT(trio->world, trio->world->sentinel_down_count == 1);

	assert_string_equal(trio->world->sentinel, "no-such-host.invalid:26379");
	trio_close(trio);
}

/* ---- passwords ---- */

static struct trio *trio_with_password(const char *user, const char *password)
{
	struct trio *trio = trio_new();

	strcpy(trio->world->target.sentinel_user, user);
	strcpy(trio->world->target.sentinel_password, password);
	strcpy(trio->world->target.password, "of-redis");
	connect_store(trio->world, usual);
	await_up(trio->world);
	return trio;
}

TEST(sentinels_get_a_login_of_their_own)
{
	struct trio *trio = trio_with_password("agent", "secret");

	assert_string_equal(fake_redis_last(trio->sentinels[0], FAKE_AUTH), "AUTH agent secret");
	assert_string_equal(fake_redis_last(trio->first, FAKE_AUTH), "AUTH of-redis");
	trio_close(trio);
}

TEST(sentinels_without_a_password_get_none)
{
	struct trio *trio = trio_up();

	assert_int_equal(fake_redis_counts(trio->sentinels[0])->commands[FAKE_AUTH], 0);
	trio_close(trio);
}

/* First the one that was set last, then the one that worked last. */
TEST(sentinels_password_that_changes_is_for_later_connections)
{
	struct trio *trio = trio_with_password("", "old");
	struct fake_redis *sentinel = trio->sentinels[0];
	const size_t *auths = &fake_redis_counts(sentinel)->commands[FAKE_AUTH];

	store_set_sentinel_password(trio->world->store, "new");
	await_rounds(trio, 1);
	assert_int_equal(*auths, 1);
	fake_redis_say(sentinel, FAKE_AUTH, "-WRONGPASS no\r\n", 1);
	fake_redis_hang_up(sentinel);
	AWAIT(trio->world, *auths == 3);
	assert_string_equal(fake_redis_last(sentinel, FAKE_AUTH), "AUTH old");
	await_rounds(trio, 1);
	fake_redis_hang_up(sentinel);
	AWAIT(trio->world, *auths == 5);
	await_rounds(trio, 1);
	fake_redis_hang_up(sentinel); /* by now the new one is the one that worked last */
	AWAIT(trio->world, *auths == 6);

	assert_string_equal(fake_redis_last(sentinel, FAKE_AUTH), "AUTH new");
	trio_close(trio);
}

TEST(sentinels_password_that_is_refused_is_told)
{
	struct trio *trio = trio_new();

	strcpy(trio->world->target.sentinel_password, "secret");
	fake_redis_say(trio->sentinels[0], FAKE_AUTH, "-WRONGPASS invalid\r\n", FAKE_ALWAYS);
	fake_redis_say(trio->sentinels[0], FAKE_SENTINEL, "-NOAUTH Authentication required.\r\n",
		       FAKE_ALWAYS);
	connect_store(trio->world, usual);
	AWAIT(trio->world, trio->world->sentinel_down_count == 1);

	assert_string_equal(trio->world->sentinel_why,
			    "the password is refused: WRONGPASS invalid");
	await_up(trio->world);
	trio_close(trio);
}

/* A Sentinel without a password refuses AUTH, and answers all the same. */
TEST(sentinels_that_need_no_password_are_asked)
{
	struct trio *trio = trio_new();

	strcpy(trio->world->target.sentinel_password, "secret");
	for (size_t i = 0; i < 3; i++)
		fake_redis_say(trio->sentinels[i], FAKE_AUTH, "-ERR AUTH called without any\r\n",
			       FAKE_ALWAYS);
	connect_store(trio->world, usual);
	await_up(trio->world);

	assert_int_equal(trio->world->sentinel_down_count, 0);
	trio_close(trio);
}
