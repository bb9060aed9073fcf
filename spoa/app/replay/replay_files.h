/*
 * replay_files.h - the inputs of a replay, merged by time: the next line is that of the input whose
 * next request is the earliest. So two logs of one day are read in step, however they are named.
 *
 * Who reads the lines says which of them is a request and when: an input that has no request in
 * hand is `replay_files_to_read`; when there is none, `replay_files_earliest` goes next.
 */
#ifndef APP_REPLAY_FILES_H
#define APP_REPLAY_FILES_H

#include "app/replay/line_clock.h"
#include "app/replay/replay_input.h"

#define REPLAY_FILES_MAX 1000

struct replay_file {
	struct replay_input input;
	const char *name; /* as it was given; NULL: standard input, since there was no argument */
	bool is_over;
	struct line_clock clock; /* of its dates */
	/* The next request, which who reads sets and clears. */
	bool has_request;
	int64_t at_us;
	struct bytes line; /* good until the next line of the input is read */
};

struct replay_files {
	struct replay_file **items; /* owned */
	size_t count;
};

struct replay_files_config {
	const char *const *names;
	size_t count; /* 0: standard input alone */
	struct ev_loop *loop;
	const bool *is_stopped;
	const struct time_zone *zone; /* of the dates in each of them */
};

/*
 * Opens all of them, "-" as standard input. `files` is all zero at first, and is released by the
 * caller in any case.
 */
MUST_CHECK bool replay_files_open(struct replay_files *files,
				  const struct replay_files_config *config, struct err *err);
void replay_files_release(struct replay_files *files);
struct replay_file *replay_files_to_read(const struct replay_files *files);
struct replay_file *replay_files_earliest(const struct replay_files *files);
/* Closes the input, of which nothing more is to be read. */
void replay_files_end(struct replay_file *file);
/* How many lines were read of all of them. */
uint64_t replay_files_count_lines(const struct replay_files *files);

#endif
