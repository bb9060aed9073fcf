/*
 * histogram.h - how long things took, in the buckets that the metrics show.
 *
 * One set of bounds for all: from 50 us to 100 ms, and above.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 11

extern const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS];

struct histogram {
	uint64_t buckets[HISTOGRAM_BOUNDS + 1]; /* not cumulative; the last is above all bounds */
	uint64_t count;
	uint64_t sum_us;
};

void histogram_add(struct histogram *histogram, int64_t us);
/* The same in two steps, for a value that is added to several histograms: the bucket, and to add.
 */
size_t histogram_bucket(int64_t us);
void histogram_add_to_bucket(struct histogram *histogram, size_t bucket, int64_t us);
/*
 * The upper bound of the bucket that has the value which `share` of all values do not exceed: 0.99
 * asks for the 99th percentile. 0 when nothing was added; the highest bound for what is above it.
 */
int64_t histogram_quantile_us(const struct histogram *histogram, double share);

#endif
