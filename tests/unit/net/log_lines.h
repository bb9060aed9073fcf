/*
 * log_lines.h - what the tested code logs, kept for the test instead of written.
 *
 * log_lines.c defines write, which log_fields calls: writes to standard error are kept, all others
 * are made. What cmocka says of a failure does not come by there.
 */
#ifndef NET_LOG_LINES_H
#define NET_LOG_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* Forgets the lines, and lets time pass so that no limit of lines a minute or a second holds. */
void log_lines_clear(void);
size_t log_lines_count(void);
/* How many lines are of this event. */
size_t log_lines_of(const char *event);
/* Whether a line of this event has this text in it, such as "\"status\":4". */
bool log_lines_have(const char *event, const char *text);

#endif
