/*
 * compiler.h - what C11 lacks and gcc and clang give, and the assertion that stays on.
 *
 * ASSERT states what this program guarantees to itself. It is never used on bytes, files, flags or
 * replies from outside: those are errors, with a message.
 */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stddef.h>

#define MUST_CHECK                   __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first)     __attribute__((format(printf, text, first)))
#define ARRAY_SIZE(array)            (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(p, type, field) ((type *)(void *)((char *)(p)-offsetof(type, field)))

#define ASSERT(fact) ((fact) ? (void)0 : assert_failed(#fact, __FILE__, __LINE__))

_Noreturn void assert_failed(const char *fact, const char *file, int line);

#endif
