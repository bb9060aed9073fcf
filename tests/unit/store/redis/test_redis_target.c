#include "store/redis/redis_target.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/sweep.h"
#include "support/test.h"

#define SECRET "hunter2"
#define X10    "xxxxxxxxxx"
#define X50    X10 X10 X10 X10 X10
#define X100   X50 X50

/* One printable line that says something and never the password. */
static void assert_error_is_good(const struct err *err, const char *url)
{
	size_t len = strnlen(err->text, sizeof err->text);

	assert_in_range(len, 1, sizeof err->text - 1);
	for (size_t i = 0; i < len; i++)
		assert_in_range(err->text[i], ' ', '~');
	if (strstr(err->text, SECRET) != NULL)
		fail_msg("of %s the password is told: %s", url, err->text);
}

static int decode(struct bytes input, void *context)
{
	struct redis_target target;
	struct err err = {""};

	POISON(target);
	if (!redis_target_parse(input, &target, &err)) {
		assert_untouched(target);
		assert_error_is_good(&err, context);
		return -1;
	}
	assert_null(strstr(target.text, SECRET));
	assert_true(*(target.is_unix ? target.path : target.host) != '\0');
	return 1;
}

static struct redis_target parse_good(const char *url)
{
	struct redis_target target;
	struct err err;

	if (!redis_target_parse(bytes_from_text(url), &target, &err))
		fail_msg("%s: %s", url, err.text);
	return target;
}

/* ---- what is taken ---- */

static const struct {
	const char *url;
	const char *host, *port, *path;
	uint32_t db;
	const char *user, *password;
	const char *text;
} good[] = {
	/* hosts, ports, databases */
	{"redis://localhost", "localhost", "6379", "", 0, "", "", "redis://localhost:6379/0"},
	{"redis://localhost/", "localhost", "6379", "", 0, "", "", "redis://localhost:6379/0"},
	{"redis://localhost:6380", "localhost", "6380", "", 0, "", "", "redis://localhost:6380/0"},
	{"redis://localhost:1/7", "localhost", "1", "", 7, "", "", "redis://localhost:1/7"},
	{"redis://h:65535/1000000", "h", "65535", "", 1000000, "", "", "redis://h:65535/1000000"},
	{"redis://192.0.2.1:6379/15", "192.0.2.1", "6379", "", 15, "", "",
	 "redis://192.0.2.1:6379/15"},
	{"redis://cache_1.example-a.com", "cache_1.example-a.com", "6379", "", 0, "", "",
	 "redis://cache_1.example-a.com:6379/0"},
	{"redis://[::1]", "::1", "6379", "", 0, "", "", "redis://[::1]:6379/0"},
	{"redis://[2001:db8::1]:6380/2", "2001:db8::1", "6380", "", 2, "", "",
	 "redis://[2001:db8::1]:6380/2"},
	{"redis://[0123:4567:89ab:cdef:0123:4567:192.168.100.228]:1",
	 "0123:4567:89ab:cdef:0123:4567:192.168.100.228", "1", "", 0, "", "",
	 "redis://[0123:4567:89ab:cdef:0123:4567:192.168.100.228]:1/0"},
	/* users and passwords */
	{"redis://agent@h", "h", "6379", "", 0, "agent", "", "redis://h:6379/0"},
	{"redis://:hunter2@h", "h", "6379", "", 0, "", "hunter2", "redis://h:6379/0"},
	{"redis://agent:hunter2@h:1/2", "h", "1", "", 2, "agent", "hunter2", "redis://h:1/2"},
	{"redis://agent:hunter2@[::1]:1/2", "::1", "1", "", 2, "agent", "hunter2",
	 "redis://[::1]:1/2"},
	{"redis://a%40b:%3a%2F%25%E4@h", "h", "6379", "", 0, "a@b", ":/%\xe4", "redis://h:6379/0"},
	{"redis://a:b:c@h", "h", "6379", "", 0, "a", "b:c", "redis://h:6379/0"},
	{"redis://a:p@ss/word?#@h/1", "h", "6379", "", 1, "a", "p@ss/word?#", "redis://h:6379/1"},
	{"redis://%20:%0a%01@h", "h", "6379", "", 0, " ", "\n\x01", "redis://h:6379/0"},
	/* TLS */
	{"rediss://h", "h", "6379", "", 0, "", "", "rediss://h:6379/0"},
	{"rediss://agent:hunter2@[::1]:1/2", "::1", "1", "", 2, "agent", "hunter2",
	 "rediss://[::1]:1/2"},
	/* sockets */
	{"redis+unix:///run/redis.sock", "", "", "/run/redis.sock", 0, "", "",
	 "redis+unix:///run/redis.sock?db=0"},
	{"redis+unix:///run/redis.sock?db=3", "", "", "/run/redis.sock", 3, "", "",
	 "redis+unix:///run/redis.sock?db=3"},
	{"redis+unix:///x", "", "", "/x", 0, "", "", "redis+unix:///x?db=0"},
	{"redis+unix:///a%20b%3fc%25?db=1", "", "", "/a b?c%", 1, "", "",
	 "redis+unix:///a b?c%?db=1"},
	{"redis+unix:///a@b:c/d", "", "", "/a@b:c/d", 0, "", "", "redis+unix:///a@b:c/d?db=0"},
};

TEST(redis_target_parse_good_url_sets_every_field)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct redis_target target = parse_good(good[i].url);
		assert_int_equal(target.is_tls, strncmp(good[i].url, "rediss:", 7) == 0);
		assert_int_equal(target.is_unix, *good[i].path != '\0');
		assert_string_equal(target.host, good[i].host);
		assert_string_equal(target.port, good[i].port);
		assert_string_equal(target.path, good[i].path);
		assert_int_equal(target.db, good[i].db);
		assert_string_equal(target.user, good[i].user);
		assert_string_equal(target.password, good[i].password);
		assert_string_equal(target.text, good[i].text);
	}
}

TEST(redis_target_parse_good_url_stands_every_mutilation)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		(void)sweep_decoder(bytes_from_text(good[i].url), decode, (void *)good[i].url);
}

/* ---- Sentinels and clusters ---- */

static const struct {
	const char *url;
	enum redis_topology topology;
	size_t places;
	const char *first, *last; /* place */
	const char *master;
	uint32_t db;
	const char *user, *password;
	const char *text;
} several[] = {
	{"redis+sentinel://h1:1,h2:2/name", REDIS_SENTINEL, 2, "h1:1", "h2:2", "name", 0, "", "",
	 "redis+sentinel://h1:1,h2:2/name/0"},
	{"rediss+sentinel://h/name", REDIS_SENTINEL, 1, "h:26379", "h:26379", "name", 0, "", "",
	 "rediss+sentinel://h:26379/name/0"},
	{"redis+sentinel://h,[::1],[2001:db8::1]:5/My.master_1-a/", REDIS_SENTINEL, 3, "h:26379",
	 "[2001:db8::1]:5", "My.master_1-a", 0, "", "",
	 "redis+sentinel://h:26379,[::1]:26379,[2001:db8::1]:5/My.master_1-a/0"},
	{"redis+sentinel://agent:hunter2@h1,h2/m/7", REDIS_SENTINEL, 2, "h1:26379", "h2:26379", "m",
	 7, "agent", "hunter2", "redis+sentinel://h1:26379,h2:26379/m/7"},
	{"rediss+sentinel://:p@ss/w,rd@h1,h1:1/m", REDIS_SENTINEL, 2, "h1:26379", "h1:1", "m", 0,
	 "", "p@ss/w,rd", "rediss+sentinel://h1:26379,h1:1/m/0"},
	{"redis+cluster://h1:1,h2:2", REDIS_CLUSTER, 2, "h1:1", "h2:2", "", 0, "", "",
	 "redis+cluster://h1:1,h2:2"},
	{"rediss+cluster://192.0.2.1", REDIS_CLUSTER, 1, "192.0.2.1:6379", "192.0.2.1:6379", "", 0,
	 "", "", "rediss+cluster://192.0.2.1:6379"},
	{"redis+cluster://agent:hunter2@h1,h2,h3/0", REDIS_CLUSTER, 3, "h1:6379", "h3:6379", "", 0,
	 "agent", "hunter2", "redis+cluster://h1:6379,h2:6379,h3:6379"},
	{"redis+cluster://[::1]:7/", REDIS_CLUSTER, 1, "[::1]:7", "[::1]:7", "", 0, "", "",
	 "redis+cluster://[::1]:7"},
};

static void assert_place(const struct redis_place *place, const char *expected)
{
	char text[REDIS_HOST_MAX + 16];
	struct writer w = writer_on(text, sizeof text);

	redis_place_put(place, &w);
	assert_string_equal(writer_text(&w), expected);
}

TEST(redis_target_parse_several_places_sets_every_field)
{
	for (size_t i = 0; i < ARRAY_SIZE(several); i++) {
		struct redis_target target = parse_good(several[i].url);
		assert_int_equal(target.topology, several[i].topology);
		assert_int_equal(target.is_tls, strncmp(several[i].url, "rediss", 6) == 0);
		assert_false(target.is_unix);
		assert_int_equal(target.place_count, several[i].places);
		assert_place(&target.places[0], several[i].first);
		assert_place(&target.places[target.place_count - 1], several[i].last);
		assert_string_equal(target.host, target.places[0].host);
		assert_string_equal(target.port, target.places[0].port);
		assert_string_equal(target.master, several[i].master);
		assert_int_equal(target.db, several[i].db);
		assert_string_equal(target.user, several[i].user);
		assert_string_equal(target.password, several[i].password);
		assert_string_equal(target.text, several[i].text);
	}
}

/* The text is a URL of the same target. */
TEST(redis_target_parse_several_places_are_read_again_from_the_text)
{
	for (size_t i = 0; i < ARRAY_SIZE(several); i++) {
		struct redis_target again = parse_good(several[i].text);
		assert_string_equal(again.text, several[i].text);
		assert_int_equal(again.topology, several[i].topology);
		assert_int_equal(again.place_count, several[i].places);
	}
}

TEST(redis_target_parse_several_places_stand_every_mutilation)
{
	for (size_t i = 0; i < ARRAY_SIZE(several); i++)
		(void)sweep_decoder(bytes_from_text(several[i].url), decode,
				    (void *)several[i].url);
}

TEST(redis_target_parse_one_server_has_no_list)
{
	assert_int_equal(parse_good("redis://h").topology, REDIS_ONE_SERVER);
	assert_int_equal(parse_good("redis://h").place_count, 0);
	assert_int_equal(parse_good("redis+unix:///x").topology, REDIS_ONE_SERVER);
}

static void put_hosts(struct writer *w, size_t count, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		writer_put_text(w, i > 0 ? "," : "");
		for (size_t n = 1; n < len; n++)
			writer_put_u8(w, 'x');
		writer_put_u8(w, (uint8_t)('a' + i));
	}
}

TEST(redis_target_parse_most_and_longest_places_fit_and_more_do_not)
{
	static const struct {
		size_t count, len;
		const char *says; /* NULL: taken */
	} cases[] = {
		{REDIS_PLACES_MAX, 1, NULL},
		{REDIS_PLACES_MAX + 1, 1, "the hosts: more than 16"},
		{REDIS_PLACES_MAX, REDIS_LIST_MAX / REDIS_PLACES_MAX - 1, NULL},
		{REDIS_PLACES_MAX, REDIS_LIST_MAX / REDIS_PLACES_MAX + 1, "the hosts: longer"},
		{4, REDIS_HOST_MAX - 1, NULL},
		{1, REDIS_HOST_MAX, "the host"},
	};
	struct redis_target target;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char url[2048];
		struct writer w = writer_on(url, sizeof url);
		writer_put_text(&w, "rediss+sentinel://");
		put_hosts(&w, cases[i].count, cases[i].len);
		writer_put_text(&w, "/");
		for (size_t n = 1; n < REDIS_MASTER_MAX; n++)
			writer_put_u8(&w, 'n');
		writer_put_text(&w, "/1000000");
		bool is_taken = redis_target_parse(writer_bytes(&w), &target, &err);
		assert_int_equal(is_taken, cases[i].says == NULL);
		if (is_taken)
			assert_true(strlen(target.text) < sizeof target.text - 1);
		else
			assert_non_null(strstr(err.text, cases[i].says));
	}
}

/* What goes in is what comes out: of every byte but NUL, escaped in either case. */
TEST(redis_target_parse_every_escape_is_read)
{
	char url[64];

	for (unsigned byte = 1; byte < 256; byte++) {
		const char expected[] = {(char)byte, '\0'};
		snprintf(url, sizeof url, "redis://u%%%02x:p%%%02X@h", byte, byte);
		struct redis_target tcp = parse_good(url);
		assert_string_equal(tcp.user + 1, expected);
		assert_string_equal(tcp.password + 1, expected);
		snprintf(url, sizeof url, "redis+unix:///%%%02x", byte);
		assert_string_equal(parse_good(url).path + 1, expected);
	}
}

static void fill_url(char *url, size_t max, const char *before, size_t count, const char *after)
{
	int len = snprintf(url, max, "%s", before);

	memset(url + len, 'x', count);
	snprintf(url + (size_t)len + count, max - (size_t)len - count, "%s", after);
}

TEST(redis_target_parse_longest_parts_fit_and_one_byte_more_does_not)
{
	static const struct {
		const char *before, *after;
		size_t max;
		const char *says;
	} parts[] = {
		{"redis://", "", REDIS_HOST_MAX - 1, "host"},
		{"redis://", ":65535/1000000", REDIS_HOST_MAX - 1, "host"},
		{"redis://", ":p@h", REDIS_USER_MAX - 1, "user"},
		{"redis://u:", "@h", REDIS_PASSWORD_MAX - 1, "password"},
		{"redis+unix:///", "?db=1000000", REDIS_PATH_MAX - 2, "path"},
	};
	char url[2048];
	struct redis_target target;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		fill_url(url, sizeof url, parts[i].before, parts[i].max, parts[i].after);
		target = parse_good(url);
		assert_true(strlen(target.text) < sizeof target.text - 1);
		fill_url(url, sizeof url, parts[i].before, parts[i].max + 1, parts[i].after);
		POISON(target);
		assert_false(redis_target_parse(bytes_from_text(url), &target, &err));
		assert_untouched(target);
		assert_non_null(strstr(err.text, parts[i].says));
	}
}

/* ---- what is refused ---- */

static const struct {
	const char *url;
	const char *says; /* the place */
} bad[] = {
	{"", "redis://"},
	{"redis", "redis://"},
	{"redis:", "redis://"},
	{"redis:/h", "redis://"},
	{"redis//h", "redis://"},
	{" redis://h", "redis://"},
	{"REDIS://h", "redis://"},
	{"http://h", "redis://"},
	{"memory", "redis://"},
	{"rediss+unix:///run/redis.sock", "not redis://, rediss:// or redis+unix://"},
	{"redis+tls://h", "not redis://, rediss:// or redis+unix://"},
	{"redis+clusters://h", "not redis://, rediss:// or redis+unix://"},
	{"rediss:h", "rediss://"},
	{"redis://", "the host"},
	{"redis:///1", "the host"},
	{"redis://:6379", "the host"},
	{"redis://agent@", "the host"},
	{"redis://a b", "the host"},
	{"redis://h ", "the host"},
	{"redis://h\n", "the host"},
	{"redis://h%20", "the host"},
	{"redis://h?db=1", "the host"},
	{"redis://h#1", "the host"},
	{"redis://\xc3\xa4", "the host"},
	{"redis://[::1", "host"},
	{"redis://[::1]x", "host"},
	{"redis://[]", "host"},
	{"redis://[localhost]", "host"},
	{"redis://[:]", "the host"},
	{"redis://[a:b]", "the host"},
	{"redis://[127.0.0.1:1]", "the host"},
	{"redis://[fe80::1%25eth0]", "the host"},
	/* An IPv6 address has at most 45 characters; these have 46, 47 and 48. */
	{"redis://[0123:4567:89ab:cdef:0123:4567:192.168.100.2280]", "the host"},
	{"redis://[0123:4567:89ab:cdef:0123:4567:192.168.100.22800]", "the host"},
	{"redis://[0123:4567:89ab:cdef:0123:4567:192.168.100.228000]", "the host"},
	{"redis://::1", "the host"},
	{"redis://h:", "the port"},
	{"redis://h:0", "the port"},
	{"redis://h:65536", "the port"},
	{"redis://h:-1", "the port"},
	{"redis://h:+1", "the port"},
	{"redis://h:6379x", "the port"},
	{"redis://h: 6379", "the port"},
	{"redis://h:99999999999999999999", "the port"},
	{"redis://h:1:2", "the port"},
	{"redis://h/x", "the database"},
	{"redis://h/-1", "the database"},
	{"redis://h/1/2", "the database"},
	{"redis://h/1 ", "the database"},
	{"redis://h/1000001", "the database"},
	{"redis://h/99999999999999999999", "the database"},
	{"redis://h/1?x=y", "the database"},
	{"redis://a%@h", "the user"},
	{"redis://a%4@h", "the user"},
	{"redis://a%zz@h", "the user"},
	{"redis://a%00@h", "the user"},
	{"redis://a:@h", "the password"},
	{"redis://a:%@h", "the password"},
	{"redis://a:%4g@h", "the password"},
	{"redis://a:%00@h", "the password"},
	{"redis+sentinel:h/name", "redis://"},
	{"redis+sentinel://", "the host"},
	{"redis+sentinel:///name", "the host"},
	{"redis+sentinel://h", "the name of the master"},
	{"redis+sentinel://h/", "the name of the master"},
	{"redis+sentinel://h//1", "the name of the master"},
	{"redis+sentinel://h/a b", "the name of the master"},
	{"redis+sentinel://h/a%20b", "the name of the master"},
	{"redis+sentinel://h/name?db=1", "the name of the master"},
	{"redis+sentinel://h/" X100 X10 X10 "xxxxxxxx", "the name of the master"},
	{"redis+sentinel://h/name/x", "the database"},
	{"redis+sentinel://h/name/1/2", "the database"},
	{"redis+sentinel://h/name/1000001", "the database"},
	{"redis+sentinel://h1:1,/name", "the host"},
	{"redis+sentinel://,h1:1/name", "the host"},
	{"redis+sentinel://h1,,h2/name", "the host"},
	{"redis+sentinel://h1;h2/name", "the host"},
	{"redis+sentinel://h1, h2/name", "the host"},
	{"redis+sentinel://h1:x,h2/name", "the port"},
	{"redis+sentinel://h1,h2:0/name", "the port"},
	{"redis+sentinel://h1,h2,h1/name", "the hosts: one of them is given twice"},
	{"redis+sentinel://h1,h2,h1:26379/name", "the hosts: one of them is given twice"},
	{"redis+sentinel://a:@h1,h2/name", "the password"},
	{"redis+sentinel://a%@h1,h2/name", "the user"},
	{"redis+cluster://", "the host"},
	{"redis+cluster:///0", "the host"},
	{"redis+cluster://h1,h2:", "the port"},
	{"redis+cluster://h1,h1", "the hosts: one of them is given twice"},
	{"redis+cluster://h1/1", "the database: a cluster has 0 alone"},
	{"redis+cluster://h1/00", "the database"},
	{"redis+cluster://h1/name", "the database"},
	{"redis+cluster://[::1", "the host"},
	{"redis+unix://", "the path"},
	{"redis+unix:///", "the path"},
	{"redis+unix://x", "the path"},
	{"redis+unix:/x", "the path"},
	{"redis+unix:", "the path"},
	{"redis+unix://agent@/x", "the path"},
	{"redis+unix:///x%", "the path"},
	{"redis+unix:///x%2", "the path"},
	{"redis+unix:///x%00", "the path"},
	{"redis+unix:///" X100 X10, "the path"},
	{"redis+unix://?db=1", "the path"},
	{"redis+unix:///x?", "db="},
	{"redis+unix:///x?x", "db="},
	{"redis+unix:///x?DB=1", "db="},
	{"redis+unix:///x?db=", "the database"},
	{"redis+unix:///x?db=x", "the database"},
	{"redis+unix:///x?db=1&db=2", "the database"},
};

TEST(redis_target_parse_bad_url_is_refused_with_the_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct redis_target target;
		struct err err = {""};
		POISON(target);
		if (redis_target_parse(bytes_from_text(bad[i].url), &target, &err))
			fail_msg("%s is taken", bad[i].url);
		assert_untouched(target);
		assert_error_is_good(&err, bad[i].url);
		if (strstr(err.text, bad[i].says) == NULL)
			fail_msg("of %s it says: %s", bad[i].url, err.text);
	}
}

TEST(redis_target_parse_nul_is_refused_everywhere)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint8_t url[128];
		size_t len = strlen(good[i].url);
		for (size_t at = 0; at < len; at++) {
			memcpy(url, good[i].url, len);
			url[at] = '\0';
			assert_int_equal(decode(bytes_from(url, len), (void *)good[i].url), -1);
		}
	}
}

/* ---- the password ---- */

/* As people write them by mistake, or for another program. */
TEST(redis_target_parse_error_never_has_the_password)
{
	static const char *const urls[] = {
		"redis://:hunter2",
		"redis://agent:hunter2",
		"redis://agent:hunter2/0",
		"redis://agent:hunter2@",
		"redis://agent:hunter2@/1",
		"redis://agent:hunter2@h:x",
		"redis://agent:hunter2@h:99999",
		"redis://agent:hunter2@h/x",
		"redis://agent:hunter2@[::1",
		"redis://agent:hunter2@h h",
		"redis://agent:hunter2%@h",
		"redis://agent:%00hunter2@h",
		"redis://agent%:hunter2@h",
		"redis://h:6379:hunter2",
		"redis://h?password=hunter2",
		"redis://h:6379?password=hunter2",
		"redis://h/0?password=hunter2",
		"redis://h/0?user=agent&password=hunter2",
		"redis://[::1]hunter2",
		"redis://[agent:hunter2",
		"redis://h/hunter2",
		"redis+unix://:hunter2@/run/redis.sock",
		"redis+unix://agent:hunter2@/run/redis.sock?db=1",
		"redis+unix:///run/redis.sock?password=hunter2",
		"redis+unix:///run/redis.sock?db=1&password=hunter2",
		"redis+unix:///run/redis.sock?hunter2",
		"redis+unix:///hunter2%",
		"redis+unix://hunter2",
		"rediss://agent:hunter2@h:x",
		"rediss:agent:hunter2@h",
		"rediss+cluster://agent:hunter2@h/1",
		"redis+cluster://agent:hunter2",
		"redis+cluster://h1,agent:hunter2@,h2",
		"redis+tls://agent:hunter2@h",
		"redis+sentinel://:hunter2@h1:1,h2:2",
		"redis+sentinel://:hunter2@h1:1,h2:2/name/hunter2",
		"redis+sentinel://h1:1,h2:2/name?password=hunter2",
		"redis+sentinel://h1:1,:hunter2@h2:2",
		"redis+unix:/:hunter2@/run/redis.sock",
		"REDIS://agent:hunter2@h",
		"agent:hunter2@h",
		"redis:/:hunter2",
		"redis:/h?password=hunter2",
		"redis//:hunter2",
		"http://agent:hunter2@h/",
	};

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		assert_int_equal(decode(bytes_from_text(urls[i]), (void *)urls[i]), -1);
}

TEST(redis_target_parse_text_never_has_the_password)
{
	static const char *const urls[] = {
		"redis://:hunter2@h",
		"redis://hunter2@h",
		"redis://hunter2:hunter2@h",
		"redis://a:b@hunter2@h/1",
		"redis://a:b/hunter2@h",
		"redis://a:?hunter2#@h",
		"redis://a:%68unter2@[::1]",
		"redis://redis://a:hunter2@h@h",
		"redis://a:" X100 SECRET "@h",
		"redis+sentinel://:hunter2@h1:1,h2:2/name",
		"rediss+cluster://agent:hunter2@h",
	};

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		assert_int_equal(decode(bytes_from_text(urls[i]), (void *)urls[i]), 1);
}

/* A good URL with any byte too many at any place, behind its scheme. */
TEST(redis_target_parse_with_a_byte_too_many_never_tells_the_password)
{
	static const char url[] = "redis://agent:" SECRET "@localhost:6379/1";
	uint8_t longer[sizeof url];

	for (size_t at = strlen("redis://"); at < sizeof url; at++)
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(longer, url, at);
			longer[at] = (uint8_t)byte;
			memcpy(longer + at + 1, url + at, sizeof url - 1 - at);
			(void)decode(bytes_from(longer, sizeof url), (void *)url);
		}
}

TEST(redis_target_parse_with_a_byte_missing_never_tells_the_password)
{
	static const char url[] = "redis://agent:" SECRET "@localhost:6379/1";
	uint8_t shorter[sizeof url];

	for (size_t at = 0; at < sizeof url - 1; at++) {
		memcpy(shorter, url, at);
		memcpy(shorter + at, url + at + 1, sizeof url - 2 - at);
		(void)decode(bytes_from(shorter, sizeof url - 2), (void *)url);
	}
}
