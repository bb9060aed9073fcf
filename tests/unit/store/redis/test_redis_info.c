#include "store/redis/redis_info.h"

#include <string.h>

#include "support/sweep.h"
#include "support/test.h"

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

TEST(redis_info_is_usable_takes_a_server_on_its_own)
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
		if (!redis_info_is_usable(bytes_from_text(infos[i]), &error, &why))
			fail_msg("refused, since %s: %s", why, infos[i]);
	assert_untouched(error);
	assert_untouched(why);
}

TEST(redis_info_is_usable_refuses_what_can_not_keep_balances)
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
		if (redis_info_is_usable(bytes_from_text(cases[i].info), &error, &why))
			fail_msg("taken: %s", cases[i].info);
		assert_int_equal(error, cases[i].error);
		assert_non_null(strstr(why, cases[i].says));
	}
}
