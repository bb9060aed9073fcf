/*
 * option.h - one option as a typed row: its name, its default, what it accepts, where its value
 * lands, and what it is for.
 *
 * Everything else is made from the row: reading a value, the error of a bad one, `--help`, and (by
 * a test) the tables of docs/reference.md. options.h has the agent's rows. Commands that have flags
 * of their own (check-config, replay) have a table of their own rows.
 */
#ifndef APP_OPTION_H
#define APP_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/writer.h"
#include "net/address_list.h"

/* What a value is, and the type of the field that it lands in. */
enum option_kind {
	OPTION_OWN = 0,   /* what its own function makes of it */
	OPTION_TEXT,      /* const char *, as it was given; may be empty, NULL, if the default is */
	OPTION_EITHER,    /* bool: false for the first of two names, true for the second */
	OPTION_CHOICE,    /* an enum, whose values are the positions of the names */
	OPTION_NUMBER,    /* uint64_t */
	OPTION_SIZE,      /* uint64_t, in bytes */
	OPTION_DURATION,  /* int64_t, in microseconds */
	OPTION_ADDRESSES, /* struct address_list; without any for "off", or when the default is none
			   */
	OPTION_MARK,      /* bool: true when the flag is there; the flag has no value */
};

#define OPTION_NONE "" /* the default of an option that need not have a value */

struct option {
	const char *name;     /* of the flag, without its dashes; NULL ends a table */
	const char *metavar;  /* stands for the value in the help */
	const char *fallback; /* the default, as a user would write it; NULL: the field stays 0 */
	const char *meaning;  /* in one line */
	enum option_kind kind;
	size_t offset; /* of the field; of OPTION_OWN 0 */
	union {
		struct { /* OPTION_NUMBER, OPTION_SIZE, OPTION_DURATION */
			uint64_t min, max;
		};
		const char *const *names; /* OPTION_EITHER, OPTION_CHOICE; NULL ends them */
		struct {                  /* OPTION_OWN; OPTION_TEXT has `accepted` alone */
			const char *accepted;
			/* NULL, or puts the end of what is accepted, which another module knows. */
			void (*put_accepted)(struct writer *w);
			/*
			 * Reads into the structure that the table is for. On failure `err` stays
			 * empty when `accepted` is all that there is to say.
			 */
			bool (*read)(void *into, const char *value, struct err *err);
		};
	};
};

/* The offset of a field, which does not compile when the field has another type. */
#define OPTION_FIELD(structure, field, type)                                                     \
	(offsetof(structure, field) +                                                            \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((structure *)0)->field), type) \
				 ? 1                                                             \
				 : -1]))
/* The same for OPTION_CHOICE: any enum is good that is as large as an int. */
#define OPTION_ENUM_FIELD(structure, field) \
	(offsetof(structure, field) +       \
	 0 * sizeof(char[sizeof(((structure *)0)->field) == sizeof(int) ? 1 : -1]))

/* What an option accepts, in words. */
struct option_accepted {
	char text[192];
};

struct option_accepted option_accepted(const struct option *option);

/*
 * Reads `value` into its field of `into`, which may point to it from then on. OPTION_MARK has no
 * value: NULL. `called` is the option's name in the error, "--store" or "RATELIMIT_STORE".
 */
MUST_CHECK bool option_read(const struct option *option, void *into, const char *value,
			    const char *called, struct err *err);
MUST_CHECK bool option_read_defaults(const struct option *table, void *into, struct err *err);

/*
 * Reads the flag that `args` begin with, "--name=value" or "--name" and a value. Returns how many
 * arguments that took, 0 when no row of the table has the name, and -1 on error.
 */
MUST_CHECK int option_read_flag(const struct option *table, void *into, char **args,
				struct err *err);
/* Whether the flag is one of the table, and its value is the argument that follows it. */
bool option_takes_next(const struct option *table, const char *flag);
/*
 * Sets the defaults, reads the flags that the table has, and takes them out of `args`. The other
 * arguments stay, in their order.
 */
MUST_CHECK bool option_read_own_flags(const struct option *table, void *into, char **args,
				      struct err *err);

/*
 * " (did you mean --store?)", for a misspelt flag, with its dashes; empty when no row of the tables
 * has a name like it. `more` may be NULL.
 */
struct option_hint {
	char text[64];
};
struct option_hint option_suggest_flag(struct bytes flag, const struct option *table,
				       const struct option *more);

void option_print_table(const struct option *table, FILE *to);
/* Prints the rows of these names, whose last one is NULL, in the order of the table. */
void option_print_rows(const struct option *table, const char *const *names, FILE *to);

#endif
