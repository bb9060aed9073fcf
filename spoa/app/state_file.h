/*
 * state_file.h - --state-file: what operators changed, and the balances of a memory store at a
 * clean end, kept in a file of this agent.
 *
 * The file is read at the start and written within a second of a change, whole, beside the loop:
 * into PATH.new, which is then renamed. So the file is always one that was written to its end. The
 * agent holds a lock on it as long as it runs: a second agent with the same file does not start.
 *
 * The balances are written at the end only, when the loop has ended. They stay in the file until it
 * is written the next time: if the agent is killed before that, the next one begins with them. An
 * agent that has later ones writes the file without them when it has started.
 *
 * A file that is no state file, or is damaged, is moved to PATH.unusable, and the agent starts
 * without it. If only the balances can't be used, the agent takes the rest.
 */
#ifndef APP_STATE_FILE_H
#define APP_STATE_FILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/compiler.h"
#include "base/err.h"
#include "store/memory.h"
#include "store/records.h"

struct state_file {
	const char *path;        /* NULL: there is none, and nothing is done */
	struct records *records; /* what is written */
	int fd;                  /* of the file, locked; -1 */
	bool is_changed;         /* since the last writing began */
	struct ev_loop *loop;
	struct ev_timer timer; /* to write */
	struct ev_async on_written;
	size_t place; /* of the record that is put next, from the last one down */
	size_t count; /* of records that were put */
	bool is_putting;
	bool is_writing; /* there is a thread */
	pthread_t thread;
	/* The text, which is the thread's until it has ended; so are the other two. */
	uint8_t *text;
	size_t len, max;
	int error;
	int new_fd;
	struct store *balances; /* that are written too; NULL: none are */
	bool has_skipped;       /* the file has balances that were not read */
	struct balances_image_counts counts;
};

struct state_file_config {       /* nothing of it is owned */
	const char *path;        /* NULL, or lives as long as the state file */
	struct records *records; /* that are read and written */
	/* A memory store without balances, which gets those of the file; NULL: balances are kept
	 * elsewhere. */
	struct store *memory;
	bool skips_balances; /* `memory` has later ones than the file */
};

/*
 * Locks the file, which is made if it is missing, and reads it. False, with the reason, when
 * another agent has it or it can't be opened. The caller calls it before records_on_change, and
 * policies_hash_starts then.
 */
MUST_CHECK bool state_file_open(struct state_file *file, const struct state_file_config *config,
				struct err *err);
/* From now on changes are written. Before this none are noted. */
void state_file_start(struct state_file *file, struct ev_loop *loop);
/* A record has changed. */
void state_file_note_change(struct state_file *file);
/* The agent runs with later balances than the file has, if it has any: the file is written without
 * them, so that nobody reads them after a crash. */
void state_file_drop_skipped(struct state_file *file);
/* At a clean end: writes all, with the balances of the memory store, and waits for that. */
void state_file_write_balances(struct state_file *file, struct store *memory);
/* Writes what is not written yet, and waits for that. Before the records are freed. */
void state_file_close(struct state_file *file);

#endif
