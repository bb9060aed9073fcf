#include "wire/spop_hello.h"

#include <inttypes.h>
#include <stdio.h>

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

/* ---- HAPROXY-HELLO is read ---- */

struct hello_read {
	enum spop_status status;
	char text[128]; /* "MAX_FRAME_SIZE pipelining healthcheck ENGINE_ID" */
};

static enum spop_status read_hello(const struct spop_frame *frame, char text[128])
{
	struct spop_hello hello;

	POISON(hello);
	enum spop_status status = spop_hello_read(frame, &hello);
	text[0] = '\0';
	if (status != SPOP_NORMAL) {
		assert_untouched(hello);
		return status;
	}
	assert_true(hello.max_frame_size >= SPOP_FRAME_LIMIT_MIN);
	assert_view_of(hello.engine_id, frame->payload);
	snprintf(text, 128, "%" PRIu32 "%s%s%s%.*s", hello.max_frame_size,
		 hello.pipelining ? " pipelining" : "", hello.healthcheck ? " healthcheck" : "",
		 hello.engine_id.len > 0 ? " " : "", (int)hello.engine_id.len,
		 hello.engine_id.len > 0 ? (const char *)hello.engine_id.data : "");
	return status;
}

/* The payload of a HAPROXY-HELLO with FIN and ids 0. */
static int decode_hello(struct bytes input, void *context)
{
	struct spop_frame frame = {.type = SPOP_HAPROXY_HELLO, .flags = SPOP_FIN, .payload = input};
	struct hello_read *ret_read = context;

	ret_read->status = read_hello(&frame, ret_read->text);
	assert_nothing_taken(frame.payload, input);
	return ret_read->status == SPOP_NORMAL ? 1 : -1;
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

/*
 * Truncated, they are taken where they end between two items behind the two mandatory ones: without
 * the last item, and without the last two.
 */
static const struct {
	const char *name, *frame, *hello;
} hellos_of_haproxy[] = {
	{"3.0", FRAME_HELLO_3_0, "16380 pipelining " UUID},
	{"3.1", FRAME_HELLO_3_1, "16380 pipelining " UUID},
	{"health check", FRAME_HEALTHCHECK, "16380 healthcheck"},
};

TEST_ROWS(hellos_of_haproxy)
{
	struct vector v = vector_of(row->frame);
	struct spop_frame frame = frame_of(&v);
	struct hello_read read;

	assert_int_equal(read_hello(&frame, read.text), SPOP_NORMAL);
	assert_string_equal(read.text, row->hello);

	struct sweep_counts cut = sweep_decoder(frame.payload, decode_hello, &read);
	assert_int_equal(cut.taken, 2);
	assert_string_equal(read.text, row->hello);
}

#define GOOD_ITEMS VERSIONS FRAME_SIZE CAPABILITIES

static const struct {
	const char *name, *frame;
	enum spop_status status;
} frames_of_hellos[] = {
	{"good", "01 00000001 00 00" GOOD_ITEMS, SPOP_NORMAL},
	{"type unset", "00 00000001 00 00" GOOD_ITEMS, SPOP_INVALID},
	{"type NOTIFY", "03 00000001 00 00" GOOD_ITEMS, SPOP_INVALID},
	{"type AGENT-HELLO", "65 00000001 00 00" GOOD_ITEMS, SPOP_INVALID},
	{"without flags", "01 00000000 00 00" GOOD_ITEMS, SPOP_FRAGMENTED},
	{"aborted without FIN", "01 00000002 00 00" GOOD_ITEMS, SPOP_FRAGMENTED},
	{"other flags and FIN", "01 80000001 00 00" GOOD_ITEMS, SPOP_NORMAL},
	{"stream id 1", "01 00000001 01 00" GOOD_ITEMS, SPOP_INVALID},
	{"frame id 1", "01 00000001 00 01" GOOD_ITEMS, SPOP_INVALID},
	{"stream id of 32 bits", "01 00000001 f0f1fefe7e 00" GOOD_ITEMS, SPOP_INVALID},
};

TEST_ROWS(frames_of_hellos)
{
	struct vector v = vector_frame(row->frame);
	struct spop_frame frame = frame_of(&v);
	char text[128];

	assert_int_equal(read_hello(&frame, text), row->status);
}

#define NO_CAPABILITIES VERSIONS FRAME_SIZE

static const struct {
	const char *name, *items;
	enum spop_status status;
	const char *hello;
} items_of_hellos[] = {
	{"any order", "0b'healthcheck' 11" CAPABILITIES FRAME_SIZE VERSIONS, SPOP_NORMAL,
	 "16380 pipelining healthcheck"},
	{"unknown items are skipped",
	 "01'x' 00" VERSIONS "00 11 07'version' 08 03'9.9'" FRAME_SIZE
	 "0f'max-frame-size2' 08 00" CAPABILITIES "01'y' 09 01 00",
	 SPOP_NORMAL, "16380 pipelining"},
	{"nothing", "", SPOP_NO_VERSION, ""},
	{"without versions", FRAME_SIZE CAPABILITIES, SPOP_NO_VERSION, ""},
	{"without max-frame-size", VERSIONS CAPABILITIES, SPOP_NO_FRAME_SIZE, ""},
	{"without capabilities", NO_CAPABILITIES, SPOP_NORMAL, "16380"},

	{"max-frame-size 0", VERSIONS CAPABILITIES "0e'max-frame-size' 03 00", SPOP_BAD_FRAME_SIZE,
	 ""},
	{"max-frame-size 255", VERSIONS CAPABILITIES "0e'max-frame-size' 03 ff00",
	 SPOP_BAD_FRAME_SIZE, ""},
	{"max-frame-size 256", VERSIONS CAPABILITIES "0e'max-frame-size' 03 f001", SPOP_NORMAL,
	 "256 pipelining"},
	{"max-frame-size of 32 bits", VERSIONS CAPABILITIES "0e'max-frame-size' 03 fff0fefe7e",
	 SPOP_NORMAL, "4294967295 pipelining"},
	{"max-frame-size 2^40", VERSIONS CAPABILITIES "0e'max-frame-size' 05 f0f1fefefefe00",
	 SPOP_NORMAL, "4294967295 pipelining"},
	{"max-frame-size INT32", VERSIONS "0e'max-frame-size' 02 fcf006", SPOP_NORMAL, "16380"},
	{"max-frame-size UINT32", VERSIONS "0e'max-frame-size' 03 fcf006", SPOP_NORMAL, "16380"},
	{"max-frame-size INT64", VERSIONS "0e'max-frame-size' 04 fcf006", SPOP_NORMAL, "16380"},
	{"max-frame-size UINT64", VERSIONS "0e'max-frame-size' 05 fcf006", SPOP_NORMAL, "16380"},

	/* Of items of one name the last counts. */
	{"versions, the last is good", "12'supported-versions' 08 03'1.0'" NO_CAPABILITIES,
	 SPOP_NORMAL, "16380"},
	{"versions, the last is bad", NO_CAPABILITIES "12'supported-versions' 08 03'1.0'",
	 SPOP_BAD_VERSION, ""},
	{"sizes, the last is good", "0e'max-frame-size' 03 01" NO_CAPABILITIES, SPOP_NORMAL,
	 "16380"},
	{"sizes, the last is bad", NO_CAPABILITIES "0e'max-frame-size' 03 01", SPOP_BAD_FRAME_SIZE,
	 ""},
	{"options, the last are empty",
	 NO_CAPABILITIES "0b'healthcheck' 11 0b'healthcheck' 01" CAPABILITIES
			 "0c'capabilities' 08 00 09'engine-id' 08 01'a' 09'engine-id' 08 00",
	 SPOP_NORMAL, "16380"},
};

TEST_ROWS(items_of_hellos)
{
	struct vector v = vector_of(row->items);
	struct hello_read read;

	(void)sweep_whole(vector_bytes(&v), decode_hello, &read);

	assert_int_equal(read.status, row->status);
	assert_string_equal(read.text, row->hello);
}

/* The name is an item behind good ones. */
static const struct {
	const char *name;
} bad_items_of_hellos[] = {
	/* of a wrong type */
	{"12'supported-versions' 00"},
	{"12'supported-versions' 03 02"},
	{"12'supported-versions' 09 03'2.0'"},
	{"0e'max-frame-size' 00"},
	{"0e'max-frame-size' 11"},
	{"0e'max-frame-size' 08 05'16380'"},
	{"0e'max-frame-size' 04 fff0fefefefefefefe0e"}, /* -1 */
	{"0c'capabilities' 00"},
	{"0c'capabilities' 11"},
	{"0c'capabilities' 09 00"},
	{"09'engine-id' 05 01"},
	{"0b'healthcheck' 00"},
	{"0b'healthcheck' 03 01"},
	{"0b'healthcheck' 08 04'true'"},
	/* broken */
	{"ff"},
	{"05"},
	{"05'abc' 00"},
	{"01'a'"},
	{"01'a' 0a"},
	{"01'a' 0f 00"},
	{"01'a' 08"},
	{"01'a' 08 05'abc'"},
	{"01'a' 06 000000"},
	{"01'a' 08 fff0fefefefefefefe0e'x'"},
	{"fff0fefefefefefefe0e'x'"},
	{"f0f1fcfefefefefefe0e'x'"},
	{"ffffffffffffffffffffff"},
	{"01'a' 03 ffffffffffffffffffffff"},
	{"00"},
};

TEST_ROWS(bad_items_of_hellos)
{
	struct vector v = vector_of(GOOD_ITEMS);
	struct hello_read read;

	vector_append(&v, row->name, 1);
	(void)sweep_whole(vector_bytes(&v), decode_hello, &read);

	assert_int_equal(read.status, SPOP_INVALID);
}

/* Reads good items, an item of this name that is still to come, and this text as its value. */
static struct hello_read read_with_text(const char *items, const char *text)
{
	struct vector v = vector_of(items);
	struct writer w = writer_on(v.data, sizeof v.data);
	struct hello_read read;

	w.len = v.len;
	writer_put_u8(&w, (uint8_t)strlen(text));
	writer_put_text(&w, text);
	(void)sweep_whole(writer_bytes(&w), decode_hello, &read);
	return read;
}

static const struct {
	const char *name; /* the versions */
	enum spop_status status;
} versions_of_hellos[] = {
	{"2.0", SPOP_NORMAL},           {"2.1", SPOP_NORMAL},        {"1.0, 2.1", SPOP_NORMAL},
	{"1.0,2.0,3.0", SPOP_NORMAL},   {"  2.0  ", SPOP_NORMAL},    {",,2.0", SPOP_NORMAL},
	{"", SPOP_BAD_VERSION},         {"1.0", SPOP_BAD_VERSION},   {"3.0", SPOP_BAD_VERSION},
	{"1.0, 3.2", SPOP_BAD_VERSION}, {"1.2.0", SPOP_BAD_VERSION}, {"12.0", SPOP_BAD_VERSION},
	{"20.0", SPOP_BAD_VERSION},     {",", SPOP_BAD_VERSION},     {"2", SPOP_NORMAL},
	{" 1.0 , 2 ", SPOP_NORMAL},     {"2,3", SPOP_NORMAL},        {"20", SPOP_BAD_VERSION},
	{"2-0", SPOP_BAD_VERSION},      {"2 0", SPOP_BAD_VERSION},
};

TEST_ROWS(versions_of_hellos)
{
	struct hello_read read =
		read_with_text(FRAME_SIZE CAPABILITIES "12'supported-versions' 08", row->name);

	assert_int_equal(read.status, row->status);
}

static const struct {
	const char *name; /* the capabilities */
	const char *hello;
} capabilities_of_hellos[] = {
	{"pipelining", "16380 pipelining"},
	{"pipelining,async", "16380 pipelining"},
	{"async,pipelining", "16380 pipelining"},
	{"  async ,  pipelining  ", "16380 pipelining"},
	{",,pipelining,", "16380 pipelining"},
	{"", "16380"},
	{"   ", "16380"},
	{",,,", "16380"},
	{"async", "16380"},
	{"pipelining2", "16380"},
	{"xpipelining", "16380"},
	{"pipe lining", "16380"},
	{"PIPELINING", "16380"},
	{"pipelining;async", "16380"},
};

TEST_ROWS(capabilities_of_hellos)
{
	struct hello_read read =
		read_with_text(VERSIONS FRAME_SIZE "0c'capabilities' 08", row->name);

	assert_string_equal(read.text, row->hello);
}

/* ---- frames are put ---- */

static void put_agent_hello(struct writer *w, const void *context)
{
	(void)context;

	spop_put_agent_hello(w, 16380, true);
}

static void put_agent_hello_plain(struct writer *w, const void *context)
{
	(void)context;

	spop_put_agent_hello(w, 16380, false);
}

static void put_healthcheck(struct writer *w, const void *context)
{
	(void)context;

	spop_put_healthcheck(w);
}

static void put_agent_disconnect(struct writer *w, const void *context)
{
	const enum spop_status *status = context;

	spop_put_agent_disconnect(w, *status, spop_status_text(*status));
}

static const enum spop_status normal = SPOP_NORMAL;

static const struct {
	const char *name;
	sweep_put_fn put;
	const void *context;
	const char *frame;
} reference_frames[] = {
	{"AGENT-HELLO with pipelining", put_agent_hello, NULL, FRAME_AGENT_HELLO},
	{"AGENT-HELLO without pipelining", put_agent_hello_plain, NULL,
	 FRAME_AGENT_HELLO_NO_CAPABILITIES},
	{"health check", put_healthcheck, NULL, FRAME_HEALTHCHECK},
	{"AGENT-DISCONNECT", put_agent_disconnect, &normal, FRAME_AGENT_DISCONNECT_NORMAL},
};

TEST_ROWS(reference_frames)
{
	struct vector v = vector_of(row->frame);

	sweep_encoder(vector_bytes(&v), row->put, row->context);
}

#define STATUS(status)          \
	{                       \
#status, status \
	}

static const struct {
	const char *name;
	enum spop_status status;
} statuses_read_back[] = {
	STATUS(SPOP_NORMAL),         STATUS(SPOP_IO_ERROR),        STATUS(SPOP_TIMEOUT),
	STATUS(SPOP_TOO_BIG),        STATUS(SPOP_INVALID),         STATUS(SPOP_NO_VERSION),
	STATUS(SPOP_NO_FRAME_SIZE),  STATUS(SPOP_NO_CAPABILITIES), STATUS(SPOP_BAD_VERSION),
	STATUS(SPOP_BAD_FRAME_SIZE), STATUS(SPOP_FRAGMENTED),      STATUS(SPOP_INTERLACED),
	STATUS(SPOP_NO_FRAME_ID),    STATUS(SPOP_RESOURCE),        STATUS(SPOP_UNKNOWN),
};

TEST_ROWS(statuses_read_back)
{
	struct vector v = {0};
	struct writer w = writer_on(v.data, sizeof v.data);
	uint64_t status;
	struct bytes message;

	put_agent_disconnect(&w, &row->status);

	v.len = w.len;
	struct spop_frame frame = frame_of(&v);
	assert_int_equal(frame.type, SPOP_AGENT_DISCONNECT);
	assert_int_equal(frame.flags, SPOP_FIN);
	assert_true(spop_disconnect_read(frame.payload, &status, &message));
	assert_int_equal(status, row->status);
	assert_bytes_text(message, spop_status_text(row->status));
}

/* ---- HAPROXY-DISCONNECT is read ---- */

/* Leaves "STATUS MESSAGE" in the context. */
static int decode_disconnect(struct bytes input, void *context)
{
	uint64_t status;
	struct bytes message;
	char *ret_text = context;

	POISON(status);
	POISON(message);
	ret_text[0] = '\0';
	if (!spop_disconnect_read(input, &status, &message)) {
		assert_untouched(status);
		assert_untouched(message);
		return -1;
	}
	assert_view_of(message, input);
	snprintf(ret_text, 128, "%" PRIu64 " %.*s", status, (int)message.len,
		 message.len > 0 ? (const char *)message.data : "");
	return 1;
}

/* Truncated, one is taken where it ends before the message. */
static const struct {
	const char *name, *frame, *expected;
} disconnects_of_haproxy[] = {
	{"normal", FRAME_HAPROXY_DISCONNECT_NORMAL, "0 normal"},
	{"idle", FRAME_HAPROXY_DISCONNECT_IDLE, "2 a timeout occurred"},
};

TEST_ROWS(disconnects_of_haproxy)
{
	struct vector v = vector_of(row->frame);
	char text[128];

	struct sweep_counts cut = sweep_decoder(frame_of(&v).payload, decode_disconnect, text);

	assert_string_equal(text, row->expected);
	assert_int_equal(cut.taken, 1);
}

/* The name is the status code of a frame with the message "m". */
static const struct {
	const char *name, *expected;
} disconnect_codes[] = {
	{"00", "0 m"},  {"01", "1 m"},  {"02", "2 m"},  {"03", "3 m"},
	{"04", "4 m"},  {"05", "5 m"},  {"06", "6 m"},  {"07", "7 m"},
	{"08", "8 m"},  {"09", "9 m"},  {"0a", "10 m"}, {"0b", "11 m"},
	{"0c", "12 m"}, {"0d", "13 m"}, {"63", "99 m"}, {"96", "150 m"},
};

TEST_ROWS(disconnect_codes)
{
	struct vector v = vector_of(STATUS_CODE);
	char text[128];

	vector_append(&v, row->name, 1);
	vector_append(&v, MESSAGE "01'm'", 1);

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_disconnect, text), 1);
	assert_string_equal(text, row->expected);
}

static const struct {
	const char *name, *items;
	const char *expected; /* NULL: refused */
} disconnects[] = {
	{"without a message", STATUS_CODE "02", "2 "},
	{"of repeated items the last counts",
	 STATUS_CODE "01" MESSAGE "01'a'" STATUS_CODE "02" MESSAGE "01'b'", "2 b"},
	{"the greatest status", "0b'status-code' 05 fff0fefefefefefefe0e", "18446744073709551615 "},
	{"nothing", "", NULL},
	{"message without status", MESSAGE "06'normal'", NULL},
	{"another name", "0a'status-cod' 03 00", NULL},
	{"status is text", "0b'status-code' 08 01'0'", NULL},
	{"status is null", "0b'status-code' 00", NULL},
	{"status is -1", "0b'status-code' 04 fff0fefefefefefefe0e", NULL},
	{"broken message behind its status", STATUS_CODE "00" MESSAGE "06'norma'", NULL},
	{"broken name behind its status", STATUS_CODE "00 ff", NULL},
	{"the last status is text", STATUS_CODE "01 0b'status-code' 08 01'2'", NULL},
};

TEST_ROWS(disconnects)
{
	struct vector v = vector_of(row->items);
	char text[128];

	int result = sweep_whole(vector_bytes(&v), decode_disconnect, text);

	assert_int_equal(result, row->expected != NULL ? 1 : -1);
	assert_string_equal(text, row->expected != NULL ? row->expected : "");
}

/* ---- AGENT-HELLO is checked ---- */

static int decode_agent_hello(struct bytes input, void *context)
{
	(void)context;

	return spop_agent_hello_is_good(input) ? 1 : -1;
}

static const struct {
	const char *name, *items;
	bool is_good;
} agent_hellos[] = {
	{"without a version", FRAME_SIZE CAPABILITIES, false},
	{"version 2.1", "07'version' 08 03'2.1'" FRAME_SIZE CAPABILITIES, false},
	{"version 1.0", "07'version' 08 03'1.0'" FRAME_SIZE CAPABILITIES, false},
	{"empty version", "07'version' 08 00" FRAME_SIZE CAPABILITIES, false},
	{"version is a number", "07'version' 03 02" FRAME_SIZE CAPABILITIES, false},
	{"max-frame-size 256", VERSION "0e'max-frame-size' 03 f001", true},
	{"max-frame-size as offered", VERSION "0e'max-frame-size' 03 fcf006", true},
	{"without max-frame-size", VERSION CAPABILITIES, false},
	{"max-frame-size 255", VERSION "0e'max-frame-size' 03 ff00", false},
	{"max-frame-size above the offer", VERSION "0e'max-frame-size' 03 fdf006", false},
	{"max-frame-size is text", VERSION "0e'max-frame-size' 08 05'16380'", false},
	{"max-frame-size 2^64 - 1", VERSION "0e'max-frame-size' 05 fff0fefefefefefefe0e", false},
	{"nothing", "", false},
	{"broken name", VERSION FRAME_SIZE "ff", false},
	{"broken type", VERSION FRAME_SIZE "01'a' 0a", false},
	{"broken length", VERSION FRAME_SIZE "01'a' 08 fff0fefefefefefefe0e", false},
};

TEST_ROWS(agent_hellos)
{
	struct vector v = vector_of(row->items);

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_agent_hello, NULL),
			 row->is_good ? 1 : -1);
}

/* Both are good without their capabilities, too: HAProxy takes that for none. */
static const struct {
	const char *name, *frame;
} good_agent_hellos[] = {
	{"with pipelining", FRAME_AGENT_HELLO},
	{"without pipelining", FRAME_AGENT_HELLO_NO_CAPABILITIES},
};

TEST_ROWS(good_agent_hellos)
{
	struct vector v = vector_of(row->frame);

	struct sweep_counts cut = sweep_decoder(frame_of(&v).payload, decode_agent_hello, NULL);

	assert_int_equal(cut.taken, 1);
}

TEST(spop_agent_hello_is_good_what_we_answer_is)
{
	struct vector v = {0};
	struct writer w = writer_on(v.data, sizeof v.data);

	spop_put_agent_hello(&w, 256, true);

	v.len = w.len;
	assert_true(spop_agent_hello_is_good(frame_of(&v).payload));
}
