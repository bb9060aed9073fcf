#include "wire/spop_hello.h"

#include "support/spop_frames.h"
#include "support/sweep.h"
#include "support/test.h"
#include "support/vector.h"

#define VERSIONS     "12'supported-versions' 08 03'2.0'"
#define FRAME_SIZE   "0e'max-frame-size' 03 fcf006"
#define CAPABILITIES "0c'capabilities' 08 0a'pipelining'"
#define VERSION      "07'version' 08 03'2.0'"
#define STATUS_CODE  "0b'status-code' 03 "
#define MESSAGE      "07'message' 08 "

/* The payload of the frame, which is read as HAPROXY-HELLO with FIN and ids 0. */
static int decode_hello(struct bytes input, void *context)
{
	struct spop_frame frame = {.type = SPOP_HAPROXY_HELLO, .flags = SPOP_FIN, .payload = input};
	enum spop_status *ret_status = context;
	struct spop_hello hello;

	POISON(hello);
	*ret_status = spop_hello_read(&frame, &hello);
	assert_nothing_taken(frame.payload, input);
	if (*ret_status != SPOP_NORMAL) {
		assert_untouched(hello);
		return -1;
	}
	assert_true(hello.max_frame_size >= SPOP_FRAME_LIMIT_MIN);
	assert_view_of(hello.engine_id, input);
	return 1;
}

static int decode_disconnect(struct bytes input, void *context)
{
	uint64_t *ret_status = context;
	uint64_t status;
	struct bytes message;

	POISON(status);
	POISON(message);
	if (!spop_disconnect_read(input, &status, &message)) {
		assert_untouched(status);
		assert_untouched(message);
		return -1;
	}
	assert_view_of(message, input);
	*ret_status = status;
	return 1;
}

static int decode_agent_hello(struct bytes input, void *context)
{
	(void)context;

	return spop_agent_hello_is_good(input) ? 1 : -1;
}

/* The frame in `v`, whose payload lives there. */
static struct spop_frame frame_of(const struct vector *v)
{
	struct bytes from = vector_bytes(v);
	struct spop_frame frame;
	enum spop_status status;

	assert_int_equal(spop_frame_next(&from, VECTOR_MAX, &frame, &status), SPOP_FOUND_FRAME);
	assert_int_equal(from.len, 0);
	return frame;
}

static enum spop_status read_frame(const char *notation)
{
	struct vector v = vector_frame(notation);
	struct spop_frame frame = frame_of(&v);
	struct spop_hello hello;

	POISON(hello);
	enum spop_status status = spop_hello_read(&frame, &hello);
	if (status != SPOP_NORMAL)
		assert_untouched(hello);
	return status;
}

static enum spop_status read_items(const char *notation)
{
	struct vector v = vector_of(notation);
	enum spop_status status;

	(void)sweep_whole(vector_bytes(&v), decode_hello, &status);
	return status;
}

/* Its items are taken; the engine id is dead when this returns. */
static struct spop_hello read_good(const char *notation)
{
	struct vector v = vector_of(notation);
	struct spop_frame frame = {
		.type = SPOP_HAPROXY_HELLO, .flags = SPOP_FIN, .payload = vector_bytes(&v)};
	struct spop_hello hello;

	assert_int_equal(spop_hello_read(&frame, &hello), SPOP_NORMAL);
	return hello;
}

static bool announces_pipelining(const char *capabilities)
{
	struct vector v = vector_of(VERSIONS FRAME_SIZE "0c'capabilities' 08");
	struct writer w = writer_on(v.data, sizeof v.data);
	struct spop_frame frame = {.type = SPOP_HAPROXY_HELLO, .flags = SPOP_FIN};
	struct spop_hello hello;

	w.len = v.len;
	writer_put_u8(&w, (uint8_t)strlen(capabilities));
	writer_put_text(&w, capabilities);
	frame.payload = writer_bytes(&w);
	assert_int_equal(spop_hello_read(&frame, &hello), SPOP_NORMAL);
	return hello.pipelining;
}

static enum spop_status read_versions(const char *versions)
{
	struct vector v = vector_of(FRAME_SIZE CAPABILITIES "12'supported-versions' 08");
	struct writer w = writer_on(v.data, sizeof v.data);
	enum spop_status status;

	w.len = v.len;
	writer_put_u8(&w, (uint8_t)strlen(versions));
	writer_put_text(&w, versions);
	(void)sweep_whole(writer_bytes(&w), decode_hello, &status);
	return status;
}

TEST(spop_hello_read_of_haproxy_3_0_is_taken)
{
	struct vector v = vector_of(FRAME_HELLO_3_0);
	struct spop_frame frame = frame_of(&v);
	struct spop_hello hello;

	assert_int_equal(spop_hello_read(&frame, &hello), SPOP_NORMAL);

	assert_int_equal(hello.max_frame_size, 16380);
	assert_true(hello.pipelining);
	assert_false(hello.healthcheck);
	assert_bytes_text(hello.engine_id, UUID);
}

TEST(spop_hello_read_of_haproxy_3_1_is_taken)
{
	struct vector v = vector_of(FRAME_HELLO_3_1);
	struct spop_frame frame = frame_of(&v);
	struct spop_hello hello;

	assert_int_equal(spop_hello_read(&frame, &hello), SPOP_NORMAL);

	assert_int_equal(hello.max_frame_size, 16380);
	assert_true(hello.pipelining);
	assert_false(hello.healthcheck);
	assert_bytes_text(hello.engine_id, UUID);
}

TEST(spop_hello_read_of_a_health_check_says_so)
{
	struct vector v = vector_of(FRAME_HEALTHCHECK);
	struct spop_frame frame = frame_of(&v);
	struct spop_hello hello;

	assert_int_equal(spop_hello_read(&frame, &hello), SPOP_NORMAL);

	assert_int_equal(hello.max_frame_size, 16380);
	assert_false(hello.pipelining);
	assert_true(hello.healthcheck);
	assert_int_equal(hello.engine_id.len, 0);
}

/* What is taken of them ends between two items, after the two that are mandatory. */
TEST(spop_hello_read_truncated_is_taken_between_optional_items_only)
{
	static const struct {
		const char *notation;
		size_t taken;
	} cases[] = {
		{FRAME_HELLO_3_0, 2}, /* without the engine id; without the capabilities too */
		{FRAME_HELLO_3_1, 2},
		{FRAME_HEALTHCHECK, 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(cases[i].notation);
		enum spop_status status;
		struct sweep_counts cut =
			sweep_decoder(frame_of(&v).payload, decode_hello, &status);
		assert_int_equal(cut.taken, cases[i].taken);
	}
}

TEST(spop_hello_read_any_order_is_taken)
{
	struct spop_hello hello = read_good("0b'healthcheck' 11" CAPABILITIES FRAME_SIZE VERSIONS);

	assert_int_equal(hello.max_frame_size, 16380);
	assert_true(hello.pipelining);
	assert_true(hello.healthcheck);
}

TEST(spop_hello_read_unknown_items_are_skipped)
{
	assert_int_equal(read_items("01'x' 00" VERSIONS "00 11 07'version' 08 03'9.9'" FRAME_SIZE
				    "0f'max-frame-size2' 08 00" CAPABILITIES "01'y' 09 01 00"),
			 SPOP_NORMAL);
}

TEST(spop_hello_read_other_frame_types_are_invalid)
{
	assert_int_equal(read_frame("00 00000001 00 00" VERSIONS FRAME_SIZE CAPABILITIES),
			 SPOP_INVALID);
	assert_int_equal(read_frame("03 00000001 00 00" VERSIONS FRAME_SIZE CAPABILITIES),
			 SPOP_INVALID);
	assert_int_equal(read_frame("65 00000001 00 00" VERSIONS FRAME_SIZE CAPABILITIES),
			 SPOP_INVALID);
}

TEST(spop_hello_read_without_fin_is_fragmented)
{
	assert_int_equal(read_frame("01 00000000 00 00" VERSIONS FRAME_SIZE CAPABILITIES),
			 SPOP_FRAGMENTED);
	assert_int_equal(read_frame("01 00000002 00 00" VERSIONS FRAME_SIZE CAPABILITIES),
			 SPOP_FRAGMENTED);
}

TEST(spop_hello_read_with_other_flags_and_fin_is_taken)
{
	assert_int_equal(read_frame("01 80000001 00 00" VERSIONS FRAME_SIZE CAPABILITIES),
			 SPOP_NORMAL);
}

TEST(spop_hello_read_ids_other_than_0_are_invalid)
{
	assert_int_equal(read_frame("01 00000001 01 00" VERSIONS FRAME_SIZE CAPABILITIES),
			 SPOP_INVALID);
	assert_int_equal(read_frame("01 00000001 00 01" VERSIONS FRAME_SIZE CAPABILITIES),
			 SPOP_INVALID);
	assert_int_equal(read_frame("01 00000001 f0f1fefe7e 00" VERSIONS FRAME_SIZE CAPABILITIES),
			 SPOP_INVALID);
}

TEST(spop_hello_read_nothing_has_no_version)
{
	assert_int_equal(read_items(""), SPOP_NO_VERSION);
}

TEST(spop_hello_read_without_versions_has_no_version)
{
	assert_int_equal(read_items(FRAME_SIZE CAPABILITIES), SPOP_NO_VERSION);
}

TEST(spop_hello_read_without_max_frame_size_has_none)
{
	assert_int_equal(read_items(VERSIONS CAPABILITIES), SPOP_NO_FRAME_SIZE);
}

TEST(spop_hello_read_without_capabilities_has_none)
{
	struct spop_hello hello = read_good(VERSIONS FRAME_SIZE);

	assert_false(hello.pipelining);
	assert_false(hello.healthcheck);
	assert_int_equal(hello.engine_id.len, 0);
}

TEST(spop_hello_read_any_2_x_is_supported)
{
	assert_int_equal(read_versions("2.0"), SPOP_NORMAL);
	assert_int_equal(read_versions("2.1"), SPOP_NORMAL);
	assert_int_equal(read_versions("1.0, 2.1"), SPOP_NORMAL);
	assert_int_equal(read_versions("1.0,2.0,3.0"), SPOP_NORMAL);
	assert_int_equal(read_versions("  2.0  "), SPOP_NORMAL);
	assert_int_equal(read_versions(",,2.0"), SPOP_NORMAL);
}

TEST(spop_hello_read_no_2_x_is_unsupported)
{
	assert_int_equal(read_versions(""), SPOP_BAD_VERSION);
	assert_int_equal(read_versions("1.0"), SPOP_BAD_VERSION);
	assert_int_equal(read_versions("3.0"), SPOP_BAD_VERSION);
	assert_int_equal(read_versions("1.0, 3.2"), SPOP_BAD_VERSION);
	assert_int_equal(read_versions("1.2.0"), SPOP_BAD_VERSION);
	assert_int_equal(read_versions("12.0"), SPOP_BAD_VERSION);
	assert_int_equal(read_versions("20.0"), SPOP_BAD_VERSION);
	assert_int_equal(read_versions("2"), SPOP_BAD_VERSION);
	assert_int_equal(read_versions(","), SPOP_BAD_VERSION);
}

TEST(spop_hello_read_pipelining_is_found_in_a_list)
{
	assert_true(announces_pipelining("pipelining"));
	assert_true(announces_pipelining("pipelining,async"));
	assert_true(announces_pipelining("async,pipelining"));
	assert_true(announces_pipelining("  async ,  pipelining  "));
	assert_true(announces_pipelining(",,pipelining,"));
}

TEST(spop_hello_read_other_capabilities_are_not_pipelining)
{
	assert_false(announces_pipelining(""));
	assert_false(announces_pipelining("   "));
	assert_false(announces_pipelining(",,,"));
	assert_false(announces_pipelining("async"));
	assert_false(announces_pipelining("pipelining2"));
	assert_false(announces_pipelining("xpipelining"));
	assert_false(announces_pipelining("pipe lining"));
	assert_false(announces_pipelining("PIPELINING"));
	assert_false(announces_pipelining("pipelining;async"));
}

TEST(spop_hello_read_max_frame_size_below_256_is_bad)
{
	assert_int_equal(read_items(VERSIONS CAPABILITIES "0e'max-frame-size' 03 00"),
			 SPOP_BAD_FRAME_SIZE);
	assert_int_equal(read_items(VERSIONS CAPABILITIES "0e'max-frame-size' 03 ff00"),
			 SPOP_BAD_FRAME_SIZE);
}

TEST(spop_hello_read_max_frame_size_256_is_taken)
{
	struct spop_hello hello = read_good(VERSIONS CAPABILITIES "0e'max-frame-size' 03 f001");

	assert_int_equal(hello.max_frame_size, 256);
}

TEST(spop_hello_read_max_frame_size_of_32_bits_is_whole)
{
	struct spop_hello hello =
		read_good(VERSIONS CAPABILITIES "0e'max-frame-size' 03 fff0fefe7e");

	assert_int_equal(hello.max_frame_size, UINT32_MAX);
}

TEST(spop_hello_read_max_frame_size_two_to_the_40_is_the_greatest)
{
	struct spop_hello hello =
		read_good(VERSIONS CAPABILITIES "0e'max-frame-size' 05 f0f1fefefefe00");

	assert_int_equal(hello.max_frame_size, UINT32_MAX);
}

TEST(spop_hello_read_max_frame_size_of_any_integer_type_is_taken)
{
	assert_int_equal(read_items(VERSIONS "0e'max-frame-size' 02 fcf006"), SPOP_NORMAL);
	assert_int_equal(read_items(VERSIONS "0e'max-frame-size' 03 fcf006"), SPOP_NORMAL);
	assert_int_equal(read_items(VERSIONS "0e'max-frame-size' 04 fcf006"), SPOP_NORMAL);
	assert_int_equal(read_items(VERSIONS "0e'max-frame-size' 05 fcf006"), SPOP_NORMAL);
}

TEST(spop_hello_read_items_of_a_wrong_type_are_invalid)
{
	static const char *const cases[] = {
		"12'supported-versions' 00",
		"12'supported-versions' 03 02",
		"12'supported-versions' 09 03'2.0'",
		"0e'max-frame-size' 00",
		"0e'max-frame-size' 11",
		"0e'max-frame-size' 08 05'16380'",
		"0e'max-frame-size' 04 fff0fefefefefefefe0e", /* -1 */
		"0c'capabilities' 00",
		"0c'capabilities' 11",
		"0c'capabilities' 09 00",
		"09'engine-id' 05 01",
		"0b'healthcheck' 00",
		"0b'healthcheck' 03 01",
		"0b'healthcheck' 08 04'true'",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(VERSIONS FRAME_SIZE CAPABILITIES);
		enum spop_status status;
		vector_append(&v, cases[i], 1);
		(void)sweep_whole(vector_bytes(&v), decode_hello, &status);
		assert_int_equal(status, SPOP_INVALID);
	}
}

TEST(spop_hello_read_of_repeated_versions_the_last_counts)
{
	assert_int_equal(read_items("12'supported-versions' 08 03'1.0'" VERSIONS FRAME_SIZE),
			 SPOP_NORMAL);
	assert_int_equal(read_items(VERSIONS FRAME_SIZE "12'supported-versions' 08 03'1.0'"),
			 SPOP_BAD_VERSION);
}

TEST(spop_hello_read_of_repeated_sizes_the_last_counts)
{
	struct spop_hello hello = read_good("0e'max-frame-size' 03 01" VERSIONS FRAME_SIZE);

	assert_int_equal(hello.max_frame_size, 16380);
	assert_int_equal(read_items(VERSIONS FRAME_SIZE "0e'max-frame-size' 03 01"),
			 SPOP_BAD_FRAME_SIZE);
}

TEST(spop_hello_read_of_repeated_options_the_last_counts)
{
	struct spop_hello hello =
		read_good(VERSIONS FRAME_SIZE "0b'healthcheck' 11 0b'healthcheck' 01" CAPABILITIES
					      "0c'capabilities' 08 00 09'engine-id' 08 01'a'"
					      "09'engine-id' 08 00");

	assert_false(hello.healthcheck);
	assert_false(hello.pipelining);
	assert_int_equal(hello.engine_id.len, 0);
}

TEST(spop_hello_read_broken_items_are_invalid)
{
	static const char *const cases[] = {
		"ff",
		"05",
		"05'abc' 00",
		"01'a'",
		"01'a' 0a",
		"01'a' 0f 00",
		"01'a' 08",
		"01'a' 08 05'abc'",
		"01'a' 06 000000",
		"01'a' 08 fff0fefefefefefefe0e'x'",
		"fff0fefefefefefefe0e'x'",
		"f0f1fcfefefefefefe0e'x'",
		"ffffffffffffffffffffff",
		"01'a' 03 ffffffffffffffffffffff",
		"00",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(VERSIONS FRAME_SIZE CAPABILITIES);
		enum spop_status status;
		vector_append(&v, cases[i], 1);
		(void)sweep_whole(vector_bytes(&v), decode_hello, &status);
		assert_int_equal(status, SPOP_INVALID);
	}
}

static void put_agent_hello(struct writer *w, const void *context)
{
	(void)context;

	spop_put_agent_hello(w, 16380, true);
}

TEST(spop_put_agent_hello_with_pipelining_is_the_reference_frame)
{
	struct vector v = vector_of(FRAME_AGENT_HELLO);

	sweep_encoder(vector_bytes(&v), put_agent_hello, NULL);
}

static void put_agent_hello_plain(struct writer *w, const void *context)
{
	(void)context;

	spop_put_agent_hello(w, 16380, false);
}

TEST(spop_put_agent_hello_without_pipelining_is_the_reference_frame)
{
	struct vector v = vector_of(FRAME_AGENT_HELLO_NO_CAPABILITIES);

	sweep_encoder(vector_bytes(&v), put_agent_hello_plain, NULL);
}

static void put_healthcheck(struct writer *w, const void *context)
{
	(void)context;

	spop_put_healthcheck(w);
}

TEST(spop_put_healthcheck_is_the_reference_frame)
{
	struct vector v = vector_of(FRAME_HEALTHCHECK);

	sweep_encoder(vector_bytes(&v), put_healthcheck, NULL);
}

static void put_agent_disconnect(struct writer *w, const void *context)
{
	const enum spop_status *status = context;

	spop_put_agent_disconnect(w, *status, spop_status_text(*status));
}

TEST(spop_put_agent_disconnect_normal_is_the_reference_frame)
{
	struct vector v = vector_of(FRAME_AGENT_DISCONNECT_NORMAL);
	enum spop_status status = SPOP_NORMAL;

	sweep_encoder(vector_bytes(&v), put_agent_disconnect, &status);
}

TEST(spop_put_agent_disconnect_every_status_is_read_back)
{
	static const enum spop_status statuses[] = {
		SPOP_NORMAL,      SPOP_IO_ERROR,       SPOP_TIMEOUT,       SPOP_TOO_BIG,
		SPOP_INVALID,     SPOP_NO_VERSION,     SPOP_NO_FRAME_SIZE, SPOP_NO_CAPABILITIES,
		SPOP_BAD_VERSION, SPOP_BAD_FRAME_SIZE, SPOP_FRAGMENTED,    SPOP_INTERLACED,
		SPOP_NO_FRAME_ID, SPOP_RESOURCE,       SPOP_UNKNOWN,
	};

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct vector v = {0};
		struct writer w = writer_on(v.data, sizeof v.data);
		uint64_t status;
		struct bytes message;

		put_agent_disconnect(&w, &statuses[i]);

		v.len = w.len;
		struct spop_frame frame = frame_of(&v);
		assert_int_equal(frame.type, SPOP_AGENT_DISCONNECT);
		assert_int_equal(frame.flags, SPOP_FIN);
		assert_true(spop_disconnect_read(frame.payload, &status, &message));
		assert_int_equal(status, statuses[i]);
		assert_bytes_text(message, spop_status_text(statuses[i]));
	}
}

TEST(spop_disconnect_read_normal_is_the_reference_frame)
{
	struct vector v = vector_of(FRAME_HAPROXY_DISCONNECT_NORMAL);
	uint64_t status;
	struct bytes message;

	assert_true(spop_disconnect_read(frame_of(&v).payload, &status, &message));

	assert_int_equal(status, SPOP_NORMAL);
	assert_bytes_text(message, "normal");
}

TEST(spop_disconnect_read_idle_is_the_reference_frame)
{
	struct vector v = vector_of(FRAME_HAPROXY_DISCONNECT_IDLE);
	uint64_t status;
	struct bytes message;

	assert_true(spop_disconnect_read(frame_of(&v).payload, &status, &message));

	assert_int_equal(status, SPOP_TIMEOUT);
	assert_bytes_text(message, "a timeout occurred");
}

TEST(spop_disconnect_read_every_status_of_haproxy_is_taken)
{
	static const char *const codes[] = {"00", "01", "02", "03", "04", "05", "06", "07",
					    "08", "09", "0a", "0b", "0c", "0d", "63", "96"};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		struct vector code = vector_of(codes[i]);
		struct vector v = vector_of(STATUS_CODE);
		uint64_t status;
		vector_append(&v, codes[i], 1);
		vector_append(&v, MESSAGE "01'm'", 1);
		assert_int_equal(sweep_whole(vector_bytes(&v), decode_disconnect, &status), 1);
		assert_int_equal(status, code.data[0]);
	}
}

/* The truncation that is taken ends before the message. */
TEST(spop_disconnect_read_truncated_is_taken_without_its_message_only)
{
	struct vector v = vector_of(FRAME_HAPROXY_DISCONNECT_IDLE);
	uint64_t status;

	struct sweep_counts cut = sweep_decoder(frame_of(&v).payload, decode_disconnect, &status);

	assert_int_equal(cut.taken, 1);
}

TEST(spop_disconnect_read_without_message_has_an_empty_one)
{
	struct vector v = vector_of(STATUS_CODE "02");
	uint64_t status;
	struct bytes message;

	POISON(message);
	assert_true(spop_disconnect_read(vector_bytes(&v), &status, &message));

	assert_int_equal(status, 2);
	assert_int_equal(message.len, 0);
}

static void assert_disconnect_refused(const char *notation)
{
	struct vector v = vector_of(notation);
	uint64_t status;

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_disconnect, &status), -1);
}

TEST(spop_disconnect_read_without_status_is_refused)
{
	assert_disconnect_refused("");
	assert_disconnect_refused(MESSAGE "06'normal'");
	assert_disconnect_refused("0a'status-cod' 03 00");
}

TEST(spop_disconnect_read_status_of_a_wrong_type_is_refused)
{
	assert_disconnect_refused("0b'status-code' 08 01'0'");
	assert_disconnect_refused("0b'status-code' 00");
	assert_disconnect_refused("0b'status-code' 04 fff0fefefefefefefe0e");
}

TEST(spop_disconnect_read_broken_after_its_status_is_refused)
{
	assert_disconnect_refused(STATUS_CODE "00" MESSAGE "06'norma'");
	assert_disconnect_refused(STATUS_CODE "00 ff");
}

TEST(spop_disconnect_read_of_repeated_items_the_last_counts)
{
	struct vector v =
		vector_of(STATUS_CODE "01" MESSAGE "01'a'" STATUS_CODE "02" MESSAGE "01'b'");
	uint64_t status;
	struct bytes message;

	assert_true(spop_disconnect_read(vector_bytes(&v), &status, &message));

	assert_int_equal(status, 2);
	assert_bytes_text(message, "b");
}

TEST(spop_disconnect_read_last_status_of_a_wrong_type_is_refused)
{
	assert_disconnect_refused(STATUS_CODE "01 0b'status-code' 08 01'2'");
}

TEST(spop_disconnect_read_greatest_status_is_whole)
{
	struct vector v = vector_of("0b'status-code' 05 fff0fefefefefefefe0e");
	uint64_t status;

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_disconnect, &status), 1);

	assert_true(status == UINT64_MAX);
}

static bool is_good(const char *notation)
{
	struct vector v = vector_of(notation);

	return sweep_whole(vector_bytes(&v), decode_agent_hello, NULL) > 0;
}

TEST(spop_agent_hello_is_good_reference_frames_are)
{
	struct vector full = vector_of(FRAME_AGENT_HELLO);
	struct vector plain = vector_of(FRAME_AGENT_HELLO_NO_CAPABILITIES);

	struct sweep_counts cut = sweep_decoder(frame_of(&full).payload, decode_agent_hello, NULL);
	struct sweep_counts cut_plain =
		sweep_decoder(frame_of(&plain).payload, decode_agent_hello, NULL);

	/* Both are good without their capabilities, too: HAProxy takes that for none. */
	assert_int_equal(cut.taken, 1);
	assert_int_equal(cut_plain.taken, 1);
}

TEST(spop_agent_hello_is_good_other_versions_are_not)
{
	assert_false(is_good(FRAME_SIZE CAPABILITIES));
	assert_false(is_good("07'version' 08 03'2.1'" FRAME_SIZE CAPABILITIES));
	assert_false(is_good("07'version' 08 03'1.0'" FRAME_SIZE CAPABILITIES));
	assert_false(is_good("07'version' 08 00" FRAME_SIZE CAPABILITIES));
	assert_false(is_good("07'version' 03 02" FRAME_SIZE CAPABILITIES));
}

TEST(spop_agent_hello_is_good_sizes_outside_the_offer_are_not)
{
	assert_true(is_good(VERSION "0e'max-frame-size' 03 f001"));
	assert_true(is_good(VERSION "0e'max-frame-size' 03 fcf006"));
	assert_false(is_good(VERSION CAPABILITIES));
	assert_false(is_good(VERSION "0e'max-frame-size' 03 ff00"));
	assert_false(is_good(VERSION "0e'max-frame-size' 03 fdf006"));
	assert_false(is_good(VERSION "0e'max-frame-size' 08 05'16380'"));
	assert_false(is_good(VERSION "0e'max-frame-size' 05 fff0fefefefefefefe0e"));
}

TEST(spop_agent_hello_is_good_broken_ones_are_not)
{
	assert_false(is_good(""));
	assert_false(is_good(VERSION FRAME_SIZE "ff"));
	assert_false(is_good(VERSION FRAME_SIZE "01'a' 0a"));
	assert_false(is_good(VERSION FRAME_SIZE "01'a' 08 fff0fefefefefefefe0e"));
}

TEST(spop_agent_hello_is_good_what_we_answer_is)
{
	struct vector v = {0};
	struct writer w = writer_on(v.data, sizeof v.data);

	spop_put_agent_hello(&w, 256, true);

	v.len = w.len;
	assert_true(spop_agent_hello_is_good(frame_of(&v).payload));
}
