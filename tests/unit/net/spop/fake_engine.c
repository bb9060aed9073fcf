#include "unit/net/spop/fake_engine.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/memory.h"
#include "support/spop_frames.h"
#include "support/test.h"
#include "support/vector.h"
#include "unit/net/sockets.h"
#include "wire/spop_hello.h"

static void allow(struct store_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		op->checks[i]->outcome = (struct outcome){.allowed = true, .remaining = 7};
		op->checks[i]->is_decided = true;
		op->checks[i]->error = STORE_OK;
	}
}

static enum store_state ask(struct store *store, struct store_op *op)
{
	struct fake_engine *fake = CONTAINER_OF(store, struct fake_engine, store);

	assert_true(fake->asked_count < ASKED_MAX);
	fake->asked[fake->asked_count++] = fake->waits ? op : NULL;
	if (fake->waits)
		return STORE_PENDING;
	allow(op);
	return STORE_DONE;
}

void fake_engine_answer(struct fake_engine *fake, size_t index)
{
	struct store_op *op = fake->asked[index];

	assert_non_null(op);
	fake->asked[index] = NULL;
	allow(op);
	op->answered(op);
}

void fake_engine_init(struct fake_engine *fake)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = {.ipv4_prefix = 32, .ipv6_prefix = 64};
	struct err err;

	/* An ACK with all variables is larger than the smallest frame that may be agreed on. */
	memset(policy.name, 'p', POLICY_NAME_MAX);
	*fake = (struct fake_engine){.store.ask = ask};
	assert_true(
		quota_set_window(&policy.terms.quota, FIXED_WINDOW, 10, 60 * US_PER_SECOND, &err));
	policy.key[policy.key_count++] = BYTES("src");
	assert_true(policies_add(policies, &policy));
	fake->local = memory_store_new(MEMORY_LIMIT_MIN);
	fake->engine = engine_new(
		&(struct engine_config){
			.store = &fake->store,
			.local = fake->local,
			.max_in_flight = ASKED_MAX,
			.store_timeout_us = US_PER_SECOND,
			.mono_us = clock_mono_us,
		},
		policies);
	assert_non_null(fake->engine);
	policies_unref(policies);
}

void fake_engine_release(struct fake_engine *fake)
{
	for (size_t i = 0; i < fake->asked_count; i++)
		if (fake->asked[i] != NULL)
			fake_engine_answer(fake, i);
	engine_free(fake->engine);
	store_free(fake->local);
}

void send_notation(int fd, const char *notation)
{
	struct vector v = vector_of(notation);

	send_bytes(fd, vector_bytes(&v));
}

void send_frame(int fd, const char *notation)
{
	struct vector v = vector_frame(notation);

	send_bytes(fd, vector_bytes(&v));
}

void send_hello(int fd)
{
	send_notation(fd, FRAME_HELLO_3_1);
}

void send_notify(int fd, unsigned stream_id, unsigned frame_id)
{
	char notation[100];

	snprintf(notation, sizeof notation,
		 "03 00000001 %02x %02x  05'check' 01 03'src' 06 c0000201", stream_id, frame_id);
	send_frame(fd, notation);
}

static void put_frame(struct writer *w, const struct spop_frame *frame)
{
	struct bytes message;
	uint64_t status;
	char text[100];

	assert_int_equal(frame->flags, SPOP_FIN);
	switch ((int)frame->type) {
	case SPOP_AGENT_HELLO:
		writer_put_text(w, "hello");
		return;
	case SPOP_ACK:
		snprintf(text, sizeof text, "ack %u.%u", (unsigned)frame->stream_id,
			 (unsigned)frame->frame_id);
		writer_put_text(w, text);
		return;
	case SPOP_AGENT_DISCONNECT:
		assert_true(spop_disconnect_read(frame->payload, &status, &message));
		writer_put_text(w, "bye ");
		writer_put_unsigned(w, status);
		writer_put_u8(w, ' ');
		writer_put(w, message);
		return;
	}
	fail_msg("a frame of type %d", frame->type);
}

static void put_separator(struct writer *w)
{
	writer_put_text(w, w->len > 0 ? ", " : "");
}

void assert_gets(int fd, const char *expected)
{
	static const char *const ends[] = {"", "end", "reset"};
	static uint8_t data[65536];
	char text[4096];
	struct writer w = writer_on(text, sizeof text);
	struct spop_frame frame;
	enum spop_status status;
	size_t len;

	enum received end = receive(fd, data, sizeof data, &len);
	struct bytes from = bytes_from(data, len);
	while (from.len > 0) {
		assert_int_equal(spop_frame_next(&from, 65536, &frame, &status), SPOP_FOUND_FRAME);
		put_separator(&w);
		put_frame(&w, &frame);
	}
	if (end != RECEIVED_SOME)
		put_separator(&w);
	writer_put_text(&w, ends[end]);
	assert_string_equal(writer_text(&w), expected);
}
