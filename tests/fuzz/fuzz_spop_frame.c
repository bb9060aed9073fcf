/*
 * fuzz_spop_frame.c - a stream of bytes as on a connection. Each frame in it is read to its end
 * according to its type, and the values that were read are put into a frame again and read back.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/writer.h"
#include "wire/spop_data.h"
#include "wire/spop_frame.h"
#include "wire/spop_hello.h"
#include "wire/spop_notify.h"

#define MAX_FRAME_SIZE 16380
#define FRAME_ROOM     (MAX_FRAME_SIZE + 64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool data_equal(const struct spop_data *a, const struct spop_data *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case SPOP_NULL:
		return true;
	case SPOP_BOOL:
		return a->boolean == b->boolean;
	case SPOP_INT32:
	case SPOP_UINT32:
	case SPOP_INT64:
		return a->number == b->number;
	case SPOP_UINT64:
		return a->natural == b->natural;
	case SPOP_IPV4:
		return memcmp(a->ipv4, b->ipv4, sizeof a->ipv4) == 0;
	case SPOP_IPV6:
		return memcmp(a->ipv6, b->ipv6, sizeof a->ipv6) == 0;
	case SPOP_STR:
	case SPOP_BIN:
		return bytes_equal(a->bytes, b->bytes);
	}
	return false;
}

/* In a block of its own, so that the sanitizer sees a byte too many. */
static void put_into_exact_room(const struct spop_data *data, size_t room, bool fits)
{
	uint8_t *memory = malloc(room > 0 ? room : 1);
	ASSERT(memory != NULL);
	struct writer w = writer_on(memory, room);

	spop_data_put(&w, data);
	ASSERT(w.full != fits);
	ASSERT(w.len <= room);
	free(memory);
}

static void check_data(const struct spop_data *data)
{
	static uint8_t memory[FRAME_ROOM];
	struct writer w = writer_on(memory, sizeof memory);
	struct spop_data again;
	uint64_t value;

	spop_data_put(&w, data);
	ASSERT(!w.full);
	struct bytes from = writer_bytes(&w);
	ASSERT(spop_data_read(&from, &again));
	ASSERT(from.len == 0);
	ASSERT(data_equal(data, &again));
	put_into_exact_room(data, w.len, true);
	put_into_exact_room(data, w.len - 1, false);
	if (spop_data_natural(data, &value))
		ASSERT(data->type >= SPOP_INT32 && data->type <= SPOP_UINT64);
}

/* The name of a variable is our own, and has this many bytes; the name of an argument is HAProxy's.
 */
static void check_set_var(const struct spop_argument *argument)
{
	static uint8_t memory[FRAME_ROOM];
	struct writer w = writer_on(memory, sizeof memory);

	if (argument->name.len == 0 || argument->name.len > SPOP_VAR_NAME_MAX)
		return;
	spop_put_set_var(&w, SPOP_SCOPE_TRANSACTION, argument->name, argument->data);
	spop_put_unset_var(&w, SPOP_SCOPE_SESSION, argument->name);
	ASSERT(w.len <= sizeof memory);
}

/* False when the payload can't be decoded. */
static bool walk_arguments(struct bytes *payload, struct spop_message *message)
{
	for (;;) {
		struct spop_argument argument;
		struct bytes before = *payload;
		int found = spop_argument_next(payload, message, &argument);
		if (found <= 0)
			return found == 0;
		ASSERT(payload->len < before.len);
		check_data(&argument.data);
		check_set_var(&argument);
	}
}

static void walk_notify(struct bytes payload)
{
	for (;;) {
		struct spop_message message;
		size_t before = payload.len;
		int found = spop_message_next(&payload, &message);
		if (found < 0)
			return;
		if (found == 0)
			break;
		ASSERT(payload.len < before);
		if (!walk_arguments(&payload, &message))
			return;
	}
	ASSERT(payload.len == 0);
}

static void read_by_type(const struct spop_frame *frame)
{
	struct spop_hello hello;
	struct bytes message;
	uint64_t status;

	switch (frame->type) {
	case SPOP_HAPROXY_HELLO:
		if (spop_hello_read(frame, &hello) == SPOP_NORMAL)
			ASSERT(hello.max_frame_size >= SPOP_FRAME_LIMIT_MIN);
		break;
	case SPOP_AGENT_HELLO:
		(void)!spop_agent_hello_is_good(frame->payload);
		break;
	case SPOP_HAPROXY_DISCONNECT:
	case SPOP_AGENT_DISCONNECT:
		if (spop_disconnect_read(frame->payload, &status, &message))
			ASSERT(message.len <= frame->payload.len);
		break;
	default:
		walk_notify(frame->payload);
		break;
	}
}

/* The same frame, put by us, is found again. */
static void check_frame(const struct spop_frame *frame)
{
	static uint8_t memory[FRAME_ROOM];
	struct writer w = writer_on(memory, sizeof memory);
	struct spop_frame again;
	enum spop_status status;

	size_t begin = spop_frame_begin(&w, (enum spop_frame_type)frame->type, frame->stream_id,
					frame->frame_id);
	writer_put(&w, frame->payload);
	spop_frame_end(&w, begin);
	ASSERT(!w.full);
	struct bytes from = writer_bytes(&w);
	ASSERT(spop_frame_next(&from, MAX_FRAME_SIZE, &again, &status) == SPOP_FOUND_FRAME);
	ASSERT(from.len == 0);
	ASSERT(again.type == frame->type && again.flags == SPOP_FIN);
	ASSERT(again.stream_id == frame->stream_id && again.frame_id == frame->frame_id);
	ASSERT(bytes_equal(again.payload, frame->payload));
}

/* The payload is copied: what follows it in the stream is not there to be read by mistake. */
static void take_frame(struct spop_frame frame)
{
	uint8_t *alone = malloc(frame.payload.len > 0 ? frame.payload.len : 1);
	ASSERT(alone != NULL);

	if (frame.payload.len > 0)
		memcpy(alone, frame.payload.data, frame.payload.len);
	frame.payload.data = alone;
	read_by_type(&frame);
	check_frame(&frame);
	free(alone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes from = bytes_from(data, size);

	for (;;) {
		struct spop_frame frame;
		enum spop_status status;
		struct bytes before = from;
		enum spop_found found = spop_frame_next(&from, MAX_FRAME_SIZE, &frame, &status);
		if (found != SPOP_FOUND_FRAME) {
			ASSERT(from.data == before.data && from.len == before.len);
			ASSERT(found == SPOP_FOUND_NONE || status == SPOP_TOO_BIG ||
			       status == SPOP_INVALID);
			return 0;
		}
		ASSERT(before.len - from.len >= SPOP_LENGTH_BYTES + SPOP_FRAME_MIN);
		take_frame(frame);
	}
}
