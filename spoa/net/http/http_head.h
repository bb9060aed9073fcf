/*
 * http_head.h - reads the head of an HTTP/1.1 request: the request line and the header fields
 * (RFC 9112, sections 2 to 6). Pure: no memory is allocated, no time is asked for, nothing is sent.
 *
 * The reader is strict, because a proxy in front of the agent has read the same bytes: where two
 * readers may see the end of a request in different places, a client can hide one request in
 * another. So whatever has two readings is refused, and the caller ends the connection.
 *
 *     struct http_head head = {0};
 *     switch (http_head_read(&head, input)) { ... }
 *
 * `input` begins with the first byte of the request. While http_head_read says MORE, call it again
 * with the same bytes and those that came meanwhile, at the same place or another one: it goes on
 * where it stopped, so that a head which comes byte by byte is read once. After DONE the views in
 * `struct http_head` point into the input of the last call, and die with it.
 *
 * What is accepted beyond the usual form: one empty line before the request line (section 2.2); a
 * target in absolute form (section 3.2.2) if its authority is the value of Host; bytes above 0x7e
 * in a target, which are judged where the target is decoded.
 *
 * A head may have 12 KiB. That of a request for /auth, which a proxy makes of whatever a visitor
 * sent, may have 32 KiB of request line and 32 KiB of fields.
 */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define HTTP_AUTH_PATH "/auth"

enum http_method {
	METHOD_GET = 0,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PUT,
	METHOD_DELETE,
	METHOD_OTHER
};

enum http_head_found { HTTP_HEAD_MORE = 0, HTTP_HEAD_DONE, HTTP_HEAD_BAD };

struct http_head {
	/* With DONE. */
	enum http_method method;
	struct bytes method_name; /* as it was sent: a token */
	bool is_http_1_0;
	struct bytes path;   /* as it was sent: %XX is not decoded */
	struct bytes query;  /* behind the `?` */
	struct bytes host;   /* empty when there is none, which only HTTP/1.0 may do */
	struct bytes fields; /* all lines of fields, each with its CRLF: for http_head_next_field */
	size_t len;          /* bytes of the input that the head has */
	uint64_t length;     /* of Content-Length; UINT64_MAX when it is that or more */
	bool is_chunked;
	bool wants_close;      /* Connection: close */
	bool wants_keep_alive; /* Connection: keep-alive */
	bool expects_continue; /* Expect: 100-continue */
	/* With BAD: the status of the answer, and what is wrong in one line of plain ASCII. */
	unsigned status;
	const char *why;
	/* With BAD, `path` and `query` are what the request line names, as far as it has come. */

	/* The reader's own. Offsets, since the input may move between two calls. */
	size_t line; /* where the line begins that is not read yet */
	size_t seen; /* no line ends between `line` and here */
	size_t method_at, method_len;
	size_t target; /* where the target begins */
	size_t target_len;
	size_t first_field;
	size_t host_at, host_len;
	bool has_request_line, has_host, has_length;
};

MUST_CHECK enum http_head_found http_head_read(struct http_head *head, struct bytes input);

/* Cuts the next field off the front of `fields`; the value is without the spaces around it. */
bool http_head_next_field(struct bytes *fields, struct bytes *ret_name, struct bytes *ret_value);
/* The value of the field `name`, in whatever case it was sent; of a repeated field the first. */
bool http_head_find(const struct http_head *head, struct bytes name, struct bytes *ret_value);

/*
 * One line without its CRLF: a name, a colon right behind the name, a value without control
 * characters. Returns NULL, or what is wrong. A line that begins with a space, and so continues the
 * line before it (obs-fold, RFC 9112, section 5.2), has no name and is wrong.
 */
const char *http_split_field(struct bytes line, struct bytes *ret_name, struct bytes *ret_value);
bool http_is_token(struct bytes text);
/* Printable ASCII, tabs, and bytes above 0x7f: what a field's value may have (RFC 9110, 5.5). */
bool http_is_field_value(struct bytes text);
/* A host name or an IP literal, and a port or none: without the port. Empty when it is invalid. */
struct bytes http_host_name(struct bytes host);

#endif
