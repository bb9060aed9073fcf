#include "net/address_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/test.h"
#include "unit/net/hosts.h"
#include "unit/net/sockets.h"

AFTER_EACH
{
	faults = (struct faults){0};
	host_of_test = (struct host){0};
}

static struct address_list list_of(const char *text)
{
	struct address_list list;
	struct err err;

	if (!address_list_parse(bytes_from_text(text), &list, &err))
		fail_msg("%s", err.text);
	return list;
}

static void assert_texts(const struct address_list *list, const char *const *texts)
{
	for (size_t i = 0; i < list->count; i++) {
		assert_non_null(texts[i]);
		assert_string_equal(list->items[i].text, texts[i]);
	}
	assert_null(texts[list->count]);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- reading ---- */

TEST(address_list_parse_a_name_takes_a_place_for_each_of_its_addresses)
{
	host_of_test = (struct host){"two.test", {"::1", "127.0.0.1"}};

	struct address_list list = list_of("192.0.2.1:1, two.test:2 ,unix:/x");

	assert_texts(&list, TEXTS("192.0.2.1:1", "two.test:2 ([::1]:2)", "two.test:2 (127.0.0.1:2)",
				  "unix:/x"));
}

TEST(address_list_parse_more_addresses_than_fit_are_refused)
{
	char text[] = "two.test:1,two.test:1,two.test:1,two.test:1,two.test:1,two.test:1,"
		      "two.test:1,two.test:1,127.0.0.1:2";
	struct address_list list = {.count = 77};
	struct err err;

	host_of_test = (struct host){"two.test", {"::1", "127.0.0.1"}};
	assert_false(address_list_parse(bytes_from_text(text), &list, &err));

	assert_non_null(
		strstr(err.text, "\"127.0.0.1:2\": 16 addresses are the most; accepted is"));
	assert_int_equal(list.count, 77);
	*strrchr(text, ',') = '\0';
	assert_int_equal(list_of(text).count, ADDRESS_LIST_MAX);
}

static const struct {
	const char *name; /* the list */
	bool is_v6_only;  /* its first [::] */
} wildcards[] = {
	{"[::]:1,0.0.0.0:1", true},  {"0.0.0.0:1,[::]:1", true},
	{"*:1,0.0.0.0:1", true},     {"[::]:1", false},
	{"[::]:1,0.0.0.0:2", false}, {"[::]:1,127.0.0.1:1", false},
	{"[::]:0,0.0.0.0:0", false}, {"*:1", false},
	{"[::]:1,unix:/x", false},   {"[::]:1,192.0.2.1:1", false},
};

TEST_ROWS(wildcards)
{
	struct address_list list = list_of(row->name);
	size_t i = 0;

	while (list.items[i].socket.ss_family != AF_INET6)
		i++;
	assert_int_equal(list.items[i].is_v6_only, row->is_v6_only);
}

/* ---- connecting ---- */

static const struct {
	const char *name; /* the list */
	const char *texts[4];
	bool is_local;
} reachables[] = {
	{"0.0.0.0:80", {"0.0.0.0:80"}, true},
	{"[::]:80", {"[::]:80", "127.0.0.1:80"}, true},
	{"*:80", {"*:80", "127.0.0.1:80"}, true},
	{"[::]:80,0.0.0.0:80", {"[::]:80"}, true},
	{"192.0.2.1:80", {"192.0.2.1:80"}, false},
	{"[2001:db8::1]:80,127.0.0.1:1", {"[2001:db8::1]:80"}, false},
	{"unix:/x,127.0.0.1:1", {"unix:/x"}, true},
	{"two.test:1,127.0.0.1:1", {"two.test:1 ([::1]:1)", "two.test:1 (127.0.0.1:1)"}, true},
};

TEST_ROWS(reachables)
{
	host_of_test = (struct host){"two.test", {"::1", "127.0.0.1"}};
	struct address_list list = list_of(row->name);

	struct address_list reachable = address_list_first_reachable(&list);

	assert_texts(&reachable, row->texts);
	for (size_t i = 0; i < reachable.count; i++)
		assert_int_equal(address_is_local(&reachable.items[i]), row->is_local);
}

TEST(address_list_first_reachable_nothing_is_nothing)
{
	assert_int_equal(address_list_first_reachable(&(struct address_list){.count = 0}).count, 0);
}

/* ---- listening ---- */

static char skipped[1024]; /* "TEXT=ERROR " for each */

static void note_skipped(const struct address *address, int error)
{
	size_t len = strlen(skipped);

	snprintf(skipped + len, sizeof skipped - len, "%s=%d ", address->text, error);
}

TEST(address_list_skip_missing_leaves_what_is_here)
{
	char expected[128];
	host_of_test = (struct host){"three.test", {"192.0.2.1", "127.0.0.1", "2001:db8::1"}};
	struct address_list list = list_of("three.test:1,127.0.0.1:2");

	skipped[0] = '\0';
	address_list_skip_missing(&list, note_skipped);

	assert_texts(&list, TEXTS("three.test:1 (127.0.0.1:1)", "127.0.0.1:2"));
	assert_false(list.items[0].is_same_name);
	snprintf(expected, sizeof expected,
		 "three.test:1 (192.0.2.1:1)=%d three.test:1 ([2001:db8::1]:1)=%d ", EADDRNOTAVAIL,
		 EADDRNOTAVAIL);
	assert_string_equal(skipped, expected);
}

TEST(address_list_skip_missing_without_ipv6_skips_ipv6)
{
	host_of_test = (struct host){"two.test", {"::1", "127.0.0.1"}};
	struct address_list list = list_of("two.test:1");

	skipped[0] = '\0';
	faults.has_no_ipv6 = true;
	address_list_skip_missing(&list, note_skipped);

	assert_texts(&list, TEXTS("two.test:1 (127.0.0.1:1)"));
	assert_non_null(strstr(skipped, "[::1]"));
}

TEST(address_list_skip_missing_leaves_the_last_of_a_name)
{
	host_of_test = (struct host){"two.test", {"192.0.2.1", "192.0.2.2"}};
	struct address_list list = list_of("two.test:1,two.test:2,127.0.0.1:3");

	address_list_skip_missing(&list, note_skipped);

	assert_texts(&list,
		     TEXTS("two.test:1 (192.0.2.2:1)", "two.test:2 (192.0.2.2:2)", "127.0.0.1:3"));
}

TEST(address_list_skip_missing_leaves_what_is_no_name)
{
	struct address_list list = list_of("192.0.2.1:1,unix:/nonexistent/x");

	skipped[0] = '\0';
	address_list_skip_missing(&list, note_skipped);

	assert_int_equal(list.count, 2);
	assert_string_equal(skipped, "");
}
