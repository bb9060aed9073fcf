/*
 * utf8.h - what is UTF-8 and what is not (RFC 3629): no overlong forms, no surrogates, nothing
 * above U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/writer.h"

/* How many bytes the character at the front has; 0 when there is none that is whole and good. */
size_t utf8_length(struct bytes text);
bool utf8_is_good(struct bytes text);
/* `code` is not a surrogate and at most 0x10ffff. */
void utf8_put(struct writer *w, uint32_t code);

#endif
