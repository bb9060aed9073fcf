/*
 * guarded.h - memory that ends exactly at a page nobody may touch.
 *
 * A decoder that reads one byte too far, or an encoder that writes one, crashes the test instead of
 * passing by luck. The memory before it is a forbidden page too, but only the end is exact. One
 * `struct guarded` is used for many vectors, one after the other: each hand-out ends the one
 * before.
 */
#ifndef SUPPORT_GUARDED_H
#define SUPPORT_GUARDED_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct guarded;

/* For at most `max` bytes. Never NULL: a test that gets no memory fails. */
struct guarded *guarded_new(size_t max);
void guarded_free(struct guarded *g);

/* `len` bytes, all 0xa5, of which the last one stands right before the forbidden page. */
uint8_t *guarded_room(struct guarded *g, size_t len);
/* A copy of `bytes` in such a room. */
struct bytes guarded_copy(struct guarded *g, struct bytes bytes);
/* Fails the test if what stands before the `len` bytes of the room is no longer 0xa5. */
void guarded_assert_front(const struct guarded *g, size_t len);

#endif
