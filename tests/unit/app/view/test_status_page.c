#include "app/view/status_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

static char *page; /* with a NUL */

static int setup(void **state)
{
	struct bytes text = status_page_text();

	(void)state;
	page = strndup((const char *)text.data, text.len);
	return page == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	free(page);
	return 0;
}

static size_t count(const char *what)
{
	size_t found = 0;

	for (const char *at = page; (at = strstr(at, what)) != NULL; at++)
		found++;
	return found;
}

static void test_status_page_text_is_one_whole_page(void **state)
{
	(void)state;

	assert_int_equal(strncmp(page, "<!DOCTYPE html>", 15), 0);
	assert_non_null(strstr(page, "</html>"));
	assert_int_equal(count("<script>"), 1);
	assert_int_equal(count("<style>"), 1);
}

/* What the policy would forbid, and what would make text into markup. */
static void test_status_page_text_has_nothing_that_is_forbidden(void **state)
{
	static const char *const forbidden[] = {
		"innerHTML",      "outerHTML", "insertAdjacentHTML",
		"document.write", "eval(",     "Function(",
		" style=\"",      " onclick=", " onload=",
		"src=",           "<link",     "@import",
		"url(",           "https://",
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (strstr(page, forbidden[i]) != NULL)
			fail_msg("there is %s", forbidden[i]);
	/* The one is the name of SVG. */
	assert_int_equal(count("http://"), 1);
	assert_int_equal(count("'http://www.w3.org/2000/svg'"), 1);
}

static void test_status_page_headers_allow_only_what_is_in_it(void **state)
{
	const char *headers = status_page_headers();
	(void)state;

	assert_int_equal(strncmp(headers, "Content-Security-Policy: default-src 'none'; ", 45), 0);
	assert_non_null(strstr(headers, "script-src 'sha256-"));
	assert_non_null(strstr(headers, "style-src 'sha256-"));
	assert_non_null(strstr(headers, "connect-src 'self';"));
	assert_null(strstr(headers, "unsafe"));
	assert_int_equal(headers[strlen(headers) - 1], '\n');
	assert_ptr_equal(headers, status_page_headers());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_page_text_is_one_whole_page),
		cmocka_unit_test(test_status_page_text_has_nothing_that_is_forbidden),
		cmocka_unit_test(test_status_page_headers_allow_only_what_is_in_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
