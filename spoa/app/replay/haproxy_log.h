/*
 * haproxy_log.h - a line of HAProxy's log becomes a question, and when it was asked.
 *
 * Two kinds are read, with or without what syslog puts in front:
 *
 *     192.0.2.1:40912 [24/Nov/2026:11:44:28.123] web app/app1 0/0/1/2/3 200 ... "GET /x HTTP/1.1"
 *     {"at_ms":1795520668123,"attributes":{"src":"192.0.2.1","path":"/x"}}
 *
 * The first is `option httplog`, whose attributes are src, method, path, query, frontend, backend,
 * server and status, as far as they are there. The second is replay_line.h's. All else is none.
 */
#ifndef APP_HAPROXY_LOG_H
#define APP_HAPROXY_LOG_H

#include <stdint.h>

#include "app/replay/time_zone.h"
#include "base/compiler.h"
#include "net/http/http_map.h"

enum haproxy_line {
	HAPROXY_OTHER = 0, /* it tells of no request */
	HAPROXY_REQUEST,
	HAPROXY_BAD, /* it has `at_ms`, and what is wrong is in `err` */
};

/* The question is made anew; it is of views of the line. */
MUST_CHECK enum haproxy_line haproxy_log_read(struct bytes line, struct time_zone *zone,
					      struct http_question *question, int64_t *ret_at_us,
					      struct err *err);

#endif
