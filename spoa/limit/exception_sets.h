/*
 * exception_sets.h - which names the exceptions without a policy have, and how their values are
 * compared.
 *
 * A request is looked for once for each set of names and each shape of its values, not once for
 * each exception: so a look costs the same for one exception and for 100,000.
 */
#ifndef LIMIT_EXCEPTION_SETS_H
#define LIMIT_EXCEPTION_SETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sodium.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/exception.h"
#include "limit/value.h"

#define EXCEPTION_SETS_MAX     8
#define EXCEPTION_NETWORKS_MAX 16 /* lengths of networks of one set of names */
#define EXCEPTION_SETS_ROOM    (4 * EXCEPTION_SETS_MAX)
#define EXCEPTION_SHAPES_ROOM  (4 * EXCEPTION_NETWORKS_MAX)
#define EXCEPTION_HASH_TEXT    (2 * crypto_hash_sha256_BYTES)

/* How a value is compared: as text, or as an address of so many bits. */
enum exception_part_kind { EXCEPTION_PART_TEXT = 0, EXCEPTION_PART_IPV4, EXCEPTION_PART_IPV6 };

struct exception_part {
	uint8_t kind;
	uint8_t prefix;
};

struct exception_shape {
	size_t members; /* 0: not in use */
	unsigned open_bits;
	struct exception_part parts[EXCEPTION_NAMES_MAX];
};

struct exception_set {
	size_t members; /* 0: not in use */
	size_t count;
	struct bytes names[EXCEPTION_NAMES_MAX]; /* in `memory` */
	uint8_t *memory;
	bool is_hashed;
	size_t shape_count;   /* all that are in use stand before it */
	size_t network_count; /* of those in use with an address */
	struct exception_shape shapes[EXCEPTION_SHAPES_ROOM];
};

/* All zero at the start. */
struct exception_sets {
	struct exception_set *items[EXCEPTION_SETS_ROOM]; /* allocated at the first use */
	size_t count;                                     /* all that are in use stand before it */
};

void exception_sets_release(struct exception_sets *sets);

/* Whether set and shape of the exception are there, or there is room for them; the reason if not.
 */
MUST_CHECK bool exception_sets_have_room(const struct exception_sets *sets,
					 const struct exception *exception, struct err *err);
/* Its set and its shape get one more member. False when all are in use, or memory is short. */
MUST_CHECK bool exception_sets_join(struct exception_sets *sets, const struct exception *exception,
				    struct exception_set **ret_set,
				    struct exception_shape **ret_shape);
void exception_sets_leave(struct exception_sets *sets, struct exception_set *set,
			  struct exception_shape *shape);
size_t exception_sets_position(const struct exception_sets *sets, const struct exception_set *set);

/* The value of a name of an exception without a policy, and how it is compared. */
struct value exception_part_read(const struct exception_name *name, bool is_hashed,
				 struct exception_part *ret_part);
/* How many bits of its addresses may be any. */
unsigned exception_open_bits(const struct exception *exception);

/* The values of a request for the names of a set; of a hashed set their hashes, in `hashes`. */
struct exception_gathered {
	struct value values[EXCEPTION_NAMES_MAX];
	char hashes[EXCEPTION_NAMES_MAX][EXCEPTION_HASH_TEXT + 1];
};

/* False when the request lacks one of the names. `instead` as in exceptions_search. */
MUST_CHECK bool exception_set_gather(const struct exception_set *set,
				     const struct attributes *attributes,
				     const struct attribute *instead,
				     struct exception_gathered *gathered);
/*
 * The value, cut as the part says; NULL when it is of another kind. What is not cut is not copied,
 * else `memory` has it.
 */
const struct value *exception_part_cut(struct exception_part part, const struct value *value,
				       struct value *memory);
/* Cuts the values of the request as the shape says. False when they are of other kinds. */
MUST_CHECK bool exception_set_cut(const struct exception_set *set,
				  const struct exception_shape *shape,
				  const struct exception_gathered *gathered, struct value *values);

#endif
