/*
 * metrics.h - /metrics: all counters, for Prometheus (docs/metrics.md; docs/reference.md, section
 * Metrics).
 *
 * A policy has ten series, all inline policies together have eight, and the number of other series
 * is constant. No label holds a value that a client sent, so clients cannot add series. All series
 * are there from the start, with 0, since a rate needs the value before the first event.
 */
#ifndef APP_METRICS_H
#define APP_METRICS_H

#include <stdbool.h>
#include <stdio.h>

#include "app/view/agent_view.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* For struct http_page: `view` is a struct agent_view, and the counters are those of the beginning.
 */
void *metrics_begin(const void *view);
bool metrics_write_some(void *writing, FILE *to);
void metrics_end(void *writing);
/* The whole page at once. */
void metrics_put(FILE *to, const struct agent_stats *stats);

#endif
