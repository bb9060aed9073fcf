/*
 * exposition.h - puts metrics in Prometheus' text format (version 0.0.4) to a file.
 *
 *     exposition_begin(&e, "ratelimit_store_up", "gauge", "1 while the store answers.");
 *     exposition_put(&e, NO_LABELS, 1);
 *
 * All samples of a metric stand together, behind its begin. Names, labels and their values are of
 * this program's making and need no escaping. A line is put together in one piece and there is no
 * printf: with ten thousand policies there are eighty thousand lines, and the loop waits for them.
 */
#ifndef APP_EXPOSITION_H
#define APP_EXPOSITION_H

#include <stdint.h>
#include <stdio.h>

#include "base/histogram.h"

struct exposition {
	FILE *to;
	const char *name; /* of the metric that was begun */
};

struct label {
	const char *name; /* NULL behind the last one */
	const char *value;
};

#define LABELS(...) ((const struct label[]){__VA_ARGS__, {NULL, NULL}})
#define NO_LABELS   ((const struct label[]){{NULL, NULL}})
#define LABELS_MAX  3

void exposition_begin(struct exposition *e, const char *name, const char *type, const char *help);
void exposition_put(struct exposition *e, const struct label *labels, uint64_t value);
/* value / 10^decimals: 6 makes seconds of microseconds. */
void exposition_put_fraction(struct exposition *e, const struct label *labels, uint64_t value,
			     unsigned decimals);
/* The bounds and the sum likewise. */
void exposition_put_histogram(struct exposition *e, const struct label *labels,
			      const struct histogram *histogram, unsigned decimals);
/* Of a histogram with other bounds: `suffix` is "_bucket", "_sum" or "_count". */
void exposition_put_part(struct exposition *e, const char *suffix, const struct label *labels,
			 uint64_t value);

#endif
