/*
 * company.h - checks beside the check of a random step (unit/limit/steps.h), in one request with
 * it.
 *
 * They change nothing of what the step's check comes to. If the step is vetoed, they, or the
 * request itself, are what denies it.
 */
#ifndef LUA_COMPANY_H
#define LUA_COMPANY_H

#include <stdint.h>

#include "stage.h"
#include "support/chance.h"
#include "unit/limit/steps.h"

/* How often a step had which company. */
struct company {
	struct chance chance;
	int64_t alone, vetoed, denied, vetoed_in_shadow, shadow_alone, shadow_behind, before_shadow;
};

/* The question has the check of the step, and its outcome. The others have the key `other`. */
void company_add(struct company *company, struct question *question, const struct step *step,
		 const char *other);
/* Steps may have been asked without company: of these, so many. Prints how often each was. */
void company_assert_worth(const struct company *company);

#endif
