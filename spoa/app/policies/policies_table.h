/*
 * policies_table.h - shows a set of policies as a table for people: the titles, then one line for
 * each policy.
 *
 * A column that is empty for every policy is left out. The table is at most 100 characters wide,
 * unless names and keys are long. A byte that is not printable ASCII is shown as `?`.
 */
#ifndef APP_POLICIES_TABLE_H
#define APP_POLICIES_TABLE_H

#include <stdio.h>

#include "limit/policies.h"

void policies_table_put(const struct policies *policies, FILE *to);

#endif
