/*
 * sweep.h - what every decoder and every encoder has to stand, whatever it decodes or encodes.
 *
 * A decoder gets its vector whole, cut off after every byte, growing by a byte at a time, and with
 * each byte changed in several ways; the first byte behind what it may read is forbidden. Its test
 * hands in a function that calls it once and asserts what it promises about its out-parameters:
 *
 *     static int decode(struct bytes input, void *context)
 *     {
 *             struct bytes from = input;
 *             uint64_t value;
 *
 *             POISON(value);
 *             if (!read_varint(&from, &value)) {
 *                     assert_untouched(value);
 *                     assert_nothing_taken(from, input);
 *                     return -1;
 *             }
 *             assert_rest_of(from, input);
 *             return 1;
 *     }
 *
 * An encoder gets a writer of every size from nothing to what it needs.
 */
#ifndef SUPPORT_SWEEP_H
#define SUPPORT_SWEEP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/writer.h"

/* 1: taken; 0: it is not there whole; -1: refused. */
typedef int (*sweep_decode_fn)(struct bytes input, void *context);

struct sweep_counts {
	size_t taken;
	size_t none;
	size_t refused;
};

/* Once, against the forbidden page. */
int sweep_whole(struct bytes vector, sweep_decode_fn decode, void *context);
/* Every length from 0 to one less than whole, alone and as the start of a buffer of other bytes. */
struct sweep_counts sweep_truncated(struct bytes vector, sweep_decode_fn decode, void *context);
struct sweep_counts sweep_flipped(struct bytes vector, sweep_decode_fn decode, void *context);
/*
 * All three, whole last, which has to be taken: `context` is left with what that one decoded, of
 * which views are dead. Returns the counts of the truncated ones.
 */
struct sweep_counts sweep_decoder(struct bytes vector, sweep_decode_fn decode, void *context);

typedef void (*sweep_put_fn)(struct writer *w, const void *context);

/* With room for all it puts `expected`; with less it sets `full`, which sticks, and stays inside.
 */
void sweep_encoder(struct bytes expected, sweep_put_fn put, const void *context);

/* An out-parameter is poisoned before the call, to see whether a failed one wrote to it. */
#define POISON(object)           memset(&(object), 0xa5, sizeof(object))
#define assert_untouched(object) assert_poisoned(&(object), sizeof(object))

void assert_poisoned(const void *object, size_t len);
void assert_nothing_taken(struct bytes from, struct bytes input);
/* What is left of `input` after something was taken off its front. */
void assert_rest_of(struct bytes from, struct bytes input);
/* A view into `input`, or an empty one. */
void assert_view_of(struct bytes view, struct bytes input);
void assert_bytes_equal(struct bytes got, struct bytes expected);
void assert_bytes_text(struct bytes got, const char *expected);

#endif
