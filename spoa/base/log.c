/*
 * Whoever reads standard error may be slow, or read no more at all: a pipe that is full, a terminal
 * in Ctrl-S. The agent must not wait for it, since it would stop answering HAProxy. So a line goes
 * into a backlog, and leaves it when standard error takes the line without waiting; lines for
 * which the backlog has no room are dropped, and the next line that is written says how many.
 *
 * Standard error is shared with other processes, so its flags (O_NONBLOCK) are not changed:
 *
 *     a pipe       poll says that it takes at least PIPE_BUF bytes, and no more are written then
 *     a socket     MSG_DONTWAIT
 *     a terminal   is opened once more, for a description of our own that does not wait
 *     a file       does not wait; what a full disk refuses is dropped
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/writer.h"

#define LINE_MAX_BYTES 4096
#define BACKLOG_BYTES  65536

static enum log_level max_level = LOG_INFO;
static enum log_format format_now = LOG_JSON;

void log_set(enum log_level level, enum log_format format)
{
	max_level = level;
	format_now = format;
}

static bool is_on(enum log_level level)
{
	return level <= max_level;
}

bool log_is_due(struct log_limit *limit, enum log_level level, int64_t *ret_suppressed)
{
	int64_t now_us = clock_mono_us();

	if (!is_on(level))
		return false;
	if (now_us >= limit->next_us) {
		limit->next_us = now_us + (limit->period_us > 0 ? limit->period_us : US_PER_SECOND);
		limit->written = 0;
	}
	if (limit->written >= (limit->lines > 0 ? limit->lines : 1)) {
		limit->suppressed++;
		return false;
	}
	*ret_suppressed = limit->suppressed;
	limit->suppressed = 0;
	limit->written++;
	return true;
}

static void put_time(struct writer *w)
{
	int64_t now_us = clock_now_us();
	time_t seconds = (time_t)(now_us / US_PER_SECOND);
	struct tm tm;
	char text[48];

	gmtime_r(&seconds, &tm);
	size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof text - len, ".%03dZ",
		 (int)(now_us % US_PER_SECOND / US_PER_MS));
	writer_put_text(w, text);
}

static void put_field(struct writer *w, const struct log_field *field)
{
	bool json = format_now == LOG_JSON;

	writer_put_text(w, json ? ",\"" : " ");
	writer_put_text(w, field->name);
	writer_put_text(w, json ? "\":" : "=");
	switch (field->kind) {
	case LOG_IS_NUMBER:
		writer_put_decimal(w, field->number);
		break;
	case LOG_IS_TEXT:
		writer_put_json_string(w, field->text);
		break;
	case LOG_IS_BOOL:
		writer_put_text(w, field->number != 0 ? "true" : "false");
		break;
	}
}

static void put_start(struct writer *w, const char *level, const char *event)
{
	if (format_now == LOG_JSON) {
		writer_put_text(w, "{\"time\":\"");
		put_time(w);
		writer_put_text(w, "\",\"level\":\"");
		writer_put_text(w, level);
		writer_put_text(w, "\",\"event\":\"");
		writer_put_text(w, event);
		writer_put_u8(w, '"');
		return;
	}
	put_time(w);
	writer_put_u8(w, ' ');
	writer_put_text(w, level);
	writer_put_u8(w, ' ');
	writer_put_text(w, event);
}

/* ---- the journal ---- */

static enum { JOURNAL_UNKNOWN = 0, JOURNAL_HERE, JOURNAL_ELSEWHERE } journal;

/*
 * JOURNAL_STREAM names the device and the inode of the journal's end (systemd.exec(5)). Programs
 * inherit the variable also when their standard error goes elsewhere, so the two are compared.
 */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char expected[64];
	struct stat status;

	if (stream == NULL || fstat(fd, &status) != 0)
		return false;
	snprintf(expected, sizeof expected, "%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino);
	return strcmp(stream, expected) == 0;
}

const char *log_priority(enum log_level level)
{
	static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};

	if (journal == JOURNAL_UNKNOWN)
		journal = is_journal(STDERR_FILENO) ? JOURNAL_HERE : JOURNAL_ELSEWHERE;
	return journal == JOURNAL_HERE ? priorities[level] : "";
}

/* ---- leaving ---- */

/* Whole lines, oldest first; only the first of them may have begun to leave. */
static struct {
	char data[BACKLOG_BYTES];
	size_t len;
	int64_t dropped; /* lines, since the last that found room */
} backlog;

static enum { SINK_UNKNOWN = 0, SINK_PIPE, SINK_SOCKET, SINK_OTHER } sink;
static int sink_fd = STDERR_FILENO;

static void find_sink(void)
{
	struct stat status;

	sink = SINK_OTHER;
	if (fstat(STDERR_FILENO, &status) != 0)
		return;
	if (S_ISSOCK(status.st_mode))
		sink = SINK_SOCKET;
	if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
		sink = SINK_PIPE;
	if (!S_ISCHR(status.st_mode))
		return;
	int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		sink_fd = fd;
}

static bool takes_without_waiting(int timeout_ms)
{
	struct pollfd fd = {.fd = sink_fd, .events = POLLOUT};

	return poll(&fd, 1, timeout_ms) == 1 && (fd.revents & (POLLOUT | POLLERR | POLLHUP)) != 0;
}

/* As many whole lines as go into a pipe at once, so that lines of other writers do not cut them. */
static size_t lines_for_a_pipe(void)
{
	if (backlog.len <= PIPE_BUF)
		return backlog.len;
	const char *end = memrchr(backlog.data, '\n', PIPE_BUF);
	return end == NULL ? PIPE_BUF : (size_t)(end - backlog.data) + 1;
}

/* Like write; fails with EAGAIN where it would have to wait. */
static ssize_t write_some(void)
{
	switch (sink) {
	case SINK_SOCKET:
		return send(sink_fd, backlog.data, backlog.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_PIPE:
		if (takes_without_waiting(0))
			return write(sink_fd, backlog.data, lines_for_a_pipe());
		errno = EAGAIN;
		return -1;
	case SINK_UNKNOWN:
	case SINK_OTHER:
		break;
	}
	return write(sink_fd, backlog.data, backlog.len);
}

bool log_flush(void)
{
	while (backlog.len > 0) {
		ssize_t done = write_some();
		if (done < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		/* What standard error refuses has nowhere else to go. */
		size_t gone = done > 0 ? (size_t)done : backlog.len;
		backlog.len -= gone;
		memmove(backlog.data, backlog.data + gone, backlog.len);
	}
	return true;
}

int log_descriptor(void)
{
	return sink_fd;
}

void log_finish(int timeout_ms)
{
	int64_t end_us = clock_mono_us() + timeout_ms * US_PER_MS, left_us;

	while (!log_flush() && (left_us = end_us - clock_mono_us()) > 0)
		(void)takes_without_waiting((int)(left_us / US_PER_MS) + 1);
}

/* ---- lines ---- */

static size_t put_line(char *line, size_t max, enum log_level level, const char *event,
		       const struct log_field *fields, size_t count)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	struct log_field dropped = LOG_INT("dropped", backlog.dropped);
	struct writer w = writer_on(line, max - 64); /* room for `dropped` and the end */

	writer_put_text(&w, log_priority(level));
	put_start(&w, levels[level], event);
	for (size_t i = 0; i < count; i++) {
		size_t mark = writer_mark(&w);
		put_field(&w, &fields[i]);
		if (w.full)
			writer_rewind(&w, mark);
	}
	w.max = max;
	if (backlog.dropped > 0)
		put_field(&w, &dropped);
	writer_put_text(&w, format_now == LOG_JSON ? "}\n" : "\n");
	return w.len;
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields,
		size_t count)
{
	char line[LINE_MAX_BYTES];

	if (!is_on(level))
		return;
	if (sink == SINK_UNKNOWN)
		find_sink();
	(void)log_flush();
	size_t len = put_line(line, sizeof line, level, event, fields, count);
	if (len > sizeof backlog.data - backlog.len) {
		backlog.dropped++;
		return;
	}
	backlog.dropped = 0;
	memcpy(backlog.data + backlog.len, line, len);
	backlog.len += len;
	(void)log_flush();
}
