/*
 * request.h - the checks of one request, made of its messages.
 *
 * A request is filled message by message. request_add reads the reserved attributes
 * (docs/reference.md, section SPOP), picks the policies and copies what the checks need; the
 * attributes may die after it.
 * The slots of the checks come from a pool that the caller owns and give them back by
 * request_clear.
 */
#ifndef LIMIT_REQUEST_H
#define LIMIT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/pool.h"
#include "limit/check.h"
#include "limit/exceptions.h"
#include "limit/policies.h"
#include "limit/value.h"

#define REQUEST_CHECKS_MAX  16
#define REQUEST_ABSENT_KEYS 100

struct request {
	const struct policies *policies; /* a reference */
	struct pool *slots; /* of struct check; has REQUEST_CHECKS_MAX + 1 for this request */
	struct check *checks[REQUEST_CHECKS_MAX]; /* in file order */
	size_t count;
	bool is_look; /* somebody looks at what would happen: nothing is counted in tallies */
	const struct exceptions *exceptions; /* NULL: there are none */
	/* The one without a policy that holds, for a message and so for all; else its id is empty.
	 */
	struct exception_hit exception;
	enum listed listed;     /* by a message, and so all messages */
	bool lacks_policies;    /* nobody knows them: see policies_set_unknown */
	bool is_invalid;        /* a message was: see invalid_why */
	bool is_policy_unknown; /* a message named a policy that does not exist */
	size_t left_out;        /* checks above REQUEST_CHECKS_MAX */
	/*
	 * NULL, or a policy of which is to be told, once, that the attributes that it counts by
	 * never come: REQUEST_ABSENT_KEYS requests that it is for lacked one, and none had them
	 * all.
	 */
	const struct policy *key_never_came;
	const char *invalid_why; /* for the log; a constant */
};

struct reserved;

/* The entry of `allow` or `block` that decided. */
struct request_entry {
	size_t position; /* in its list */
	const struct conditions *match;
	/* The given key, in place of the attribute that a named policy counts by, if there is one.
	 */
	bool has_instead;
	struct attribute instead;
};

/*
 * The values that `policy` counts by, of the attributes or of the given key; false when an
 * attribute is absent. *ret_is_explicit: a given key stands for none or several attributes
 * (check_set_key).
 */
MUST_CHECK bool request_key_values(const struct policy *policy, const struct reserved *reserved,
				   const struct attributes *attributes, bool is_inline,
				   struct value *values, size_t *ret_count, bool *ret_is_explicit);

void request_init(struct request *request, const struct policies *policies, struct pool *slots);
void request_add(struct request *request, const struct attributes *attributes);
/* Removes the checks that were added so far, and keeps whether a message was invalid. */
void request_drop_checks(struct request *request);
/*
 * Whether an exception without a policy, or a list, has decided, so that no policy has a say. A
 * list that is in shadow takes nothing away from the policies.
 */
bool request_is_settled(const struct request *request);
/*
 * Which entry it was that set `listed`, of a request that has this one message. False when no list
 * has decided.
 */
MUST_CHECK bool request_find_entry(const struct request *request, const struct reserved *reserved,
				   const struct attributes *attributes,
				   struct request_entry *ret_entry);
/*
 * The exception of `policy` for a message with these attributes, whether or not it has an effect;
 * false when there is none.
 */
MUST_CHECK bool request_find_exception(const struct request *request, const struct policy *policy,
				       const struct reserved *reserved,
				       const struct attributes *attributes,
				       struct exception_hit *ret_hit);
void request_clear(struct request *request);

#endif
