/*
 * sweep.h - tests that every decoder and every encoder has to pass, whatever it decodes or encodes.
 *
 * A decoder gets its vector whole, cut off after every byte, growing by a byte at a time, and with
 * each byte changed in several ways; the first byte behind the vector is forbidden. The test hands
 * in a function that calls the decoder once and asserts what the decoder promises about its
 * out-parameters:
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

/* Returns 1 if the input was taken, 0 if it is not there whole, and -1 if it was refused. */
typedef int (*sweep_decode_fn)(struct bytes input, void *context);

struct sweep_counts {
	size_t taken;
	size_t none;
	size_t refused;
};

/* Decodes once, against the forbidden page. */
int sweep_whole(struct bytes vector, sweep_decode_fn decode, void *context);
/* Decodes every length from 0 to one less than whole, alone and followed by other bytes. */
struct sweep_counts sweep_truncated(struct bytes vector, sweep_decode_fn decode, void *context);
struct sweep_counts sweep_flipped(struct bytes vector, sweep_decode_fn decode, void *context);
/*
 * Does all three. The whole vector comes last and has to be taken, so `context` holds what the
 * decoder made of it; views in there are no longer good. Returns the counts of the truncated
 * vectors.
 */
struct sweep_counts sweep_decoder(struct bytes vector, sweep_decode_fn decode, void *context);

typedef void (*sweep_put_fn)(struct writer *w, const void *context);

/* With enough room the encoder puts `expected`; with less it sets `full`, and writes nothing
 * outside. */
void sweep_encoder(struct bytes expected, sweep_put_fn put, const void *context);

/* An out-parameter is poisoned before the call, to see whether a failed one wrote to it. */
#define POISON(object)           memset(&(object), 0xa5, sizeof(object))
#define assert_untouched(object) assert_poisoned(&(object), sizeof(object))

void assert_poisoned(const void *object, size_t len);
void assert_nothing_taken(struct bytes from, struct bytes input);
/* `from` must be the rest of `input`, of which the decoder has taken something off the front. */
void assert_rest_of(struct bytes from, struct bytes input);
/* `view` must lie inside `input`, or be empty. */
void assert_view_of(struct bytes view, struct bytes input);
void assert_bytes_equal(struct bytes got, struct bytes expected);
void assert_bytes_text(struct bytes got, const char *expected);

#endif
