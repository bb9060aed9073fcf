/*
 * status.h - /status: the state of the agent and of its policies as JSON, for the status page.
 *
 * Its size is bounded: of more than RANKING_MAX policies it has those that are checked most, and
 * the number of the others.
 */
#ifndef APP_STATUS_H
#define APP_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "app/view/agent_view.h"
#include "base/compiler.h"

/* For struct http_page: `view` is a struct agent_view. False when memory is short. */
bool status_write(const void *view, FILE *to);
MUST_CHECK bool status_put(FILE *to, const struct agent_stats *stats);

#endif
