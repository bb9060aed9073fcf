#include "net/http/http_text.h"

#include <stdlib.h>

#include "support/sweep.h"
#include "support/test.h"

TEST(http_text_split_target_cuts_at_the_question_mark)
{
	static const struct {
		const char *target, *path, *query;
	} cases[] = {
		{"/check", "/check", ""},
		{"/check?", "/check", ""},
		{"/check?a=1&b=2", "/check", "a=1&b=2"},
		{"/check?a=?b", "/check", "a=?b"},
		{"/", "/", ""},
		{"*", "*", ""},
		{"a:1", "a:1", ""},
		{"", "/", ""},
		{"?a", "/", "a"},
		{"http://host/health", "/health", ""},
		{"http://host:80/check?a=http://x/y", "/check", "a=http://x/y"},
		{"https://host", "/", ""},
		{"http://host?a", "/", "a"},
		{"http:/x", "http:/x", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_text text;
		struct bytes path, query;
		http_text_init(&text);
		assert_true(http_text_set_target(&text, cases[i].target));
		http_text_split_target(&text, &path, &query);
		assert_bytes_text(path, cases[i].path);
		assert_bytes_text(query, cases[i].query);
		http_text_clear(&text);
	}
}

TEST(http_text_add_body_grows_and_keeps_the_target)
{
	struct http_text text;
	struct bytes path, query;
	uint8_t piece[700];
	http_text_init(&text);
	assert_true(http_text_set_target(&text, "/check?a"));

	for (unsigned i = 0; i < 100; i++) {
		memset(piece, (int)i, sizeof piece);
		assert_true(http_text_add_body(&text, bytes_from(piece, sizeof piece)));
	}

	assert_int_equal(http_text_body(&text).len, 100 * sizeof piece);
	for (size_t i = 0; i < 100 * sizeof piece; i++)
		assert_int_equal(http_text_body(&text).data[i], i / sizeof piece);
	http_text_split_target(&text, &path, &query);
	assert_bytes_text(path, "/check");
	assert_bytes_text(query, "a");
	http_text_clear(&text);
}

TEST(http_text_clear_is_ready_for_the_next)
{
	struct http_text text;
	uint8_t piece[2 * HTTP_TEXT_SMALL] = {0};
	http_text_init(&text);
	assert_true(http_text_set_target(&text, "/a"));
	assert_true(http_text_add_body(&text, bytes_from(piece, sizeof piece)));

	http_text_clear(&text);

	assert_int_equal(http_text_body(&text).len, 0);
	assert_true(http_text_set_target(&text, "/b"));
	assert_true(http_text_add_body(&text, BYTES("x")));
	assert_bytes_text(http_text_body(&text), "x");
	http_text_clear(&text);
}
