#include "base/authority.h"

#include "support/guarded.h"
#include "support/sweep.h"
#include "support/test.h"

static int split(struct bytes input, void *context)
{
	struct authority authority;

	POISON(authority);
	if (!authority_split(input, &authority)) {
		assert_untouched(authority);
		return -1;
	}
	assert_view_of(authority.host, input);
	assert_view_of(authority.port, input);
	*(struct authority *)context = authority;
	return 1;
}

TEST(authority_split_finds_host_and_port)
{
	static const struct {
		const char *text, *host, *port; /* no port: NULL */
	} cases[] = {
		{"a", "a", NULL},
		{"a:1", "a", "1"},
		{"192.0.2.1:80", "192.0.2.1", "80"},
		{"[::1]", "::1", NULL},
		{"[::1]:80", "::1", "80"},
		{"[:]:", ":", ""},
		{"a:", "a", ""},
		{":1", "", "1"},
		{"", "", NULL},
		{"a:b", "a", "b"},
		/* The port is not judged: no caller takes this one. */
		{"::1:80", "", ":1:80"},
		{"a]:1", "a]", "1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct authority authority;
		assert_true(authority_split(bytes_from_text(cases[i].text), &authority));
		assert_bytes_text(authority.host, cases[i].host);
		assert_int_equal(authority.port.data != NULL, cases[i].port != NULL);
		if (cases[i].port != NULL)
			assert_bytes_text(authority.port, cases[i].port);
	}
}

TEST(authority_split_brackets_that_are_wrong_are_refused)
{
	static const char *const cases[] = {"[",      "[]",       "[]:1",     "[::1",     "[a]:1",
					    "[::1]1", "[::1]a:1", "[::1]]:1", "[[::1]]:1"};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct authority authority;
		POISON(authority);
		if (authority_split(bytes_from_text(cases[i]), &authority))
			fail_msg("\"%s\" is taken", cases[i]);
		assert_untouched(authority);
	}
}

TEST(authority_split_reads_nothing_behind_the_text)
{
	struct authority authority;

	(void)sweep_truncated(BYTES("[2001:db8::1]:8080"), split, &authority);
	(void)sweep_flipped(BYTES("[2001:db8::1]:8080"), split, &authority);
	(void)sweep_truncated(BYTES("agent.example:8080"), split, &authority);
	assert_int_equal(sweep_whole(BYTES("agent.example:8080"), split, &authority), 1);
}
