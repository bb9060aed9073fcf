/*
 * line_date.h - the dates that HAProxy writes into its log:
 *
 *     24/Nov/2026:11:44:28.123     %t and %tr: the local time of HAProxy's machine
 *     24/Nov/2026:11:44:28 +0100   %T, %Tl, %trg and %trl
 */
#ifndef APP_LINE_DATE_H
#define APP_LINE_DATE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/bytes.h"

struct line_date {
	struct tm date; /* year, month, day, hour, minute, second */
	int64_t ms;
	bool has_offset;  /* else the date is local time */
	int64_t offset_s; /* east of UTC */
};

/* Reads the date that the text begins with. Returns its length, or 0 when there is none. */
size_t line_date_read(struct bytes text, struct line_date *ret_date);

#endif
