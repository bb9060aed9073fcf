/*
 * exposition.h - writes metrics in the text format of Prometheus (version 0.0.4).
 *
 *     exposition_begin(&e, "ratelimit_store_up", "gauge", "1 while the store answers.");
 *     exposition_put(&e, NO_LABELS, 1);
 *
 * All samples of a metric follow its exposition_begin. Names and labels are constants or names of
 * policies, which need no escaping. A line is built in memory and written at once, without printf:
 * ten thousand policies have ninety thousand lines.
 */
#ifndef APP_EXPOSITION_H
#define APP_EXPOSITION_H

#include <stdint.h>
#include <stdio.h>

#include "base/histogram.h"

struct exposition {
	FILE *to;
	const char *name; /* of the metric that is being written */
};

struct label {
	const char *name; /* NULL after the last label */
	const char *value;
};

#define LABELS(...) ((const struct label[]){__VA_ARGS__, {NULL, NULL}})
#define NO_LABELS   ((const struct label[]){{NULL, NULL}})
#define LABELS_MAX  3

void exposition_begin(struct exposition *e, const char *name, const char *type, const char *help);
void exposition_put(struct exposition *e, const struct label *labels, uint64_t value);
/* value / 10^decimals: with 6 decimals, microseconds are shown as seconds. */
void exposition_put_fraction(struct exposition *e, const struct label *labels, uint64_t value,
			     unsigned decimals);
/* The bounds and the sum are divided likewise. */
void exposition_put_histogram(struct exposition *e, const struct label *labels,
			      const struct histogram *histogram, unsigned decimals);
/* A line of a histogram with bounds of its own: `suffix` is "_bucket", "_sum" or "_count". */
void exposition_put_part(struct exposition *e, const char *suffix, const struct label *labels,
			 uint64_t value);

#endif
