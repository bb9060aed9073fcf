/*
 *            begin              end
 *  | handed out | not yet lines  |  free  |      2 * REPLAY_LINE_MAX bytes
 *
 * replay_input_next cuts lines off the front. When no newline is left it says INPUT_DRY, and
 * replay_input_fill moves the rest to the front and reads behind it. The rest is at most
 * REPLAY_LINE_MAX bytes, so there is always room to read as many again.
 *
 * A line of exactly REPLAY_LINE_MAX bytes is taken. When the rest is longer and has no newline, the
 * line is too long: is_skipping is set, the bytes are dropped, and so is everything up to the next
 * newline, which then counts as one INPUT_TOO_LONG.
 */
#include "app/replay/replay_input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void replay_input_init(struct replay_input *input, struct ev_loop *loop, int fd,
		       const bool *is_stopped)
{
	input->loop = loop;
	input->fd = fd;
	input->is_stopped = is_stopped;
	input->number = 0;
	input->is_at_end = input->is_skipping = false;
	input->begin = input->end = 0;
}

/* The bytes that were read and not handed out yet. */
static struct bytes rest_of(const struct replay_input *input)
{
	return bytes_from(input->memory + input->begin, input->end - input->begin);
}

/* Hands out `len` bytes, and steps over as many bytes of newline. */
static enum input_line cut_line(struct replay_input *input, size_t len, size_t newline,
				struct bytes *ret_line)
{
	bool was_skipping = input->is_skipping;

	*ret_line = bytes_from(input->memory + input->begin, len);
	input->begin += len + newline;
	input->is_skipping = false;
	input->number++;
	return was_skipping || len > REPLAY_LINE_MAX ? INPUT_TOO_LONG : INPUT_LINE;
}

enum input_line replay_input_next(struct replay_input *input, struct bytes *ret_line)
{
	struct bytes rest = rest_of(input);
	const uint8_t *newline = rest.len > 0 ? memchr(rest.data, '\n', rest.len) : NULL;

	if (newline != NULL)
		return cut_line(input, (size_t)(newline - rest.data), 1, ret_line);
	if (input->is_at_end)
		return rest.len > 0 || input->is_skipping ? cut_line(input, rest.len, 0, ret_line)
							  : INPUT_END;
	if (rest.len > REPLAY_LINE_MAX || input->is_skipping) {
		input->is_skipping = true;
		input->begin = input->end;
	}
	return INPUT_DRY;
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)events;
	ev_io_stop(loop, watcher);
}

static void wait_for_more(struct replay_input *input)
{
	struct ev_io readable;

	ev_io_init(&readable, on_readable, input->fd, EV_READ);
	ev_io_start(input->loop, &readable);
	while (ev_is_active(&readable) && !*input->is_stopped)
		ev_run(input->loop, EVRUN_ONCE);
	ev_io_stop(input->loop, &readable);
}

bool replay_input_fill(struct replay_input *input, struct err *err)
{
	memmove(input->memory, input->memory + input->begin, input->end - input->begin);
	input->end -= input->begin;
	input->begin = 0;
	wait_for_more(input);
	if (*input->is_stopped)
		return true;
	ssize_t len =
		read(input->fd, input->memory + input->end, sizeof input->memory - input->end);
	if (len < 0 && errno != EINTR && errno != EAGAIN)
		return err_set(err, "standard input: %s", strerror(errno));
	input->is_at_end = len == 0;
	input->end += len > 0 ? (size_t)len : 0;
	return true;
}
