#include "app/replay/replay_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A pipe that has no writer yet is opened at once, and the first read waits for the writer in the
 * loop, where a signal ends the wait.
 */
static bool open_file(struct replay_file *file, const struct replay_files_config *config,
		      struct err *err)
{
	bool is_standard = file->name == NULL || strcmp(file->name, "-") == 0;
	int fd = is_standard ? STDIN_FILENO : open(file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_set(err, "%s: %s", file->name, strerror(errno));
	replay_input_init(&file->input, config->loop, fd,
			  is_standard ? "standard input" : file->name, config->is_stopped);
	return true;
}

/* The file is in the list only when it is open, so that releasing the list is right at any time. */
static bool add_file(struct replay_files *files, const char *name,
		     const struct replay_files_config *config, struct err *err)
{
	struct replay_file *file = malloc(sizeof *file);

	if (file == NULL)
		return err_set(err, "out of memory");
	file->name = name;
	file->is_over = file->has_request = false;
	file->clock = (struct line_clock){.zone = *config->zone};
	if (!open_file(file, config, err)) {
		free(file);
		return false;
	}
	files->items[files->count++] = file;
	return true;
}

bool replay_files_open(struct replay_files *files, const struct replay_files_config *config,
		       struct err *err)
{
	static const char *const standard_input[] = {NULL};
	const char *const *names = config->count > 0 ? config->names : standard_input;
	size_t count = config->count > 0 ? config->count : 1;

	files->items = calloc(count, sizeof(struct replay_file *));
	if (files->items == NULL)
		return err_set(err, "out of memory");
	for (size_t i = 0; i < count; i++)
		if (!add_file(files, names[i], config, err))
			return false;
	return true;
}

void replay_files_end(struct replay_file *file)
{
	if (file->is_over)
		return;
	file->is_over = true;
	replay_input_release(&file->input);
	if (file->input.source.fd != STDIN_FILENO)
		close(file->input.source.fd);
}

void replay_files_release(struct replay_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		replay_files_end(files->items[i]);
		free(files->items[i]);
	}
	free(files->items);
	*files = (struct replay_files){.items = NULL};
}

struct replay_file *replay_files_to_read(const struct replay_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		if (!files->items[i]->has_request && !files->items[i]->is_over)
			return files->items[i];
	return NULL;
}

struct replay_file *replay_files_earliest(const struct replay_files *files)
{
	struct replay_file *earliest = NULL;

	for (size_t i = 0; i < files->count; i++) {
		struct replay_file *file = files->items[i];
		if (file->has_request && (earliest == NULL || file->at_us < earliest->at_us))
			earliest = file;
	}
	return earliest;
}

uint64_t replay_files_count_lines(const struct replay_files *files)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < files->count; i++)
		lines += files->items[i]->input.number;
	return lines;
}
