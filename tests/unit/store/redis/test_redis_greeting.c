/* By the store that stands on it. */
#include "store/redis/redis_greeting.h"

#include <string.h>

#include "base/clock.h"
#include "store_world.h"
#include "support/sweep.h"
#include "support/test.h"

BEFORE_ALL
{
	world_prepare();
}

TEST(greeting_of_the_default_user_says_no_login)
{
	struct world *world = world_up();

	assert_int_equal(commands(world, FAKE_AUTH), 0);
	assert_string_equal(fake_redis_last(world->fake, FAKE_SELECT), "SELECT 0");
	assert_string_equal(fake_redis_last(world->fake, FAKE_INFO), "INFO");
	assert_string_equal(fake_redis_last(world->fake, FAKE_PTTL), "PTTL rl:");
	assert_memory_equal(fake_redis_last(world->fake, FAKE_SCRIPT), "SCRIPT LOAD --[[", 16);
	assert_string_equal(fake_redis_last(world->fake, FAKE_PING), "PING");
	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH " 1 rl:hello now 1 0 fixed_window 1 5 60000000");
	assert_int_equal(commands(world, FAKE_OTHER), 0);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

TEST(greeting_says_user_password_and_database)
{
	static const struct {
		const char *user, *password, *auth;
		uint32_t db;
		const char *select;
	} cases[] = {
		{"", "secret", "AUTH secret", 0, "SELECT 0"},
		{"agent", "s p\r\n", "AUTH agent s p\r\n", 15, "SELECT 15"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_open(false);
		struct err err;
		assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)),
					       &world->target, &err));
		strcpy(world->target.user, cases[i].user);
		strcpy(world->target.password, cases[i].password);
		world->target.db = cases[i].db;
		connect_store(world, usual);
		await_up(world);
		assert_int_equal(commands(world, FAKE_AUTH), 1);
		assert_string_equal(fake_redis_last(world->fake, FAKE_AUTH), cases[i].auth);
		assert_string_equal(fake_redis_last(world->fake, FAKE_SELECT), cases[i].select);
		world_close(world);
	}
}

/* ---- two passwords: the one that was set last, and the one that worked last ---- */

static struct world *world_with_password(void)
{
	struct world *world = world_open(false);
	struct err err;

	assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)), &world->target,
				       &err));
	strcpy(world->target.password, "first");
	connect_store(world, usual);
	await_up(world);
	(void)await_change(world, 1);
	return world;
}

TEST(greeting_with_one_password_says_it_once)
{
	struct world *world = world_with_password();

	store_set_password(world->store, "first");
	fake_redis_hang_up(world->fake);
	(void)await_change(world, 3);

	assert_int_equal(commands(world, FAKE_AUTH), 2);
	assert_int_equal(world->taken_count + world->password_refused_count, 0);
	world_close(world);
}

TEST(greeting_says_the_password_that_worked_after_the_new_one)
{
	struct world *world = world_with_password();

	fake_redis_hang_up(world->fake);
	store_set_password(world->store, "second");
	fake_redis_say(world->fake, FAKE_AUTH, "-WRONGPASS no\r\n", 1); /* and then +OK */
	(void)await_change(world, 3);

	assert_true(world->changes[2].is_up);
	assert_string_equal(fake_redis_last(world->fake, FAKE_AUTH), "AUTH first");
	assert_int_equal(world->password_refused_count, 1);
	assert_string_equal(world->password_refused_why, "WRONGPASS no");
	assert_int_equal(world->taken_count, 0);
	world_close(world);
}

TEST(greeting_with_two_passwords_of_which_the_new_one_is_good_is_well)
{
	struct world *world = world_with_password();

	fake_redis_hang_up(world->fake);
	store_set_password(world->store, "second");
	(void)await_change(world, 3);
	assert_true(world->changes[2].is_up);
	assert_int_equal(world->taken_count, 1);
	assert_int_equal(world->password_refused_count, 0);

	/* From now on the second one is what worked last. */
	size_t before = commands(world, FAKE_AUTH);
	fake_redis_hang_up(world->fake);
	(void)await_change(world, 5);
	assert_int_equal(commands(world, FAKE_AUTH), before + 1);
	assert_string_equal(fake_redis_last(world->fake, FAKE_AUTH), "AUTH second");
	world_close(world);
}

TEST(greeting_with_two_passwords_that_are_refused_says_why_the_new_one_was)
{
	struct world *world = world_with_password();

	fake_redis_hang_up(world->fake);
	store_set_password(world->store, "second");
	fake_redis_say(world->fake, FAKE_AUTH, "-WRONGPASS no\r\n", FAKE_ALWAYS);
	AWAIT(world, world->change_count == 3); /* lost, and then refused */

	assert_false(world->changes[2].is_up);
	assert_string_equal(world->changes[2].why, "WRONGPASS no");
	assert_int_equal(world->password_refused_count, 0);
	fake_redis_say(world->fake, FAKE_AUTH, NULL, 0);
	await_up(world);
	world_close(world);
}

/* ---- a greeting that goes wrong ---- */

static void assert_does_not_come_up(enum fake_kind kind, const char *says, enum store_error error,
				    const char *why)
{
	struct world *world = world_open(false);

	fake_redis_say(world->fake, kind, says, FAKE_ALWAYS);
	if (kind == FAKE_AUTH) {
		struct err err;
		assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)),
					       &world->target, &err));
		strcpy(world->target.password, "secret");
	}
	connect_store(world, usual);
	const struct change *change = await_change(world, 1);
	assert_false(change->is_up);
	assert_int_equal(change->error, error);
	assert_string_equal(change->why, why);
	assert_true(is_down(world));
	AWAIT(world, fake_redis_counts(world->fake)->connections == 3); /* it is tried again */
	assert_int_equal(world->change_count, 1);

	/* And when it is mended, it is well. */
	fake_redis_say(world->fake, kind, NULL, 0);
	await_up(world);
	world_close(world);
}

TEST(greeting_error_of_a_command_is_told_by_kind)
{
	static const struct {
		enum fake_kind kind;
		const char *says;
		enum store_error error;
		const char *why;
	} cases[] = {
		{FAKE_AUTH, "-WRONGPASS invalid\r\n", STORE_OTHER, "WRONGPASS invalid"},
		{FAKE_SELECT, "-NOAUTH required\r\n", STORE_OTHER, "NOAUTH required"},
		{FAKE_INFO, "-NOAUTH required\r\n", STORE_OTHER, "NOAUTH required"},
		{FAKE_INFO, "*1000001\r\n:1\r\n", STORE_OTHER, "a reply is too long"},
		{FAKE_SELECT, "-ERR DB index is out of range\r\n", STORE_OTHER,
		 "ERR DB index is out of range"},
		{FAKE_SCRIPT, "-LOADING it loads\r\n", STORE_LOADING, "LOADING it loads"},
		{FAKE_SCRIPT, "-NOPERM no\r\n", STORE_OTHER, "NOPERM no"},
		{FAKE_SCRIPT, "+OK\r\n", STORE_OTHER, "SCRIPT LOAD was not answered by a hash"},
		{FAKE_SCRIPT, ":1\r\n", STORE_OTHER, "SCRIPT LOAD was not answered by a hash"},
		{FAKE_SCRIPT, "$-1\r\n", STORE_OTHER, "SCRIPT LOAD was not answered by a hash"},
		{FAKE_SCRIPT, "*1\r\n$40\r\n" FAKE_HASH "\r\n", STORE_OTHER,
		 "SCRIPT LOAD was not answered by a hash"},
		{FAKE_SCRIPT, "$41\r\n" FAKE_HASH "x\r\n", STORE_OTHER,
		 "SCRIPT LOAD was not answered by a hash"},
		{FAKE_PING, "-MASTERDOWN no\r\n", STORE_LOADING, "MASTERDOWN no"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_does_not_come_up(cases[i].kind, cases[i].says, cases[i].error, cases[i].why);
}

TEST(greeting_server_that_can_not_keep_balances_is_told)
{
	assert_does_not_come_up(FAKE_INFO, "$23\r\nredis_mode:sentinel\r\nx:\r\n", STORE_OTHER,
				"it is a Sentinel, which keeps no data");
	assert_does_not_come_up(FAKE_INFO, "$18\r\nredis_mode:cluster\r\n", STORE_MOVED,
				"it is a node of a Redis Cluster; a cluster of one node takes "
				"--key-prefix '{rl}:', by which all keys share a slot");
	assert_does_not_come_up(FAKE_INFO, "$12\r\nrole:slave\r\n\r\n", STORE_READONLY,
				"it is a replica, which can't be written to: --store needs the "
				"address of its master");
	assert_does_not_come_up(FAKE_INFO, "$9\r\nloading:1\r\n", STORE_LOADING,
				"it is loading its data");
}

/* A user who may not ask for it has to know. */
TEST(greeting_without_info_is_well)
{
	static const char *const says[] = {"-NOPERM no\r\n", "-ERR unknown command 'INFO'\r\n",
					   "$-1\r\n",        "$0\r\n\r\n",
					   ":7\r\n",         "*1\r\n+role:slave\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		struct world *world = world_open(false);
		fake_redis_say(world->fake, FAKE_INFO, says[i], FAKE_ALWAYS);
		connect_store(world, usual);
		await_up(world);
		world_close(world);
	}
}

/* A connection begins in database 0. */
TEST(greeting_without_select_is_well_in_database_0_only)
{
	static const char *const says[] = {"-ERR unknown command 'SELECT'\r\n",
					   "-ERR SELECT is not allowed in cluster mode\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		struct world *world = world_open(false);
		fake_redis_say(world->fake, FAKE_SELECT, says[i], FAKE_ALWAYS);
		connect_store(world, usual);
		await_up(world);
		world_close(world);
	}
	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		struct world *world = world_open(false);
		struct err err;
		assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)),
					       &world->target, &err));
		world->target.db = 3;
		fake_redis_say(world->fake, FAKE_SELECT, says[i], FAKE_ALWAYS);
		connect_store(world, usual);
		AWAIT(world, fake_redis_counts(world->fake)->connections == 3);
		assert_true(is_down(world));
		world_close(world);
	}
}

/* 500 ms, whichever command is not answered; then it is tried again. */
TEST(greeting_silence_is_given_up)
{
	static const enum fake_kind kinds[] = {FAKE_SELECT, FAKE_PING};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct world *world = world_open(false);
		int64_t start_us = clock_mono_us();
		fake_redis_say(world->fake, kinds[i], FAKE_SILENCE, FAKE_ALWAYS);
		connect_store(world, usual);
		const struct change *change = await_change(world, 1);
		assert_true(clock_mono_us() - start_us > 450 * US_PER_MS);
		assert_int_equal(change->error, STORE_TIMEOUT);
		assert_string_equal(change->why, "no answer in time");
		fake_redis_say(world->fake, kinds[i], NULL, 0);
		await_up(world);
		assert_int_equal(fake_redis_counts(world->fake)->connections, 2);
		world_close(world);
	}
}

/* It answers, but not within the time that a request has. */
TEST(probe_that_takes_too_long_does_not_come_up)
{
	struct world *world = world_open(false);
	struct store_config hasty = usual;

	hasty.timeout_us = 0;
	connect_store(world, hasty);

	assert_int_equal(await_change(world, 1)->error, STORE_TIMEOUT);
	assert_true(is_down(world));
	world_close(world);
}

TEST(server_that_is_not_redis_is_told)
{
	static const char *const banners[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"220 mail.example ESMTP\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\x15\x03\x01\x02\x02\n",
		"*1\r\n*x\r\n",
		"\n\n\n\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(banners); i++) {
		struct world *world = world_open(false);
		fake_redis_greet(world->fake, banners[i]);
		connect_store(world, usual);
		const struct change *change = await_change(world, 1);
		assert_int_equal(change->error, STORE_OTHER);
		assert_true(strlen(change->why) > 0);
		assert_true(is_down(world));
		fake_redis_greet(world->fake, NULL);
		await_up(world);
		world_close(world);
	}
}

/* As from a server that has too many clients already. */
TEST(greeting_error_and_close_is_told)
{
	struct world *world = world_open(false);

	fake_redis_greet(world->fake, "-ERR max number of clients reached\r\n");
	connect_store(world, usual);

	assert_int_equal(await_change(world, 1)->error, STORE_OTHER);
	assert_string_equal(world->changes[0].why, "ERR max number of clients reached");
	world_close(world);
}

TEST(replies_unasked_in_the_greeting_give_it_up)
{
	static char many[64 * 6 + 1];
	struct world *world = world_open(false);

	for (int i = 0; i < 64; i++)
		strcat(many, "+OK\r\n");
	fake_redis_greet(world->fake, many);
	connect_store(world, usual);
	await_change(world, 1);
	assert_false(world->changes[0].is_up);
	fake_redis_greet(world->fake, NULL);
	await_up(world);
	world_close(world);
}

/* ---- INFO ---- */

#define REDIS_6_2                                                                                  \
	"# Server\r\nredis_version:6.2.14\r\nredis_git_sha1:00000000\r\nredis_mode:standalone\r\n" \
	"os:Linux 5.10.0 x86_64\r\ntcp_port:6379\r\n\r\n# Clients\r\nconnected_clients:1\r\n\r\n"
#define REDIS_7                                                                               \
	"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nserver_time_usec:1\r\n" \
	"executable:/usr/bin/redis-server\r\n\r\n# Persistence\r\nloading:0\r\n"              \
	"async_loading:0\r\n\r\n"
#define REDIS_8                                                                                 \
	"# Server\r\nredis_version:8.0.2\r\nredis_mode:standalone\r\nmonotonic_clock:POSIX\r\n" \
	"\r\n# Persistence\r\nasync_loading:0\r\nloading:0\r\n\r\n# Modules\r\n"                \
	"module:name=bf,ver=80002,api=1\r\n\r\n"
#define VALKEY_8                                                                            \
	"# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n" \
	"server_mode:standalone\r\n\r\n# Persistence\r\nloading:0\r\n\r\n"
#define MASTER  "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
#define REPLICA "# Replication\r\nrole:slave\r\nmaster_host:192.0.2.1\r\nslave_read_only:1\r\n"
#define CPU     "\r\n# CPU\r\nused_cpu_sys:0.1\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n"

TEST(greeting_accepts_a_server_on_its_own)
{
	static const char *const infos[] = {
		REDIS_6_2 MASTER CPU,
		REDIS_7 MASTER CPU,
		REDIS_8 MASTER CPU,
		VALKEY_8 MASTER CPU,
		"",
		"# Server\nredis_mode:standalone\nrole:master",
		/* Not these words, but others that have them. */
		"os:role:slave\r\n",
		"xrole:slave\r\n",
		"role:slave \r\n",
		"loading:10\r\n",
		"async_loading:1\r\n",
		"executable:/redis_mode:cluster\r\n",
	};
	enum store_error error;
	const char *why;

	POISON(error);
	POISON(why);
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
		if (!redis_greeting_accepts(bytes_from_text(infos[i]), false, &error, &why))
			fail_msg("refused, since %s: %s", why, infos[i]);
	assert_untouched(error);
	assert_untouched(why);
}

TEST(greeting_accepts_not_what_can_not_keep_balances)
{
	static const struct {
		const char *info;
		enum store_error error;
		const char *says;
	} cases[] = {
		{"# Server\r\nredis_version:7.0.15\r\nredis_mode:sentinel\r\n\r\n# Sentinel\r\n",
		 STORE_OTHER, "Sentinel"},
		{"# Server\r\nserver_name:valkey\r\nserver_mode:sentinel\r\n", STORE_OTHER,
		 "Sentinel"},
		{"# Server\r\nredis_version:6.2.14\r\nredis_mode:cluster\r\n\r\n" MASTER CPU,
		 STORE_MOVED, "Cluster"},
		{"# Server\r\nserver_name:valkey\r\nserver_mode:cluster\r\n\r\n" MASTER,
		 STORE_MOVED, "Cluster"},
		{REDIS_6_2 REPLICA CPU, STORE_READONLY, "replica"},
		{REDIS_8 REPLICA, STORE_READONLY, "replica"},
		{VALKEY_8 REPLICA, STORE_READONLY, "replica"},
		{"# Persistence\r\nloading:1\r\nloading_start_time:1\r\n\r\n" MASTER, STORE_LOADING,
		 "loading"},
		{"loading:1", STORE_LOADING, "loading"},
		{"redis_mode:cluster\nrole:slave\n", STORE_MOVED, "Cluster"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum store_error error;
		const char *why;
		if (redis_greeting_accepts(bytes_from_text(cases[i].info), false, &error, &why))
			fail_msg("taken: %s", cases[i].info);
		assert_int_equal(error, cases[i].error);
		assert_non_null(strstr(why, cases[i].says));
	}
}

/* ---- a cluster of one node ---- */

static struct world *tagged_world(void)
{
	struct world *world = world_open(false);

	fake_redis_say(world->fake, FAKE_INFO, "$20\r\nredis_mode:cluster\r\n\r\n", FAKE_ALWAYS);
	return world;
}

static struct store_config tagged(void)
{
	struct store_config config = usual;

	config.prefix = BYTES("{rl}:");
	return config;
}

TEST(greeting_node_of_a_cluster_is_taken_when_all_keys_share_a_slot)
{
	struct world *world = tagged_world();

	connect_store(world, tagged());
	await_up(world);

	assert_string_equal(fake_redis_last(world->fake, FAKE_PTTL), "PTTL {rl}:");
	world_close(world);
}

TEST(greeting_node_of_a_cluster_that_does_not_own_the_slot_is_refused)
{
	struct world *world = tagged_world();

	fake_redis_say(world->fake, FAKE_PTTL, "-MOVED 8 192.0.2.1:1\r\n", FAKE_ALWAYS);
	connect_store(world, tagged());
	const struct change *change = await_change(world, 1);

	assert_int_equal(change->error, STORE_MOVED);
	assert_string_equal(change->why, "MOVED 8 192.0.2.1:1");
	world_close(world);
}

TEST(greeting_node_that_gave_the_slot_away_is_dropped)
{
	struct world *world = tagged_world();

	connect_store(world, tagged());
	await_up(world);
	fake_redis_say(world->fake, FAKE_EVALSHA, "-MOVED 8 192.0.2.1:1\r\n", 1);
	assert_int_equal(ask_and_await(world), STORE_MOVED);

	AWAIT(world, fake_redis_counts(world->fake)->connections == 2);
	await_up(world);
	world_close(world);
}

/* ---- what a full server forgets ---- */

#define MEMORY(limit, policy)                                                             \
	"# Memory\r\nused_memory:893456\r\nmaxmemory:" limit "\r\nmaxmemory_human:0B\r\n" \
	"maxmemory_policy:" policy "\r\nallocator_frag_ratio:1.06\r\n\r\n"

TEST(greeting_forgets_by_maxmemory_and_its_policy)
{
	static const struct {
		const char *info, *forgets;
	} cases[] = {
		{REDIS_7 MEMORY("1048576", "allkeys-lru") MASTER CPU, "allkeys-lru"},
		{REDIS_8 MEMORY("1", "volatile-lru") MASTER, "volatile-lru"},
		{VALKEY_8 MEMORY("100663296", "allkeys-random") MASTER, "allkeys-random"},
		{REDIS_6_2 MEMORY("100663296", "volatile-random"), "volatile-random"},
		{"maxmemory_policy:allkeys-lru\nmaxmemory:1", "allkeys-lru"},
		{VALKEY_8 MEMORY("1048576", "volatile-ttl") MASTER, "volatile-ttl"},
		/* Without a limit nothing is ever forgotten. */
		{REDIS_7 MEMORY("0", "allkeys-lru") MASTER CPU, NULL},
		{"maxmemory_policy:allkeys-lru\r\n", NULL},
		{REDIS_7 MEMORY("1048576", "noeviction") MASTER CPU, NULL},
		{VALKEY_8 MEMORY("1048576", "volatile-lfu") MASTER, NULL},
		{VALKEY_8 MEMORY("1048576", "allkeys-lfu") MASTER, NULL},
		/* Not these words, but others that have them. */
		{"xmaxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\n", NULL},
		{"maxmemory:1\r\nmaxmemory_policy:allkeys-lru \r\n", NULL},
		{"maxmemory:1\r\nmaxmemory_policy:allkeys-lr\r\n", NULL},
		{"maxmemory:1\r\nmaxmemory_policy:\r\n", NULL},
		{"maxmemory:1\r\nmaxmemory_policy:what-comes-later\r\n", NULL},
		{"maxmemory:1\r\n", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct redis_forgetful *forgets =
			redis_greeting_forgets(bytes_from_text(cases[i].info));
		if (cases[i].forgets == NULL)
			assert_null(forgets);
		else
			assert_string_equal(forgets->policy, cases[i].forgets);
	}
}

TEST(greeting_forgetting_is_told_once_a_connection)
{
	struct world *world = world_open(false);

	fake_redis_say(world->fake, FAKE_INFO,
		       "$43\r\nmaxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\n\r\n", FAKE_ALWAYS);
	connect_store(world, usual);
	await_change(world, 1);
	AWAIT(world, commands(world, FAKE_PING) == 4); /* some heartbeats */
	assert_int_equal(world->forgets_count, 1);
	assert_string_equal(world->forgets, "allkeys-lru");

	fake_redis_hang_up(world->fake);
	AWAIT(world, world->forgets_count == 2);

	/* A server that is well now. */
	fake_redis_say(world->fake, FAKE_INFO, NULL, 0);
	fake_redis_hang_up(world->fake);
	await_change(world, 5);
	assert_true(world->changes[4].is_up);
	assert_int_equal(world->forgets_count, 2);
	world_close(world);
}

/* A user who may not ask for it, or a server that says nothing of it: only the warning is missing.
 */
TEST(greeting_forgetting_is_not_told_without_info)
{
	static const char *const says[] = {"-NOPERM no\r\n", "$-1\r\n",
					   "$13\r\nmaxmemory:1\r\n\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		struct world *world = world_open(false);
		fake_redis_say(world->fake, FAKE_INFO, says[i], FAKE_ALWAYS);
		connect_store(world, usual);
		assert_true(await_change(world, 1)->is_up);
		AWAIT(world, commands(world, FAKE_PING) == 3);
		assert_int_equal(world->forgets_count, 0);
		world_close(world);
	}
}

/* ---- rights that are missing ---- */

TEST(greeting_without_the_right_to_pttl_is_well_and_told_once_a_connection)
{
	static const char *const says[] = {"-NOPERM no\r\n", "-ERR unknown command 'PTTL'\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		struct world *world = world_open(false);
		fake_redis_say(world->fake, FAKE_PTTL, says[i], FAKE_ALWAYS);
		connect_store(world, usual);
		assert_true(await_change(world, 1)->is_up);
		AWAIT(world, commands(world, FAKE_PING) == 4); /* some heartbeats */
		assert_int_equal(world->lacks_right_count, 1);

		fake_redis_hang_up(world->fake);
		AWAIT(world, world->lacks_right_count == 2);

		/* The right was given. */
		fake_redis_say(world->fake, FAKE_PTTL, NULL, 0);
		fake_redis_hang_up(world->fake);
		await_change(world, 5);
		assert_true(world->changes[4].is_up);
		assert_int_equal(world->lacks_right_count, 2);
		world_close(world);
	}
}

TEST(greeting_another_reply_to_pttl_says_nothing_of_rights)
{
	static const char *const says[] = {":-1\r\n", "$-1\r\n", "-WRONGTYPE no\r\n", "*0\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		struct world *world = world_open(false);
		fake_redis_say(world->fake, FAKE_PTTL, says[i], FAKE_ALWAYS);
		connect_store(world, usual);
		assert_true(await_change(world, 1)->is_up);
		AWAIT(world, commands(world, FAKE_PING) == 3);
		assert_int_equal(world->lacks_right_count, 0);
		world_close(world);
	}
}
