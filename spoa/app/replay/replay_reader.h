/*
 * replay_reader.h - reads all lines of a replay and has each of them asked, in order of time.
 */
#ifndef APP_REPLAY_READER_H
#define APP_REPLAY_READER_H

#include "app/replay/haproxy_log.h"
#include "app/replay/replay_ask.h"
#include "app/replay/replay_files.h"
#include "app/replay/replay_order.h"
#include "app/replay/replay_summary.h"

/* The caller sets the first part. What is all zero is empty. */
struct replay_reader {
	const bool *is_stopped;
	bool keep_going; /* a line that is not valid is reported, and does not end the replay */
	struct replay_output *output;
	struct replay_asker *asker;
	struct haproxy_log *log;   /* owned; NULL: the lines are JSON */
	struct replay_files files; /* owned, open */
	struct replay_order order; /* owned, with its window */

	struct replay_lines lines;
	bool is_failed; /* `err` says why; no further line is read */
	struct err err;
};

void replay_reader_run(struct replay_reader *reader);
void replay_reader_release(struct replay_reader *reader);

#endif
