/*
 * chance.h - random numbers that are the same for the same seed; the environment may set the seed
 * and the number of steps.
 */
#ifndef SUPPORT_CHANCE_H
#define SUPPORT_CHANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/compiler.h"

struct chance {
	uint64_t state;
};

/* splitmix64 */
static inline uint64_t chance_bits(struct chance *chance)
{
	uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* From `low` to `high`, both included. */
static inline int64_t chance_between(struct chance *chance, int64_t low, int64_t high)
{
	return low + (int64_t)(chance_bits(chance) % (uint64_t)(high - low + 1));
}

/* True once in `times` calls, on average. */
static inline bool chance_is_one_in(struct chance *chance, uint64_t times)
{
	return chance_bits(chance) % times == 0;
}

#define CHANCE_PICK(chance, array) ((array)[chance_bits(chance) % ARRAY_SIZE(array)])

static inline int64_t environment_number(const char *name, int64_t fallback)
{
	const char *text = getenv(name);

	return text != NULL ? strtoll(text, NULL, 10) : fallback;
}

#endif
