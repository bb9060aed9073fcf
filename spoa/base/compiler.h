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

/*
 * memcpy for a length that is a constant, where `to` has been shown to have room for it. With
 * _FORTIFY_SOURCE=3 memcpy is a call that measures `to` once more, unless the compiler knows its
 * size; this is a few moves.
 */
#define COPY_CONSTANT(to, from, len) ((void)__builtin_memcpy(to, from, len))

#define ASSERT(fact) ((fact) ? (void)0 : assert_failed(#fact, __FILE__, __LINE__))

_Noreturn void assert_failed(const char *fact, const char *file, int line);

#endif
