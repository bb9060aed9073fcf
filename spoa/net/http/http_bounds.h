/*
 * http_bounds.h - how much of everything a client of the HTTP port may take.
 */
#ifndef NET_HTTP_BOUNDS_H
#define NET_HTTP_BOUNDS_H

#include "base/clock.h"

#define HTTP_HEADER_MAX 12288 /* the request line and the header fields: 414, 431 */
/* At /auth, which gets a visitor's whole request: the request line, and all fields together. */
#define HTTP_AUTH_LINE_MAX        (32768 + 2) /* with its CRLF */
#define HTTP_AUTH_FIELDS_MAX      (32768 + 2) /* with the empty line */
#define HTTP_BODY_MAX             65536       /* above it 413 */
#define HTTP_BODY_TOO_LARGE       "the body is larger than 64 KiB"
#define HTTP_LARGE_BODY_MAX       (1 << 20) /* where an operator may send a policy file */
#define HTTP_LARGE_BODY_TOO_LARGE "the body is larger than 1 MiB"
#define HTTP_ATTRIBUTES_MAX       255 /* of a check: as many as a message of SPOP has arguments */
#define HTTP_CHECKS_MAX           100 /* of a batch */

/* The largest head of an answer: two lists of sixteen policies, or a page's security policy. */
#define HTTP_ANSWER_HEAD_MAX 6144
/* All answers together that clients have not read. The largest page, /metrics of 10,000 policies
 * with long names, has 10 MB. */
#define HTTP_UNREAD_MAX (16 << 20)

#define HTTP_REQUEST_US  (10 * US_PER_SECOND) /* from its first byte until it is complete */
#define HTTP_ANSWER_US   (30 * US_PER_SECOND) /* until it is read */
#define HTTP_IDLE_US     (60 * US_PER_SECOND) /* between two requests */
#define HTTP_LEAVING_MAX 64                   /* connections that linger after their last answer */

#endif
