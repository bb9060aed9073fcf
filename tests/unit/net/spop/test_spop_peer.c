#include "net/spop/spop_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>
#include <sodium.h>

#include "base/clock.h"
#include "net/spop/spop_map.h"
#include "support/spop_frames.h"
#include "support/test.h"
#include "support/vector.h"
#include "unit/net/log_lines.h"
#include "unit/net/loop_time.h"
#include "unit/net/sockets.h"
#include "unit/net/spop/fake_engine.h"
#include "wire/spop_data.h"

#define CONNECTIONS_MAX 4

static struct ev_loop *loop;
static struct fake_engine fake;
static struct spop_server_stats stats;
static struct spop_peer_config config;
static struct list peers;
static size_t ended_count;
static int clients[CONNECTIONS_MAX];
static size_t client_count;

static void on_ended(void *owner, struct list *link)
{
	assert_ptr_equal(owner, &peers);
	list_remove(link);
	ended_count++;
}

static int open_on(struct pair pair)
{
	assert_true(spop_peer_open(&config, pair.ours, &peers));
	clients[client_count++] = pair.theirs;
	return pair.theirs;
}

static int open_peer(void)
{
	return open_on(pair_unix());
}

/* The peer that was opened last. */
static struct list *last_peer(void)
{
	assert_false(list_is_empty(&peers));
	return peers.prev;
}

static void turns(int count)
{
	while (count-- > 0)
		loop_turn(loop);
}

static int serve_on(struct pair pair)
{
	int fd = open_on(pair);

	send_hello(fd);
	turns(2);
	assert_gets(fd, "hello");
	return fd;
}

/* Behind the handshake. */
static int serve(void)
{
	return serve_on(pair_unix());
}

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

BEFORE_EACH
{
	faults = (struct faults){0};
	log_lines_clear();
	loop = ev_loop_new(EVFLAG_NOENV);
	fake_engine_init(&fake);
	stats = (struct spop_server_stats){0};
	list_init(&peers);
	ended_count = 0;
	config = (struct spop_peer_config){
		.engine = fake.engine,
		.streams = streams_new(loop, 16380 + SPOP_LENGTH_BYTES),
		.stats = &stats,
		.max_frame_size = 16380,
		.vars = SPOP_VARS_ALL,
		.ended = on_ended,
		.owner = &peers,
	};
}

AFTER_EACH
{
	for (struct list *link = peers.next; link != &peers; link = link->next)
		spop_peer_close(link);
	streams_free(config.streams);
	assert_true(list_is_empty(&peers));
	assert_int_equal(ended_count, client_count);
	while (client_count > 0)
		close(clients[--client_count]);
	fake_engine_release(&fake);
	ev_loop_destroy(loop);
}

/* ---- HELLO ---- */

static void assert_gets_bytes(int fd, const char *notation)
{
	struct vector expected = vector_of(notation);
	uint8_t data[1024];
	size_t len;

	(void)receive(fd, data, sizeof data, &len);
	assert_int_equal(len, expected.len);
	assert_memory_equal(data, expected.data, len);
}

TEST(spop_peer_hello_is_answered_in_full)
{
	static const char *const hellos[] = {FRAME_HELLO_3_0, FRAME_HELLO_3_1};

	for (size_t i = 0; i < ARRAY_SIZE(hellos); i++) {
		int fd = open_peer();
		send_notation(fd, hellos[i]);
		turns(2);
		assert_gets_bytes(fd, FRAME_AGENT_HELLO);
	}
	assert_int_equal(stats.hellos, 2);
	assert_int_equal(stats.agent_hellos, 2);
	assert_int_equal(stats.healthchecks, 0);
	assert_int_equal(log_lines_count(), 0);
}

TEST(spop_peer_hello_agrees_on_the_smaller_frame_size)
{
	int fd = open_peer();

	config.max_frame_size = 1000;
	send_hello(fd);
	turns(2);
	assert_gets_bytes(fd, "0000003f 65 00000001 00 00  07'version' 08 03'2.0' "
			      "0e'max-frame-size' 03 f82f 0c'capabilities' 08 0a'pipelining'");
	fd = open_peer();
	send_frame(fd, "01 00000001 00 00 12'supported-versions' 08 03'2.0' 0e'max-frame-size' 03 "
		       "f001 0c'capabilities' 08 00");
	turns(2);
	assert_gets_bytes(fd, "00000035 65 00000001 00 00  07'version' 08 03'2.0' "
			      "0e'max-frame-size' 03 f001 0c'capabilities' 08 00");
}

TEST(spop_peer_hello_may_come_byte_by_byte)
{
	struct vector hello = vector_of(FRAME_HELLO_3_1);
	int fd = open_peer();

	for (size_t i = 0; i < hello.len; i++) {
		assert_receives_nothing(fd);
		send_bytes(fd, bytes_from(hello.data + i, 1));
		turns(2);
	}
	assert_gets(fd, "hello");
}

TEST(spop_peer_without_a_hello_is_closed_after_10_s_without_an_answer)
{
	int fd = open_peer();

	loop_pass(loop, 9.9);
	assert_int_equal(ended_count, 0);
	loop_pass(loop, 0.2);

	assert_gets(fd, "end");
	assert_int_equal(ended_count, 1);
	assert_int_equal(stats.hello_timeouts, 1);
	assert_true(log_lines_have("spop_hello_timeout", "\"seconds\":10"));
}

TEST(spop_peer_with_half_a_hello_has_no_more_time)
{
	struct vector hello = vector_of(FRAME_HELLO_3_1);
	int fd = open_peer();

	for (size_t i = 0; i < 9; i++) {
		send_bytes(fd, bytes_from(hello.data + i, 1));
		loop_pass(loop, 1);
	}
	loop_pass(loop, 1.1);
	assert_gets(fd, "end");
	assert_int_equal(stats.hello_timeouts, 1);
}

TEST(spop_peer_behind_the_hello_may_be_quiet_for_ever)
{
	int fd = serve();

	loop_pass(loop, 10);
	loop_pass(loop, 3600);
	send_notify(fd, 1, 1);
	turns(2);

	assert_gets(fd, "ack 1.1");
	assert_int_equal(stats.hello_timeouts, 0);
}

TEST(spop_peer_healthcheck_is_answered_and_ended)
{
	int fd = open_peer();

	send_notation(fd, FRAME_HEALTHCHECK);
	turns(2);
	assert_gets(fd, "hello, end");
	assert_int_equal(stats.hellos, 1);
	assert_int_equal(stats.healthchecks, 1);
	assert_int_equal(stats.agent_hellos, 1);
	loop_pass(loop, 1.1);
	assert_int_equal(ended_count, 1);
	assert_int_equal(log_lines_count(), 0);
}

TEST(spop_peer_healthcheck_of_a_draining_server_is_told_to_look_elsewhere)
{
	int fd = open_peer();

	config.is_draining = true;
	send_notation(fd, FRAME_HEALTHCHECK);
	turns(2);
	assert_gets(fd, "bye 0 draining, end");
	assert_int_equal(stats.healthchecks, 1);
	assert_int_equal(stats.agent_hellos, 0);
	assert_int_equal(stats.agent_disconnects, 1);
	fd = serve();
	send_notify(fd, 1, 1);
	turns(2);
	assert_gets(fd, "ack 1.1");
}

static void assert_is_refused(int fd, enum spop_status status)
{
	char expected[100];

	snprintf(expected, sizeof expected, "bye %d %s, end", status, spop_status_text(status));
	assert_gets(fd, expected);
}

TEST(spop_peer_hello_that_is_broken_gets_its_status)
{
	static const struct {
		const char *frame;
		enum spop_status status;
	} cases[] = {
		{"03 00000001 01 01", SPOP_INVALID},
		{"01 00000000 00 00", SPOP_FRAGMENTED},
		{"01 00000001 00 00", SPOP_NO_VERSION},
		{"01 00000001 00 00 12'supported-versions' 08 03'1.0'", SPOP_BAD_VERSION},
		{"01 00000001 00 00 12'supported-versions' 08 03'2.0'", SPOP_NO_FRAME_SIZE},
		{"01 00000001 00 00 12'supported-versions' 08 03'2.0' 0e'max-frame-size' 03 01",
		 SPOP_BAD_FRAME_SIZE},
		{"00 00000001 00 00", SPOP_INVALID},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		log_lines_clear();
		turns(1);
		client_count = 0; /* closed here */
		ended_count = 0;
		stats = (struct spop_server_stats){0};
		int fd = open_peer();
		char field[40];
		send_frame(fd, cases[i].frame);
		turns(2);
		assert_is_refused(fd, cases[i].status);
		close(fd);
		turns(3);
		assert_int_equal(ended_count, 1);
		snprintf(field, sizeof field, "\"status\":%d", cases[i].status);
		assert_true(log_lines_have("spop_refused", field));
		assert_int_equal(stats.errors[spop_status_place(cases[i].status)], 1);
		assert_int_equal(stats.agent_disconnects, 1);
	}
	client_count = ended_count = 0;
}

TEST(spop_peer_disconnect_before_the_hello_is_answered)
{
	int fd = open_peer();

	send_notation(fd, FRAME_HAPROXY_DISCONNECT_NORMAL);
	turns(2);
	assert_gets(fd, "bye 0 normal, end");
	assert_int_equal(stats.disconnects, 1);
}

TEST(spop_peer_end_of_input_before_the_hello_ends_without_an_answer)
{
	int fd = open_peer();

	shutdown(fd, SHUT_WR);
	turns(3);
	assert_gets(fd, "end");
	assert_int_equal(ended_count, 1);
	assert_int_equal(log_lines_count(), 0);
}

/* ---- SERVING: NOTIFY and ACK ---- */

TEST(spop_peer_notify_is_answered_with_its_ids)
{
	int fd = serve();

	send_notify(fd, 1, 2);
	send_notify(fd, 0, 0);
	send_notify(fd, 239, 7);
	turns(2);
	assert_gets(fd, "ack 1.2, ack 0.0, ack 239.7");
	assert_int_equal(stats.notifies, 3);
	assert_int_equal(stats.acks, 3);
	assert_int_equal(fake.asked_count, 3);
}

TEST(spop_peer_notifies_of_a_turn_are_answered_in_one_send)
{
	int fd = serve();

	faults.sends = 0;
	for (unsigned i = 1; i <= 10; i++)
		send_notify(fd, i, 1);
	turns(2);
	assert_int_equal(faults.sends, 1);
	assert_gets(fd, "ack 1.1, ack 2.1, ack 3.1, ack 4.1, ack 5.1, ack 6.1, ack 7.1, ack 8.1, "
			"ack 9.1, ack 10.1");
}

TEST(spop_peer_notify_that_waits_is_answered_when_its_verdict_comes)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	send_notify(fd, 2, 5);
	send_notify(fd, 3, 1);
	turns(2);
	assert_receives_nothing(fd);
	assert_int_equal(stats.acks, 0);
	fake_engine_answer(&fake, 1);
	turns(1);
	assert_gets(fd, "ack 2.5");
	fake_engine_answer(&fake, 2);
	fake_engine_answer(&fake, 0);
	turns(1);
	assert_gets(fd, "ack 3.1, ack 1.1");
	assert_int_equal(stats.acks, 3);
}

/* The length of the ACK on a connection whose frames have at most so many bytes behind the LENGTH.
 */
static size_t ack_len_of(size_t max_frame_size)
{
	uint8_t data[1024], frame[128];
	struct writer w = writer_on(frame, sizeof frame);
	size_t begin = spop_frame_begin(&w, SPOP_HAPROXY_HELLO, 0, 0), len;
	int fd = open_peer();

	spop_put_string(&w, BYTES("supported-versions"));
	spop_data_put(&w, &(struct spop_data){.type = SPOP_STR, .bytes = BYTES("2.0")});
	spop_put_string(&w, BYTES("max-frame-size"));
	spop_data_put(&w, &(struct spop_data){.type = SPOP_UINT32, .natural = max_frame_size});
	spop_frame_end(&w, begin);
	send_bytes(fd, writer_bytes(&w));
	turns(2);
	assert_gets(fd, "hello");
	send_notify(fd, 1, 1);
	turns(2);
	(void)receive(fd, data, sizeof data, &len);
	return len;
}

/* Headers take what is left, but for what it would take to unset them. */
TEST(spop_peer_ack_is_as_large_as_was_agreed_at_most)
{
	size_t smallest_rest = SIZE_MAX;

	for (size_t max = 256; max < 420; max++) {
		size_t len = ack_len_of(max);
		assert_true(len <= max + SPOP_LENGTH_BYTES);
		if (max + SPOP_LENGTH_BYTES - len < smallest_rest)
			smallest_rest = max + SPOP_LENGTH_BYTES - len;
		spop_peer_close(last_peer());
		close(clients[--client_count]);
	}
	turns(1);
	ended_count = 0;
	assert_true(smallest_rest < 8);
}

TEST(spop_peer_ack_has_the_variables_of_the_config)
{
	uint8_t data[1024];
	size_t len;
	int fd = serve();

	config.vars = 0;
	send_notify(fd, 1, 1);
	turns(2);
	(void)receive(fd, data, sizeof data, &len);
	assert_non_null(memmem(data, len, "retry_after_ms", 14));
	assert_null(memmem(data, len, "policy", 6));
}

TEST(spop_peer_messages_of_a_notify_are_one_request)
{
	int fd = serve();

	send_frame(fd, "03 00000001 01 01  01'a' 01 03'src' 06 c0000201  "
		       "01'b' 02 03'src' 06 c0000202 01'x' 00");
	turns(2);
	assert_gets(fd, "ack 1.1");
	assert_int_equal(fake.asked_count, 1);
}

TEST(spop_peer_notify_without_messages_is_answered)
{
	int fd = serve();

	send_notation(fd, FRAME_NOTIFY_EMPTY);
	turns(2);
	assert_gets(fd, "ack 1.1");
	assert_int_equal(fake.asked_count, 0);
	assert_int_equal(log_lines_count(), 0);
}

TEST(spop_peer_notify_of_255_arguments_is_read)
{
	struct vector payload = vector_of("01'a' ff");
	uint8_t frame[VECTOR_MAX + 16];
	struct writer w = writer_on(frame, sizeof frame);
	int fd = serve();

	vector_append(&payload, "00 00", 254);
	vector_append(&payload, "03'src' 06 c0000201", 1);
	size_t begin = spop_frame_begin(&w, SPOP_NOTIFY, 1, 1);
	writer_put(&w, vector_bytes(&payload));
	spop_frame_end(&w, begin);
	send_bytes(fd, writer_bytes(&w));
	turns(2);
	assert_gets(fd, "ack 1.1");
	assert_int_equal(fake.asked_count, 1);
}

static void send_messages(int fd, size_t count)
{
	struct vector payload = {0};
	uint8_t frame[VECTOR_MAX + 16];
	struct writer w = writer_on(frame, sizeof frame);

	vector_append(&payload, "01'a' 00", count);
	size_t begin = spop_frame_begin(&w, SPOP_NOTIFY, 1, 1);
	writer_put(&w, vector_bytes(&payload));
	spop_frame_end(&w, begin);
	send_bytes(fd, writer_bytes(&w));
	turns(2);
}

TEST(spop_peer_notify_has_64_messages_at_most)
{
	int fd = serve();

	send_messages(fd, 64);
	assert_gets(fd, "ack 1.1");
	send_messages(fd, 65);
	assert_is_refused(fd, SPOP_INVALID);
}

TEST(spop_peer_invalid_request_is_answered_and_logged)
{
	int fd = serve();

	send_frame(fd, "03 00000001 01 01  01'a' 01 04'cost' 08 01'x'");
	turns(2);
	assert_gets(fd, "ack 1.1");
	assert_int_equal(log_lines_of("spop_message_invalid"), 1);
	assert_true(log_lines_have("spop_message_invalid", "cost"));
	assert_int_equal(stats.errors[SPOP_INVALID], 0);
}

/* ---- SERVING: what breaks the protocol ---- */

TEST(spop_peer_frame_that_breaks_the_protocol_gets_its_status)
{
	static const struct {
		const char *bytes; /* with the LENGTH */
		enum spop_status status;
		uint64_t others; /* frames that are counted as such */
	} cases[] = {
		{"00003ffd", SPOP_TOO_BIG, 0},
		{"ffffffff", SPOP_TOO_BIG, 0},
		{"00000006", SPOP_INVALID, 0},
		{"00000000", SPOP_INVALID, 0},
		{"00000007 03 00000000 01 01", SPOP_FRAGMENTED, 0},
		{"00000007 00 00000001 01 01", SPOP_FRAGMENTED, 1},
		{"00000007 00 00000000 01 01", SPOP_FRAGMENTED, 1},
		{FRAME_HELLO_3_1, SPOP_INVALID, 0},
		{FRAME_AGENT_HELLO, SPOP_INVALID, 1},
		{FRAME_AGENT_DISCONNECT_NORMAL, SPOP_INVALID, 1},
		{FRAME_ACK_EMPTY, SPOP_INVALID, 1},
		{"00000008 03 00000001 01 01 01", SPOP_INVALID, 0},
		{"0000000a 03 00000001 01 01 01'a' 01", SPOP_INVALID, 0},
		{"00000007 02 00000001 00 00", SPOP_INVALID, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		log_lines_clear();
		turns(1);
		int fd = serve();
		char field[40];
		stats = (struct spop_server_stats){0};
		send_notation(fd, cases[i].bytes);
		send_notify(fd, 1, 1); /* is not read */
		turns(2);
		assert_is_refused(fd, cases[i].status);
		close(fd);
		client_count--;
		turns(3);
		assert_int_equal(ended_count, 1);
		ended_count = 0;
		snprintf(field, sizeof field, "\"status\":%d", cases[i].status);
		assert_true(log_lines_have("spop_refused", field));
		assert_int_equal(stats.errors[spop_status_place(cases[i].status)], 1);
		assert_int_equal(stats.agent_disconnects, 1);
		assert_int_equal(stats.others, cases[i].others);
		assert_int_equal(stats.acks, 0);
	}
	assert_int_equal(fake.asked_count, 0);
}

/* More than the engine has inquiries: each of them is given back. */
TEST(spop_peer_notifies_that_can_not_be_decoded_cost_the_engine_nothing)
{
	int fd = serve();

	for (int i = 0; i < ASKED_MAX + 10; i++) {
		struct pair pair = pair_unix();
		assert_true(spop_peer_open(&config, pair.ours, &peers));
		send_hello(pair.theirs);
		send_frame(pair.theirs, "03 00000001 01 01 01");
		close(pair.theirs);
		turns(4);
	}
	assert_int_equal(ended_count, ASKED_MAX + 10);
	ended_count = 0;
	send_notify(fd, 1, 1);
	turns(2);
	assert_gets(fd, "ack 1.1");
}

TEST(spop_peer_frame_of_an_unknown_type_is_skipped)
{
	static const char *const types[] = {"04", "64", "68", "ff"};
	int fd = serve();

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		char frame[40];
		snprintf(frame, sizeof frame, "%s 00000001 00 00 'xyz'", types[i]);
		send_frame(fd, frame);
	}
	send_notify(fd, 1, 1);
	turns(2);
	assert_gets(fd, "ack 1.1");
	assert_int_equal(stats.others, 4);
	assert_int_equal(log_lines_count(), 0);
}

TEST(spop_peer_answers_what_came_before_a_broken_frame)
{
	int fd = serve();

	send_notify(fd, 1, 1);
	send_notation(fd, "00000000");
	turns(2);
	assert_gets(fd, "ack 1.1, bye 4 invalid frame received, end");
}

TEST(spop_peer_broken_frame_leaves_what_is_in_flight_without_an_answer)
{
	int other = serve();
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	send_notify(other, 2, 1);
	turns(2);
	send_notation(fd, "00000000");
	turns(2);
	for (size_t i = 0; i < 2; i++)
		fake_engine_answer(&fake, i);
	turns(2);
	assert_is_refused(fd, SPOP_INVALID);
	assert_gets(other, "ack 2.1");
	assert_int_equal(stats.acks, 1);
	assert_int_equal(stats.ended_owing, 1);
}

/* ---- SERVING: the end ---- */

TEST(spop_peer_disconnect_is_answered_whatever_it_says)
{
	static const struct {
		const char *frame;
		size_t status;
		bool is_logged;
	} cases[] = {
		{FRAME_HAPROXY_DISCONNECT_NORMAL, 0, false},
		{FRAME_HAPROXY_DISCONNECT_IDLE, 2, false},
		{"00000025 02 00000001 00 00 0b'status-code' 03 01 07'message' 08 06'io-err'", 1,
		 true},
		{"00000025 02 00000001 00 00 0b'status-code' 03 0d 07'message' 08 06'memory'", 13,
		 true},
		{"00000025 02 00000001 00 00 0b'status-code' 03 64 07'message' 08 06'unkown'", 14,
		 true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		log_lines_clear();
		turns(1);
		stats = (struct spop_server_stats){0};
		int fd = serve();
		send_notation(fd, cases[i].frame);
		turns(2);
		assert_gets(fd, "bye 0 normal, end");
		close(fd);
		client_count--;
		turns(3);
		assert_int_equal(ended_count, 1);
		ended_count = 0;
		assert_int_equal(log_lines_of("spop_disconnected"), cases[i].is_logged);
		assert_int_equal(stats.errors_of_haproxy[cases[i].status], cases[i].is_logged);
		assert_int_equal(stats.disconnects, 1);
		assert_int_equal(stats.agent_disconnects, 1);
	}
}

TEST(spop_peer_disconnect_waits_for_what_is_in_flight)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	send_notify(fd, 2, 1);
	send_notation(fd, FRAME_HAPROXY_DISCONNECT_NORMAL);
	turns(2);
	assert_receives_nothing(fd);
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_gets(fd, "ack 1.1");
	fake_engine_answer(&fake, 1);
	turns(2);
	assert_gets(fd, "ack 2.1, bye 0 normal, end");
}

/* What may stand behind a DISCONNECT of HAProxy's. */
static const struct {
	const char *name, *frames;
} frames_behind_a_disconnect[] = {
	{"a NOTIFY", "00000017 03 00000001 01 01 05'check' 01 03'src' 06 c0000201"},
	{"half a NOTIFY", "00000017 03 00000001 01 01 05'check'"},
	{"a NOTIFY without FIN", "00000017 03 00000000 01 01 05'check' 01 03'src' 06 c0000201"},
	{"a second DISCONNECT", FRAME_HAPROXY_DISCONNECT_IDLE},
	{"a HELLO", FRAME_HELLO_3_0},
	{"a frame that breaks the protocol", "00000000"},
	{"a length that is too large", "7fffffff"},
};

static void assert_nothing_but_goodbye(int fd)
{
	assert_gets(fd, "bye 0 normal, end");
	assert_int_equal(fake.asked_count, 0);
	assert_int_equal(stats.notifies, 0);
	assert_int_equal(stats.disconnects, 1);
	assert_int_equal(log_lines_count(), 0);
}

TEST_ROWS(frames_behind_a_disconnect)
{
	struct vector v = vector_of(FRAME_HAPROXY_DISCONNECT_NORMAL);
	int fd = serve();

	vector_append(&v, row->frames, 1);
	assert_int_equal(send(fd, v.data, v.len, MSG_NOSIGNAL), v.len);
	turns(2);
	assert_nothing_but_goodbye(fd);
}

TEST(spop_peer_throws_away_what_comes_behind_a_disconnect_before_the_hello)
{
	struct vector v = vector_of(FRAME_HAPROXY_DISCONNECT_NORMAL);
	int fd = open_peer();

	vector_append(&v, FRAME_HELLO_3_0, 1);
	assert_int_equal(send(fd, v.data, v.len, MSG_NOSIGNAL), v.len);
	turns(2);
	assert_nothing_but_goodbye(fd);
	assert_int_equal(stats.hellos, 0);
}

TEST(spop_peer_throws_away_what_comes_behind_a_disconnect_while_a_verdict_is_awaited)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	send_notation(fd, FRAME_HAPROXY_DISCONNECT_NORMAL);
	turns(2);
	send_notify(fd, 2, 1);
	turns(2);
	send_notation(fd, "00000017 03 00000001 03 01 05'check'");
	turns(2);
	assert_int_equal(fake.asked_count, 1);
	assert_receives_nothing(fd);
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_gets(fd, "ack 1.1, bye 0 normal, end");
	assert_int_equal(stats.notifies, 1);
}

/* The server drains: unlike HAProxy's DISCONNECT this can't be known by who sends the NOTIFY. */
TEST(spop_peer_that_drains_waits_for_a_notify_that_has_begun)
{
	int fd = serve();

	assert_true(spop_peer_end_with_answer(last_peer()));
	send_notation(fd, "00000017 03 00000001 01 01 05'check'");
	turns(2);
	assert_receives_nothing(fd);
	send_notation(fd, "01 03'src' 06 c0000201");
	turns(2);
	assert_gets(fd, "ack 1.1, bye 0 normal, end");
}

TEST(spop_peer_end_of_input_ends_without_a_disconnect)
{
	int fd = serve();

	send_notify(fd, 1, 1);
	shutdown(fd, SHUT_WR);
	turns(3);
	assert_gets(fd, "ack 1.1, end");
	assert_int_equal(ended_count, 1);
	assert_int_equal(stats.agent_disconnects, 0);
	assert_int_equal(log_lines_count(), 0);
}

TEST(spop_peer_end_of_input_waits_for_what_is_in_flight)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	send_notify(fd, 2, 1);
	shutdown(fd, SHUT_WR);
	turns(3);
	assert_int_equal(ended_count, 0);
	fake_engine_answer(&fake, 1);
	turns(3);
	assert_gets(fd, "ack 2.1");
	assert_int_equal(ended_count, 0);
	fake_engine_answer(&fake, 0);
	turns(3);
	assert_gets(fd, "ack 1.1, end");
	assert_int_equal(ended_count, 1);
}

TEST(spop_peer_reset_leaves_what_is_in_flight_without_an_answer)
{
	int fd = serve_on(pair_tcp());

	fake.waits = true;
	send_notify(fd, 1, 1);
	turns(2);
	close_by_reset(dup(fd));
	close_by_reset(fd);
	clients[client_count - 1] = dup(0);
	turns(3);
	assert_int_equal(ended_count, 1);
	fake_engine_answer(&fake, 0);
	assert_int_equal(stats.acks, 0);
	assert_int_equal(stats.ended_owing, 1);
}

TEST(spop_peer_that_owes_nothing_is_not_counted_as_owing)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	turns(2);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	turns(2);
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_gets(fd, "ack 1.1, end");
	(void)open_peer();
	spop_peer_close(last_peer());
	turns(2);
	assert_int_equal(ended_count, 2);
	assert_int_equal(stats.ended_owing, 0);
}

/* ---- what HAProxy sends ---- */

TEST(spop_peer_notes_when_it_was_asked_and_by_which_arguments)
{
	int fd = serve();

	assert_int_equal(stats.last_notify_us, 0);
	int64_t before_us = clock_now_us();
	send_frame(fd, "03 00000001 01 01  01'm' 02 03'src' 06 7f000001 04'user' 00");
	send_frame(fd, "03 00000001 02 01  01'm' 02 03'src' 06 7f000001 04'user' 08 01'x'");
	turns(2);
	assert_true(stats.last_notify_us >= before_us && stats.last_notify_us <= clock_now_us());
	assert_int_equal(stats.names.count, 2);
	assert_memory_equal(stats.names.items[0].text, "src", 3);
	assert_int_equal(stats.names.items[0].times, 2);
	assert_int_equal(stats.names.items[0].absent, 0);
	assert_int_equal(stats.names.items[1].times, 2);
	assert_int_equal(stats.names.items[1].absent, 1);
}

/* ---- back-pressure ---- */

/* 23 answers of 700 bytes and a DISCONNECT of 128 fit into 16,383 bytes; 24 do not. */
TEST(spop_peer_reads_only_what_it_has_room_to_answer)
{
	int fd = serve();

	fake.waits = true;
	for (unsigned i = 0; i < 30; i++)
		send_notify(fd, i, 1);
	turns(5);
	assert_int_equal(fake.asked_count, 23);
	fake_engine_answer(&fake, 0);
	assert_int_equal(fake.asked_count, 23); /* not before the answer has left */
	turns(3);
	assert_gets(fd, "ack 0.1");
	assert_int_equal(fake.asked_count, 24);
	fake.waits = false;
	for (size_t i = 1; i < 24; i++)
		fake_engine_answer(&fake, i);
	turns(5);
	assert_int_equal(fake.asked_count, 30);
	assert_int_equal(stats.acks, 30);
}

/* NOTIFYs whose ids make their ACKs so many bytes longer than those with ids of one byte. */
static size_t put_notifies(struct writer *w, size_t count, size_t longer)
{
	static const uint64_t ids[] = {1, 240, 2288, 264432, 33818864, 4328786160};
	const size_t most = ARRAY_SIZE(ids) - 1;

	for (size_t i = 0; i < count; i++) {
		size_t of_stream = longer < most ? longer : most;
		longer -= of_stream;
		size_t of_frame = longer < most ? longer : most;
		longer -= of_frame;
		struct vector payload = vector_of("05'check' 01 03'src' 06 c0000201");
		size_t begin = spop_frame_begin(w, SPOP_NOTIFY, ids[of_stream], ids[of_frame]);
		writer_put(w, bytes_from(payload.data, payload.len));
		spop_frame_end(w, begin);
	}
	return longer;
}

/* A NOTIFY is read as long as 16,383 bytes hold what was put, 700 bytes more and a DISCONNECT. */
TEST(spop_peer_reads_as_long_as_one_more_answer_fits_exactly)
{
	const size_t put = 16383 - 700 - 128;
	uint8_t memory[8192];
	size_t ack;
	int fd = serve();

	send_notify(fd, 1, 1);
	turns(2);
	(void)receive(fd, memory, sizeof memory, &ack);
	for (size_t over = 0; over <= 1; over++) {
		struct writer w = writer_on(memory, sizeof memory);
		size_t fit = put / ack, before = fake.asked_count;
		assert_int_equal(put_notifies(&w, fit, put % ack + over), 0);
		assert_int_equal(put_notifies(&w, 1, 0), 0);
		assert_false(w.full);
		send_bytes(fd, writer_bytes(&w));
		turns(1);
		assert_int_equal(fake.asked_count - before, fit + 1 - over);
		turns(5);
		assert_int_equal(fake.asked_count - before, fit + 1);
		(void)receive(fd, memory, sizeof memory, &w.len);
		while (w.len == sizeof memory)
			(void)receive(fd, memory, sizeof memory, &w.len);
	}
}

TEST(spop_peer_of_a_client_that_does_not_read_stops_reading)
{
	struct pair pair = pair_unix();
	make_buffers_small(pair);
	int fd = serve_on(pair);
	static uint8_t data[65536];
	size_t len;

	for (unsigned i = 0; i < 200; i++)
		send_notify(fd, i, 1);
	turns(20);
	size_t asked = fake.asked_count;
	assert_in_range(asked, 23, 120);
	turns(20);
	assert_int_equal(fake.asked_count, asked);
	assert_int_equal(ended_count, 0);
	for (int i = 0; i < 1000 && stats.acks < 200; i++) {
		(void)receive(fd, data, sizeof data, &len);
		turns(1);
	}
	assert_int_equal(stats.acks, 200);
}

TEST(spop_peer_of_a_client_that_does_not_read_is_not_idle)
{
	int fd = serve();

	fake.waits = true;
	for (unsigned i = 0; i < 24; i++)
		send_notify(fd, i, 1);
	send_notation(fd, FRAME_HAPROXY_DISCONNECT_NORMAL);
	turns(3);
	assert_true(spop_peer_end_if_quiet(last_peer(), INT64_MAX)); /* for a while it waits */
	for (size_t i = 0; i < 23; i++)
		fake_engine_answer(&fake, i);
	turns(5);
	assert_int_equal(fake.asked_count, 24);
	assert_int_equal(stats.agent_disconnects, 0);
	fake_engine_answer(&fake, 23);
	turns(3);
	assert_int_equal(stats.acks, 24);
	assert_int_equal(stats.agent_disconnects, 1);
}

/* ---- what the server ends ---- */

TEST(spop_peer_end_if_quiet_ends_who_was_not_used_since)
{
	int fd = serve();
	int64_t used_us = clock_mono_us();

	loop_time_pass(1);
	assert_false(spop_peer_end_if_quiet(last_peer(), used_us - 1));
	turns(2);
	assert_receives_nothing(fd);
	assert_true(spop_peer_end_if_quiet(last_peer(), used_us));
	turns(2);
	assert_gets(fd, "bye 0 normal, end");
	assert_true(spop_peer_end_if_quiet(last_peer(), used_us)); /* nothing is sent twice */
	turns(2);
	assert_gets(fd, "end");
	assert_int_equal(stats.agent_disconnects, 1);
}

TEST(spop_peer_end_if_quiet_waits_for_what_is_in_flight)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	turns(2);
	loop_time_pass(1);
	assert_true(spop_peer_end_if_quiet(last_peer(), clock_mono_us()));
	turns(2);
	assert_receives_nothing(fd);
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_gets(fd, "ack 1.1, bye 0 normal, end");
}

TEST(spop_peer_end_with_answer_ends_with_the_next_answer)
{
	int fd = serve();

	assert_true(spop_peer_end_with_answer(last_peer()));
	assert_false(spop_peer_end_with_answer(last_peer()));
	turns(2);
	assert_receives_nothing(fd);
	send_notify(fd, 1, 1);
	turns(2);
	assert_gets(fd, "ack 1.1, bye 0 normal, end");
	assert_false(spop_peer_end_with_answer(last_peer()));
}

TEST(spop_peer_end_with_answer_ends_when_nothing_is_in_flight)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	send_notify(fd, 2, 1);
	turns(2);
	assert_true(spop_peer_end_with_answer(last_peer()));
	fake_engine_answer(&fake, 1);
	turns(2);
	assert_gets(fd, "ack 2.1");
	send_notify(fd, 3, 1); /* still taken */
	turns(2);
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_gets(fd, "ack 1.1");
	fake_engine_answer(&fake, 2);
	turns(2);
	assert_gets(fd, "ack 3.1, bye 0 normal, end");
}

TEST(spop_peer_end_with_answer_of_one_that_has_ended)
{
	int fd = serve();

	send_notation(fd, "00000000");
	turns(2);
	assert_false(spop_peer_end_with_answer(last_peer()));
	assert_is_refused(fd, SPOP_INVALID);
}

TEST(spop_peer_take_no_more_answers_what_is_in_flight_only)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	turns(2);
	spop_peer_take_no_more(last_peer());
	send_notify(fd, 2, 1);
	turns(2);
	assert_int_equal(fake.asked_count, 1);
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_gets(fd, "ack 1.1, bye 0 normal, end");
}

TEST(spop_peer_take_no_more_of_an_idle_one_ends_it)
{
	int fd = serve();

	spop_peer_take_no_more(last_peer());
	turns(2);
	assert_gets(fd, "bye 0 normal, end");
}

TEST(spop_peer_end_sends_a_disconnect_whatever_is_in_flight)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	turns(2);
	spop_peer_end(last_peer());
	spop_peer_end(last_peer());
	streams_flush(config.streams);
	assert_gets(fd, "bye 0 normal, end");
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_gets(fd, "end");
	assert_int_equal(stats.acks, 0);
	assert_int_equal(stats.agent_disconnects, 1);
}

TEST(spop_peer_close_says_nothing)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	turns(2);
	spop_peer_close(last_peer());
	assert_int_equal(ended_count, 0);
	turns(1);
	assert_int_equal(ended_count, 1);
	fake_engine_answer(&fake, 0);
	turns(1);
	assert_gets(fd, "end");
}

TEST(spop_peers_stand_in_the_list_in_the_order_of_their_opening)
{
	int first = serve();
	struct list *link = last_peer();
	int second = serve();

	assert_ptr_equal(peers.next, link);
	assert_ptr_not_equal(peers.prev, link);
	spop_peer_end(peers.next);
	turns(2);
	assert_gets(first, "bye 0 normal, end");
	assert_receives_nothing(second);
}
