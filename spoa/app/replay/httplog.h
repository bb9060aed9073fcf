/*
 * httplog.h - finds the fields of a line that HAProxy's `option httplog` wrote, with or without the
 * prefix of syslog. It does not look into the fields.
 */
#ifndef APP_HTTPLOG_H
#define APP_HTTPLOG_H

#include <stdbool.h>
#include <time.h>

#include "base/bytes.h"
#include "base/compiler.h"

/* Views of the line. */
struct httplog {
	struct bytes client;
	struct bytes frontend; /* never empty */
	struct bytes backend, server, status;
	struct bytes request; /* the text in quotes */
	struct tm date;       /* in a zone that the line does not say */
	int ms;
};

/* False when it is no such line; some fields may be set all the same. */
MUST_CHECK bool httplog_read(struct bytes line, struct httplog *fields);

#endif
