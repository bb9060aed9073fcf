/*
 * guarded.h - memory that ends exactly at a page nobody may touch.
 *
 * A decoder that reads one byte too far, or an encoder that writes one, crashes the test instead of
 * passing by luck. The page before the memory is forbidden too, but only the end is exact. One
 * `struct guarded` serves for many vectors, one after the other: each room is good until the next
 * one is handed out.
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

/* A room of `len` bytes, all 0xa5; its last byte stands right before the forbidden page. */
uint8_t *guarded_room(struct guarded *g, size_t len);
/* A room with a copy of `bytes`. */
struct bytes guarded_copy(struct guarded *g, struct bytes bytes);
/* Fails the test if a byte before the `len` bytes of the room is no longer 0xa5. */
void guarded_assert_front(const struct guarded *g, size_t len);

#endif
