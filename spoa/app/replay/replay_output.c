#include "app/replay/replay_output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/least.h"

void replay_output_init(struct replay_output *output, struct ev_loop *loop, int fd,
			const bool *is_stopped)
{
	struct stat about;

	output->loop = loop;
	output->fd = fd;
	output->is_file = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
	output->is_stopped = is_stopped;
	output->pending = writer_on(output->memory, sizeof output->memory);
}

static void on_writable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)events;
	ev_io_stop(loop, watcher);
}

static bool is_writable(const struct replay_output *output)
{
	struct pollfd now = {.fd = output->fd, .events = POLLOUT};

	return output->is_file || poll(&now, 1, 0) == 1;
}

/* False when the replay was stopped first. */
static bool wait_until_writable(struct replay_output *output)
{
	struct ev_io writable;

	if (is_writable(output))
		return true;
	ev_io_init(&writable, on_writable, output->fd, EV_WRITE);
	ev_io_start(output->loop, &writable);
	while (ev_is_active(&writable) && !*output->is_stopped)
		ev_run(output->loop, EVRUN_ONCE);
	bool is_stopped = ev_is_active(&writable);
	ev_io_stop(output->loop, &writable);
	return !is_stopped;
}

/* A pipe that is writable has room for PIPE_BUF bytes at least: such a write does not wait. */
static size_t piece_of(const struct replay_output *output, size_t len)
{
	return output->is_file || len < PIPE_BUF ? len : PIPE_BUF;
}

bool replay_output_flush(struct replay_output *output, struct err *err)
{
	struct bytes rest = writer_bytes(&output->pending);

	ev_run(output->loop, EVRUN_NOWAIT); /* sees a signal, also when no write has to wait */
	while (rest.len > 0 && wait_until_writable(output)) {
		ssize_t len = write(output->fd, rest.data, piece_of(output, rest.len));
		if (len < 0 && errno != EINTR && errno != EAGAIN)
			return err_set(err, "standard output: %s", strerror(errno));
		rest = bytes_skip(rest, len > 0 ? (size_t)len : 0);
	}
	writer_rewind(&output->pending, 0);
	return true;
}

bool replay_output_put(struct replay_output *output, struct bytes text, struct err *err)
{
	struct writer *pending = &output->pending;

	while (text.len > 0) {
		size_t room = pending->max - pending->len;
		struct bytes piece = bytes_from(text.data, least_size(text.len, room));
		writer_put(pending, piece);
		text = bytes_skip(text, piece.len);
		if (text.len > 0 && !replay_output_flush(output, err))
			return false;
	}
	return true;
}
