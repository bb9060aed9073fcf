/*
 * haproxy_log.h - makes a question of a line of HAProxy's log.
 *
 * It reads the formats `option httplog`, `httpslog`, `tcplog` and `httplog clf`, lines that only
 * begin like one of these, a log-format of the user's own, and JSON lines with `at_ms`
 * (replay_line.h). A line may have the prefix of syslog or of a container's log, or stand within
 * docker's JSON lines:
 *
 *     192.0.2.1:40912 [24/Nov/2026:11:44:28.123] web app/app1 0/0/1/2/3 200 ... "GET /x HTTP/1.1"
 *     {"at_ms":1795520668123,"attributes":{"src":"192.0.2.1","path":"/x"}}
 *     {"log":"192.0.2.1:40912 [24/Nov/2026 ...\n","stream":"stdout","time":"..."}
 */
#ifndef APP_HAPROXY_LOG_H
#define APP_HAPROXY_LOG_H

#include "app/replay/line_clock.h"
#include "app/replay/line_question.h"

enum haproxy_line {
	HAPROXY_OTHER = 0, /* the line tells of no request */
	HAPROXY_REQUEST,
	HAPROXY_BAD, /* the line has `at_ms` and a fault, which `err` says */
};

/* What else there is to say of a line. */
struct haproxy_entry {
	struct line_time time;
	bool is_cut;             /* the line ends too early */
	bool is_bad_request;     /* <BADREQ> */
	bool has_other_captures; /* than --captures names */
};

struct haproxy_log;

/* `own` is NULL, or the only format that is read beside JSON. Both live as long. */
struct haproxy_log *haproxy_log_new(const struct line_format *own,
				    const struct line_captures *captures);
void haproxy_log_free(struct haproxy_log *log);
/* Clears the question and fills it with views of the line, of its memory and of the log's. */
MUST_CHECK enum haproxy_line haproxy_log_read(struct haproxy_log *log, struct bytes line,
					      struct http_question *question,
					      struct haproxy_entry *ret_entry, struct err *err);

#endif
