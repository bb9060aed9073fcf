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
 *
 * Each line is read twice: for its time when it comes, and for its question when its turn comes. In
 * between the line is kept as text, since a question takes 74 KB.
 */
#include "app/replay/replay_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- a line that was asked or refused ---- */

/* A line of an input, as messages name it. */
struct line_place {
	const struct replay_file *file;
	uint64_t number;
};

static void fail_at_line(struct replay_reader *reader, struct line_place place)
{
	const char *name = place.file->name;

	(void)err_at(&reader->err, "%s%sline %" PRIu64 ": ", name != NULL ? name : "",
		     name != NULL ? ": " : "", place.number);
	reader->is_failed = true;
}

/* `err` says what is wrong with the line. Ends the replay unless it is to keep going. */
static void refuse_line(struct replay_reader *reader, struct line_place place)
{
	reader->lines.bad++;
	fail_at_line(reader, place);
	if (!reader->keep_going)
		return;
	fprintf(stderr, "ratelimit-spoa: %s\n", reader->err.text);
	reader->is_failed = false;
}

static void handle_answer(struct replay_reader *reader, struct line_place place,
			  enum replay_answer answer)
{
	switch (answer) {
	case REPLAY_ANSWERED:
	case REPLAY_STOPPED:
		break;
	case REPLAY_INVALID:
	case REPLAY_UNKNOWN_POLICY:
		refuse_line(reader, place);
		break;
	case REPLAY_FAILED:
		fail_at_line(reader, place);
		break;
	}
}

/* ---- the question of a line ---- */

static enum haproxy_line read_log(struct replay_reader *reader, struct bytes line,
				  struct haproxy_entry *ret_entry)
{
	return haproxy_log_read(reader->log, line, &reader->asker->question, ret_entry,
				&reader->err);
}

static enum replay_answer ask_log_line(struct replay_reader *reader, struct bytes text,
				       int64_t at_us)
{
	struct haproxy_entry entry;

	if (read_log(reader, text, &entry) != HAPROXY_REQUEST)
		return REPLAY_INVALID;
	return replay_ask_question(reader->asker, at_us, &reader->err);
}

static enum replay_answer ask_json_line(struct replay_reader *reader, struct bytes text)
{
	struct replay_line line;

	if (!replay_line_read(text, &line, &reader->err))
		return REPLAY_INVALID;
	return replay_ask_line(reader->asker, &line, &reader->err);
}

/* The line was a request when its time was read, so reading it again makes the same question. */
static void ask_line(struct replay_reader *reader, struct line_place place, struct bytes text,
		     int64_t at_us)
{
	enum replay_answer answer = reader->log != NULL ? ask_log_line(reader, text, at_us)
							: ask_json_line(reader, text);

	handle_answer(reader, place, answer);
}

/* Asks the held lines whose turn it is; with `all`, at the end of the input, all of them. */
static void ask_held_lines(struct replay_reader *reader, bool all)
{
	struct replay_held *held;

	while (!reader->is_failed && !*reader->is_stopped &&
	       (held = replay_order_pop(&reader->order, all)) != NULL) {
		ask_line(reader, (struct line_place){held->from, held->number},
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

static enum haproxy_line read_log_time(struct replay_reader *reader, struct replay_file *file,
				       struct bytes text)
{
	struct haproxy_entry entry;
	enum haproxy_line kind = read_log(reader, text, &entry);

	count_log_line(&reader->lines, &entry);
	if (kind == HAPROXY_REQUEST)
		file->at_us = line_clock_read(&file->clock, &entry.time);
	return kind;
}

static enum haproxy_line read_json_time(struct replay_reader *reader, struct replay_file *file,
					struct bytes text)
{
	struct replay_line line;

	if (!replay_line_read(text, &line, &reader->err))
		return HAPROXY_BAD;
	file->at_us = line.at_us;
	return HAPROXY_REQUEST;
}

/* The summary shows the first line that is no request. */
static void skip_line(struct replay_reader *reader, const struct replay_file *file,
		      struct bytes line)
{
	if (reader->lines.skipped++ > 0)
		return;
	reader->lines.sample = quoted(line);
	reader->lines.sample_name = file->name;
	reader->lines.sample_number = file->input.number;
}

/* Whether the line is a request: then it is the next one of its file. */
static bool read_line(struct replay_reader *reader, struct replay_file *file, struct bytes line)
{
	if (is_blank(line))
		return false;
	reader->lines.read++;
	switch (reader->log != NULL ? read_log_time(reader, file, line)
				    : read_json_time(reader, file, line)) {
	case HAPROXY_OTHER:
		skip_line(reader, file, line);
		return false;
	case HAPROXY_BAD:
		refuse_line(reader, (struct line_place){file, file->input.number});
		return false;
	case HAPROXY_REQUEST:
		file->line = line;
		return true;
	}
	return false;
}

static void refuse_long_line(struct replay_reader *reader, struct replay_file *file)
{
	reader->lines.read++;
	(void)err_set(&reader->err, "longer than %d bytes", REPLAY_LINE_MAX);
	refuse_line(reader, (struct line_place){file, file->input.number});
}

/* Writes the answers so far, then waits for input: whoever sends line by line sees each answer. */
static void read_more(struct replay_reader *reader, struct replay_file *file)
{
	reader->is_failed = !replay_output_flush(reader->output, &reader->err) ||
			    !replay_input_fill(&file->input, &reader->err);
}

static void read_file(struct replay_reader *reader, struct replay_file *file)
{
	struct bytes line;

	switch (replay_input_next(&file->input, &line)) {
	case INPUT_LINE:
		file->has_request = read_line(reader, file, line);
		break;
	case INPUT_TOO_LONG:
		refuse_long_line(reader, file);
		break;
	case INPUT_DRY:
		read_more(reader, file);
		break;
	case INPUT_END:
		replay_files_end(file);
		break;
	}
}

/* ---- all lines ---- */

static void hold_line(struct replay_reader *reader, struct replay_file *file)
{
	const struct replay_order_line line = {file->at_us, file->line, file, file->input.number};

	if (!replay_order_add(&reader->order, &line))
		reader->is_failed = !err_set(&reader->err, "out of memory");
	ask_held_lines(reader, false);
}

static void handle_request(struct replay_reader *reader, struct replay_file *file)
{
	file->has_request = false;
	if (reader->order.window_us > 0)
		hold_line(reader, file);
	else
		ask_line(reader, (struct line_place){file, file->input.number}, file->line,
			 file->at_us);
}

void replay_reader_run(struct replay_reader *reader)
{
	while (!reader->is_failed && !*reader->is_stopped) {
		struct replay_file *file = replay_files_to_read(&reader->files);
		if (file != NULL) {
			read_file(reader, file);
			continue;
		}
		file = replay_files_earliest(&reader->files);
		if (file == NULL)
			break;
		handle_request(reader, file);
	}
	ask_held_lines(reader, true);
}

void replay_reader_release(struct replay_reader *reader)
{
	replay_order_release(&reader->order);
	replay_files_release(&reader->files);
	haproxy_log_free(reader->log);
}
