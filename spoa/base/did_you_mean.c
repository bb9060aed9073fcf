#include "base/did_you_mean.h"

#include <stdio.h>

#include "base/compiler.h"
#include "base/least.h"

static bool is_same_letter(uint8_t a, uint8_t b)
{
	return byte_lower(a) == byte_lower(b);
}

/*
 * The changes from a to b (Damerau and Levenshtein): rows[i][j] of them from the first i letters of
 * a to the first j of b.
 */
static size_t distance(struct bytes a, struct bytes b)
{
	const uint8_t *x = a.data, *y = b.data;
	size_t rows[HINT_WORD_MAX + 1][HINT_WORD_MAX + 1];

	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		rows[i][0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t changed = rows[i - 1][j - 1] + !is_same_letter(x[i - 1], y[j - 1]);
			rows[i][j] =
				least_size(changed, 1 + least_size(rows[i - 1][j], rows[i][j - 1]));
			if (i > 1 && j > 1 && is_same_letter(x[i - 1], y[j - 2]) &&
			    is_same_letter(x[i - 2], y[j - 1]))
				rows[i][j] = least_size(rows[i][j], rows[i - 2][j - 2] + 1);
		}
	}
	return rows[a.len][b.len];
}

const char *find_meant(struct bytes text, const char *const *words, size_t count)
{
	const char *found = NULL;
	size_t fewest = HINT_WORD_MAX;

	if (text.len > HINT_WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct bytes word = bytes_from_text(words[i]);
		ASSERT(word.len <= HINT_WORD_MAX);
		size_t changes = distance(text, word);
		if (changes <= word.len / 3 && changes < fewest) {
			fewest = changes;
			found = words[i];
		}
	}
	return found;
}

struct hint did_you_mean(struct bytes text, const char *const *words, size_t count)
{
	struct hint hint = {""};
	const char *found = find_meant(text, words, count);

	if (found != NULL)
		snprintf(hint.text, sizeof hint.text, " (did you mean %s?)", found);
	return hint;
}
