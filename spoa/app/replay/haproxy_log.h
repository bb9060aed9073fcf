/*
 * haproxy_log.h - makes a question, and the time when it was asked, of a line of HAProxy's log.
 *
 * Two kinds of line are read, with or without the prefix of syslog:
 *
 *     192.0.2.1:40912 [24/Nov/2026:11:44:28.123] web app/app1 0/0/1/2/3 200 ... "GET /x HTTP/1.1"
 *     {"at_ms":1795520668123,"attributes":{"src":"192.0.2.1","path":"/x"}}
 *
 * The first kind is `option httplog`. Its attributes are src, method, path, query, frontend,
 * backend, server and status, as far as the line has them. The second kind is described in
 * replay_line.h. Every other line is HAPROXY_OTHER.
 */
#ifndef APP_HAPROXY_LOG_H
#define APP_HAPROXY_LOG_H

#include <stdint.h>

#include "app/replay/time_zone.h"
#include "base/compiler.h"
#include "net/http/http_map.h"

enum haproxy_line {
	HAPROXY_OTHER = 0, /* the line tells of no request */
	HAPROXY_REQUEST,
	HAPROXY_BAD, /* the line has `at_ms` and a fault, which `err` says */
};

/* Clears the question and fills it with views of the line. */
MUST_CHECK enum haproxy_line haproxy_log_read(struct bytes line, struct time_zone *zone,
					      struct http_question *question, int64_t *ret_at_us,
					      struct err *err);

#endif
