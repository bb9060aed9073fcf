/*
 * pattern_table.h - the tables of a pattern_set: open addressing, at most two thirds full, so that
 * a look reads one or two lines of memory. A key has its first place by its hash, and the next free
 * one when that is taken. Each user keeps its own places; here is only the arithmetic.
 *
 * The hashes have no secret: whoever writes the list chooses what is in a table, and a client only
 * what is asked.
 */
#ifndef LIMIT_PATTERN_TABLE_H
#define LIMIT_PATTERN_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* How many keys or texts a table is made of, so that its size has 32 bits. */
#define PATTERN_TABLE_MAX (UINT32_MAX / 4)

static inline uint32_t pattern_table_size(uint32_t count)
{
	return count + count / 2 + 1;
}

static inline uint64_t pattern_table_mix(uint64_t hash)
{
	hash = (hash ^ hash >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
	return (hash ^ hash >> 29) * UINT64_C(0x94d049bb133111eb);
}

/* The first place of a key, in a table of `size` places, of which there is at least one. */
static inline uint32_t pattern_table_place(uint64_t hash, uint32_t size)
{
	return (uint32_t)((hash >> 32) * size >> 32);
}

static inline uint32_t pattern_table_next(uint32_t place, uint32_t size)
{
	return place + 1 < size ? place + 1 : 0;
}

/* The lower of two lines, of which 0 is none. */
static inline uint32_t pattern_lower_line(uint32_t line, uint32_t other)
{
	if (line == 0)
		return other;
	return other != 0 && other < line ? other : line;
}

#endif
