/* Streams while memory is short, and how much of it they take. */
#include <stdlib.h>
#include <unistd.h>

#include "net/stream.h"
#include "support/allocations.h"
#include "support/test.h"
#include "unit/net/loop_time.h"
#include "unit/net/sockets.h"

#define STREAMS_MAX 70

struct owner {
	struct stream stream;
	int theirs;
	unsigned inputs, closes;
};

static struct ev_loop *loop;
static struct streams *streams;
static struct owner owners[STREAMS_MAX];

/* Leaves everything, so that it is carried. */
static void input(struct stream *stream, struct bytes *input)
{
	(void)input;
	CONTAINER_OF(stream, struct owner, stream)->inputs++;
}

static void ignore(struct stream *stream)
{
	(void)stream;
}

static void closed(struct stream *stream)
{
	CONTAINER_OF(stream, struct owner, stream)->closes++;
}

static const struct stream_owner callbacks = {input, ignore, ignore, closed, NULL};

static void open_streams(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct pair pair = pair_unix();
		owners[i] = (struct owner){.theirs = pair.theirs};
		stream_init(&owners[i].stream, streams, &callbacks, pair.ours);
	}
}

static void close_streams(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		stream_close(&owners[i].stream);
		close(owners[i].theirs);
	}
	loop_turn(loop);
}

BEFORE_EACH
{
	loop = ev_loop_new(EVFLAG_NOENV);
	streams = streams_new(loop, 1000);
	assert_non_null(streams);
}

AFTER_EACH
{
	streams_free(streams);
	ev_loop_destroy(loop);
}

TEST(streams_new_without_memory_is_null)
{
	bool done = false;
	size_t n;

	for (n = 0; !done; n++) {
		allocations_fail_at(n);
		struct streams *made = streams_new(loop, 1000);
		done = !allocations_end();
		assert_int_equal(made != NULL, done);
		streams_free(made);
	}
	assert_int_equal(n, 3); /* the two that it makes, and none */
}

TEST(stream_input_that_can_not_be_carried_closes)
{
	open_streams(2);
	send_text(owners[0].theirs, "left");

	allocations_fail_at(0);
	loop_turn(loop);
	assert_true(allocations_end());
	assert_int_equal(owners[0].stream.state, STREAM_CLOSED);
	assert_int_equal(owners[1].stream.state, STREAM_OPEN);
	loop_turn(loop);

	assert_int_equal(owners[0].inputs, 1);
	assert_int_equal(owners[0].closes, 1);
	close_streams(2);
}

TEST(stream_writer_without_memory_is_null_and_the_stream_goes_on)
{
	open_streams(1);

	allocations_fail_at(0);
	assert_null(stream_writer(&owners[0].stream, 1));
	assert_true(allocations_end());
	loop_turn(loop);
	writer_put_text(stream_writer(&owners[0].stream, 5), "later");
	loop_turn(loop);

	assert_receives(owners[0].theirs, "later");
	close_streams(1);
}

/* One block of output for each, and one of input. */
static void use_blocks(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct writer *out = stream_writer(&owners[i].stream, 1);
		assert_non_null(out);
		writer_put_u8(out, 'x');
		send_text(owners[i].theirs, "x");
	}
	loop_turn(loop); /* libev takes 64 events a turn */
	loop_turn(loop);
	for (size_t i = 0; i < count; i++) {
		assert_non_null(owners[i].stream.carried);
		assert_receives(owners[i].theirs, "x");
	}
}

/* Of those for input, with 64 KiB each, a megabyte is 16. */
TEST(stream_blocks_that_were_given_back_are_used_again)
{
	open_streams(16);
	use_blocks(16);
	close_streams(16);
	open_streams(16);

	allocations_fail_at(0);
	use_blocks(16);
	assert_false(allocations_end());

	close_streams(16);
}

TEST(stream_blocks_beyond_64_are_freed)
{
	open_streams(65);
	use_blocks(65);
	close_streams(65);
	open_streams(65);

	allocations_fail_at(0);
	for (size_t i = 0; i < 64; i++)
		assert_non_null(stream_writer(&owners[i].stream, 1));
	assert_null(stream_writer(&owners[64].stream, 1));
	assert_true(allocations_end());

	close_streams(65);
}

TEST(stream_output_that_is_sent_gives_its_block_back)
{
	open_streams(2);
	writer_put_u8(stream_writer(&owners[0].stream, 1), 'x');
	loop_turn(loop);

	allocations_fail_at(0);
	assert_non_null(stream_writer(&owners[1].stream, 1));
	assert_false(allocations_end());

	close_streams(2);
}

TEST(stream_finish_gives_the_block_of_input_back)
{
	open_streams(2);
	send_text(owners[0].theirs, "left");
	loop_turn(loop);
	stream_finish(&owners[0].stream);

	send_text(owners[1].theirs, "left");
	allocations_fail_at(0);
	loop_turn(loop);
	assert_false(allocations_end());
	assert_non_null(owners[1].stream.carried);

	close_streams(2);
}
