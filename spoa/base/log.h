/*
 * log.h - one event, one line on standard error, as JSON or as text.
 *
 * A line is a snake_case event name and fields. It is put together whole, and what comes from
 * outside is escaped. Nobody ever waits for standard error: lines for which there is no room are
 * dropped, and the next line has their number in its field `dropped`. error: a person must act;
 * warn: degraded; info: lifecycle; debug: per request, off by default. The floors below net/ and
 * app/ do not log.
 *
 * Where standard error is systemd's journal, each line begins with its priority (sd-daemon(3)).
 *
 *   log_event(LOG_INFO, "listening", LOG_TEXT("address", text), LOG_INT("backlog", 4096));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum log_level { LOG_ERROR = 0, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_JSON = 0, LOG_PLAIN };

enum log_kind { LOG_IS_NUMBER = 0, LOG_IS_TEXT, LOG_IS_BOOL };

struct log_field {
	const char *name;
	struct bytes text;
	int64_t number; /* or a bool */
	enum log_kind kind;
};

#define LOG_BYTES(name, bytes) ((struct log_field){(name), (bytes), 0, LOG_IS_TEXT})
#define LOG_TEXT(name, text)   LOG_BYTES(name, bytes_from_text(text))
#define LOG_INT(name, value) \
	((struct log_field){(name), {NULL, 0}, (int64_t)(value), LOG_IS_NUMBER})
#define LOG_BOOL(name, value) ((struct log_field){(name), {NULL, 0}, (value), LOG_IS_BOOL})

/* So many lines a period at most for what can repeat; the next says how many were left out. */
struct log_limit {
	int64_t period_us; /* 0: a second */
	unsigned lines;    /* 0: one */
	unsigned written;  /* in this period */
	int64_t next_us;   /* when the next one begins */
	int64_t suppressed;
};

void log_set(enum log_level level, enum log_format format);

#define log_event(level, event, ...)                                      \
	log_fields(level, event, (const struct log_field[]){__VA_ARGS__}, \
		   sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define log_limited(limit, level, event, ...)                                                     \
	do {                                                                                      \
		int64_t suppressed_;                                                              \
		if (log_is_due(limit, level, &suppressed_))                                       \
			log_event(level, event, __VA_ARGS__, LOG_INT("suppressed", suppressed_)); \
	} while (0)

void log_fields(enum log_level level, const char *event, const struct log_field *fields,
		size_t count);
/* "<3>" and so on where standard error is systemd's journal, else "": for what is no event. */
const char *log_priority(enum log_level level);
/*
 * Lines that standard error did not take yet wait in a backlog. Writes what it takes now; false
 * when some is left: then the loop calls again when log_descriptor() can be written to.
 */
bool log_flush(void);
int log_descriptor(void);
/* Before the process ends: waits that long at most for the lines that are left. */
void log_finish(int timeout_ms);
/* Whether the line is to be written now; counts it as suppressed when not. */
bool log_is_due(struct log_limit *limit, enum log_level level, int64_t *ret_suppressed);

#endif
