/*
 * policy_fields.h - the fields of a policy and of an override by their names: which fields there
 * are, and which of them an object of the file gives.
 *
 * A field that is unknown, stands there twice or belongs to the other kind of object is refused.
 */
#ifndef APP_POLICY_FIELDS_H
#define APP_POLICY_FIELDS_H

#include "app/policies/policy_values.h"

enum policy_field {
	FIELD_ALGORITHM = 0,
	FIELD_CAPACITY,
	FIELD_REFILL_RATE,
	FIELD_LIMIT,
	FIELD_WINDOW,
	FIELD_KEY,
	FIELD_MATCH,
	FIELD_COST,
	FIELD_OVERRIDES,
	FIELD_IPV4_PREFIX,
	FIELD_IPV6_PREFIX,
	FIELD_SHADOW,
	FIELD_LEASE,
	FIELD_ON_ERROR,
	FIELD_UNLIMITED,
	FIELD_BLOCKED,
	FIELD_COUNT,
};

enum policy_fields_owner { FIELDS_OF_POLICY = 0, FIELDS_OF_OVERRIDE };

/* Every field has its place, also one that is not given. */
struct policy_fields {
	struct policy_value values[FIELD_COUNT];
};

/* `object` is an object, and outlives the fields. Walks over it once. */
struct policy_fields policy_fields_of(const struct policy_value *object,
				      enum policy_fields_owner owner);

/* NULL when there is no field of this name. */
const struct policy_value *policy_fields_find(const struct policy_fields *fields,
					      struct bytes name);

static inline bool policy_fields_have(const struct policy_fields *fields, enum policy_field field)
{
	return fields->values[field].is_given;
}

/* Refuses the field at `place`, whose name is none of the accepted. */
void policy_fields_refuse_unknown(const struct place *place, const char *const *accepted,
				  size_t count);

#endif
