/*
 * http_visit.h - a connection of the HTTP port and the request that is on it: what http_port.c, who
 * owns the library, is told by it. Nobody else includes this.
 *
 *  REST -- first line --> HEAD -- header --> BODY -- all of it --> ASKED -- its answer is out --+
 *   ^                                                                                           |
 *   `-------------------------------------------------------------------------------------------'
 */
#ifndef NET_HTTP_VISIT_H
#define NET_HTTP_VISIT_H

#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "net/http/http_clients.h"
#include "net/http/http_header.h"
#include "net/http/http_port.h"
#include "net/http/http_text.h"

/* What the visits of a port share. */
struct http_visits {
	struct http_handler handler;
	struct http_clients clients;
	int64_t now_us;  /* of this turn */
	bool is_closing; /* every answer is its connection's last */
	bool is_lax;     /* the library is before 1.0, and takes what it should not */
	void (*resumed)(struct http_visits *visits);
};

/* PAST: in the middle of the body, or at the end; an answer has to be written past the library. */
enum http_step { HTTP_REST = 0, HTTP_HEAD_NEXT, HTTP_BODY_NEXT, HTTP_PAST, HTTP_ASKED };

struct http_visit {
	struct http_exchange exchange;
	struct http_client client;
	struct http_visits *visits;
	struct MHD_Connection *connection;
	enum http_step step;
	bool is_suspended;
	bool is_told;    /* the handler knows of this request */
	bool is_last;    /* after this request the connection is not to be trusted */
	bool is_cut;     /* some request was answered before all of it was there */
	bool has_target; /* there was memory for it */
	struct http_header head;
	const char *memory;            /* http_layout.h */
	struct MHD_Response *response; /* until the library has it */
	unsigned status;               /* 0: not answered */
	struct http_text text;
};

/* NULL when memory is short; `fd` stays the caller's. */
struct http_visit *http_visit_new(struct http_visits *visits, int fd, unsigned door);
void http_visit_free(struct http_visit *visit);

/* Answers by `status` with what it can, before the connection is closed. */
void http_visit_refuse_past(struct http_visit *visit, unsigned status, const char *why);
/* Whether the library has closed it without a word, for what was no HTTP. */
bool http_visit_is_unanswered(const struct http_visit *visit);

/* The library has something to log, and is_lax: see there. */
void http_visits_take_complaint(struct http_visits *visits);

/* For the library. The visit is the connection's socket context. */
void *http_visit_on_first_line(void *visits, const char *target, struct MHD_Connection *connection);
enum MHD_Result http_visit_on_request(void *visits, struct MHD_Connection *connection,
				      const char *url, const char *method, const char *version,
				      const char *data, size_t *len, void **request);
void http_visit_on_completed(void *visits, struct MHD_Connection *connection, void **request,
			     enum MHD_RequestTerminationCode code);

#endif
