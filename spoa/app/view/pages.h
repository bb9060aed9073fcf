/*
 * pages.h - the table of pages that the HTTP port shows beside /check. Most pages are written by a
 * file of their own; /health and /ready, which orchestrators ask for, are written here.
 */
#ifndef APP_PAGES_H
#define APP_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "app/view/agent_view.h"
#include "net/http/http_server.h"

/* The owner of every page is a struct agent_view. */
extern const struct http_page pages[];
extern const size_t page_count;

/* {"status":"ok","store":{"kind":"redis","state":"down","reason":"..."}} */
bool health_write(const void *view, FILE *to);
/* {"status":"ready"}, or "draining" with the status 503. */
bool ready_write(const void *view, FILE *to);
unsigned ready_status(const void *view);

#endif
