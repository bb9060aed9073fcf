/*
 * exceptions.h - the table of all exceptions, in which a request finds those that are for it.
 *
 * Of exceptions without a policy the table keeps the sets of names that they have, and of each set
 * the lengths of its networks. To search costs one look into a hash table for each of them, and one
 * more for each check if some exception is of a policy; without exceptions it costs nothing. A
 * search allocates nothing.
 *
 * An exception whose time is over is not found from that moment on. Whoever fills the table takes
 * it out when it is convenient.
 */
#ifndef LIMIT_EXCEPTIONS_H
#define LIMIT_EXCEPTIONS_H

#include "limit/exception.h"
#include "limit/exception_sets.h"
#include "limit/policies.h"
#include "limit/value.h"

struct check;
struct exceptions;
struct reserved;

/* `now_ms` is the clock by which exceptions end. NULL when memory is short. */
struct exceptions *exceptions_new(uint64_t (*now_ms)(void *owner), void *owner);
void exceptions_free(struct exceptions *exceptions);

/*
 * Whether the set of names and the lengths of the networks are there already, or there is room for
 * them; the reason if not. Whoever makes an exception asks this first.
 */
MUST_CHECK bool exceptions_have_room(const struct exceptions *exceptions,
				     const struct exception *exception, struct err *err);
/*
 * Puts a copy, in place of one with the same id. False when memory is short for the copy: nothing
 * is changed. When memory is short for its lookup key or its set of names, the exception is void.
 */
MUST_CHECK bool exceptions_put(struct exceptions *exceptions, const struct exception *exception,
			       const struct policies *policies);
void exceptions_remove(struct exceptions *exceptions, struct bytes id);
/*
 * Requests are checked by other policies from now on. This is quick when exceptions_prepare has
 * prepared all exceptions for these policies, and else takes some microseconds for each of them.
 */
void exceptions_bind(struct exceptions *exceptions, const struct policies *policies);
/*
 * Prepares some exceptions for policies that will be bound; true when there are more of them. Until
 * exceptions_bind nothing changes for requests. A reference to the policies is kept.
 */
MUST_CHECK bool exceptions_prepare(struct exceptions *exceptions, const struct policies *policies);
/* After exceptions_bind: frees what some exceptions needed before; true when there are more. */
MUST_CHECK bool exceptions_tidy(struct exceptions *exceptions);

/* In the order of ids. They live until the next change of the table. */
size_t exceptions_count(const struct exceptions *exceptions);
const struct exception *exceptions_at(const struct exceptions *exceptions, size_t position);
/* The position of the first one whose id is `id`, or comes behind it. */
size_t exceptions_position(const struct exceptions *exceptions, struct bytes id);
/* NULL when there is none. */
const struct exception *exceptions_by_id(const struct exceptions *exceptions, struct bytes id);
/* Whether the one at `position` has no effect: it fits no policy now, or memory was short. */
bool exceptions_is_void(const struct exceptions *exceptions, size_t position);
bool exception_has_ended(const struct exceptions *exceptions, const struct exception *exception);

/* What a request keeps of an exception that it found, since the exception may be removed. */
struct exception_hit {
	char id[EXCEPTION_ID_MAX + 1];
	enum exception_kind kind;
	int64_t left_us; /* until it ends; -1: for ever */
	/* For the order of those without a policy: see exception_hit_overrules. */
	size_t count;
	unsigned open_bits; /* of its networks: how many bits of an address may be any */
	uint64_t changed_ms;
};

/*
 * Finds the exception without a policy that decides a request with these attributes: of several
 * that fit, the one that comes first. False when none fits. `instead` takes the place of the
 * attributes of its name, and may be NULL.
 */
MUST_CHECK bool exceptions_search(const struct exceptions *exceptions,
				  const struct attributes *attributes,
				  const struct attribute *instead, struct exception_hit *ret_hit);
/* More attributes come first, then longer networks, then the newer one. */
bool exception_hit_overrules(const struct exception_hit *a, const struct exception_hit *b);
/* Of an exception without a policy. */
struct exception_hit exceptions_hit(const struct exceptions *exceptions,
				    const struct exception *exception);

/* Whether some exception is of a policy: else exceptions_find finds nothing. */
bool exceptions_are_of_policies(const struct exceptions *exceptions);
/* The one of the check's policy for the check's key; NULL when there is none. */
const struct exception *exceptions_find(const struct exceptions *exceptions,
					const struct check *check, struct exception_hit *ret_hit);

#endif
