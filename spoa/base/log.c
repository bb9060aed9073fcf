#include "base/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/writer.h"

#define LINE_MAX_BYTES 4096

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

void log_fields(enum log_level level, const char *event, const struct log_field *fields,
		size_t count)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	char line[LINE_MAX_BYTES];
	struct writer w = writer_on(line, sizeof line - 2); /* room for the brace and the newline */

	if (!is_on(level))
		return;
	put_start(&w, levels[level], event);
	for (size_t i = 0; i < count; i++) {
		size_t mark = writer_mark(&w);
		put_field(&w, &fields[i]);
		if (w.full)
			writer_rewind(&w, mark);
	}
	w.max = sizeof line;
	writer_put_text(&w, format_now == LOG_JSON ? "}\n" : "\n");
	/* A line that standard error does not take has nowhere else to go. */
	ssize_t written = write(STDERR_FILENO, line, w.len);
	(void)written;
}
