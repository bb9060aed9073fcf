#include "app/view/json_tree.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/utf8.h"
#include "base/writer.h"

#define NUMBER_MAX      32
#define REPLACEMENT     0xfffd /* U+FFFD */
#define CHARACTER_BYTES 3      /* at most, of U+FFFD */

struct json_node json_tree_root(struct json_tree *tree)
{
	tree->root = cJSON_CreateObject();
	tree->has_failed = tree->root == NULL;
	return (struct json_node){tree, tree->root};
}

bool json_tree_write(struct json_tree *tree, FILE *to)
{
	char *text = tree->has_failed ? NULL : cJSON_PrintUnformatted(tree->root);

	cJSON_Delete(tree->root);
	tree->root = NULL;
	if (text == NULL)
		return false;
	(void)fputs(text, to);
	cJSON_free(text);
	return true;
}

/* Takes over `item`, which is NULL when there was no memory for it. */
static struct json_node add(struct json_node in, const char *name, cJSON *item)
{
	bool is_added = in.item != NULL && item != NULL &&
			(name == NULL ? cJSON_AddItemToArray(in.item, item)
				      : cJSON_AddItemToObjectCS(in.item, name, item));

	if (!is_added) {
		in.tree->has_failed = true;
		cJSON_Delete(item);
		item = NULL;
	}
	return (struct json_node){in.tree, item};
}

struct json_node json_add_object(struct json_node in, const char *name)
{
	return add(in, name, cJSON_CreateObject());
}

struct json_node json_add_list(struct json_node in, const char *name)
{
	return add(in, name, cJSON_CreateArray());
}

/* ---- texts ---- */

void json_add_bytes(struct json_node in, const char *name, struct bytes text)
{
	char memory[JSON_TEXT_MAX * CHARACTER_BYTES + 1];
	struct writer w = writer_on(memory, sizeof memory);

	if (text.len > JSON_TEXT_MAX)
		text.len = JSON_TEXT_MAX;
	for (size_t i = 0; i < text.len; i++)
		utf8_put(&w, text.data[i] == '\0' ? REPLACEMENT : text.data[i]);
	ASSERT(!w.full);
	(void)add(in, name, cJSON_CreateString(writer_text(&w)));
}

void json_add_text(struct json_node in, const char *name, const char *text)
{
	json_add_bytes(in, name, bytes_from_text(text));
}

/* cJSON wants a NUL behind the text. */
static char *copy_of(struct bytes text)
{
	char *copy = malloc(text.len + 1);

	if (copy == NULL)
		return NULL;
	if (text.len > 0)
		memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	return copy;
}

void json_add_utf8(struct json_node in, const char *name, struct bytes text)
{
	char *copy = copy_of(text);

	(void)add(in, name, copy == NULL ? NULL : cJSON_CreateString(copy));
	free(copy);
}

struct json_node json_add_list_utf8(struct json_node in, struct bytes name)
{
	char *copy = copy_of(name);
	cJSON *list = copy == NULL ? NULL : cJSON_CreateArray();
	bool is_added =
		in.item != NULL && list != NULL && cJSON_AddItemToObject(in.item, copy, list);

	free(copy);
	if (!is_added) {
		in.tree->has_failed = true;
		cJSON_Delete(list);
		list = NULL;
	}
	return (struct json_node){in.tree, list};
}

/* ---- numbers ---- */

/*
 * cJSON keeps a number as a double and writes one above 10^15 as 1e+15, or rounded. So a number
 * that does not fit an int is a piece of text that cJSON puts in as it is.
 */
static void add_digits(struct json_node in, const char *name, struct writer *digits)
{
	ASSERT(!digits->full);
	(void)add(in, name, cJSON_CreateRaw(writer_text(digits)));
}

void json_add_int(struct json_node in, const char *name, int64_t value)
{
	char memory[NUMBER_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	if (value >= INT_MIN && value <= INT_MAX) {
		(void)add(in, name, cJSON_CreateNumber((double)value));
		return;
	}
	writer_put_decimal(&w, value);
	add_digits(in, name, &w);
}

void json_add_unsigned(struct json_node in, const char *name, uint64_t value)
{
	json_add_fraction(in, name, value, 0);
}

void json_add_fraction(struct json_node in, const char *name, uint64_t value, unsigned decimals)
{
	char memory[NUMBER_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	if (decimals == 0 && value <= INT_MAX) {
		(void)add(in, name, cJSON_CreateNumber((double)value));
		return;
	}
	writer_put_fraction(&w, value, decimals);
	add_digits(in, name, &w);
}

void json_add_bool(struct json_node in, const char *name, bool value)
{
	(void)add(in, name, cJSON_CreateBool(value));
}
