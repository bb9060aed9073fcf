#include "net/http/http_layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "support/test.h"

/* A header as a library leaves it: cut up where it lies. */
static _Alignas(16) char memory[64];

static const char *put(size_t at, const char *parts, size_t len)
{
	memset(memory, '.', sizeof memory);
	memcpy(memory + at, parts, len);
	return memory + at;
}

#define HEADER "GET\0/\0HTTP/1.1\0\0Host\0x\0\0\0\0"

/* Whether "GET / HTTP/1.1", "Host:x" is seen to be whole, from `at` on in the memory. */
static bool is_seen(size_t at, const char **front)
{
	const char *method = put(at, HEADER, sizeof HEADER - 1);
	struct http_layout layout;

	http_layout_begin(&layout, front, method);
	http_layout_expect(&layout, method, 3, " ");
	http_layout_expect(&layout, method + 4, 1, " ");
	http_layout_expect(&layout, method + 6, 8, "\r\n");
	http_layout_expect(&layout, method + 16, 6, "\r\n");
	return http_layout_ends_at(&layout, method + 24);
}

TEST(http_layout_parts_behind_one_another_are_whole)
{
	const char *front = NULL;

	assert_true(is_seen(0, &front));
	assert_ptr_equal(front, memory);
}

TEST(http_layout_one_empty_line_may_stand_before)
{
	const char *front = NULL;

	assert_true(is_seen(2, &front));
	assert_true(is_seen(0, &front));
	assert_true(is_seen(2, &front));
}

TEST(http_layout_more_may_not)
{
	const char *front = NULL;

	assert_false(is_seen(1, &front));
	assert_false(is_seen(4, &front));
	assert_false(is_seen(16, &front)); /* where the front is known */
}

TEST(http_layout_a_gap_or_an_early_end_is_seen)
{
	const char *front = NULL, *method = put(0, HEADER, sizeof HEADER - 1);
	struct http_layout layout;

	http_layout_begin(&layout, &front, method);
	http_layout_expect(&layout, method, 3, " ");
	assert_false(http_layout_ends_at(&layout, method + 6));
	http_layout_expect(&layout, method + 5, 1, " "); /* a second space before it */
	http_layout_expect(&layout, method + 7, 8, "\r\n");
	assert_false(http_layout_ends_at(&layout, method + 17));
}
