/*
 * policy_warnings.h - finds what is good in a policy file and probably means something else than
 * its author thinks: values in a `match` that are written as a regular expression, a negation or an
 * address that is none, which are taken as text; policies with a hash tag that cut addresses to
 * other lengths, so that their balances are in different slots after all.
 *
 * Warnings are collected as problems are, with their places, but stop nothing.
 */
#ifndef APP_POLICY_WARNINGS_H
#define APP_POLICY_WARNINGS_H

#include "app/policies/problems.h"
#include "limit/policies.h"

/* `ret_warnings` has one line for each such value and policy, as many as struct problems keeps. */
void policy_warnings_find(const struct policies *policies, struct problems *ret_warnings);

#endif
