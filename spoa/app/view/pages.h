/*
 * pages.h - what the HTTP port shows beside /check: a table of pages, each written by a file of its
 * own. /health and /ready, which orchestrators ask for, are here.
 */
#ifndef APP_PAGES_H
#define APP_PAGES_H

#include <stddef.h>

#include "app/view/agent_view.h"
#include "net/http/http_server.h"

/* Of them all the owner is a struct agent_view. */
extern const struct http_page pages[];
extern const size_t page_count;

/* {"status":"ok","store":{"kind":"redis","state":"down","reason":"..."}} */
void health_write(const void *view, FILE *to);
/* {"status":"ready"}, or "draining". */
void ready_write(const void *view, FILE *to);
unsigned ready_status(const void *view);

#endif
