#include "app/replay/replay_input.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/writer.h"
#include "support/test.h"

/* What was read, in a notation: `<line>`, `!` for one that is too long. */
struct world {
	struct ev_loop *loop;
	bool is_stopped;
	struct replay_input input;
	int pipe[2];
	char memory[1024];
	struct writer read;
};

BEFORE_EACH
{
	struct world *world = calloc(1, sizeof *world);

	assert_non_null(world);
	world->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(world->loop);
	assert_int_equal(pipe(world->pipe), 0);
	replay_input_init(&world->input, world->loop, world->pipe[0], "the pipe",
			  &world->is_stopped);
	world->read = writer_on(world->memory, sizeof world->memory);
	*state = world;
}

AFTER_EACH
{
	struct world *world = *state;

	close(world->pipe[0]);
	ev_loop_destroy(world->loop);
	free(world);
}

/* All lines that are there; returns what comes then. */
static enum input_line take_all(struct world *world)
{
	enum input_line kind;
	struct bytes line;

	while ((kind = replay_input_next(&world->input, &line)) == INPUT_LINE ||
	       kind == INPUT_TOO_LONG) {
		if (kind == INPUT_TOO_LONG) {
			writer_put_u8(&world->read, '!');
			continue;
		}
		writer_put_u8(&world->read, '<');
		writer_put(&world->read, line.len > 20 ? BYTES("...") : line);
		writer_put_u8(&world->read, '>');
	}
	return kind;
}

static void send_text(struct world *world, const void *text, size_t len)
{
	struct err err;

	assert_int_equal(write(world->pipe[1], text, len), len);
	assert_true(replay_input_fill(&world->input, &err));
}

static void send_end(struct world *world)
{
	struct err err;

	close(world->pipe[1]);
	assert_true(replay_input_fill(&world->input, &err));
	assert_int_equal(take_all(world), INPUT_END);
}

TEST(replay_input_next_lines_are_put_together_of_pieces)
{
	struct world *world = *state;
	static const char text[] = "one\n\ntwo\r\nthree";

	for (size_t i = 0; i < sizeof text - 1; i++) {
		send_text(world, text + i, 1);
		assert_int_equal(take_all(world), INPUT_DRY);
	}
	send_end(world);

	assert_string_equal(writer_text(&world->read), "<one><><two\r><three>");
	assert_int_equal(world->input.number, 4);
}

TEST(replay_input_next_a_newline_at_the_end_begins_no_line)
{
	struct world *world = *state;

	send_text(world, "one\n", 4);
	assert_int_equal(take_all(world), INPUT_DRY);
	send_end(world);

	assert_string_equal(writer_text(&world->read), "<one>");
}

/* A line of so many bytes, in pieces that the pipe takes. */
static void send_long(struct world *world, size_t len)
{
	static const char x[4096];

	for (; len > sizeof x; len -= sizeof x) {
		send_text(world, x, sizeof x);
		assert_int_equal(take_all(world), INPUT_DRY);
	}
	send_text(world, x, len);
	assert_int_equal(take_all(world), INPUT_DRY);
}

TEST(replay_input_next_a_line_that_is_too_long_is_left_out)
{
	struct world *world = *state;

	send_long(world, REPLAY_LINE_MAX);
	send_text(world, "\na\n", 3);
	assert_int_equal(take_all(world), INPUT_DRY);
	send_long(world, REPLAY_LINE_MAX + 1);
	send_text(world, "\nb\n", 3);
	assert_int_equal(take_all(world), INPUT_DRY);
	send_long(world, 10 * REPLAY_LINE_MAX);
	send_text(world, "\nc\n", 3);
	assert_int_equal(take_all(world), INPUT_DRY);
	send_long(world, 3 * REPLAY_LINE_MAX);
	send_end(world);

	assert_string_equal(writer_text(&world->read), "<...><a>!<b>!<c>!");
	assert_int_equal(world->input.number, 7);
}

TEST(replay_input_fill_when_stopped_waits_for_nothing)
{
	struct world *world = *state;
	struct err err;

	world->is_stopped = true;
	assert_true(replay_input_fill(&world->input, &err));

	assert_int_equal(take_all(world), INPUT_DRY);
	close(world->pipe[1]);
}

TEST(replay_input_fill_what_can_not_be_read_is_an_error)
{
	struct world *world = *state;
	struct err err;

	/* A pipe's other end is no place to read from. */
	world->input.source.fd = STDIN_FILENO;
	int kept = dup(STDIN_FILENO);
	assert_int_equal(dup2(world->pipe[1], STDIN_FILENO), STDIN_FILENO);
	close(world->pipe[0]); /* so that it is ready, with an error */
	assert_false(replay_input_fill(&world->input, &err));

	assert_non_null(strstr(err.text, "the pipe: "));
	dup2(kept, STDIN_FILENO);
	close(kept);
	world->pipe[0] = world->pipe[1];
}
