/*
 * pattern_texts.h - the texts of a pattern_set, in three kinds: whole texts, beginnings ("text*"),
 * and those with other stars ("*.php").
 *
 * The texts stand one behind the other in one block, each behind its length, and are known by where
 * they begin. When lines are kept, the line of a text stands behind the text.
 */
#ifndef LIMIT_PATTERN_TEXTS_H
#define LIMIT_PATTERN_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

/* Where texts begin in the block. */
struct pattern_places {
	uint32_t *items;
	uint32_t count;
};

/* All zero at first. Embedded in the set. */
struct pattern_texts {
	uint8_t *block;
	size_t len, room;
	bool has_lines;
	struct pattern_places whole;      /* when built: a table of the place + 1, or 0 */
	struct pattern_places beginnings; /* without their star; when built: in order */
	struct pattern_places others;
};

void pattern_texts_release(struct pattern_texts *texts);
/* Frees a large piece, after which only release may follow. False: no piece is large. */
MUST_CHECK bool pattern_texts_shrink(struct pattern_texts *texts);
/* The memory that they take, in bytes. */
size_t pattern_texts_bytes(const struct pattern_texts *texts);

/* What pattern_set_add_text says. `line`: 0 for all texts, or for none. */
MUST_CHECK bool pattern_texts_add(struct pattern_texts *texts, struct bytes text, uint32_t line);
/* Once, before the first look. False when memory is short. */
MUST_CHECK bool pattern_texts_build(struct pattern_texts *texts);

bool pattern_texts_fit(const struct pattern_texts *texts, struct bytes text);
/* The lowest line of a text that fits; 0 when none does, or no lines are kept. */
uint32_t pattern_texts_find_line(const struct pattern_texts *texts, struct bytes text);

/* Whether the text is what the pattern says, in which each `*` is any run of characters. */
bool pattern_text_fits(struct bytes pattern, struct bytes text);

#endif
