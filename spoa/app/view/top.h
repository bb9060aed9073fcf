/*
 * top.h - /top: for each policy the keys that come most often and the keys that are denied most
 * often, as JSON.
 *
 * A key can be personal data, an address for example. With --hash-keys the page shows hashes.
 */
#ifndef APP_TOP_H
#define APP_TOP_H

#include <stdbool.h>
#include <stdio.h>

#include "app/view/agent_view.h"
#include "app/view/json_tree.h"
#include "app/view/ranking.h"
#include "base/compiler.h"

/* For struct http_page: `view` is a struct agent_view. False when memory is short. */
bool top_write(const void *view, FILE *to);

MUST_CHECK bool top_put(FILE *to, const struct agent_stats *stats);
/* The first keys of all policies of the ranking together: {"seen":[…],"denied":[…]}. */
void top_add_summary(struct json_node page, const char *name, const struct ranking *ranking);

#endif
