/*
 *  standard input
 *       |
 *  replay_input     a line
 *       |
 *       +-- json:     replay_line makes a question of it -------------+
 *       |                                                             |
 *       +-- haproxy:  haproxy_log makes a question of it;             |
 *                     replay_order holds the line until no earlier    |
 *                     one can come; then it is read once more --------+
 *                                                                     |
 *  replay_ask       asks replay_engine, waits for the verdict  <------+
 *       |
 *       +-- replay_output   the answer, on standard output
 *       +-- replay_counts   for replay_summary and replay_plot, at the end
 *
 * One line is asked after the other, so that equal input gives equal answers. The loop runs only
 * while somebody waits: for input, for a reader of the output, or for Redis. Each of these waits
 * ends when a signal sets `is_stopped`.
 *
 * A held line is kept as text and read again when its turn comes: a question takes 74 KB.
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
#include "app/replay/replay_input.h"
#include "app/replay/replay_order.h"
#include "app/replay/replay_plot.h"
#include "app/replay/replay_summary.h"

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
	struct replay_order order;
	struct replay_counts counts;
	struct replay_lines lines;
	FILE *plot;
	struct replay_input input;
	struct replay_output output;
	struct replay_asker asker;
};

static void print_error(const char *text)
{
	fprintf(stderr, "ratelimit-spoa: %s\n", text);
}

/* ---- a line that was asked or refused ---- */

static void fail_at_line(struct replay *replay, uint64_t number)
{
	(void)err_at(&replay->err, "line %" PRIu64 ": ", number);
	replay->is_failed = true;
}

/* `err` says what is wrong with the line. Ends the replay unless it is to keep going. */
static void refuse_line(struct replay *replay, uint64_t number)
{
	replay->lines.bad++;
	fail_at_line(replay, number);
	if (!replay->own->keep_going)
		return;
	print_error(replay->err.text);
	replay->is_failed = false;
}

static void handle_answer(struct replay *replay, uint64_t number, enum replay_answer answer)
{
	switch (answer) {
	case REPLAY_ANSWERED:
	case REPLAY_STOPPED:
		break;
	case REPLAY_INVALID:
	case REPLAY_UNKNOWN_POLICY:
		refuse_line(replay, number);
		break;
	case REPLAY_FAILED:
		fail_at_line(replay, number);
		break;
	}
}

static bool is_blank(struct bytes line)
{
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return bytes_trim(line).len == 0;
}

static void ask_json_line(struct replay *replay, struct bytes text)
{
	uint64_t number = replay->input.number;
	struct replay_line line;

	if (is_blank(text))
		return;
	if (replay_line_read(text, &line, &replay->err))
		handle_answer(replay, number, replay_ask_line(&replay->asker, &line, &replay->err));
	else
		refuse_line(replay, number);
}

/* ---- a line of a log ---- */

static enum haproxy_line read_log(struct replay *replay, struct bytes line, int64_t *ret_at_us)
{
	return haproxy_log_read(line, &replay->own->zone, &replay->asker.question, ret_at_us,
				&replay->err);
}

/*
 * Asks the held lines whose turn it is; with `all`, at the end of the input, all of them. Every
 * held line was a request when it came, so reading it again makes the same question.
 */
static void ask_held_lines(struct replay *replay, bool all)
{
	struct replay_held *held;
	int64_t at_us;

	while (!replay->is_failed && !replay->is_stopped &&
	       (held = replay_order_pop(&replay->order, all)) != NULL) {
		if (read_log(replay, bytes_from(held->text, held->len), &at_us) == HAPROXY_REQUEST)
			handle_answer(
				replay, held->number,
				replay_ask_question(&replay->asker, held->at_us, &replay->err));
		free(held);
	}
}

static void hold_log_line(struct replay *replay, struct bytes line)
{
	uint64_t number = replay->input.number;
	int64_t at_us;

	switch (read_log(replay, line, &at_us)) {
	case HAPROXY_OTHER:
		replay->lines.skipped += !is_blank(line);
		break;
	case HAPROXY_BAD:
		refuse_line(replay, number);
		break;
	case HAPROXY_REQUEST:
		if (!replay_order_add(&replay->order, at_us, number, line))
			replay->is_failed = !err_set(&replay->err, "out of memory");
		ask_held_lines(replay, false);
		break;
	}
}

/* ---- all lines ---- */

static void handle_line(struct replay *replay, struct bytes line)
{
	if (replay->own->is_haproxy)
		hold_log_line(replay, line);
	else
		ask_json_line(replay, line);
}

static void refuse_long_line(struct replay *replay)
{
	(void)err_set(&replay->err, "longer than %d bytes", REPLAY_LINE_MAX);
	refuse_line(replay, replay->input.number);
}

/* Writes the answers so far, then waits for input: whoever sends line by line sees each answer. */
static void read_more(struct replay *replay)
{
	replay->is_failed = !replay_output_flush(&replay->output, &replay->err) ||
			    !replay_input_fill(&replay->input, &replay->err);
}

static void replay_lines(struct replay *replay)
{
	struct bytes line;

	while (!replay->is_failed && !replay->is_stopped) {
		switch (replay_input_next(&replay->input, &line)) {
		case INPUT_LINE:
			handle_line(replay, line);
			break;
		case INPUT_TOO_LONG:
			refuse_long_line(replay);
			break;
		case INPUT_DRY:
			read_more(replay);
			break;
		case INPUT_END:
			ask_held_lines(replay, true);
			return;
		}
	}
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
	replay_input_init(&replay->input, replay->loop, STDIN_FILENO, &replay->is_stopped);
	replay_output_init(&replay->output, replay->loop, STDOUT_FILENO, &replay->is_stopped);
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
	replay->lines.clamped = replay->order.clamped;
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
			replay->input.number);
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
	replay_counts_release(&replay->counts);
	policies_unref(replay->policies);
	if (replay->loop != NULL)
		ev_loop_destroy(replay->loop);
	free(replay);
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
	bool is_good = build_replay(run);
	if (is_good) {
		replay_lines(run);
		is_good = finish(run);
	} else {
		print_error(run->err.text);
	}
	release(run);
	return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
