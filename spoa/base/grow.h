/*
 * grow.h - an array that grows by one item at a time.
 *
 * Its room is the least power of two that holds its items. So each item is moved a constant number
 * of times on average, however many come.
 */
#ifndef BASE_GROW_H
#define BASE_GROW_H

#include <stddef.h>
#include <stdlib.h>

#include "base/compiler.h"

/*
 * Makes room for one more item behind `count` items of `size` bytes, all of which were added by
 * this function. Returns the array, which may have moved, or NULL when memory is short: then the
 * old one is as it was.
 */
MUST_CHECK static inline void *grow_by_one(void *items, size_t count, size_t size)
{
	if ((count & (count - 1)) != 0) /* no power of two: there is room */
		return items;
	return reallocarray(items, count == 0 ? 1 : 2 * count, size);
}

#endif
