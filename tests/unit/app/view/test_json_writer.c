#include "app/view/json_writer.h"

#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "support/test.h"

struct page {
	char *text;
	size_t len;
	FILE *file;
	struct json json;
};

static void page_begin(struct page *page)
{
	page->file = open_memstream(&page->text, &page->len);
	assert_non_null(page->file);
	page->json = json_on(page->file);
}

static void assert_page(struct page *page, const char *expected)
{
	assert_int_equal(fclose(page->file), 0);
	assert_string_equal(page->text, expected);
	free(page->text);
}

TEST(json_put_commas_stand_between)
{
	struct page page;
	struct json *json = &page.json;

	page_begin(&page);
	json_begin(json, NULL, '{');
	json_begin(json, "empty", '[');
	json_end(json, ']');
	json_put_int(json, "a", -5);
	json_begin(json, "list", '[');
	json_put_unsigned(json, NULL, UINT64_MAX);
	json_put_bool(json, NULL, true);
	json_begin(json, NULL, '{');
	json_end(json, '}');
	json_end(json, ']');
	json_put_fraction(json, "b", 1500, 3);
	json_put_text(json, "c", "x");
	json_end(json, '}');

	assert_page(&page, "{\"empty\":[],\"a\":-5,\"list\":[18446744073709551615,true,{}],"
			   "\"b\":1.5,\"c\":\"x\"}");
}

TEST(json_put_bytes_any_byte_is_valid_ascii)
{
	struct page page;
	uint8_t every[256];

	for (size_t i = 0; i < sizeof every; i++)
		every[i] = (uint8_t)i;
	page_begin(&page);
	json_put_bytes(&page.json, NULL, bytes_from(every + 1, 255)); /* cJSON takes no NUL */
	assert_int_equal(fclose(page.file), 0);
	for (size_t i = 0; i < page.len; i++)
		assert_in_range(page.text[i], ' ', '~');
	cJSON *back = cJSON_Parse(page.text);

	/* As Latin-1 in UTF-8: one byte below 0x80, two above. */
	assert_true(cJSON_IsString(back));
	assert_int_equal(strlen(back->valuestring), 127 + 2 * 128);
	assert_memory_equal(back->valuestring, every + 1, 127);
	cJSON_Delete(back);
	free(page.text);
}

TEST(json_put_bytes_nul_and_markup_are_text)
{
	struct page page;

	page_begin(&page);
	json_put_bytes(&page.json, NULL, BYTES("a\0\"</script>\\\n"));

	assert_page(&page, "\"a\\u0000\\\"</script>\\\\\\u000a\"");
}

TEST(json_put_bytes_too_long_is_cut)
{
	struct page page;
	char text[JSON_TEXT_MAX + 1];

	memset(text, '\xff', sizeof text);
	page_begin(&page);
	json_put_bytes(&page.json, NULL, bytes_from(text, sizeof text));
	assert_int_equal(fclose(page.file), 0);

	assert_int_equal(page.len, JSON_TEXT_MAX * 6 + 2);
	free(page.text);
}

TEST(json_put_utf8_stays_what_it_is)
{
	static const char text[] = "\xc3\xa4\xf0\x9f\x98\x80\\\"/\x01\n\x7f";
	struct page page;
	char expected[64];

	page_begin(&page);
	json_begin(&page.json, NULL, '{');
	json_put_utf8(&page.json, "a", bytes_from_text(text));
	json_begin_utf8(&page.json, bytes_from_text("\xc3\xa4\""), '[');
	json_put_utf8(&page.json, NULL, BYTES(""));
	json_put_utf8(&page.json, NULL, BYTES("x"));
	json_end(&page.json, ']');
	json_end(&page.json, '}');

	snprintf(expected, sizeof expected, "{\"a\":\"%s\",\"%s\":[\"\",\"x\"]}",
		 "\xc3\xa4\xf0\x9f\x98\x80\\\\\\\"/\\u0001\\u000a\x7f", "\xc3\xa4\\\"");
	assert_page(&page, expected);
}
