/*
 *  replay_reader    reads the lines, and has each asked by
 *  replay_ask       the engine, which keeps the answers and counts for
 *  replay_output    the answers on standard output, and
 *  replay_summary   what is told at the end, with the picture of replay_plot
 *
 * One line is asked after the other, so that equal input gives equal answers. The loop runs only
 * while somebody waits: for input, for a reader of the output, or for Redis. Each of these waits
 * ends when a signal sets `is_stopped`.
 */
#include "app/replay/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "app/replay/replay_plot.h"
#include "app/replay/replay_reader.h"

#define REPLAY_WINDOW_US (60 * US_PER_SECOND)
#define EXIT_USAGE       2

struct replay {
	const struct options *options;
	struct replay_options *own;
	struct policies *policies;
	struct ev_loop *loop;
	struct ev_signal on_term, on_int;
	bool is_stopped; /* by a signal */
	struct replay_reader reader;
	struct replay_engine *engine;
	struct replay_counts counts;
	struct replay_against *against; /* NULL without a second policy file */
	FILE *plot;
	struct replay_output output;
	struct replay_asker asker;
};

static void print_error(const char *text)
{
	fprintf(stderr, "ratelimit-spoa: %s\n", text);
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
	       err_set(&replay->reader.err, "--plot: %s: %s", path, strerror(errno));
}

/* Lines that somebody writes as they come need no window; logs of several machines do. */
static int64_t window_of(const struct replay_options *own)
{
	if (own->window_us >= 0)
		return own->window_us;
	return own->is_haproxy || own->file_count > 1 ? REPLAY_WINDOW_US : 0;
}

static bool build_reader(struct replay *replay)
{
	const struct replay_options *own = replay->own;
	struct replay_reader *reader = &replay->reader;

	reader->is_stopped = &replay->is_stopped;
	reader->keep_going = own->keep_going;
	reader->output = &replay->output;
	reader->asker = &replay->asker;
	reader->order.window_us = window_of(own);
	if (own->is_haproxy)
		reader->log = haproxy_log_new(own->has_log_format ? &own->line_format : NULL,
					      &own->captures);
	return !own->is_haproxy || reader->log != NULL || err_set(&reader->err, "out of memory");
}

static bool build_asker(struct replay *replay)
{
	if (!replay_counts_init(&replay->counts, replay->policies, replay->own->plot != NULL))
		return err_set(&replay->reader.err, "out of memory");
	replay->engine = replay_engine_new(
		&(struct replay_engine_config){
			.loop = replay->loop,
			.options = replay->options,
			.policies = replay->policies,
			.is_stopped = &replay->is_stopped,
			.answered = replay_ask_answered,
			.owner = &replay->asker,
		},
		&replay->reader.err);
	replay->asker.engine = replay->engine;
	replay->asker.output = &replay->output;
	replay->asker.counts = &replay->counts;
	return replay->engine != NULL;
}

static bool build_replay(struct replay *replay)
{
	replay->loop = ev_default_loop(EVFLAG_AUTO);
	if (replay->loop == NULL)
		return err_set(&replay->reader.err, "no event loop");
	watch_signals(replay);
	replay_output_init(&replay->output, replay->loop, STDOUT_FILENO, &replay->is_stopped);
	return build_reader(replay) && build_asker(replay) && open_plot(replay);
}

/* The second policy file. False also when it is not good: *ret_is_usage is true then. */
static bool build_against(struct replay *replay, bool *ret_is_usage)
{
	const struct replay_against_config config = {
		.file = replay->own->against,
		.options = replay->options,
		.policies = replay->policies,
		.loop = replay->loop,
		.is_stopped = &replay->is_stopped,
		.has_steps = replay->own->plot != NULL,
	};

	*ret_is_usage = false;
	if (config.file == NULL)
		return true;
	replay->against = replay_against_new(&config, ret_is_usage, &replay->reader.err);
	replay->asker.against = replay->against;
	replay->counts.against = replay->against;
	return replay->against != NULL;
}

/* A file that is not there is wrong usage. */
static bool open_files(struct replay *replay)
{
	return replay_files_open(&replay->reader.files,
				 &(struct replay_files_config){
					 .names = replay->own->files,
					 .count = replay->own->file_count,
					 .loop = replay->loop,
					 .is_stopped = &replay->is_stopped,
					 .zone = &replay->own->zone,
				 },
				 &replay->reader.err);
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
	       err_set(&replay->reader.err, "--plot: %s: it can't be written", replay->own->plot);
}

static void put_summary(struct replay *replay)
{
	replay->reader.lines.format =
		replay->own->has_log_format ? &replay->own->line_format : NULL;
	replay->reader.lines.late = replay->reader.order.late;
	replay->reader.lines.latest_by_us = replay->reader.order.latest_by_us;
	replay->reader.lines.window_us = replay->reader.order.window_us;
	replay->reader.lines.is_window_shortened = replay->reader.order.is_window_shortened;
	replay->reader.lines.left_out = replay_engine_stats(replay->engine).left_out;
	replay->reader.lines.evicted = replay_engine_evicted(replay->engine);
	if (!replay->own->json)
		replay_summary_put(stderr, &replay->counts, &replay->reader.lines);
	else if (!replay_summary_put_json(stderr, &replay->counts, &replay->reader.lines))
		print_error("out of memory");
}

static void flush_output(struct replay *replay)
{
	struct err err;

	if (replay_output_flush(&replay->output, &err) || replay->reader.is_failed)
		return; /* an earlier failure is the one to be told */
	replay->reader.err = err;
	replay->reader.is_failed = true;
}

/* A replay of which too many lines were left out says so at last, and has failed. */
static void judge_lines(struct replay *replay)
{
	if (replay_summary_judge(&replay->reader.lines, &replay->reader.err))
		return;
	print_error(replay->reader.err.text);
	replay->reader.is_failed = true;
}

static bool delete_keys(struct replay_engine *engine)
{
	struct err err;
	bool is_clean = replay_engine_clean_up(engine, &err);

	if (!is_clean)
		print_error(err.text);
	return is_clean;
}

/*
 * Whether all went well. The keys in Redis are deleted before the output is flushed, since the
 * flush may wait for a reader that never comes.
 */
static bool finish(struct replay *replay)
{
	bool is_clean = delete_keys(replay->engine);
	if (replay->against != NULL)
		is_clean = delete_keys(replay->against->engine) && is_clean;

	flush_output(replay);
	put_summary(replay);
	if (!replay->reader.is_failed && !replay->is_stopped)
		replay->reader.is_failed = !put_plot(replay);
	if (replay->reader.is_failed)
		print_error(replay->reader.err.text);
	else if (replay->is_stopped)
		fprintf(stderr, "ratelimit-spoa: stopped after line %" PRIu64 "\n",
			replay_files_count_lines(&replay->reader.files));
	else
		judge_lines(replay);
	return is_clean && !replay->reader.is_failed && !replay->is_stopped &&
	       replay->reader.lines.bad == 0;
}

static void release(struct replay *replay)
{
	replay_engine_free(replay->engine);
	replay_against_free(replay->against);
	if (replay->plot != NULL)
		fclose(replay->plot);
	replay_reader_release(&replay->reader);
	replay_counts_release(&replay->counts);
	policies_unref(replay->policies);
	if (replay->loop != NULL)
		ev_loop_destroy(replay->loop);
	free(replay);
}

static int fail(const struct replay *replay, bool is_usage)
{
	print_error(replay->reader.err.text);
	return is_usage ? EXIT_USAGE : EXIT_FAILURE;
}

/* Returns the exit status. */
static int run_replay(struct replay *replay)
{
	bool is_usage;

	if (!build_replay(replay))
		return fail(replay, false);
	if (!build_against(replay, &is_usage))
		return fail(replay, is_usage);
	if (!open_files(replay))
		return fail(replay, true);
	replay_reader_run(&replay->reader);
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
