#include "app/view/json_tree.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "support/test.h"

static struct json_tree tree;
static struct json_node page;

BEFORE_EACH
{
	page = json_tree_root(&tree);
}

/* The document, which the caller frees. */
static char *written(void)
{
	char *text;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	assert_non_null(file);
	assert_true(json_tree_write(&tree, file));
	assert_int_equal(fclose(file), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static void assert_written(const char *expected)
{
	char *text = written();

	assert_string_equal(text, expected);
	free(text);
}

TEST(json_add_values_are_in_order)
{
	struct json_node list, deep;

	(void)json_add_list(page, "empty");
	json_add_int(page, "a", -5);
	list = json_add_list(page, "list");
	json_add_unsigned(list, NULL, UINT64_MAX);
	json_add_bool(list, NULL, true);
	deep = json_add_object(list, NULL);
	json_add_fraction(page, "b", 1500, 3);
	json_add_bool(deep, "d", false);
	json_add_text(page, "c", "x");

	assert_written("{\"empty\":[],\"a\":-5,\"list\":[18446744073709551615,true,{\"d\":false}],"
		       "\"b\":1.5,\"c\":\"x\"}");
}

TEST(json_tree_write_nothing_is_an_object)
{
	assert_written("{}");
}

/* cJSON alone has doubles: it writes 1e+15, and rounds above 2^53. */
TEST(json_add_numbers_are_exact)
{
	static const struct {
		int64_t value;
		const char *expected;
	} cases[] = {
		{0, "{\"n\":0}"},
		{INT_MAX, "{\"n\":2147483647}"},
		{(int64_t)INT_MAX + 1, "{\"n\":2147483648}"},
		{INT_MIN, "{\"n\":-2147483648}"},
		{(int64_t)INT_MIN - 1, "{\"n\":-2147483649}"},
		{INT64_C(1700000000000), "{\"n\":1700000000000}"},
		{INT64_C(1000000000000000), "{\"n\":1000000000000000}"},
		{(INT64_C(1) << 53) + 1, "{\"n\":9007199254740993}"},
		{INT64_MAX, "{\"n\":9223372036854775807}"},
		{INT64_MIN, "{\"n\":-9223372036854775808}"},
	};

	assert_written("{}");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		page = json_tree_root(&tree);
		json_add_int(page, "n", cases[i].value);
		assert_written(cases[i].expected);
		if (cases[i].value < 0)
			continue;
		page = json_tree_root(&tree);
		json_add_unsigned(page, "n", (uint64_t)cases[i].value);
		assert_written(cases[i].expected);
	}
}

TEST(json_add_fraction_is_exact)
{
	struct json_node list = json_add_list(page, "n");

	json_add_fraction(list, NULL, 0, 6);
	json_add_fraction(list, NULL, 1, 6);
	json_add_fraction(list, NULL, 1000000, 6);
	json_add_fraction(list, NULL, UINT64_MAX, 6);

	assert_written("{\"n\":[0,0.000001,1,18446744073709.551615]}");
}

/* The one text of the document, as a reader of JSON gets it. */
static char *read_back(void)
{
	char *text = written();
	cJSON *root = cJSON_Parse(text);
	char *back = strdup(cJSON_GetStringValue(cJSON_GetObjectItem(root, "t")));

	cJSON_Delete(root);
	free(text);
	return back;
}

TEST(json_add_bytes_any_byte_is_valid)
{
	uint8_t every[256];

	for (size_t i = 0; i < sizeof every; i++)
		every[i] = (uint8_t)i;
	json_add_bytes(page, "t", bytes_from(every + 1, 255));
	char *back = read_back();

	/* As Latin-1 in UTF-8: one byte below 0x80, two above. */
	assert_int_equal(strlen(back), 127 + 2 * 128);
	assert_memory_equal(back, every + 1, 127);
	assert_memory_equal(back + 127, "\xc2\x80\xc2\x81", 4);
	assert_memory_equal(back + strlen(back) - 2, "\xc3\xbf", 2);
	free(back);
}

TEST(json_add_bytes_nul_and_markup_are_text)
{
	json_add_bytes(page, "t", BYTES("a\0\"</script>\\\n"));

	assert_written("{\"t\":\"a\xef\xbf\xbd\\\"</script>\\\\\\n\"}");
}

TEST(json_add_bytes_too_long_is_cut)
{
	char text[JSON_TEXT_MAX + 1];

	memset(text, '\0', sizeof text); /* what takes the most bytes */
	json_add_bytes(page, "t", bytes_from(text, sizeof text));
	char *back = read_back();

	assert_int_equal(strlen(back), JSON_TEXT_MAX * strlen("\xef\xbf\xbd"));
	free(back);
}

TEST(json_add_utf8_stays_what_it_is)
{
	static const char text[] = "\xc3\xa4\xf0\x9f\x98\x80\\\"/\x01\x7f";
	struct json_node list;

	json_add_utf8(page, "a", bytes_from_text(text));
	list = json_add_list_utf8(page, BYTES("\xc3\xa4\""));
	json_add_utf8(list, NULL, bytes_from(NULL, 0));
	json_add_utf8(list, NULL, BYTES("x"));

	assert_written("{\"a\":\"\xc3\xa4\xf0\x9f\x98\x80\\\\\\\"/\\u0001\x7f\",\"\xc3\xa4\\\"\":["
		       "\"\",\"x\"]}");
}

TEST(json_add_utf8_has_any_length)
{
	enum { LEN = 100000 };
	char *text = malloc(LEN);

	memset(text, 'x', LEN);
	json_add_utf8(page, "t", bytes_from(text, LEN));
	char *back = read_back();

	assert_int_equal(strlen(back), LEN);
	free(back);
	free(text);
}
