/*
 * problems.h - collects what is wrong with the policy file: one line for each problem, with the
 * place of the wrong value. The first PROBLEMS_MAX lines are kept, the others are only counted.
 *
 * A place is the path from the file to one of its values,
 * `policies.tenant.overrides[1].match.src[2]`. Each step of the path is a struct place on the stack
 * of the function that reads this part, and points to the step before it. place_refuse adds a
 * problem. A reader that has refused one value goes on to the next, so that one look at the file
 * finds several problems.
 */
#ifndef APP_PROBLEMS_H
#define APP_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/err.h"

#define PROBLEMS_MAX 20

struct problems {
	size_t count; /* of all problems, also of those that are not kept */
	/* The file could not be opened because too many files are open: later it may be. */
	bool lacks_descriptors;
	struct err items[PROBLEMS_MAX];
};

struct place {
	struct problems *problems;
	const struct place *in; /* NULL: the file itself */
	struct bytes name;      /* of a field; without data: an item of a list */
	size_t index;           /* of the item */
};

static inline struct place place_of_file(struct problems *problems)
{
	return (struct place){.problems = problems};
}

static inline struct place place_of_field(const struct place *in, struct bytes name)
{
	return (struct place){.problems = in->problems, .in = in, .name = name};
}

static inline struct place place_of_item(const struct place *in, size_t index)
{
	return (struct place){.problems = in->problems, .in = in, .index = index};
}

void problems_clear(struct problems *problems);
/* Further problems are only counted. A caller can then save the work of making their texts. */
bool problems_are_full(const struct problems *problems);
/* Adds the problem `<place>: <text>`, and returns false. */
bool place_refuse(const struct place *place, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts the name of the file in front of each problem. */
void problems_name_file(struct problems *problems, const char *path);
/* One line for all: the first problem, and how many more there are. Wants at least one problem. */
void problems_to_err(const struct problems *problems, struct err *ret_err);
/* One line for each problem, then a line with the number of those not kept, all after `prefix`. */
void problems_print(const struct problems *problems, const char *prefix, FILE *to);

#endif
