#include "wire/spop_frame.h"

#include "wire/reader.h"
#include "wire/spop_data.h"

static bool read_frame(struct bytes body, struct spop_frame *frame)
{
	if (!read_u8(&body, &frame->type) || !read_u32_be(&body, &frame->flags) ||
	    !read_varint(&body, &frame->stream_id) || !read_varint(&body, &frame->frame_id))
		return false;
	frame->payload = body;
	return true;
}

enum spop_found spop_frame_next(struct bytes *from, size_t max_frame_size,
				struct spop_frame *ret_frame, enum spop_status *ret_status)
{
	struct bytes rest = *from;
	struct spop_frame frame;
	struct bytes body;
	uint32_t length;

	if (!read_u32_be(&rest, &length))
		return SPOP_FOUND_NONE;
	if (length > max_frame_size) {
		*ret_status = SPOP_TOO_BIG;
		return SPOP_FOUND_BAD;
	}
	if (length >= SPOP_FRAME_MIN && !read_bytes(&rest, length, &body))
		return SPOP_FOUND_NONE;
	if (length < SPOP_FRAME_MIN || !read_frame(body, &frame)) {
		*ret_status = SPOP_INVALID;
		return SPOP_FOUND_BAD;
	}
	*from = rest;
	*ret_frame = frame;
	return SPOP_FOUND_FRAME;
}

size_t spop_frame_begin(struct writer *w, enum spop_frame_type type, uint64_t stream_id,
			uint64_t frame_id)
{
	/* All bytes but the type are constant up to the ids: LENGTH comes later, FIN is 1. */
	uint8_t head[SPOP_LENGTH_BYTES + 5 + 2 * SPOP_VARINT_MAX] = {
		[SPOP_LENGTH_BYTES] = (uint8_t)type, [SPOP_LENGTH_BYTES + 4] = SPOP_FIN};
	uint8_t *at = spop_varint_at(head + SPOP_LENGTH_BYTES + 5, stream_id);
	size_t begin = writer_mark(w);

	at = spop_varint_at(at, frame_id);
	writer_put(w, bytes_from(head, (size_t)(at - head)));
	return begin;
}

void spop_frame_end(struct writer *w, size_t begin)
{
	if (w->full)
		return;
	struct writer length = writer_on(w->data + begin, SPOP_LENGTH_BYTES);
	writer_put_u32_be(&length, (uint32_t)(w->len - begin - SPOP_LENGTH_BYTES));
}

const char *spop_status_text(enum spop_status status)
{
	switch (status) {
	case SPOP_NORMAL:
		return "normal";
	case SPOP_IO_ERROR:
		return "I/O error";
	case SPOP_TIMEOUT:
		return "a timeout occurred";
	case SPOP_TOO_BIG:
		return "frame is too big";
	case SPOP_INVALID:
		return "invalid frame received";
	case SPOP_NO_VERSION:
		return "version value not found";
	case SPOP_NO_FRAME_SIZE:
		return "max-frame-size value not found";
	case SPOP_NO_CAPABILITIES:
		return "capabilities value not found";
	case SPOP_BAD_VERSION:
		return "unsupported version";
	case SPOP_BAD_FRAME_SIZE:
		return "max-frame-size too big or too small";
	case SPOP_FRAGMENTED:
		return "payload fragmentation is not supported";
	case SPOP_INTERLACED:
		return "invalid interlaced frames";
	case SPOP_NO_FRAME_ID:
		return "frame-id not found";
	case SPOP_RESOURCE:
		return "resource allocation error";
	case SPOP_UNKNOWN:
		break;
	}
	return "unknown error";
}
