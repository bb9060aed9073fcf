#include "app/replay/replay_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/test.h"

#define FILES 3

struct world {
	struct ev_loop *loop;
	bool is_stopped;
	char paths[FILES][32];
	const char *names[FILES];
	struct replay_files files;
	struct err err;
};

/* Files of lines that are a digit each, which is the time too. */
static void write_file(struct world *world, size_t at, const char *text)
{
	strcpy(world->paths[at], "replay-files-XXXXXX");
	int fd = mkstemp(world->paths[at]);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	world->names[at] = world->paths[at];
}

BEFORE_EACH
{
	struct world *world = calloc(1, sizeof *world);

	assert_non_null(world);
	world->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(world->loop);
	*state = world;
}

AFTER_EACH
{
	struct world *world = *state;

	for (size_t i = 0; i < FILES; i++)
		if (world->names[i] != NULL)
			(void)unlink(world->paths[i]);
	replay_files_release(&world->files);
	ev_loop_destroy(world->loop);
	free(world);
}

static bool open_files(struct world *world, size_t count)
{
	const struct time_zone utc = {.is_named = false};

	return replay_files_open(&world->files,
				 &(struct replay_files_config){.names = world->names,
							       .count = count,
							       .loop = world->loop,
							       .is_stopped = &world->is_stopped,
							       .zone = &utc},
				 &world->err);
}

static void read_one(struct world *world, struct replay_file *file)
{
	switch (replay_input_next(&file->input, &file->line)) {
	case INPUT_LINE:
		assert_int_equal(file->line.len, 1);
		file->has_request = true;
		file->at_us = file->line.data[0];
		break;
	case INPUT_DRY:
		assert_true(replay_input_fill(&file->input, &world->err));
		break;
	case INPUT_END:
		replay_files_end(file);
		break;
	case INPUT_TOO_LONG:
		fail();
	}
}

TEST(replay_files_are_merged_by_time_and_each_keeps_its_order)
{
	struct world *world = *state;
	struct replay_file *file;
	char merged[32] = "";

	write_file(world, 0, "2\n5\n3\n9\n"); /* the 3 comes late in its own file */
	write_file(world, 1, "1\n4\n6");
	write_file(world, 2, "");
	assert_true(open_files(world, FILES));
	for (;;) {
		while ((file = replay_files_to_read(&world->files)) != NULL)
			read_one(world, file);
		file = replay_files_earliest(&world->files);
		if (file == NULL)
			break;
		strncat(merged, (const char *)file->line.data, 1);
		file->has_request = false;
	}

	assert_string_equal(merged, "1245369");
	assert_int_equal(replay_files_count_lines(&world->files), 7);
}

static void on_writer_comes(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	int fd = open(timer->data, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	(void)loop, (void)events;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "1\n2\n", 4), 4);
	close(fd);
}

/* Until the writer comes the loop runs, so that a signal can end the wait. */
TEST(replay_files_a_pipe_waits_in_the_loop_for_its_writer)
{
	struct world *world = *state;
	struct ev_timer timer;
	write_file(world, 0, "");
	assert_int_equal(unlink(world->paths[0]), 0);
	assert_int_equal(mkfifo(world->paths[0], 0600), 0);

	assert_true(open_files(world, 1));
	ev_timer_init(&timer, on_writer_comes, 0.05, 0);
	timer.data = world->paths[0];
	ev_timer_start(world->loop, &timer);
	struct replay_file *file;
	while ((file = replay_files_to_read(&world->files)) != NULL) {
		read_one(world, file);
		file->has_request = false;
	}

	assert_int_equal(replay_files_count_lines(&world->files), 2);
}

TEST(replay_files_open_without_names_is_standard_input)
{
	struct world *world = *state;

	assert_true(open_files(world, 0));

	assert_int_equal(world->files.count, 1);
	assert_null(world->files.items[0]->name);
	assert_int_equal(world->files.items[0]->input.source.fd, STDIN_FILENO);
}

TEST(replay_files_open_a_file_that_is_not_there_is_named)
{
	struct world *world = *state;

	write_file(world, 0, "1\n");
	world->names[1] = "no-such-file";
	assert_false(open_files(world, 2));
	world->names[1] = NULL;

	assert_string_equal(world->err.text, "no-such-file: No such file or directory");
}
