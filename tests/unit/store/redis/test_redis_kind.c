#include "store/redis/redis_kind.h"

#include <string.h>

#include "base/compiler.h"
#include "support/test.h"

static const struct aged {
	const char *name; /* INFO */
	bool is_too_old;
} ages[] = {
	{"", false},
	{"redis_version:6.0.16\r\n", true},
	{"redis_version:5.0.14\r\nredis_mode:standalone\r\n", true},
	{"# Server\r\nredis_version:6.1.240\r\n", true},
	{"redis_version:6\r\n", false},
	{"redis_version:6.2.0\r\n", false},
	{"redis_version:6.2", false},
	{"redis_version:7.0.15\r\n", false},
	{"redis_version:10.0.0\r\n", false},
	{"redis_version:255.255.255\r\n", false},
	{"redis_version:x.y\r\n", false},
	{"redis_version:\r\n", false},
	{"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:7.1.9\r\n", true},
	{"redis_version:7.2.4\r\nvalkey_version:7.2.5\r\n", false},
	{"redis_version:7.2.4\r\nvalkey_version:9.1.2\r\n", false},
	{"redis_version:6.0.0\r\nvalkey_version:8.0.0\r\n", false},
	{"redis_version:6.0.0\r\ndragonfly_version:df-v1.27.1\r\n", false},
	{"garnet_version:1.0.60\r\nredis_version:5.0.0\r\n", false},
};
TEST_ROWS(ages)
{
	const char *why = redis_kind_age(bytes_from_text(row->name));

	assert_int_equal(why != NULL, row->is_too_old);
	if (row->is_too_old)
		assert_non_null(strstr(why, "upgrade"));
}

TEST(kind_of_a_server_is_what_info_names)
{
	assert_string_equal(redis_kind_of(BYTES("a:b\r\ndragonfly_version:df-v1\r\n"))->name,
			    "Dragonfly");
	assert_string_equal(redis_kind_of(BYTES("garnet_version:1.0\r\n"))->name, "Garnet");
	assert_null(redis_kind_of(BYTES("redis_version:7.0.15\r\n"))->setting);
	assert_null(redis_kind_of(BYTES(""))->setting);
}

static const struct setting {
	const char *name; /* the value */
	const char *info, *setting;
	const char *what_to_do; /* NULL: scripts are atomic */
} settings[] = {
	{"disable-atomicity", "dragonfly_version:1", "default_lua_flags",
	 "without disable-atomicity"},
	{"allow-undeclared-keys,disable-atomicity", "dragonfly_version:1", "default_lua_flags",
	 "without disable-atomicity"},
	{"allow-undeclared-keys", "dragonfly_version:1", "default_lua_flags", NULL},
	{"", "dragonfly_version:1", "default_lua_flags", NULL},
	{"no", "garnet_version:1", "lua-transaction-mode", "--lua-transaction-mode"},
	{"false", "garnet_version:1", "lua-transaction-mode", "--lua-transaction-mode"},
	{"yes", "garnet_version:1", "lua-transaction-mode", NULL},
	{"true", "garnet_version:1", "lua-transaction-mode", NULL},
	{"no, of another setting", "garnet_version:1", "lua", NULL},
};
TEST_ROWS(settings)
{
	const struct redis_kind *kind = redis_kind_of(bytes_from_text(row->info));
	struct redis_item items[] = {
		{.kind = REDIS_ARRAY, .number = 2},
		{.kind = REDIS_TEXT, .text = bytes_from_text(row->setting)},
		{.kind = REDIS_TEXT, .text = bytes_from_text(row->name)},
	};
	struct redis_reply reply = {.items = items, .count = ARRAY_SIZE(items)};

	const char *why = redis_kind_atomicity(kind, &reply);

	assert_int_equal(why != NULL, row->what_to_do != NULL);
	if (why != NULL)
		assert_non_null(strstr(why, row->what_to_do));
}

static const struct refused {
	const char *name; /* the error */
	const char *info, *begins;
} refusals[] = {
	{"ERR unknown command 'SCRIPT'", "",
	 "the server runs no Lua scripts, which the agent needs"},
	{"ERR Lua scripting is disabled", "garnet_version:1",
	 "Garnet runs no Lua scripts, which the agent needs; enable them by --lua and"},
	{"NOPERM this user has no permissions to run the 'script|load' command", "",
	 "NOPERM this user has no permissions to run the 'script|load' command"},
};
TEST_ROWS(refusals)
{
	char text[320];
	struct writer w = writer_on(text, sizeof text);

	redis_kind_put_refusal(redis_kind_of(bytes_from_text(row->info)),
			       bytes_from_text(row->name), &w);

	const char *why = writer_text(&w);
	assert_memory_equal(why, row->begins, strlen(row->begins));
	assert_non_null(strstr(why, row->name));
}
