#include "support/allocations.h"

#include <errno.h>
#include <stdint.h>

/*
 * Volatile: the compiler knows that malloc changes no variable of the program, and link-time
 * optimization would keep the old values over a call of it.
 */
static volatile size_t left = SIZE_MAX; /* allocations until one fails; SIZE_MAX: none fails */
static volatile bool reached;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

void allocations_fail_at(size_t index)
{
	left = index;
	reached = false;
}

bool allocations_end(void)
{
	left = SIZE_MAX;
	return reached;
}

static bool fails(void)
{
	if (left == SIZE_MAX || reached)
		return false;
	if (left > 0) {
		left--;
		return false;
	}
	reached = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
	return fails() ? NULL : __real_reallocarray(memory, count, size);
}
