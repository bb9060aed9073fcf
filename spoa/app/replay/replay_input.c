#include "app/replay/replay_input.h"

#include <string.h>

void replay_input_init(struct replay_input *input, struct ev_loop *loop, int fd, const char *name,
		       const bool *is_stopped)
{
	input->number = 0;
	input->is_at_end = input->is_skipping = false;
	input->begin = input->end = 0;
	replay_source_init(&input->source, loop, fd, name, is_stopped);
}

void replay_input_release(struct replay_input *input)
{
	replay_source_release(&input->source);
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

bool replay_input_fill(struct replay_input *input, struct err *err)
{
	memmove(input->memory, input->memory + input->begin, input->end - input->begin);
	input->end -= input->begin;
	input->begin = 0;
	struct writer room =
		writer_on(input->memory + input->end, sizeof input->memory - input->end);
	bool is_read = replay_source_read(&input->source, &room, &input->is_at_end, err);
	input->end += room.len;
	return is_read;
}
