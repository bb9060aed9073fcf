#include "wire/spop_frame.h"

#include "support/spop_frames.h"
#include "support/sweep.h"
#include "support/test.h"
#include "support/vector.h"
#include "wire/spop_data.h"
#include "wire/spop_notify.h"

#define MAX_FRAME_SIZE 16380

/* What the last call found, for tests that ask for more than its result. */
struct found {
	struct spop_frame frame;
	enum spop_status status;
};

static int decode_frame(struct bytes input, void *context)
{
	struct bytes from = input;
	struct found *ret_found = context;
	struct spop_frame frame;
	enum spop_status status;

	POISON(frame);
	POISON(status);
	enum spop_found found = spop_frame_next(&from, MAX_FRAME_SIZE, &frame, &status);
	if (found == SPOP_FOUND_FRAME) {
		assert_untouched(status);
		assert_rest_of(from, input);
		assert_view_of(frame.payload, bytes_from(input.data, input.len - from.len));
		ret_found->frame = frame;
		return 1;
	}
	assert_untouched(frame);
	assert_nothing_taken(from, input);
	if (found == SPOP_FOUND_NONE) {
		assert_untouched(status);
		return 0;
	}
	assert_int_equal(found, SPOP_FOUND_BAD);
	assert_true(status == SPOP_TOO_BIG || status == SPOP_INVALID);
	ret_found->status = status;
	return -1;
}

static void assert_bad(const char *notation, enum spop_status status)
{
	struct vector v = vector_of(notation);
	struct found found = {0};

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_frame, &found), -1);
	assert_int_equal(found.status, status);
}

static const struct {
	const char *notation;
	uint8_t type;
	uint64_t id; /* of stream and frame */
	size_t payload_len;
} references[] = {
	{FRAME_HELLO_3_0, SPOP_HAPROXY_HELLO, 0, 0x81 - 7},
	{FRAME_HELLO_3_1, SPOP_HAPROXY_HELLO, 0, 0x7b - 7},
	{FRAME_HEALTHCHECK, SPOP_HAPROXY_HELLO, 0, 0x4e - 7},
	{FRAME_AGENT_HELLO, SPOP_AGENT_HELLO, 0, 0x40 - 7},
	{FRAME_AGENT_HELLO_NO_CAPABILITIES, SPOP_AGENT_HELLO, 0, 0x36 - 7},
	{FRAME_NOTIFY_IPV4, SPOP_NOTIFY, 1, 0x1e - 7},
	{FRAME_NOTIFY_EMPTY, SPOP_NOTIFY, 1, 0},
	{FRAME_ACK_DENY, SPOP_ACK, 1, 0x11 - 7},
	{FRAME_ACK_EMPTY, SPOP_ACK, 1, 0},
	{FRAME_HAPROXY_DISCONNECT_NORMAL, SPOP_HAPROXY_DISCONNECT, 0, 0x25 - 7},
	{FRAME_HAPROXY_DISCONNECT_IDLE, SPOP_HAPROXY_DISCONNECT, 0, 0x31 - 7},
	{FRAME_AGENT_DISCONNECT_NORMAL, SPOP_AGENT_DISCONNECT, 0, 0x25 - 7},
};

TEST(spop_frame_next_reference_frames_are_found)
{
	for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
		struct vector v = vector_of(references[i].notation);
		struct found found = {0};
		assert_int_equal(sweep_whole(vector_bytes(&v), decode_frame, &found), 1);
		assert_int_equal(found.frame.type, references[i].type);
		assert_int_equal(found.frame.flags, SPOP_FIN);
		assert_int_equal(found.frame.stream_id, references[i].id);
		assert_int_equal(found.frame.frame_id, references[i].id);
		assert_int_equal(found.frame.payload.len, references[i].payload_len);
	}
}

TEST(spop_frame_next_until_complete_is_none)
{
	for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
		struct vector v = vector_of(references[i].notation);
		struct found found;
		struct sweep_counts cut = sweep_decoder(vector_bytes(&v), decode_frame, &found);
		assert_int_equal(cut.none, v.len);
	}
}

/* As a connection gets it: frames back to back, cut anywhere. */
TEST(spop_frame_next_in_a_stream_byte_by_byte_finds_every_frame)
{
	struct vector stream = {0};
	size_t begin = 0, count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(references); i++)
		vector_append(&stream, references[i].notation, 1);
	for (size_t end = 0; end <= stream.len; end++) {
		struct bytes from = bytes_from(stream.data + begin, end - begin);
		struct found found;
		if (sweep_whole(from, decode_frame, &found) == 0)
			continue;
		struct vector frame = vector_of(references[count].notation);
		assert_bytes_equal(from, vector_bytes(&frame));
		begin = end;
		count++;
	}

	assert_int_equal(count, ARRAY_SIZE(references));
	assert_int_equal(begin, stream.len);
}

TEST(spop_frame_next_two_at_once_are_found_in_order)
{
	struct vector v = vector_of(FRAME_NOTIFY_EMPTY FRAME_HAPROXY_DISCONNECT_NORMAL);
	struct bytes from = vector_bytes(&v);
	struct spop_frame first, second, third;
	enum spop_status status;

	assert_int_equal(spop_frame_next(&from, MAX_FRAME_SIZE, &first, &status), SPOP_FOUND_FRAME);
	assert_int_equal(spop_frame_next(&from, MAX_FRAME_SIZE, &second, &status),
			 SPOP_FOUND_FRAME);

	assert_int_equal(first.type, SPOP_NOTIFY);
	assert_int_equal(second.type, SPOP_HAPROXY_DISCONNECT);
	assert_int_equal(spop_frame_next(&from, MAX_FRAME_SIZE, &third, &status), SPOP_FOUND_NONE);
	assert_int_equal(from.len, 0);
}

TEST(spop_frame_next_length_below_7_is_invalid_at_once)
{
	static const char *const lengths[] = {
		"00000000", "00000001", "00000002", "00000003", "00000004", "00000005", "00000006",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		assert_bad(lengths[i], SPOP_INVALID);
}

TEST(spop_frame_next_length_6_with_its_body_is_invalid)
{
	assert_bad("00000006 03 00000001 01", SPOP_INVALID);
}

TEST(spop_frame_next_length_above_the_limit_is_too_big_at_once)
{
	assert_bad("00003ffd", SPOP_TOO_BIG); /* 16381 */
	assert_bad("00010000", SPOP_TOO_BIG);
	assert_bad("7fffffff", SPOP_TOO_BIG);
	assert_bad("80000000", SPOP_TOO_BIG);
	assert_bad("ffffffff", SPOP_TOO_BIG);
	assert_bad("'GET / HTTP/1.1'", SPOP_TOO_BIG);
}

TEST(spop_frame_next_length_at_the_limit_is_awaited)
{
	struct vector v = vector_of("00003ffc");
	struct found found;

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_frame, &found), 0);
}

TEST(spop_frame_next_limit_bounds_length_alone)
{
	struct vector v = vector_of("00000100 03 00000001 01 01");
	struct bytes from;
	struct spop_frame frame;
	enum spop_status status;

	vector_append(&v, "00", 256 - 7);

	from = vector_bytes(&v);
	assert_int_equal(spop_frame_next(&from, 255, &frame, &status), SPOP_FOUND_BAD);
	assert_int_equal(status, SPOP_TOO_BIG);
	assert_int_equal(spop_frame_next(&from, 256, &frame, &status), SPOP_FOUND_FRAME);
	assert_int_equal(frame.payload.len, 256 - 7);
}

TEST(spop_frame_next_no_limit_takes_the_greatest_length)
{
	struct vector v = vector_of("ffffffff 03 00000001 01 01");
	struct bytes from = vector_bytes(&v);
	struct spop_frame frame;
	enum spop_status status;

	assert_int_equal(spop_frame_next(&from, SIZE_MAX, &frame, &status), SPOP_FOUND_NONE);

	assert_nothing_taken(from, vector_bytes(&v));
}

TEST(spop_frame_next_ids_that_end_after_the_frame_are_invalid)
{
	/* The bytes that would complete them belong to the next frame. */
	assert_bad("00000007 03 00000001 f0 80  00000007 03 00000001 01 01", SPOP_INVALID);
	assert_bad("00000007 03 00000001 01 f0  00000007 03 00000001 01 01", SPOP_INVALID);
	assert_bad("00000007 03 00000001 f000  01", SPOP_INVALID);
}

TEST(spop_frame_next_ids_of_eleven_ff_bytes_are_invalid)
{
	assert_bad("00000011 03 00000001 ffffffffffffffffffffff 01", SPOP_INVALID);
	assert_bad("00000011 03 00000001 01 ffffffffffffffffffffff", SPOP_INVALID);
}

TEST(spop_frame_next_greatest_ids_are_whole)
{
	struct vector v = vector_of("00000019 03 00000001"
				    "fff0fefefefefefefe0e fff0fefefefefefefe0e");
	struct found found;

	struct sweep_counts cut = sweep_decoder(vector_bytes(&v), decode_frame, &found);

	assert_int_equal(cut.none, v.len);
	assert_true(found.frame.stream_id == UINT64_MAX);
	assert_true(found.frame.frame_id == UINT64_MAX);
	assert_int_equal(found.frame.payload.len, 0);
}

TEST(spop_frame_next_stream_id_0_of_a_notify_is_taken)
{
	struct vector v = vector_of("00000007 03 00000001 00 01");
	struct found found;

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_frame, &found), 1);

	assert_int_equal(found.frame.stream_id, 0);
	assert_int_equal(found.frame.frame_id, 1);
}

TEST(spop_frame_next_types_and_flags_are_as_they_came)
{
	for (unsigned type = 0; type < 256; type++) {
		struct vector v = vector_of("00000008 00 fedcba98 01 02 aa");
		struct found found;
		v.data[4] = (uint8_t)type;
		assert_int_equal(sweep_whole(vector_bytes(&v), decode_frame, &found), 1);
		assert_int_equal(found.frame.type, type);
		assert_int_equal(found.frame.flags, 0xfedcba98);
		assert_int_equal(found.frame.payload.len, 1);
	}
}

static void put_ack_deny(struct writer *w, const void *context)
{
	size_t begin = spop_frame_begin(w, SPOP_ACK, 1, 1);
	(void)context;

	spop_put_set_var(w, SPOP_SCOPE_TRANSACTION, BYTES("deny"), spop_uint32(1));
	spop_frame_end(w, begin);
}

TEST(spop_frame_end_ack_is_the_reference_frame)
{
	struct vector v = vector_of(FRAME_ACK_DENY);

	sweep_encoder(vector_bytes(&v), put_ack_deny, NULL);
}

static void put_ack_empty(struct writer *w, const void *context)
{
	(void)context;

	spop_frame_end(w, spop_frame_begin(w, SPOP_ACK, 1, 1));
}

TEST(spop_frame_end_nothing_between_is_length_7)
{
	struct vector v = vector_of(FRAME_ACK_EMPTY);

	sweep_encoder(vector_bytes(&v), put_ack_empty, NULL);
}

static void put_greatest_ids(struct writer *w, const void *context)
{
	(void)context;

	spop_frame_end(w, spop_frame_begin(w, SPOP_ACK, UINT64_MAX, UINT64_MAX));
}

TEST(spop_frame_begin_greatest_ids_are_echoed)
{
	struct vector v = vector_of("00000019 67 00000001"
				    "fff0fefefefefefefe0e fff0fefefefefefefe0e");

	sweep_encoder(vector_bytes(&v), put_greatest_ids, NULL);
}

static void put_two_frames(struct writer *w, const void *context)
{
	put_ack_deny(w, context);
	put_ack_empty(w, context);
}

TEST(spop_frame_end_second_frame_has_its_own_length)
{
	struct vector v = vector_of(FRAME_ACK_DENY FRAME_ACK_EMPTY);

	sweep_encoder(vector_bytes(&v), put_two_frames, NULL);
}

/* What a connection does when its buffer has no room for one more ACK. */
TEST(spop_frame_end_rewound_after_a_full_one_leaves_the_first)
{
	struct vector v = vector_of(FRAME_ACK_DENY);
	uint8_t memory[21 + 10];
	struct writer w = writer_on(memory, sizeof memory);

	put_ack_deny(&w, NULL);
	size_t mark = writer_mark(&w);
	put_ack_deny(&w, NULL);
	assert_true(w.full);
	writer_rewind(&w, mark);

	assert_false(w.full);
	assert_bytes_equal(writer_bytes(&w), vector_bytes(&v));
}

TEST(spop_status_text_every_status_is_as_haproxy_says_it)
{
	static const struct {
		enum spop_status status;
		const char *text;
	} cases[] = {
		{SPOP_NORMAL, "normal"},
		{SPOP_IO_ERROR, "I/O error"},
		{SPOP_TIMEOUT, "a timeout occurred"},
		{SPOP_TOO_BIG, "frame is too big"},
		{SPOP_INVALID, "invalid frame received"},
		{SPOP_NO_VERSION, "version value not found"},
		{SPOP_NO_FRAME_SIZE, "max-frame-size value not found"},
		{SPOP_NO_CAPABILITIES, "capabilities value not found"},
		{SPOP_BAD_VERSION, "unsupported version"},
		{SPOP_BAD_FRAME_SIZE, "max-frame-size too big or too small"},
		{SPOP_FRAGMENTED, "payload fragmentation is not supported"},
		{SPOP_INTERLACED, "invalid interlaced frames"},
		{SPOP_NO_FRAME_ID, "frame-id not found"},
		{SPOP_RESOURCE, "resource allocation error"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cases[i].status, i);
		assert_string_equal(spop_status_text(cases[i].status), cases[i].text);
	}
}

TEST(spop_status_text_unknown_status_has_a_text)
{
	assert_string_equal(spop_status_text(SPOP_UNKNOWN), "unknown error");
	assert_string_equal(spop_status_text((enum spop_status)150), "unknown error");
}
