/*
 * top.h - /top: which keys come most often, and are denied most often, by policy (JSON).
 *
 * Keys can be personal data: the page is for who may see them. --hash-keys shows hashes.
 */
#ifndef APP_TOP_H
#define APP_TOP_H

#include <stdio.h>

#include "app/view/agent_view.h"
#include "app/view/json_writer.h"
#include "app/view/ranking.h"

/* For struct http_page: `view` is a struct agent_view. */
void top_write(const void *view, FILE *to);

void top_put(FILE *to, const struct agent_stats *stats);
/* The first few of all policies of the ranking together, as {"seen":[…],"denied":[…]}. */
void top_put_summary(struct json *json, const char *name, const struct ranking *ranking);

#endif
