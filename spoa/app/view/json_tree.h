/*
 * json_tree.h - builds a JSON document (cJSON) and writes it: for pages and commands, which are on
 * no request's path.
 *
 *     struct json_tree tree = {0};
 *     struct json_node page = json_tree_root(&tree);
 *
 *     json_add_text(page, "status", "ok");
 *     struct json_node store = json_add_object(page, "store");
 *     ...
 *     return json_tree_write(&tree, to);
 *
 * The first failure, which can only be that memory is short, sticks: all further calls do nothing
 * and json_tree_write returns false. Numbers are written exactly, 64-bit ones too.
 *
 * A name is a constant, or lives as long as the tree. It is NULL for an item of a list.
 */
#ifndef APP_JSON_TREE_H
#define APP_JSON_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct cJSON;

#define JSON_TEXT_MAX 1024 /* a longer text is cut */

struct json_tree {
	struct cJSON *root; /* owned */
	bool has_failed;
};

/* An object or a list of a tree, to which values are added at the end. */
struct json_node {
	struct json_tree *tree;
	struct cJSON *item; /* NULL after a failure */
};

/* The object that the document consists of. */
struct json_node json_tree_root(struct json_tree *tree);
/* Writes the document and frees the tree. False when memory was short; then nothing is written. */
MUST_CHECK bool json_tree_write(struct json_tree *tree, FILE *to);

struct json_node json_add_object(struct json_node in, const char *name);
struct json_node json_add_list(struct json_node in, const char *name);
/* Of any bytes: those above 0x7e become the characters of Latin-1, a NUL becomes U+FFFD. */
void json_add_text(struct json_node in, const char *name, const char *text);
void json_add_bytes(struct json_node in, const char *name, struct bytes text);
/* Of UTF-8 without a NUL, of any length. The name likewise; it is copied. */
void json_add_utf8(struct json_node in, const char *name, struct bytes text);
struct json_node json_add_list_utf8(struct json_node in, struct bytes name);
void json_add_int(struct json_node in, const char *name, int64_t value);
void json_add_unsigned(struct json_node in, const char *name, uint64_t value);
/* value / 10^decimals */
void json_add_fraction(struct json_node in, const char *name, uint64_t value, unsigned decimals);
void json_add_bool(struct json_node in, const char *name, bool value);

#endif
