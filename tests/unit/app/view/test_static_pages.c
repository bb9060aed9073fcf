#include "app/view/static_pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "support/test.h"

static char *page; /* with a NUL */

BEFORE_ALL
{
	struct bytes text = status_page_text();

	page = strndup((const char *)text.data, text.len);
	assert_non_null(page);
}

AFTER_ALL
{
	free(page);
}

static size_t count(const char *what)
{
	size_t found = 0;

	for (const char *at = page; (at = strstr(at, what)) != NULL; at++)
		found++;
	return found;
}

TEST(status_page_text_is_one_whole_page)
{
	assert_int_equal(strncmp(page, "<!DOCTYPE html>", 15), 0);
	assert_non_null(strstr(page, "</html>"));
	assert_int_equal(count("<script>"), 1);
	assert_int_equal(count("<style>"), 1);
}

/* What the policy would forbid, and what would make text into markup. */
TEST(status_page_text_has_nothing_that_is_forbidden)
{
	static const char *const forbidden[] = {
		"innerHTML",      "outerHTML", "insertAdjacentHTML",
		"document.write", "eval(",     "Function(",
		" style=\"",      " onclick=", " onload=",
		"src=",           "<link",     "@import",
		"url(",           "https://",
	};

	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (strstr(page, forbidden[i]) != NULL)
			fail_msg("there is %s", forbidden[i]);
	/* The one is the name of SVG. */
	assert_int_equal(count("http://"), 1);
	assert_int_equal(count("'http://www.w3.org/2000/svg'"), 1);
}

TEST(status_page_headers_allow_only_what_is_in_it)
{
	const char *headers = status_page_headers();

	assert_int_equal(strncmp(headers, "Content-Security-Policy: default-src 'none'; ", 45), 0);
	assert_non_null(strstr(headers, "script-src 'sha256-"));
	assert_non_null(strstr(headers, "style-src 'sha256-"));
	assert_non_null(strstr(headers, "connect-src 'self';"));
	assert_null(strstr(headers, "unsafe"));
	assert_int_equal(headers[strlen(headers) - 1], '\n');
	assert_ptr_equal(headers, status_page_headers());
}
