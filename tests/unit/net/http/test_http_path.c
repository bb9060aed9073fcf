#include "net/http/http_path.h"

#include <stdio.h>

#include "support/guarded.h"
#include "support/test.h"

static struct guarded *guarded;

BEFORE_ALL
{
	guarded = guarded_new(4096);
}

AFTER_ALL
{
	guarded_free(guarded);
}

typedef const char *put_fn(struct writer *w, struct bytes text);

/* "!" and the reason when the text is refused. The view is good until the next call. */
static const char *result_of(put_fn *put, struct bytes text)
{
	static char result[4096];
	struct writer w = writer_on(result, sizeof result);
	const char *why = put(&w, guarded_copy(guarded, text));

	if (why == NULL)
		return writer_text(&w);
	snprintf(result, sizeof result, "!%s", why);
	return result;
}

/* ---- paths ---- */

static const struct {
	const char *name; /* the raw path */
	const char *expected;
} paths[] = {
	{"/login", "/login"},
	{"/", "/"},
	{"", "/"},
	{"login", "/login"},
	{"/Login", "/Login"},
	{"/a+b", "/a+b"},
	{"/%6cog%69n", "/login"},
	{"/%6Cogin", "/login"},
	{"/%256cogin", "/%6cogin"},
	{"/%ff%80", "/\xff\x80"},
	{"//login", "/login"},
	{"///a////login", "/a/login"},
	{"/a%2flogin", "/a/login"},
	{"\\a\\\\login\\", "/a/login"},
	{"/%5c%2f", "/"},
	{"/login/", "/login"},
	{"/login%2F", "/login"},
	{"/login;a=1;b", "/login"},
	{"/login%3Ba/x", "/login/x"},
	{"/;x/login;", "/login"},
	{"/a;x\\login", "/a/login"},
	{";a", "/"},
	{"/...", "/..."},
	{"/.well-known/..a/b..", "/.well-known/..a/b.."},
	{"/.%20", "/. "},
	{"/a%3fb", "/a?b"},
	{".", "!the path has a segment . or .."},
	{"/.", "!the path has a segment . or .."},
	{"/..", "!the path has a segment . or .."},
	{"/./login", "!the path has a segment . or .."},
	{"/a/%2e%2E/login", "!the path has a segment . or .."},
	{"/a\\..\\login", "!the path has a segment . or .."},
	{"/a/..;x/login", "!the path has a segment . or .."},
	{"/a/..%3b", "!the path has a segment . or .."},
	{"/a;%2f..", "!the path has a segment . or .."},
	{"/login/..", "!the path has a segment . or .."},
	{"/%", "!the path has a % without two hexadecimal digits"},
	{"/%6", "!the path has a % without two hexadecimal digits"},
	{"/a;%zz", "!the path has a % without two hexadecimal digits"},
	{"/%-1", "!the path has a % without two hexadecimal digits"},
	{"/a#b", "!the path has a # or a control character"},
	{"/a%23", "!the path has a # or a control character"},
	{"/a%00b", "!the path has a # or a control character"},
	{"/a;x%0a", "!the path has a # or a control character"},
	{"/a\tb", "!the path has a # or a control character"},
	{"/a\x7f", "!the path has a # or a control character"},
};

TEST_ROWS(paths)
{
	assert_string_equal(result_of(http_path_put, bytes_from_text(row->name)), row->expected);
}

TEST(http_path_put_a_nul_is_refused)
{
	assert_string_equal(result_of(http_path_put, BYTES("/a\0b")),
			    "!the path has a # or a control character");
}

TEST(http_path_put_without_room_is_refused)
{
	char memory[5];

	for (size_t max = 0; max < 6; max++) {
		struct writer w = writer_on(memory, max < 5 ? max : 5);
		assert_string_equal(http_path_put(&w, BYTES("/login")), "the path is too long");
	}
}

TEST(http_path_put_behind_other_text_leaves_that_alone)
{
	char memory[32];
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_text(&w, "a/.");
	assert_null(http_path_put(&w, BYTES("//")));
	assert_string_equal(writer_text(&w), "a/./");
}

/* ---- hosts ---- */

static const struct {
	const char *name; /* the raw host */
	const char *expected;
} hosts[] = {
	{"api.example.com", "api.example.com"},
	{"API.Example.COM", "api.example.com"},
	{"api.example.com:80", "api.example.com"},
	{"api.example.com:", "api.example.com"},
	{"api.example.com.", "api.example.com"},
	{"api.example.com.:8443", "api.example.com"},
	{"a_b-c", "a_b-c"},
	{"192.0.2.1:80", "192.0.2.1"},
	{"[2001:DB8::1]:443", "[2001:db8::1]"},
	{"[::1]", "[::1]"},
	{"[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]"},
	{"", ""},
	{":80", ""},
	{".", ""},
	{"a..b", "!the host is neither a name nor an address"},
	{"a..", "!the host is neither a name nor an address"},
	{".a", "!the host is neither a name nor an address"},
	{"a:80.", "!the host is neither a name nor an address"},
	{"a:1:2", "!the host is neither a name nor an address"},
	{"::1", "!the host is neither a name nor an address"},
	{"[]", "!the host is neither a name nor an address"},
	{"[::1", "!the host is neither a name nor an address"},
	{"[fe80::1%25eth0]", "!the host is neither a name nor an address"},
	{"a b", "!the host is neither a name nor an address"},
	{"a,b", "!the host is neither a name nor an address"},
	{"a/b", "!the host is neither a name nor an address"},
	{"a@b", "!the host is neither a name nor an address"},
	{"%61", "!the host is neither a name nor an address"},
	{"\xc3\xa4", "!the host is neither a name nor an address"},
};

TEST_ROWS(hosts)
{
	assert_string_equal(result_of(http_host_put, bytes_from_text(row->name)), row->expected);
}

/* ---- targets ---- */

static const struct {
	const char *name; /* the target */
	const char *raw_path, *query;
} targets[] = {
	{"/login", "/login", ""},
	{"/login?a=b?c", "/login", "a=b?c"},
	{"/login?", "/login", ""},
	{"?a", "/", "a"},
	{"", "/", ""},
	{"*", "/", ""},
	{"**", "**", ""},
	{"login", "login", ""},
	{"//example.com/login", "//example.com/login", ""},
	{"http://example.com/login?x", "/login", "x"},
	{"HTTPS://example.com?x=http://y/", "/", "x=http://y/"},
	{"https://example.com", "/", ""},
	{"http://example.com#/login", "#/login", ""},
	{"ftp://example.com/login", "ftp://example.com/login", ""},
	{"/http://example.com/", "/http://example.com/", ""},
};

TEST_ROWS(targets)
{
	struct http_target target =
		http_target_split(guarded_copy(guarded, bytes_from_text(row->name)));

	assert_memory_equal(target.raw_path.data, row->raw_path, target.raw_path.len);
	assert_int_equal(target.raw_path.len, strlen(row->raw_path));
	assert_memory_equal(target.query.data, row->query, target.query.len);
	assert_int_equal(target.query.len, strlen(row->query));
}
