/*
 * The lines of list files, and what is refused: with the place in the policy file, the name of the
 * list file and the number of the line, and never with the line's text.
 */
#include "app/policies/list_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/policies/policy_file.h"
#include "support/test.h"

static char directory[] = "/tmp/list-files-XXXXXX";
static struct problems problems;

BEFORE_EACH
{
	strcpy(directory, "/tmp/list-files-XXXXXX");
	assert_non_null(mkdtemp(directory));
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static const char *const names[] = {"policies", "list", "other", "sub/list", "sub", NULL};

AFTER_EACH
{
	for (size_t i = 0; names[i] != NULL; i++)
		(void)remove(path_of(names[i]));
	(void)rmdir(directory);
}

static void put_bytes(const char *name, const void *data, size_t len)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

/* A policy file that blocks what `value` of the attribute `a` says. */
static struct policies *load(const char *value)
{
	char json[512];

	snprintf(json, sizeof json, "{\"block\":[{\"a\":%s}],\"policies\":{}}", value);
	put("policies", json);
	return policy_file_load(path_of("policies"), ON_ERROR_ALLOW, &problems);
}

static bool fits(const struct policies *policies, const char *text)
{
	struct attribute attribute = {BYTES("a"), value_text(bytes_from_text(text))};
	struct attributes attributes = {&attribute, 1};

	return policies_find_listed(policies, &attributes, NULL) == LISTED_BLOCK;
}

static const struct {
	const char *name; /* the file */
	const char *inside[6], *outside[6];
} files[] = {
	{"", {NULL}, {"", "x", "192.0.2.1"}},
	{"# a comment\n\n  \t\n#x\n", {NULL}, {"", "x", "# a comment", "#x"}},
	{"192.0.2.1\n10.0.0.0/8\n2001:db8::/32",
	 {"192.0.2.1", "10.1.2.3", "2001:DB8::1"},
	 {"192.0.2.2", "11.0.0.0", "10.0.0.0/8"}},
	{"a\r\nb\r\n\r\n", {"a", "b"}, {"a\r", "", "\r"}},
	{"  a b \t\n", {"a b"}, {"a", "  a b", "a b "}},
	{"192.0.2.1 # who\na#b\n#c\nd\t#e\n", {"192.0.2.1", "a#b", "d"}, {"#c", "a", "d\t#e"}},
	{"/api/*\n*.php\n*", {"/api/x", "y.php", "z"}, {NULL}},
	{"@x\n@@y\n!z\n^q$\n", {"@x", "@@y", "!z", "^q$"}, {"x", "@y", "z", "q"}},
	{"\xef\xbb\xbf"
	 "first\n",
	 {"first"},
	 {"\xef\xbb\xbf"
	  "first"}},
	{"\xff\xfe\n", {"\xff\xfe"}, {"\xff"}},
};

TEST_ROWS(files)
{
	put("list", row->name);
	struct policies *policies = load("\"@list\"");

	if (policies == NULL)
		fail_msg("%s", problems.items[0].text);
	for (size_t i = 0; i < ARRAY_SIZE(row->inside) && row->inside[i] != NULL; i++)
		if (!fits(policies, row->inside[i]))
			fail_msg("%s does not fit", row->inside[i]);
	for (size_t i = 0; i < ARRAY_SIZE(row->outside) && row->outside[i] != NULL; i++)
		if (fits(policies, row->outside[i]))
			fail_msg("%s fits", row->outside[i]);
	policies_unref(policies);
}

TEST(policy_file_load_several_files_and_texts_in_one_match)
{
	assert_int_equal(mkdir(path_of("sub"), 0700), 0);
	put("list", "one\n");
	put("sub/list", "two\n");
	struct policies *policies =
		load("[\"@list\",\"three\",\"@sub/list\",\"@./list\",\"@@four\"]");

	assert_non_null(policies);
	assert_true(fits(policies, "one") && fits(policies, "two") && fits(policies, "three"));
	assert_true(fits(policies, "@four"));
	assert_false(fits(policies, "@list") || fits(policies, "@@four") || fits(policies, "four"));
	policies_unref(policies);
}

static const struct {
	const char *name; /* the value */
	const char *list;
	const char *problem;
} bad[] = {
	{"\"@list\"", "1\n10.0.0.0/33\n",
	 "block[0].a: \"@list\": line 2: no network; accepted are"},
	{"[\"x\",\"@list\"]", "\n#\n::1/129", "block[0].a[1]: \"@list\": line 3: no network;"},
	{"\"@none\"", "", "block[0].a: \"@none\": No such file or directory"},
	{"\"@.\"", "", "block[0].a: \"@.\": Is a directory"},
	{"\"@\"", "",
	 "block[0].a: \"@\": the name of a file is missing; the text @ is written \"@@\""},
	{"\"@/etc/hostname\"", "", "is relative to the policy file"},
	{"\"@../list\"", "", "\"..\" is not accepted in the name of a list file"},
	{"\"@sub/../list\"", "", "\"..\" is not accepted in the name of a list file"},
};

TEST_ROWS(bad)
{
	put("list", row->list);
	assert_null(load(row->name));

	if (strstr(problems.items[0].text, row->problem) == NULL)
		fail_msg("%s", problems.items[0].text);
}

TEST(policy_file_load_a_nul_in_a_list_is_refused)
{
	put_bytes("list", "a\nb\0secret\n", 11);
	assert_null(load("\"@list\""));

	assert_non_null(strstr(problems.items[0].text, "\"@list\": line 2: a NUL character"));
	assert_null(strstr(problems.items[0].text, "secret"));
}

TEST(policy_file_load_a_pipe_as_list_is_refused)
{
	assert_int_equal(mkfifo(path_of("list"), 0600), 0);
	assert_null(load("\"@list\""));

	assert_non_null(strstr(problems.items[0].text, "\"@list\": it is no regular file"));
}

static char *repeated(const char *line, size_t count)
{
	size_t len = strlen(line);
	char *text = malloc(count * len + 1);

	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * len, line, len + 1);
	return text;
}

TEST(policy_file_load_list_has_a_million_lines_at_most)
{
	char *text = repeated("a\n", LIST_LINES_MAX + 1);

	put_bytes("list", text, 2 * LIST_LINES_MAX);
	struct policies *policies = load("\"@list\"");
	assert_non_null(policies);
	policies_unref(policies);
	put("list", text);
	assert_null(load("\"@list\""));
	free(text);

	assert_non_null(strstr(problems.items[0].text, "line 1000001: more than 1000000 lines"));
}

TEST(policy_file_load_list_has_a_thousand_other_patterns_at_most)
{
	char *text = repeated("*a\n", LIST_SLOW_MAX + 1);

	put_bytes("list", text, 3 * LIST_SLOW_MAX);
	struct policies *policies = load("\"@list\"");
	assert_non_null(policies);
	policies_unref(policies);
	put("list", text);
	assert_null(load("\"@list\""));
	free(text);

	assert_non_null(strstr(problems.items[0].text,
			       "line 1001: more than 1000 lines with another * than one"));
}

TEST(policy_file_parse_knows_no_files)
{
	assert_null(policy_file_parse(BYTES("{\"allow\":[{\"a\":\"@list\"}],\"policies\":{}}"),
				      ON_ERROR_ALLOW, &problems));

	assert_string_equal(problems.items[0].text,
			    "allow[0].a: \"@list\": list files are accepted only in the file of "
			    "--policies");
}

/* ---- what a reload and a balance depend on ---- */

static struct policies *load_override(const char *value, const char *lines)
{
	char json[512];

	put("list", lines);
	snprintf(json, sizeof json,
		 "{\"policies\":{\"p\":{\"algorithm\":\"fixed_window\",\"limit\":1,\"window\":1,"
		 "\"key\":[],\"overrides\":[{\"match\":{\"a\":\"%s\"},\"limit\":2}]}}}",
		 value);
	put("policies", json);
	struct policies *policies =
		policy_file_load(path_of("policies"), ON_ERROR_ALLOW, &problems);
	assert_non_null(policies);
	return policies;
}

TEST(policy_file_load_other_lines_are_a_change_and_the_same_balance)
{
	struct policies *one = load_override("@list", "x\n");
	struct policies *other = load_override("@list", "x\ny\n");
	struct policies *same = load_override("@list", "x\ny\n");
	struct policies *literal = load_override("@@list", "x\n");
	const struct policy *p = policies_at(one, 0), *q = policies_at(other, 0),
			    *r = policies_at(same, 0), *s = policies_at(literal, 0);

	assert_true(p->fingerprint != q->fingerprint && q->fingerprint == r->fingerprint);
	assert_string_equal(p->overrides[0].terms.generation, q->overrides[0].terms.generation);
	assert_string_not_equal(p->overrides[0].terms.generation, s->overrides[0].terms.generation);
	policies_unref(one);
	policies_unref(other);
	policies_unref(same);
	policies_unref(literal);
}

TEST(policy_file_load_with_gives_the_files_also_of_a_bad_file)
{
	struct list_files given;

	put("list", "10.0.0.0/99\n");
	put("policies", "{\"block\":[{\"a\":[\"@list\",\"@none\",\"@list\"]}],\"policies\":{}}");
	char *path = strdup(path_of("policies"));
	list_files_init(&given, path);
	assert_null(policy_file_load_with(path, ON_ERROR_ALLOW, &given, &problems));

	assert_int_equal(problems.count, 2);
	assert_int_equal(given.count, 2);
	assert_string_equal(given.items[0].path, path_of("list"));
	assert_string_equal(given.items[1].path, path_of("none"));
	list_files_release(&given);
	free(path);
}

TEST(policy_file_load_has_a_bound_of_files)
{
	char json[2048];
	size_t len = (size_t)snprintf(json, sizeof json, "{\"block\":[{\"a\":[\"x\"");

	for (int i = 0; i <= LIST_FILES_MAX; i++)
		len += (size_t)snprintf(json + len, sizeof json - len, ",\"@%d\"", i);
	snprintf(json + len, sizeof json - len, "]}],\"policies\":{}}");
	put("policies", json);
	struct list_files given;
	char *path = strdup(path_of("policies"));
	list_files_init(&given, path);
	assert_null(policy_file_load_with(path, ON_ERROR_ALLOW, &given, &problems));

	assert_int_equal(problems.count, LIST_FILES_MAX + 1);
	assert_int_equal(given.count, LIST_FILES_MAX);
	list_files_release(&given);
	free(path);
}
