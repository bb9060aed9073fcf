#include "app/view/pages.h"

#include <stdlib.h>
#include <string.h>

#include "store/memory.h"
#include "support/test.h"

static void assert_page(bool (*write)(const void *view, FILE *to), const struct agent_view *view,
			const char *expected)
{
	char *text;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	assert_true(write(view, to));
	assert_int_equal(fclose(to), 0);
	assert_string_equal(text, expected);
	free(text);
}

TEST(health_write_in_memory_is_up)
{
	struct store *memory = memory_store_new(1 << 20);
	const struct agent_view view = {.store = memory};

	assert_non_null(memory);
	assert_page(health_write, &view,
		    "{\"status\":\"ok\",\"store\":{\"kind\":\"memory\",\"state\":\"up\"}}");
	store_free(memory);
}

TEST(ready_write_is_ready_until_it_drains)
{
	struct agent_view view = {.is_draining = false};

	assert_int_equal(ready_status(&view), 200);
	assert_page(ready_write, &view, "{\"status\":\"ready\"}");
	view.is_draining = true;
	assert_int_equal(ready_status(&view), 503);
	assert_page(ready_write, &view, "{\"status\":\"draining\"}");
}

/* Who may see which page, and on which port it is (docs/reference.md, section HTTP). */
TEST(pages_each_has_its_access)
{
	static const struct {
		const char *path;
		enum http_access access;
		bool is_admin;
	} expected[] = {
		{"/health", ACCESS_PUBLIC, false},
		{"/ready", ACCESS_PUBLIC, false},
		{"/openapi.json", ACCESS_PUBLIC, false},
		{"/metrics", ACCESS_TOKEN, true},
		{"/", ACCESS_PUBLIC, true},
		{"/status", ACCESS_PRIVATE, true},
		{"/top", ACCESS_PRIVATE, true},
	};

	assert_int_equal(page_count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < page_count; i++) {
		assert_string_equal(pages[i].path, expected[i].path);
		assert_int_equal(pages[i].access, expected[i].access);
		assert_int_equal(pages[i].is_admin, expected[i].is_admin);
	}
}
