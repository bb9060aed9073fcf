/*
 * least.h - the smaller and the larger of two numbers.
 */
#ifndef BASE_LEAST_H
#define BASE_LEAST_H

#include <stddef.h>
#include <stdint.h>

static inline size_t least_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline int64_t least_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t greatest_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

#endif
