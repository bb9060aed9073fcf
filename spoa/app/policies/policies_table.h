/*
 * policies_table.h - a set of policies as a table for people: a line each, below the titles.
 *
 * A column in which no policy has anything is left out. The table is 100 characters wide at most,
 * unless names and keys are long. What is not printable ASCII is shown as `?`.
 */
#ifndef APP_POLICIES_TABLE_H
#define APP_POLICIES_TABLE_H

#include <stdio.h>

#include "limit/policies.h"

void policies_table_put(const struct policies *policies, FILE *to);

#endif
