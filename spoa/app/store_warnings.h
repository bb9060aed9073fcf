/*
 * store_warnings.h - what an operator has to mend at the store, though the store works.
 *
 * The store tells it once a connection, and it is kept here for /status and for the answers to an
 * operator's questions until the store says that it is mended.
 */
#ifndef APP_STORE_WARNINGS_H
#define APP_STORE_WARNINGS_H

#include <stdbool.h>
#include <stddef.h>

#define STORE_LACKING_MAX  4 /* features that lack a right */
#define STORE_WARNINGS_MAX (STORE_LACKING_MAX + 1)
#define STORE_WARNING_MAX  512 /* of a text, with its NUL */

struct store_warnings {
	/* Rights that the agent's user lacks; the hint, a constant, says which feature needs it. */
	struct {
		char command[32];
		const char *hint;
	} lacking[STORE_LACKING_MAX];
	size_t lacking_count;
	char eviction[32]; /* the server's maxmemory-policy; empty: it is not known */
};

void store_warnings_lack(struct store_warnings *warnings, const char *command, const char *hint);
void store_warnings_regain(struct store_warnings *warnings, const char *hint);
void store_warnings_set_eviction(struct store_warnings *warnings, const char *policy);

#define STORE_EVICTS                                                                           \
	"when Redis is full it may delete exceptions, resets and stored policies, and then "   \
	"one that is blocked may be free after a restart of all agents; set maxmemory-policy " \
	"volatile-lfu and lfu-decay-time 0"

/* Whether the server may delete keys that have no TTL, as those of exceptions and policies. */
bool store_warnings_evicts(const struct store_warnings *warnings);
/* Whole sentences; returns how many. `has_records`: the store has exceptions, or policies. */
size_t store_warnings_texts(const struct store_warnings *warnings, bool has_records,
			    char ret_texts[STORE_WARNINGS_MAX][STORE_WARNING_MAX]);

#endif
