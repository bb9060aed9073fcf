#include "base/histogram.h"

const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {50,   100,   250,   500,   1000,  2500,
						       5000, 10000, 25000, 50000, 100000};

size_t histogram_bucket(int64_t us)
{
	size_t bucket = 0;

	while (bucket < HISTOGRAM_BOUNDS && us > histogram_bounds_us[bucket])
		bucket++;
	return bucket;
}

void histogram_add_to_bucket(struct histogram *histogram, size_t bucket, int64_t us)
{
	histogram->buckets[bucket]++;
	histogram->count++;
	histogram->sum_us += us > 0 ? (uint64_t)us : 0;
}

void histogram_add(struct histogram *histogram, int64_t us)
{
	histogram_add_to_bucket(histogram, histogram_bucket(us), us);
}

int64_t histogram_quantile_us(const struct histogram *histogram, double share)
{
	uint64_t reached = 0;

	if (histogram->count == 0)
		return 0;
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		reached += histogram->buckets[i];
		if ((double)reached >= share * (double)histogram->count)
			return histogram_bounds_us[i];
	}
	return histogram_bounds_us[HISTOGRAM_BOUNDS - 1];
}
