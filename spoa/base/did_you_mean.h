/*
 * did_you_mean.h - finds the word that a user probably meant by a misspelt one.
 */
#ifndef BASE_DID_YOU_MEAN_H
#define BASE_DID_YOU_MEAN_H

#include <stddef.h>

#include "base/bytes.h"

#define HINT_WORD_MAX 31

struct hint {
	char text[HINT_WORD_MAX + 20];
};

/*
 * " (did you mean window?)", for a message: the one of `words` that becomes `text` by the fewest
 * changes. A change is a letter more, less or another one, or two neighbours swapped; letters in
 * the other case are equal. Empty when that takes more changes than a third of the word.
 */
struct hint did_you_mean(struct bytes text, const char *const *words, size_t count);
/* The word of that hint alone; NULL when there is none. */
const char *find_meant(struct bytes text, const char *const *words, size_t count);

#endif
