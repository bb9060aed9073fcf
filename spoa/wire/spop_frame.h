/*
 * spop_frame.h - frames: finding one in a stream of bytes, and putting one together.
 *
 *     u32 LENGTH (of what follows) | u8 TYPE | u32 FLAGS | varint STREAM-ID | varint FRAME-ID |
 *     payload                                                     (SPOE.txt 3.2)
 *
 * Stream and frame ids are HAProxy's: any number, 0 too, to be echoed. The payload is a view.
 */
#ifndef WIRE_SPOP_FRAME_H
#define WIRE_SPOP_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/writer.h"

enum spop_frame_type {
	SPOP_UNSET = 0, /* the continuation of a fragmented payload */
	SPOP_HAPROXY_HELLO = 1,
	SPOP_HAPROXY_DISCONNECT = 2,
	SPOP_NOTIFY = 3,
	SPOP_AGENT_HELLO = 101,
	SPOP_AGENT_DISCONNECT = 102,
	SPOP_ACK = 103,
};

/* Why a DISCONNECT was sent (SPOE.txt 3.3). */
enum spop_status {
	SPOP_NORMAL = 0,
	SPOP_IO_ERROR = 1,
	SPOP_TIMEOUT = 2,
	SPOP_TOO_BIG = 3,
	SPOP_INVALID = 4,
	SPOP_NO_VERSION = 5,
	SPOP_NO_FRAME_SIZE = 6,
	SPOP_NO_CAPABILITIES = 7,
	SPOP_BAD_VERSION = 8,
	SPOP_BAD_FRAME_SIZE = 9,
	SPOP_FRAGMENTED = 10,
	SPOP_INTERLACED = 11,
	SPOP_NO_FRAME_ID = 12,
	SPOP_RESOURCE = 13,
	SPOP_UNKNOWN = 99,
};

#define SPOP_FIN             UINT32_C(1)
#define SPOP_LENGTH_BYTES    4
#define SPOP_FRAME_MIN       7   /* LENGTH of a frame with the shortest ids and no payload */
#define SPOP_FRAME_LIMIT_MIN 256 /* the smallest max-frame-size that may be agreed on */

struct spop_frame {
	uint8_t type;
	uint32_t flags;
	uint64_t stream_id;
	uint64_t frame_id;
	struct bytes payload;
};

enum spop_found {
	SPOP_FOUND_BAD = -1, /* *ret_status says why; nothing after it can be read */
	SPOP_FOUND_NONE = 0, /* it is not there whole */
	SPOP_FOUND_FRAME = 1,
};

/*
 * Takes the next frame off the front of `from`. A LENGTH above `max_frame_size` or below the
 * shortest is an error before any byte of the body is there.
 */
MUST_CHECK enum spop_found spop_frame_next(struct bytes *from, size_t max_frame_size,
					   struct spop_frame *ret_frame,
					   enum spop_status *ret_status);

/* Between the two the payload is put; spop_frame_end fills in the LENGTH. All frames have FIN. */
size_t spop_frame_begin(struct writer *w, enum spop_frame_type type, uint64_t stream_id,
			uint64_t frame_id);
void spop_frame_end(struct writer *w, size_t begin);

const char *spop_status_text(enum spop_status status);

#endif
