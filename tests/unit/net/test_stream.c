#include "net/stream.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/test.h"
#include "unit/net/loop_time.h"
#include "unit/net/sockets.h"

#define INPUT_MAX 70000

/* ---- an owner that notes what it is told and does what the test says ---- */

struct owner {
	struct stream stream;
	int theirs;
	const uint8_t *view;     /* where the input of the last call was */
	uint8_t seen[INPUT_MAX]; /* the input of the last call */
	size_t seen_len;
	size_t takes; /* how many bytes of it the owner takes */
	void (*on_input)(struct owner *owner);
	void (*on_timeout)(struct owner *owner);
	void (*on_over)(struct owner *owner);
	unsigned inputs, overs, timeouts, closes;
};

static struct ev_loop *loop;
static struct streams *streams;

static struct owner *owner_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct owner, stream);
}

static void input(struct stream *stream, struct bytes *input)
{
	struct owner *owner = owner_of(stream);

	assert_true(input->len <= sizeof owner->seen);
	owner->inputs++;
	owner->view = input->data;
	owner->seen_len = input->len;
	if (input->len > 0)
		memcpy(owner->seen, input->data, input->len);
	if (owner->on_input != NULL)
		owner->on_input(owner);
	*input = bytes_skip(*input, owner->takes < input->len ? owner->takes : input->len);
}

static void input_over(struct stream *stream)
{
	struct owner *owner = owner_of(stream);

	owner->overs++;
	if (owner->on_over != NULL)
		owner->on_over(owner);
}

static void timeout(struct stream *stream)
{
	struct owner *owner = owner_of(stream);

	owner->timeouts++;
	if (owner->on_timeout != NULL)
		owner->on_timeout(owner);
}

static void closed(struct stream *stream)
{
	owner_of(stream)->closes++;
}

static const struct stream_owner callbacks = {input, input_over, timeout, closed, NULL};

static struct owner *owner_on(struct pair pair)
{
	struct owner *owner = calloc(1, sizeof *owner);

	assert_non_null(owner);
	owner->theirs = pair.theirs;
	owner->takes = SIZE_MAX;
	stream_init(&owner->stream, streams, &callbacks, pair.ours);
	return owner;
}

static struct owner *owner_new(void)
{
	return owner_on(pair_unix());
}

static void owner_free(struct owner *owner)
{
	stream_close(&owner->stream);
	loop_turn(loop);
	assert_int_equal(owner->closes, 1);
	if (owner->theirs >= 0)
		close(owner->theirs);
	free(owner);
}

static void assert_saw(const struct owner *owner, unsigned inputs, const char *text)
{
	assert_int_equal(owner->inputs, inputs);
	assert_int_equal(owner->seen_len, strlen(text));
	assert_memory_equal(owner->seen, text, strlen(text));
}

static void put(struct owner *owner, const char *text)
{
	struct writer *out = stream_writer(&owner->stream, strlen(text));

	assert_non_null(out);
	writer_put_text(out, text);
	assert_false(out->full);
}

/* Output that can be told apart at every place. */
static void fill(struct owner *owner, size_t len)
{
	struct writer *out = stream_writer(&owner->stream, len);

	assert_non_null(out);
	for (size_t i = 0; i < len; i++)
		writer_put_u8(out, (uint8_t)(i * 7 + i / 256));
}

static void assert_filled(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(data[i], (uint8_t)(i * 7 + i / 256));
}

/* Turns the loop until so many bytes have come, and checks that they are what was filled in. */
static enum received receive_filled(struct owner *owner, size_t len)
{
	uint8_t data[STREAM_OUT_MAX + 1];
	enum received end = RECEIVED_SOME;
	size_t at = 0, got;

	assert_true(len < sizeof data);
	for (int turns = 0; end == RECEIVED_SOME && turns < 100; turns++) {
		end = receive(owner->theirs, data + at, sizeof data - at, &got);
		at += got;
		loop_turn(loop);
	}
	assert_int_equal(at, len);
	assert_filled(data, len);
	return end;
}

BEFORE_EACH
{
	faults = (struct faults){0};
	loop = ev_loop_new(EVFLAG_NOENV);
	streams = streams_new(loop, INPUT_MAX);
	assert_non_null(streams);
}

AFTER_EACH
{
	streams_free(streams);
	ev_loop_destroy(loop);
}

/* ---- OPEN: input ---- */

TEST(stream_input_is_handed_over_as_it_came)
{
	struct owner *owner = owner_new();

	send_text(owner->theirs, "one");
	loop_turn(loop);
	assert_saw(owner, 1, "one");
	loop_turn(loop);
	assert_int_equal(owner->inputs, 1);
	send_text(owner->theirs, "two");
	loop_turn(loop);
	assert_saw(owner, 2, "two");

	owner_free(owner);
}

TEST(stream_input_that_is_taken_leaves_no_block)
{
	struct owner *owner = owner_new();

	send_text(owner->theirs, "one");
	loop_turn(loop);

	assert_null(owner->stream.carried);
	assert_int_equal(owner->stream.carried_len, 0);
	assert_null(owner->stream.out.data);
	owner_free(owner);
}

TEST(stream_input_that_is_left_comes_again_in_front_of_the_next)
{
	struct owner *owner = owner_new();

	owner->takes = 2;
	send_text(owner->theirs, "abcde");
	loop_turn(loop);
	assert_saw(owner, 1, "abcde");
	loop_turn(loop);
	assert_int_equal(owner->inputs, 1);
	send_text(owner->theirs, "f");
	loop_turn(loop);
	assert_saw(owner, 2, "cdef");
	owner->takes = 4;
	send_text(owner->theirs, "gh");
	loop_turn(loop);
	assert_saw(owner, 3, "efgh");
	assert_null(owner->stream.carried);

	owner_free(owner);
}

TEST(stream_input_of_the_longest_that_may_be_left_is_carried_whole)
{
	struct owner *owner = owner_new();
	static char text[INPUT_MAX];

	owner->takes = 0;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 31 + i / 256);
	send_bytes(owner->theirs, bytes_from(text, INPUT_MAX - 1));
	for (int i = 0; i < 10; i++)
		loop_turn(loop);
	assert_int_equal(owner->seen_len, INPUT_MAX - 1);
	owner->takes = SIZE_MAX;
	send_bytes(owner->theirs, bytes_from(text + INPUT_MAX - 1, 1));
	loop_turn(loop);

	assert_int_equal(owner->seen_len, INPUT_MAX);
	assert_memory_equal(owner->seen, text, INPUT_MAX);
	assert_int_equal(owner->overs, 0);
	owner_free(owner);
}

TEST(stream_input_that_trickles_is_appended_where_it_lies)
{
	struct owner *owner = owner_new();

	owner->takes = 0;
	send_text(owner->theirs, "a");
	loop_turn(loop);
	send_text(owner->theirs, "b");
	loop_turn(loop);
	const uint8_t *view = owner->view;
	send_text(owner->theirs, "c");
	loop_turn(loop);
	assert_saw(owner, 3, "abc");
	assert_ptr_equal(owner->view, view);
	assert_ptr_equal(owner->view, owner->stream.carried);
	/* What the owner takes off the front moves nothing either. */
	owner->takes = 2;
	send_text(owner->theirs, "d");
	loop_turn(loop);
	send_text(owner->theirs, "e");
	loop_turn(loop);
	assert_saw(owner, 5, "cde");
	assert_ptr_equal(owner->view, view + 2);

	owner_free(owner);
}

TEST(stream_input_moves_to_the_front_when_the_end_of_the_block_is_near)
{
	struct owner *owner = owner_new();
	static char text[INPUT_MAX];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 31 + i / 256);
	for (size_t sent = 0; sent < 5000; sent += 10) {
		/* 20 bytes are carried after the first two calls. */
		owner->takes = sent < 20 ? 0 : 10;
		send_bytes(owner->theirs, bytes_from(text + sent, 10));
		loop_turn(loop);
		assert_memory_equal(owner->seen, text + sent + 10 - owner->seen_len,
				    owner->seen_len);
	}
	assert_int_equal(owner->seen_len, 30);
	/* As much as may be left still has room behind them. */
	owner->takes = 0;
	send_bytes(owner->theirs, bytes_from(text + 5000, 60000));
	for (int i = 0; i < 10; i++)
		loop_turn(loop);
	assert_int_equal(owner->seen_len, 60020);
	assert_memory_equal(owner->seen, text + 4980, 60020);

	owner_free(owner);
}

static void close_in_input(struct owner *owner)
{
	stream_close(&owner->stream);
	/* The owner may still read in its view. */
	assert_memory_equal(owner->view, owner->seen, owner->seen_len);
}

TEST(stream_input_stays_readable_when_the_owner_closes_while_it_reads)
{
	struct owner *owner = owner_new();

	owner->takes = 0;
	send_text(owner->theirs, "one");
	loop_turn(loop);
	owner->on_input = close_in_input;
	send_text(owner->theirs, "two");
	loop_turn(loop);

	assert_saw(owner, 2, "onetwo");
	assert_null(owner->stream.carried);
	owner_free(owner);
}

TEST(stream_blocks_of_one_megabyte_at_most_are_kept)
{
	enum { LARGE = 700000, COUNT = 4 };
	struct streams *large = streams_new(loop, LARGE);
	struct owner *owners[COUNT];
	struct pair pair;
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;

	for (size_t i = 0; i < COUNT; i++) {
		pair = pair_unix();
		owners[i] = calloc(1, sizeof *owners[i]);
		owners[i]->theirs = pair.theirs;
		stream_init(&owners[i]->stream, large, &callbacks, pair.ours);
		send_text(owners[i]->theirs, "a");
	}
	loop_turn(loop);
	for (size_t i = 0; i < COUNT; i++) {
		assert_non_null(owners[i]->stream.carried);
		owner_free(owners[i]);
	}

	assert_true(mallinfo2().uordblks + mallinfo2().hblkhd - before < 1048576);
	streams_free(large);
}

TEST(stream_input_of_a_turn_is_64_kb_also_when_less_is_waited_for)
{
	struct streams *small = streams_new(loop, 100);
	struct pair pair = pair_unix();
	struct owner *owner = calloc(1, sizeof *owner);
	static char text[65537];

	*owner = (struct owner){.theirs = pair.theirs, .takes = SIZE_MAX};
	stream_init(&owner->stream, small, &callbacks, pair.ours);
	send_bytes(owner->theirs, bytes_from(text, sizeof text));
	loop_turn(loop);
	assert_int_equal(owner->seen_len, 65536);
	loop_turn(loop);
	assert_int_equal(owner->seen_len, 1);

	owner_free(owner);
	streams_free(small);
}

TEST(stream_input_of_two_streams_is_kept_apart)
{
	struct owner *one = owner_new(), *two = owner_new();

	one->takes = two->takes = 0;
	send_text(one->theirs, "1");
	send_text(two->theirs, "2");
	loop_turn(loop);
	send_text(one->theirs, "one");
	send_text(two->theirs, "two");
	loop_turn(loop);
	assert_saw(one, 2, "1one");
	assert_saw(two, 2, "2two");

	owner_free(one);
	owner_free(two);
}

TEST(stream_read_that_is_interrupted_is_made_again)
{
	static const int errors[] = {EAGAIN, EINTR};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct owner *owner = owner_new();
		send_text(owner->theirs, "one");
		faults.read_error = errors[i];
		loop_turn(loop);
		assert_int_equal(owner->stream.state, STREAM_OPEN);
		assert_int_equal(owner->inputs, 0);
		faults.read_error = 0;
		loop_turn(loop);
		assert_saw(owner, 1, "one");
		owner_free(owner);
	}
}

TEST(stream_read_that_fails_closes)
{
	struct owner *owner = owner_new();

	send_text(owner->theirs, "one");
	faults.read_error = EIO;
	loop_turn(loop);
	faults.read_error = 0;

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	assert_int_equal(owner->inputs + owner->overs, 0);
	owner_free(owner);
}

TEST(stream_reset_closes_without_an_end_of_input)
{
	struct owner *owner = owner_on(pair_tcp());

	owner->takes = 0;
	send_text(owner->theirs, "carried");
	loop_turn(loop);
	close_by_reset(owner->theirs);
	owner->theirs = -1;
	loop_turn(loop);
	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	assert_int_equal(owner->closes, 0);
	loop_turn(loop);

	assert_int_equal(owner->closes, 1);
	assert_int_equal(owner->overs, 0);
	assert_null(owner->stream.carried);
	owner_free(owner);
}

/* ---- OPEN: the other side sends no more ---- */

TEST(stream_end_of_input_is_told_once_and_output_goes_on)
{
	struct owner *owner = owner_new();

	shutdown(owner->theirs, SHUT_WR);
	loop_turn(loop);
	loop_turn(loop);
	assert_int_equal(owner->overs, 1);
	assert_int_equal(owner->stream.state, STREAM_OPEN);
	assert_false(ev_is_active(&owner->stream.readable));
	put(owner, "answer");
	loop_turn(loop);

	assert_receives(owner->theirs, "answer");
	owner_free(owner);
}

TEST(stream_end_of_input_is_told_after_the_input_and_with_input_that_was_left)
{
	struct owner *owner = owner_new();

	owner->takes = 1;
	send_text(owner->theirs, "half");
	shutdown(owner->theirs, SHUT_WR);
	loop_turn(loop);
	assert_saw(owner, 1, "half");
	assert_int_equal(owner->overs, 0);
	loop_turn(loop);

	assert_int_equal(owner->inputs, 1);
	assert_int_equal(owner->overs, 1);
	owner_free(owner);
}

static void finish(struct owner *owner)
{
	stream_finish(&owner->stream);
}

TEST(stream_end_of_input_then_finish_closes_at_once)
{
	struct owner *owner = owner_new();

	owner->on_over = finish;
	shutdown(owner->theirs, SHUT_WR);
	loop_turn(loop);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	assert_receives_end(owner->theirs);
	owner_free(owner);
}

/* ---- OPEN: output ---- */

TEST(stream_output_of_a_turn_leaves_in_one_send_when_the_loop_is_about_to_wait)
{
	struct owner *owner = owner_new();

	put(owner, "one ");
	put(owner, "two");
	assert_receives_nothing(owner->theirs);
	loop_turn(loop);
	assert_receives(owner->theirs, "one two");
	assert_int_equal(faults.sends, 1);
	assert_null(owner->stream.out.data);
	loop_turn(loop);
	assert_int_equal(faults.sends, 1);

	owner_free(owner);
}

TEST(stream_output_is_sent_now_by_a_flush)
{
	struct owner *one = owner_new(), *two = owner_new();

	put(one, "one");
	put(two, "two");
	streams_flush(streams);

	assert_receives(one->theirs, "one");
	assert_receives(two->theirs, "two");
	assert_int_equal(faults.sends, 2);
	owner_free(one);
	owner_free(two);
}

TEST(stream_writer_has_room_for_16383_bytes_and_no_more)
{
	struct owner *owner = owner_new();

	assert_int_equal(STREAM_OUT_MAX, 16383);
	assert_null(stream_writer(&owner->stream, STREAM_OUT_MAX + 1));
	assert_null(stream_writer(&owner->stream, SIZE_MAX));
	assert_non_null(stream_writer(&owner->stream, STREAM_OUT_MAX));
	fill(owner, 16000);
	assert_null(stream_writer(&owner->stream, 384));
	assert_non_null(stream_writer(&owner->stream, 383));
	loop_turn(loop);

	assert_non_null(stream_writer(&owner->stream, STREAM_OUT_MAX));
	owner_free(owner);
}

TEST(stream_output_of_16383_bytes_arrives_whole)
{
	struct owner *owner = owner_new();

	fill(owner, STREAM_OUT_MAX);
	loop_turn(loop);
	assert_int_equal(faults.sends, 1);

	assert_int_equal(receive_filled(owner, STREAM_OUT_MAX), RECEIVED_SOME);
	owner_free(owner);
}

TEST(stream_writer_that_is_not_written_to_sends_nothing)
{
	struct owner *owner = owner_new();

	assert_non_null(stream_writer(&owner->stream, 10));
	assert_non_null(stream_writer(&owner->stream, 10));
	loop_turn(loop);
	assert_int_equal(faults.sends, 0);
	put(owner, "later");
	loop_turn(loop);

	assert_receives(owner->theirs, "later");
	owner_free(owner);
}

TEST(stream_short_send_goes_on_where_it_stopped)
{
	struct owner *owner = owner_new();

	faults.send_max = 1000;
	fill(owner, 2500);
	loop_turn(loop); /* the first send, and, since the socket is writable, the second one */
	assert_int_equal(faults.sends, 2);
	assert_int_equal(owner->stream.out.len, 500);
	assert_true(ev_is_active(&owner->stream.writable));
	loop_turn(loop);
	assert_int_equal(faults.sends, 3);
	assert_false(ev_is_active(&owner->stream.writable));
	assert_null(owner->stream.out.data);

	assert_int_equal(receive_filled(owner, 2500), RECEIVED_SOME);
	owner_free(owner);
}

TEST(stream_output_that_is_put_behind_a_short_send_keeps_its_order)
{
	struct owner *owner = owner_new();

	faults.send_max = 2;
	put(owner, "abcdef");
	streams_flush(streams);
	put(owner, "gh");
	for (int i = 0; i < 5; i++)
		loop_turn(loop);

	assert_receives(owner->theirs, "abcdefgh");
	assert_int_equal(faults.sends, 4);
	owner_free(owner);
}

TEST(stream_send_that_takes_nothing_is_made_again_when_the_socket_is_writable)
{
	static const int errors[] = {EAGAIN, EINTR};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct owner *owner = owner_new();
		put(owner, "one");
		faults.send_error = errors[i];
		streams_flush(streams);
		assert_int_equal(owner->stream.state, STREAM_OPEN);
		assert_true(ev_is_active(&owner->stream.writable));
		faults.send_error = 0;
		loop_turn(loop);
		assert_receives(owner->theirs, "one");
		assert_false(ev_is_active(&owner->stream.writable));
		owner_free(owner);
	}
}

TEST(stream_output_waits_for_a_client_that_does_not_read)
{
	struct pair pair = pair_unix();
	make_buffers_small(pair);
	struct owner *owner = owner_on(pair);

	fill(owner, STREAM_OUT_MAX);
	for (int i = 0; i < 10; i++)
		loop_turn(loop);
	assert_true(owner->stream.out.len > 0);
	assert_int_equal(owner->stream.state, STREAM_OPEN);
	assert_true(faults.sends < 10); /* it does not try again before there is room */

	assert_int_equal(receive_filled(owner, STREAM_OUT_MAX), RECEIVED_SOME);
	assert_null(owner->stream.out.data);
	owner_free(owner);
}

TEST(stream_send_that_fails_closes)
{
	struct owner *owner = owner_new();

	put(owner, "one");
	faults.send_error = EPIPE;
	loop_turn(loop);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	owner_free(owner);
}

TEST(stream_send_to_a_client_that_is_gone_raises_no_signal)
{
	struct owner *owner = owner_new();

	close(owner->theirs);
	owner->theirs = -1;
	put(owner, "one");
	streams_flush(streams);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	assert_int_equal(owner->overs, 0);
	owner_free(owner);
}

TEST(stream_that_fails_to_send_does_not_keep_the_others_from_it)
{
	struct owner *one = owner_new(), *two = owner_new();

	close(one->theirs);
	one->theirs = -1;
	put(one, "one");
	put(two, "two");
	streams_flush(streams);

	assert_receives(two->theirs, "two");
	owner_free(one);
	owner_free(two);
}

/* ---- OPEN: waiting for room ---- */

static void wait_for_room(struct owner *owner)
{
	owner->takes = 1;
	put(owner, "answer");
	stream_wait_for_room(&owner->stream);
}

TEST(stream_wait_for_room_reads_on_after_the_output_is_sent)
{
	struct owner *owner = owner_new();

	owner->on_input = wait_for_room;
	send_text(owner->theirs, "abc");
	loop_turn(loop);
	assert_saw(owner, 1, "abc");
	send_text(owner->theirs, "d"); /* stays in the kernel */
	owner->on_input = NULL;
	owner->takes = SIZE_MAX;
	loop_turn(loop); /* sends, and has room from then on */
	assert_receives(owner->theirs, "answer");
	loop_turn(loop);
	assert_false(owner->stream.wants_room);
	assert_true(owner->inputs >= 2);
	loop_turn(loop);

	assert_saw(owner, 3, "d");
	owner_free(owner);
}

TEST(stream_wait_for_room_hands_over_what_was_left)
{
	struct owner *owner = owner_new();

	owner->on_input = wait_for_room;
	send_text(owner->theirs, "abc");
	loop_turn(loop);
	owner->on_input = NULL;
	owner->takes = SIZE_MAX;
	loop_turn(loop);
	loop_turn(loop);

	assert_saw(owner, 2, "bc");
	assert_null(owner->stream.carried);
	assert_true(ev_is_active(&owner->stream.readable));
	owner_free(owner);
}

static void wait_for_room_with_input(struct owner *owner)
{
	if (owner->seen_len > 0)
		wait_for_room(owner);
}

TEST(stream_wait_for_room_again_and_again)
{
	struct owner *owner = owner_new();

	owner->on_input = wait_for_room_with_input;
	send_text(owner->theirs, "abcd");
	for (int i = 0; i < 20; i++)
		loop_turn(loop);

	/* A call for each byte, and one with nothing after the wait for the last answer. */
	assert_receives(owner->theirs, "answeransweransweranswer");
	assert_int_equal(owner->inputs, 5);
	owner_free(owner);
}

TEST(stream_wait_for_room_ends_only_when_all_output_is_sent)
{
	struct owner *owner = owner_new();

	faults.send_max = 1;
	owner->on_input = wait_for_room;
	send_text(owner->theirs, "abc");
	loop_turn(loop);
	send_text(owner->theirs, "d");
	for (int i = 0; i < 2; i++) {
		loop_turn(loop);
		assert_int_equal(owner->inputs, 1);
		assert_false(ev_is_active(&owner->stream.readable));
	}
	owner->on_input = NULL;
	for (int i = 0; i < 10; i++)
		loop_turn(loop);

	assert_true(owner->inputs > 1);
	owner_free(owner);
}

TEST(stream_wait_for_room_then_the_end_of_input)
{
	struct owner *owner = owner_new();

	owner->on_input = wait_for_room;
	send_text(owner->theirs, "ab");
	shutdown(owner->theirs, SHUT_WR);
	loop_turn(loop);
	assert_int_equal(owner->overs, 0);
	owner->on_input = NULL;
	for (int i = 0; i < 4; i++)
		loop_turn(loop);

	assert_saw(owner, 2, "b");
	assert_int_equal(owner->overs, 1);
	owner_free(owner);
}

TEST(stream_wait_for_room_is_not_starved_by_a_busy_neighbour)
{
	struct owner *owner = owner_new(), *busy = owner_new();

	owner->on_input = wait_for_room;
	send_text(owner->theirs, "ab");
	loop_turn(loop);
	owner->on_input = NULL;
	for (int i = 0; i < 3; i++) {
		send_text(busy->theirs, "more");
		loop_turn(loop);
	}

	assert_int_equal(busy->inputs, 3);
	assert_saw(owner, 2, "b");
	owner_free(owner);
	owner_free(busy);
}

TEST(stream_closed_while_it_has_room_again_is_not_called)
{
	struct owner *owner = owner_new();

	owner->on_input = wait_for_room;
	send_text(owner->theirs, "ab");
	loop_turn(loop);
	streams_flush(streams);
	assert_receives(owner->theirs, "answer");
	stream_close(&owner->stream);
	loop_turn(loop);
	loop_turn(loop);

	assert_int_equal(owner->inputs, 1);
	owner_free(owner);
}

/* ---- OPEN: time-outs ---- */

TEST(stream_timeout_is_called_when_its_time_is_up_and_again)
{
	struct owner *owner = owner_new();

	stream_set_timeout(&owner->stream, 5);
	loop_pass(loop, 4.9);
	assert_int_equal(owner->timeouts, 0);
	loop_pass(loop, 0.2);
	assert_int_equal(owner->timeouts, 1);
	loop_pass(loop, 4.8);
	assert_int_equal(owner->timeouts, 1);
	loop_pass(loop, 0.2);
	assert_int_equal(owner->timeouts, 2);
	assert_int_equal(owner->stream.state, STREAM_OPEN);

	owner_free(owner);
}

TEST(stream_timeout_that_is_set_anew_replaces_the_one_before)
{
	struct owner *owner = owner_new();

	stream_set_timeout(&owner->stream, 5);
	loop_pass(loop, 4.9);
	stream_set_timeout(&owner->stream, 10);
	loop_pass(loop, 9.9);
	assert_int_equal(owner->timeouts, 0);
	loop_pass(loop, 0.2);
	assert_int_equal(owner->timeouts, 1);

	owner_free(owner);
}

TEST(stream_timeout_that_is_stopped_is_not_called)
{
	struct owner *owner = owner_new();

	stream_set_timeout(&owner->stream, 5);
	stream_stop_timeout(&owner->stream);
	loop_pass(loop, 60);

	assert_int_equal(owner->timeouts, 0);
	owner_free(owner);
}

/* ---- FINISHING ---- */

/* Of a client that does not read: some output has left, the rest waits. */
static struct owner *owner_finishing(void)
{
	struct pair pair = pair_unix();
	make_buffers_small(pair);
	struct owner *owner = owner_on(pair);

	fill(owner, STREAM_OUT_MAX);
	loop_turn(loop);
	stream_finish(&owner->stream);
	assert_int_equal(owner->stream.state, STREAM_FINISHING);
	return owner;
}

TEST(stream_finish_sends_all_output_then_the_end)
{
	struct owner *owner = owner_finishing();

	loop_turn(loop);
	assert_int_equal(owner->stream.state, STREAM_FINISHING);
	assert_int_equal(receive_filled(owner, STREAM_OUT_MAX), RECEIVED_END);
	assert_int_equal(owner->stream.state, STREAM_LINGERING);
	assert_int_equal(owner->closes, 0);

	owner_free(owner);
}

TEST(stream_finish_of_output_of_this_turn_sends_it_first)
{
	struct owner *owner = owner_new();

	put(owner, "last");
	stream_finish(&owner->stream);
	assert_int_equal(owner->stream.state, STREAM_FINISHING);
	assert_null(stream_writer(&owner->stream, 1));
	loop_turn(loop);

	assert_receives(owner->theirs, "last");
	assert_receives_end(owner->theirs);
	assert_int_equal(owner->stream.state, STREAM_LINGERING);
	owner_free(owner);
}

TEST(stream_finishing_throws_input_away)
{
	struct owner *owner = owner_finishing();

	owner->inputs = 0;
	send_text(owner->theirs, "more");
	loop_turn(loop);
	send_text(owner->theirs, "and more");
	loop_turn(loop);

	assert_int_equal(owner->inputs, 0);
	assert_int_equal(owner->stream.state, STREAM_FINISHING);
	assert_null(owner->stream.carried);
	owner_free(owner);
}

TEST(stream_finish_drops_input_that_was_left)
{
	struct owner *owner = owner_new();

	owner->takes = 0;
	send_text(owner->theirs, "left");
	loop_turn(loop);
	put(owner, "last");
	stream_finish(&owner->stream);

	assert_null(owner->stream.carried);
	assert_int_equal(owner->stream.carried_len, 0);
	owner_free(owner);
}

TEST(stream_finish_inside_input_ends_the_calls)
{
	struct owner *owner = owner_new();

	owner->takes = 1;
	owner->on_input = finish;
	send_text(owner->theirs, "abc");
	loop_turn(loop);
	send_text(owner->theirs, "d");
	loop_turn(loop);

	assert_int_equal(owner->inputs, 1);
	assert_null(owner->stream.carried);
	assert_int_equal(owner->stream.state, STREAM_LINGERING);
	owner_free(owner);
}

TEST(stream_finish_ends_a_wait_for_room)
{
	struct owner *owner = owner_new();

	owner->on_input = wait_for_room;
	send_text(owner->theirs, "abc");
	loop_turn(loop);
	stream_finish(&owner->stream);
	for (int i = 0; i < 3; i++)
		loop_turn(loop);
	assert_receives(owner->theirs, "answer");
	assert_receives_end(owner->theirs);
	assert_int_equal(owner->inputs, 1);
	assert_int_equal(owner->stream.state, STREAM_LINGERING);
	/* It reads again, to see the end of the other side. */
	shutdown(owner->theirs, SHUT_WR);
	loop_turn(loop);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	owner_free(owner);
}

TEST(stream_finish_when_there_was_room_again_ends_the_calls)
{
	struct owner *owner = owner_new();

	owner->on_input = wait_for_room;
	send_text(owner->theirs, "abc");
	loop_turn(loop);
	streams_flush(streams);
	stream_finish(&owner->stream);
	loop_turn(loop);
	loop_turn(loop);

	assert_int_equal(owner->inputs, 1);
	owner_free(owner);
}

TEST(stream_finishing_closes_after_a_second)
{
	struct owner *owner = owner_finishing();

	loop_pass(loop, 0.9);
	stream_finish(&owner->stream); /* changes nothing */
	assert_int_equal(owner->stream.state, STREAM_FINISHING);
	loop_pass(loop, 0.2);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	assert_int_equal(owner->timeouts, 0);
	assert_int_equal(owner->closes, 1);
	owner_free(owner);
}

TEST(stream_finishing_takes_the_place_of_the_owners_timeout)
{
	struct owner *owner = owner_new();

	stream_set_timeout(&owner->stream, 60);
	stream_finish(&owner->stream);
	loop_pass(loop, 1.1);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	assert_int_equal(owner->timeouts, 0);
	owner_free(owner);
}

TEST(stream_finishing_closes_when_all_is_sent_and_the_other_side_has_ended)
{
	struct owner *owner = owner_finishing();

	shutdown(owner->theirs, SHUT_WR);
	loop_turn(loop);
	assert_int_equal(owner->stream.state, STREAM_FINISHING);
	assert_int_equal(owner->overs, 0);
	assert_int_equal(receive_filled(owner, STREAM_OUT_MAX), RECEIVED_END);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	assert_int_equal(owner->closes, 1);
	owner_free(owner);
}

TEST(stream_finishing_closes_by_an_error)
{
	struct owner *owner = owner_finishing();

	close(owner->theirs);
	owner->theirs = -1;
	loop_turn(loop);
	loop_turn(loop);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	owner_free(owner);
}

/* ---- LINGERING ---- */

static struct owner *owner_lingering(struct pair pair)
{
	struct owner *owner = owner_on(pair);

	stream_finish(&owner->stream);
	assert_int_equal(owner->stream.state, STREAM_LINGERING);
	return owner;
}

TEST(stream_lingering_has_told_its_end_and_throws_input_away)
{
	struct owner *owner = owner_lingering(pair_unix());

	assert_receives_end(owner->theirs);
	assert_null(stream_writer(&owner->stream, 1));
	send_text(owner->theirs, "more");
	loop_turn(loop);
	send_text(owner->theirs, "and more");
	loop_turn(loop);

	assert_int_equal(owner->stream.state, STREAM_LINGERING);
	assert_int_equal(owner->inputs, 0);
	owner_free(owner);
}

TEST(stream_lingering_closes_when_the_other_side_ends)
{
	struct owner *owner = owner_lingering(pair_unix());

	shutdown(owner->theirs, SHUT_WR);
	loop_turn(loop);
	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	loop_turn(loop);

	assert_int_equal(owner->closes, 1);
	assert_int_equal(owner->overs, 0);
	owner_free(owner);
}

TEST(stream_lingering_closes_after_a_second)
{
	struct owner *owner = owner_lingering(pair_unix());

	loop_pass(loop, 0.9);
	assert_int_equal(owner->stream.state, STREAM_LINGERING);
	send_text(owner->theirs, "more");
	loop_pass(loop, 0.2);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	assert_int_equal(owner->timeouts, 0);
	owner_free(owner);
}

TEST(stream_lingering_closes_by_a_reset)
{
	struct owner *owner = owner_lingering(pair_tcp());

	close_by_reset(owner->theirs);
	owner->theirs = -1;
	loop_turn(loop);

	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	owner_free(owner);
}

/* A close with unread input would be a reset, and the client would not see the last answer. */
TEST(stream_lingering_keeps_the_last_answer_from_being_lost)
{
	struct owner *owner = owner_on(pair_tcp());

	send_text(owner->theirs, "first");
	loop_turn(loop);
	put(owner, "goodbye");
	stream_finish(&owner->stream);
	send_text(owner->theirs, "what is not read");
	loop_turn(loop);
	send_text(owner->theirs, "and still more");
	loop_turn(loop);
	shutdown(owner->theirs, SHUT_WR);
	loop_turn(loop);
	loop_turn(loop);

	assert_int_equal(owner->closes, 1);
	assert_receives(owner->theirs, "goodbye");
	assert_receives_end(owner->theirs);
	owner_free(owner);
}

/* ---- CLOSED ---- */

TEST(stream_close_closes_now_and_tells_the_owner_later_and_once)
{
	struct owner *owner = owner_new();
	int fd = owner->stream.readable.fd;

	put(owner, "never sent");
	stream_set_timeout(&owner->stream, 1);
	stream_close(&owner->stream);
	stream_close(&owner->stream);
	assert_false(is_open(fd));
	assert_int_equal(owner->closes, 0);
	assert_receives_end(owner->theirs);
	assert_null(stream_writer(&owner->stream, 1));
	stream_finish(&owner->stream);
	assert_int_equal(owner->stream.state, STREAM_CLOSED);
	loop_turn(loop);
	assert_int_equal(owner->closes, 1);
	loop_pass(loop, 5);
	assert_int_equal(owner->closes, 1);
	assert_int_equal(owner->timeouts, 0);
	assert_int_equal(faults.sends, 0);

	owner_free(owner);
}

static void close_now(struct owner *owner)
{
	stream_close(&owner->stream);
	assert_int_equal(owner->closes, 0);
}

TEST(stream_close_inside_input_keeps_nothing)
{
	struct owner *owner = owner_new();

	owner->takes = 1;
	owner->on_input = close_now;
	send_text(owner->theirs, "abc");
	loop_turn(loop);
	assert_null(owner->stream.carried);
	loop_turn(loop);

	assert_int_equal(owner->inputs, 1);
	assert_int_equal(owner->closes, 1);
	owner_free(owner);
}

TEST(stream_close_inside_a_timeout_ends_the_timer)
{
	struct owner *owner = owner_new();

	owner->on_timeout = close_now;
	stream_set_timeout(&owner->stream, 1);
	loop_pass(loop, 10);
	loop_pass(loop, 10);

	assert_int_equal(owner->timeouts, 1);
	assert_int_equal(owner->closes, 1);
	owner_free(owner);
}

/* A loop that waited with a closed stream in hand would keep its owner until something comes. */
TEST(stream_close_keeps_the_loop_from_waiting)
{
	struct owner *owner = owner_new();

	stream_set_timeout(&owner->stream, 1);
	owner->on_timeout = close_now;
	loop_time_pass(2);
	ev_run(loop, EVRUN_ONCE); /* the timer */
	ev_run(loop, EVRUN_ONCE); /* would wait for ever */

	assert_int_equal(owner->closes, 1);
	owner_free(owner);
}

TEST(stream_close_of_one_leaves_the_others)
{
	struct owner *one = owner_new(), *two = owner_new();

	put(one, "one");
	put(two, "two");
	stream_close(&one->stream);
	send_text(two->theirs, "asked");
	loop_turn(loop);

	assert_receives(two->theirs, "two");
	assert_saw(two, 1, "asked");
	owner_free(one);
	owner_free(two);
}

TEST(streams_free_tells_the_owners_of_closed_streams)
{
	struct streams *others = streams_new(loop, 100);
	struct pair pair = pair_unix();
	struct owner *owner = calloc(1, sizeof *owner);

	stream_init(&owner->stream, others, &callbacks, pair.ours);
	stream_close(&owner->stream);
	streams_free(others);

	assert_int_equal(owner->closes, 1);
	close(pair.theirs);
	free(owner);
}

TEST(streams_free_of_none)
{
	streams_free(NULL);
}
