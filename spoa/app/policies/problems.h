/*
 * problems.h - what is wrong with the policy file, and where: one line for each problem, and at
 * most PROBLEMS_MAX lines.
 *
 * A place is the way from the file to one of its values, as a chain on the stack of whoever reads:
 * `policies.tenant.overrides[1].match.src[2]`. To refuse what stands there adds a problem; who can
 * go on reading does, and finds more.
 */
#ifndef APP_PROBLEMS_H
#define APP_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

#define PROBLEMS_MAX 20

struct problems {
	size_t count; /* of all, also of those that are not kept */
	struct err items[PROBLEMS_MAX];
};

struct place {
	struct problems *problems;
	const struct place *in; /* NULL: the file itself */
	const char *name;       /* of a field; NULL: an item of a list */
	size_t index;
};

static inline struct place place_of_file(struct problems *problems)
{
	return (struct place){.problems = problems};
}

static inline struct place place_of_field(const struct place *in, const char *name)
{
	return (struct place){.problems = in->problems, .in = in, .name = name};
}

static inline struct place place_of_item(const struct place *in, size_t index)
{
	return (struct place){.problems = in->problems, .in = in, .index = index};
}

/* No more are kept, only counted: what a text costs need not be spent on them. */
bool problems_are_full(const struct problems *problems);
/* Adds `<place>: <text>`, and returns false. */
bool place_refuse(const struct place *place, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts the name of the file before each. */
void problems_name_file(struct problems *problems, const char *path);
/* All of them in one line: the first, and how many more there are. There is one at least. */
void problems_to_err(const struct problems *problems, struct err *ret_err);
/* One a line, and how many more there are, each behind `prefix`. */
void problems_print(const struct problems *problems, const char *prefix, FILE *to);

#endif
