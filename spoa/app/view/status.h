/*
 * status.h - /status: the state of the agent and of its policies (JSON), for the status page.
 *
 * It is bounded: of many policies the most used ones, and how many are left out.
 */
#ifndef APP_STATUS_H
#define APP_STATUS_H

#include <stdio.h>

#include "app/view/agent_view.h"

/* For struct http_page: `view` is a struct agent_view. */
void status_write(const void *view, FILE *to);
void status_put(FILE *to, const struct agent_stats *stats);

#endif
