/*
 * fuzz_spop_hello.c - the payload of a frame of the handshake, read as HAProxy's HELLO, as an
 * agent's HELLO, and as a DISCONNECT. A HELLO of HAProxy that is taken gets an answer, which has to
 * be good.
 */
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/writer.h"
#include "wire/spop_frame.h"
#include "wire/spop_hello.h"

#define OUR_FRAME_SIZE 16380

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct bytes view, struct bytes whole)
{
	if (view.len == 0)
		return true;
	uintptr_t offset = (uintptr_t)view.data - (uintptr_t)whole.data;
	return offset <= whole.len && view.len <= whole.len - offset;
}

static void answer(const struct spop_hello *hello)
{
	uint8_t memory[128];
	struct writer w = writer_on(memory, sizeof memory);
	struct spop_frame frame;
	enum spop_status status;
	uint32_t max_frame_size =
		hello->max_frame_size < OUR_FRAME_SIZE ? hello->max_frame_size : OUR_FRAME_SIZE;

	spop_put_agent_hello(&w, max_frame_size, hello->pipelining);
	ASSERT(!w.full);
	struct bytes from = writer_bytes(&w);
	ASSERT(spop_frame_next(&from, max_frame_size, &frame, &status) == SPOP_FOUND_FRAME);
	ASSERT(frame.type == SPOP_AGENT_HELLO && from.len == 0);
	ASSERT(spop_agent_hello_is_good(frame.payload));
}

static void refuse(enum spop_status reason)
{
	uint8_t memory[128];
	struct writer w = writer_on(memory, sizeof memory);
	struct spop_frame frame;
	enum spop_status status;
	struct bytes message;
	uint64_t code;

	spop_put_agent_disconnect(&w, reason, spop_status_text(reason));
	ASSERT(!w.full);
	struct bytes from = writer_bytes(&w);
	ASSERT(spop_frame_next(&from, SPOP_FRAME_LIMIT_MIN, &frame, &status) == SPOP_FOUND_FRAME);
	ASSERT(spop_disconnect_read(frame.payload, &code, &message));
	ASSERT(code == (uint64_t)reason);
	ASSERT(bytes_equal(message, bytes_from_text(spop_status_text(reason))));
}

static void read_hello(struct bytes payload)
{
	struct spop_frame frame = {
		.type = SPOP_HAPROXY_HELLO, .flags = SPOP_FIN, .payload = payload};
	struct spop_hello hello;
	enum spop_status status = spop_hello_read(&frame, &hello);

	if (status != SPOP_NORMAL) {
		refuse(status);
		return;
	}
	ASSERT(hello.max_frame_size >= SPOP_FRAME_LIMIT_MIN);
	ASSERT(is_inside(hello.engine_id, payload));
	answer(&hello);
}

static void read_disconnect(struct bytes payload)
{
	struct bytes message;
	uint64_t status;

	if (spop_disconnect_read(payload, &status, &message))
		ASSERT(is_inside(message, payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes payload = bytes_from(data, size);

	read_hello(payload);
	read_disconnect(payload);
	(void)!spop_agent_hello_is_good(payload);
	return 0;
}
