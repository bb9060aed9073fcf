/*
 *  files, or standard input
 *       |
 *  replay_files     merges them: the next line is that of the earliest request
 *       |
 *       +-- --window 0: the line is asked as it comes ------------+
 *       |                                                         |
 *       +-- replay_order holds the line until no earlier one can  |
 *           come any more ----------------------------------------+
 *                                                                 |
 *  replay_line or haproxy_log makes a question of the line  <-----+
 *       |
 *  replay_ask       asks replay_engine, waits for the verdict
 *       |
 *       +-- replay_output   the answer, on standard output
 *       +-- replay_counts   for replay_summary and replay_plot, at the end
 *
 * One line is asked after the other, so that equal input gives equal answers. The loop runs only
 * while somebody waits: for input, for a reader of the output, or for Redis. Each of these waits
 * ends when a signal sets `is_stopped`.
 *
 * Each line is read twice: for its time when it comes, and for its question when its turn comes. In
 * between the line is kept as text, since a question takes 74 KB.
 */
#include "app/replay/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "app/replay/haproxy_log.h"
#include "app/replay/replay_ask.h"
#include "app/replay/replay_files.h"
#include "app/replay/replay_order.h"
#include "app/replay/replay_plot.h"
#include "app/replay/replay_summary.h"

#define REPLAY_WINDOW_US (60 * US_PER_SECOND)
#define EXIT_USAGE       2

struct replay {
	const struct options *options;
	struct replay_options *own;
	struct policies *policies;
	struct ev_loop *loop;
	struct ev_signal on_term, on_int;
	bool is_stopped; /* by a signal */
	bool is_failed;  /* `err` says why; no further line is read */
	struct err err;
	struct replay_engine *engine;
	struct haproxy_log *log; /* NULL: the lines are JSON */
	struct replay_order order;
	struct replay_counts counts;
	struct replay_lines lines;
	FILE *plot;
	struct replay_files files;
	struct replay_output output;
	struct replay_asker asker;
};

static void print_error(const char *text)
{
	fprintf(stderr, "ratelimit-spoa: %s\n", text);
}

/* ---- a line that was asked or refused ---- */

/* A line of an input, as messages name it. */
struct place {
	const struct replay_file *file;
	uint64_t number;
};

static void fail_at_line(struct replay *replay, struct place place)
{
	const char *name = place.file->name;

	(void)err_at(&replay->err, "%s%sline %" PRIu64 ": ", name != NULL ? name : "",
		     name != NULL ? ": " : "", place.number);
	replay->is_failed = true;
}

/* `err` says what is wrong with the line. Ends the replay unless it is to keep going. */
static void refuse_line(struct replay *replay, struct place place)
{
	replay->lines.bad++;
	fail_at_line(replay, place);
	if (!replay->own->keep_going)
		return;
	print_error(replay->err.text);
	replay->is_failed = false;
}

static void handle_answer(struct replay *replay, struct place place, enum replay_answer answer)
{
	switch (answer) {
	case REPLAY_ANSWERED:
	case REPLAY_STOPPED:
		break;
	case REPLAY_INVALID:
	case REPLAY_UNKNOWN_POLICY:
		refuse_line(replay, place);
		break;
	case REPLAY_FAILED:
		fail_at_line(replay, place);
		break;
	}
}

/* ---- the question of a line ---- */

static enum haproxy_line read_log(struct replay *replay, struct bytes line,
				  struct haproxy_entry *ret_entry)
{
	return haproxy_log_read(replay->log, line, &replay->asker.question, ret_entry,
				&replay->err);
}

static enum replay_answer ask_log_line(struct replay *replay, struct bytes text, int64_t at_us)
{
	struct haproxy_entry entry;

	if (read_log(replay, text, &entry) != HAPROXY_REQUEST)
		return REPLAY_INVALID;
	return replay_ask_question(&replay->asker, at_us, &replay->err);
}

static enum replay_answer ask_json_line(struct replay *replay, struct bytes text)
{
	struct replay_line line;

	if (!replay_line_read(text, &line, &replay->err))
		return REPLAY_INVALID;
	return replay_ask_line(&replay->asker, &line, &replay->err);
}

/* The line was a request when its time was read, so reading it again makes the same question. */
static void ask_line(struct replay *replay, struct place place, struct bytes text, int64_t at_us)
{
	enum replay_answer answer = replay->log != NULL ? ask_log_line(replay, text, at_us)
							: ask_json_line(replay, text);

	handle_answer(replay, place, answer);
}

/* Asks the held lines whose turn it is; with `all`, at the end of the input, all of them. */
static void ask_held_lines(struct replay *replay, bool all)
{
	struct replay_held *held;

	while (!replay->is_failed && !replay->is_stopped &&
	       (held = replay_order_pop(&replay->order, all)) != NULL) {
		ask_line(replay, (struct place){held->from, held->number},
			 bytes_from(held->text, held->len), held->at_us);
		free(held);
	}
}

/* ---- the time of a line ---- */

static bool is_blank(struct bytes line)
{
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return bytes_trim(line).len == 0;
}

static void count_log_line(struct replay_lines *lines, const struct haproxy_entry *entry)
{
	lines->cut += entry->is_cut;
	lines->bad_requests += entry->is_bad_request;
	lines->other_captures += entry->has_other_captures;
}

static enum haproxy_line read_log_time(struct replay *replay, struct replay_file *file,
				       struct bytes text)
{
	struct haproxy_entry entry;
	enum haproxy_line kind = read_log(replay, text, &entry);

	count_log_line(&replay->lines, &entry);
	if (kind == HAPROXY_REQUEST)
		file->at_us = line_clock_read(&file->clock, &entry.time);
	return kind;
}

static enum haproxy_line read_json_time(struct replay *replay, struct replay_file *file,
					struct bytes text)
{
	struct replay_line line;

	if (!replay_line_read(text, &line, &replay->err))
		return HAPROXY_BAD;
	file->at_us = line.at_us;
	return HAPROXY_REQUEST;
}

/* The summary shows the first line that is no request. */
static void skip_line(struct replay *replay, const struct replay_file *file, struct bytes line)
{
	if (replay->lines.skipped++ > 0)
		return;
	replay->lines.sample = quoted(line);
	replay->lines.sample_name = file->name;
	replay->lines.sample_number = file->input.number;
}

/* Whether the line is a request: then it is the next one of its file. */
static bool take_line(struct replay *replay, struct replay_file *file, struct bytes line)
{
	if (is_blank(line))
		return false;
	replay->lines.read++;
	switch (replay->log != NULL ? read_log_time(replay, file, line)
				    : read_json_time(replay, file, line)) {
	case HAPROXY_OTHER:
		skip_line(replay, file, line);
		return false;
	case HAPROXY_BAD:
		refuse_line(replay, (struct place){file, file->input.number});
		return false;
	case HAPROXY_REQUEST:
		file->line = line;
		return true;
	}
	return false;
}

static void refuse_long_line(struct replay *replay, struct replay_file *file)
{
	replay->lines.read++;
	(void)err_set(&replay->err, "longer than %d bytes", REPLAY_LINE_MAX);
	refuse_line(replay, (struct place){file, file->input.number});
}

/* Writes the answers so far, then waits for input: whoever sends line by line sees each answer. */
static void read_more(struct replay *replay, struct replay_file *file)
{
	replay->is_failed = !replay_output_flush(&replay->output, &replay->err) ||
			    !replay_input_fill(&file->input, &replay->err);
}

static void read_file(struct replay *replay, struct replay_file *file)
{
	struct bytes line;

	switch (replay_input_next(&file->input, &line)) {
	case INPUT_LINE:
		file->has_request = take_line(replay, file, line);
		break;
	case INPUT_TOO_LONG:
		refuse_long_line(replay, file);
		break;
	case INPUT_DRY:
		read_more(replay, file);
		break;
	case INPUT_END:
		replay_files_end(file);
		break;
	}
}

/* ---- all lines ---- */

static void hold_line(struct replay *replay, struct replay_file *file)
{
	const struct replay_order_line line = {file->at_us, file->line, file, file->input.number};

	if (!replay_order_add(&replay->order, &line))
		replay->is_failed = !err_set(&replay->err, "out of memory");
	ask_held_lines(replay, false);
}

static void handle_request(struct replay *replay, struct replay_file *file)
{
	file->has_request = false;
	if (replay->order.window_us > 0)
		hold_line(replay, file);
	else
		ask_line(replay, (struct place){file, file->input.number}, file->line, file->at_us);
}

static void replay_lines(struct replay *replay)
{
	while (!replay->is_failed && !replay->is_stopped) {
		struct replay_file *file = replay_files_to_read(&replay->files);
		if (file != NULL) {
			read_file(replay, file);
			continue;
		}
		file = replay_files_earliest(&replay->files);
		if (file == NULL)
			break;
		handle_request(replay, file);
	}
	ask_held_lines(replay, true);
}

/* ---- begin and end ---- */

static void handle_signal(struct replay *replay)
{
	if (replay->is_stopped)
		_exit(EXIT_FAILURE); /* the second signal: the keys in Redis are left */
	replay->is_stopped = true;
}

static void on_sigterm(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	(void)loop, (void)events;
	handle_signal(CONTAINER_OF(watcher, struct replay, on_term));
}

static void on_sigint(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	(void)loop, (void)events;
	handle_signal(CONTAINER_OF(watcher, struct replay, on_int));
}

static void watch_signals(struct replay *replay)
{
	(void)signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&replay->on_term, on_sigterm, SIGTERM);
	ev_signal_init(&replay->on_int, on_sigint, SIGINT);
	ev_signal_start(replay->loop, &replay->on_term);
	ev_signal_start(replay->loop, &replay->on_int);
}

/*
 * Opens the file of the picture before the replay, so that a wrong path is found at once. A file
 * that exists keeps its content until the new picture is written.
 */
static bool open_plot(struct replay *replay)
{
	const char *path = replay->own->plot;

	if (path == NULL)
		return true;
	replay->plot = fopen(path, "ae");
	return replay->plot != NULL ||
	       err_set(&replay->err, "--plot: %s: %s", path, strerror(errno));
}

static bool build_replay(struct replay *replay)
{
	replay->loop = ev_default_loop(EVFLAG_AUTO);
	if (replay->loop == NULL)
		return err_set(&replay->err, "no event loop");
	watch_signals(replay);
	replay_output_init(&replay->output, replay->loop, STDOUT_FILENO, &replay->is_stopped);
	if (replay->own->is_haproxy) {
		const struct line_format *format = &replay->own->line_format;
		replay->log = haproxy_log_new(replay->own->has_log_format ? format : NULL,
					      &replay->own->captures);
		if (replay->log == NULL)
			return err_set(&replay->err, "out of memory");
	}
	if (!replay_counts_init(&replay->counts, replay->policies, replay->own->plot != NULL))
		return err_set(&replay->err, "out of memory");
	replay->engine = replay_engine_new(
		&(struct replay_engine_config){
			.loop = replay->loop,
			.options = replay->options,
			.policies = replay->policies,
			.is_stopped = &replay->is_stopped,
			.answered = replay_ask_answered,
			.owner = &replay->asker,
		},
		&replay->err);
	replay->asker.engine = replay->engine;
	replay->asker.output = &replay->output;
	replay->asker.counts = &replay->counts;
	return replay->engine != NULL && open_plot(replay);
}

static bool put_plot(struct replay *replay)
{
	if (replay->plot == NULL)
		return true;
	/* A pipe can't be truncated, and has no old content. */
	(void)!ftruncate(fileno(replay->plot), 0);
	replay_plot_put(replay->plot, &replay->counts);
	bool is_good = !ferror(replay->plot);
	is_good = fclose(replay->plot) == 0 && is_good;
	replay->plot = NULL;
	return is_good ||
	       err_set(&replay->err, "--plot: %s: it can't be written", replay->own->plot);
}

static void put_summary(struct replay *replay)
{
	replay->lines.late = replay->order.late;
	replay->lines.latest_by_us = replay->order.latest_by_us;
	replay->lines.window_us = replay->order.window_us;
	replay->lines.is_window_shortened = replay->order.is_window_shortened;
	replay->lines.left_out = replay_engine_stats(replay->engine).left_out;
	replay->lines.evicted = replay_engine_evicted(replay->engine);
	replay_summary_put(stderr, &replay->counts, &replay->lines);
}

static void flush_output(struct replay *replay)
{
	struct err err;

	if (replay_output_flush(&replay->output, &err) || replay->is_failed)
		return; /* an earlier failure is the one to be told */
	replay->err = err;
	replay->is_failed = true;
}

/* A replay of which too many lines were left out says so at last, and has failed. */
static void judge_lines(struct replay *replay)
{
	if (replay_summary_judge(&replay->lines, &replay->err))
		return;
	print_error(replay->err.text);
	replay->is_failed = true;
}

/*
 * Whether all went well. The keys in Redis are deleted before the output is flushed, since the
 * flush may wait for a reader that never comes.
 */
static bool finish(struct replay *replay)
{
	struct err keys_err;
	bool is_clean = replay_engine_clean_up(replay->engine, &keys_err);

	flush_output(replay);
	put_summary(replay);
	if (!replay->is_failed && !replay->is_stopped)
		replay->is_failed = !put_plot(replay);
	if (replay->is_failed)
		print_error(replay->err.text);
	else if (replay->is_stopped)
		fprintf(stderr, "ratelimit-spoa: stopped after line %" PRIu64 "\n",
			replay_files_count_lines(&replay->files));
	else
		judge_lines(replay);
	if (!is_clean)
		print_error(keys_err.text);
	return is_clean && !replay->is_failed && !replay->is_stopped && replay->lines.bad == 0;
}

static void release(struct replay *replay)
{
	replay_engine_free(replay->engine);
	if (replay->plot != NULL)
		fclose(replay->plot);
	replay_order_release(&replay->order);
	replay_files_release(&replay->files);
	haproxy_log_free(replay->log);
	replay_counts_release(&replay->counts);
	policies_unref(replay->policies);
	if (replay->loop != NULL)
		ev_loop_destroy(replay->loop);
	free(replay);
}

/* Lines that somebody writes as they come need no window; logs of several machines do. */
static int64_t window_of(const struct replay_options *own)
{
	if (own->window_us >= 0)
		return own->window_us;
	return own->is_haproxy || own->file_count > 1 ? REPLAY_WINDOW_US : 0;
}

/* Returns the exit status. A file that is not there is wrong usage. */
static int run_replay(struct replay *replay)
{
	replay->order.window_us = window_of(replay->own);
	if (!build_replay(replay)) {
		print_error(replay->err.text);
		return EXIT_FAILURE;
	}
	const struct replay_files_config files = {
		.names = replay->own->files,
		.count = replay->own->file_count,
		.loop = replay->loop,
		.is_stopped = &replay->is_stopped,
		.zone = &replay->own->zone,
	};
	if (!replay_files_open(&replay->files, &files, &replay->err)) {
		print_error(replay->err.text);
		return EXIT_USAGE;
	}
	replay_lines(replay);
	return finish(replay) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int replay(const struct options *options, struct replay_options *own, struct policies *policies)
{
	struct replay *run = calloc(1, sizeof *run);

	if (run == NULL) {
		print_error("out of memory");
		policies_unref(policies);
		return EXIT_FAILURE;
	}
	run->options = options;
	run->own = own;
	run->policies = policies;
	int status = run_replay(run);
	release(run);
	return status;
}
