#include "app/replay/replay_output.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/test.h"

static bool is_stopped;

static void on_signal(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	(void)loop, (void)watcher, (void)events;
	is_stopped = true;
}

/* Nobody is waited for when the answers go to a file: the end of a long log is asked in one go. */
TEST(replay_output_put_into_a_file_lets_a_signal_in)
{
	struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
	struct replay_output *output = malloc(sizeof *output);
	int fd = memfd_create("answers", MFD_CLOEXEC);
	struct ev_signal on_term;
	char text[1000] = "";
	struct err err;

	assert_non_null(output);
	ev_signal_init(&on_term, on_signal, SIGTERM);
	ev_signal_start(loop, &on_term);
	replay_output_init(output, loop, fd, &is_stopped);
	raise(SIGTERM);
	for (size_t put = 0; put <= REPLAY_OUTPUT_MAX; put += sizeof text)
		assert_true(replay_output_put(output, bytes_from(text, sizeof text), &err));

	assert_true(is_stopped);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), REPLAY_OUTPUT_MAX);
	close(fd);
	free(output);
	ev_loop_destroy(loop);
}
