#include "net/spop/spop_names.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "support/test.h"

static struct spop_names names;

BEFORE_EACH
{
	names = (struct spop_names){0};
}

static void add(const char *name, bool is_absent)
{
	spop_names_add(&names, bytes_from_text(name), is_absent);
}

static const struct spop_name *find(const char *name)
{
	for (size_t i = 0; i < names.count; i++)
		if (names.items[i].len == strlen(name) &&
		    memcmp(names.items[i].text, name, strlen(name)) == 0)
			return &names.items[i];
	return NULL;
}

TEST(spop_names_add_counts_each_name_once_a_message_in_any_order)
{
	static const char *const orders[][3] = {
		{"src", "path", "host"}, {"src", "path", "host"},  {"host", "src", "path"},
		{"path", "path", "src"}, {"host", "host", "host"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		for (size_t j = 0; j < 3; j++)
			add(orders[i][j], false);
	assert_int_equal(names.count, 3);
	assert_int_equal(find("src")->times, 4);
	assert_int_equal(find("path")->times, 5);
	assert_int_equal(find("host")->times, 6);
	assert_false(names.left_out);
}

TEST(spop_names_add_counts_those_without_a_value)
{
	add("apikey", true);
	add("apikey", false);
	add("apikey", true);
	assert_int_equal(find("apikey")->times, 3);
	assert_int_equal(find("apikey")->absent, 2);
}

TEST(spop_names_add_tells_prefixes_apart)
{
	add("a", false);
	add("ab", false);
	add("a", false);
	assert_int_equal(find("a")->times, 2);
	assert_int_equal(find("ab")->times, 1);
}

TEST(spop_names_add_keeps_no_argument_without_a_name)
{
	spop_names_add(&names, (struct bytes){0}, false);
	assert_int_equal(names.count, 0);
	assert_false(names.left_out);
}

TEST(spop_names_add_keeps_so_many_and_says_when_there_are_more)
{
	char name[16];

	for (unsigned i = 0; i < SPOP_NAMES_MAX; i++) {
		snprintf(name, sizeof name, "name%u", i);
		add(name, false);
	}
	assert_int_equal(names.count, SPOP_NAMES_MAX);
	assert_false(names.left_out);
	add("one-more", false);
	add("name7", false);
	assert_int_equal(names.count, SPOP_NAMES_MAX);
	assert_true(names.left_out);
	assert_int_equal(find("name7")->times, 2);
}

TEST(spop_names_add_keeps_no_longer_name_than_haproxy_has)
{
	char name[SPOP_NAME_MAX + 2];

	memset(name, 'x', sizeof name);
	name[SPOP_NAME_MAX + 1] = '\0';
	add(name, false);
	assert_int_equal(names.count, 0);
	assert_true(names.left_out);
	name[SPOP_NAME_MAX] = '\0';
	add(name, false);
	assert_int_equal(find(name)->times, 1);
}
