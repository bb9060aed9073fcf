/*
 * httplog.h - the fields of a line that `option httplog` of HAProxy's wrote, with or without what
 * syslog puts in front. What stands in them is not looked at.
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
	struct bytes request; /* what stands in the quotes */
	struct tm date;       /* in a zone that it does not say */
	int ms;
};

/* False when it is no such line; some fields may be set then. */
MUST_CHECK bool httplog_read(struct bytes line, struct httplog *fields);

#endif
