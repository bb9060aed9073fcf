#include "company.h"

#include "base/clock.h"
#include "support/test.h"

/* A check that is always denied: of a limit of 1 it asks for 2. Or for nothing, which passes. */
static void add_other(struct question *question, const char *other, int64_t cost)
{
	static const struct quota quota = {FIXED_WINDOW, .limit = 1, .window_us = US_PER_SECOND};

	(void)question_add(question, other, &quota, cost);
	question->outcomes[1] = (struct outcome){
		.allowed = cost == 0, .remaining = 1, .retry_after_us = cost == 0 ? 0 : -1};
}

/* The other one stands first, the step's check in shadow behind it. */
static void put_behind_other(struct question *question)
{
	question->pointers[0] = &question->checks[1];
	question->pointers[1] = &question->checks[0];
	question->op.shadow = 1;
}

/* In three ways nothing is charged, whatever the step's check would come to. */
static void add_veto(struct company *company, struct question *question, const char *other)
{
	switch (chance_between(&company->chance, 0, 2)) {
	case 0:
		add_other(question, other, 2);
		company->vetoed++;
		break;
	case 1:
		question->op.is_denied = true;
		company->denied++;
		break;
	case 2:
		add_other(question, other, 2);
		put_behind_other(question);
		company->vetoed_in_shadow++;
		break;
	}
}

/* In shadow or not, beside what is: it is decided as if it were alone. */
static void add_beside(struct company *company, struct question *question, const char *other)
{
	switch (chance_between(&company->chance, 0, 3)) {
	case 0:
		company->alone++;
		break;
	case 1:
		question->op.shadow = 1;
		company->shadow_alone++;
		break;
	case 2:
		add_other(question, other, 0);
		put_behind_other(question);
		company->shadow_behind++;
		break;
	case 3:
		add_other(question, other, 2);
		question->op.shadow = 1;
		company->before_shadow++;
		break;
	}
}

void company_add(struct company *company, struct question *question, const struct step *step,
		 const char *other)
{
	if (step->vetoed)
		add_veto(company, question, other);
	else
		add_beside(company, question, other);
}

void company_assert_worth(const struct company *company)
{
	int64_t free = company->alone + company->shadow_alone + company->shadow_behind +
		       company->before_shadow;
	int64_t vetoed = company->vetoed + company->vetoed_in_shadow + company->denied;

	print_message("%d alone, %d and %d in shadow, %d before one in shadow; vetoed %d, %d in "
		      "shadow, %d denied already\n",
		      (int)company->alone, (int)company->shadow_alone, (int)company->shadow_behind,
		      (int)company->before_shadow, (int)company->vetoed,
		      (int)company->vetoed_in_shadow, (int)company->denied);
	assert_in_range(vetoed, free / 50, free);
	assert_true(company->alone > free / 5 && company->shadow_alone > free / 5);
	assert_true(company->shadow_behind > free / 5 && company->before_shadow > free / 5);
	assert_true(company->vetoed > vetoed / 5 && company->vetoed_in_shadow > vetoed / 5);
	assert_true(company->denied > vetoed / 5);
}
