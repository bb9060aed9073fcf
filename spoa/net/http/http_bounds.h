/*
 * http_bounds.h - how much of everything a client of the HTTP port may take.
 */
#ifndef NET_HTTP_BOUNDS_H
#define NET_HTTP_BOUNDS_H

#include "base/clock.h"

#define HTTP_HEADER_MAX     12288 /* the request line and the header fields: 414, 431 */
#define HTTP_BODY_MAX       65536 /* above it 413 */
#define HTTP_BODY_TOO_LARGE "the body is larger than 64 KiB"
#define HTTP_ATTRIBUTES_MAX 255   /* of a check: as many as a message of SPOP has arguments */
#define HTTP_CHECKS_MAX     100   /* of a batch */

/* What the library holds of one connection: a header, and the answer's. */
#define HTTP_POOL_BYTES 20480

#define HTTP_CONNECTIONS_MAX         1024
#define HTTP_ADDRESS_CONNECTIONS_MAX 512 /* of one client address, or one IPv6 /64 */

#define HTTP_REQUEST_US (10 * US_PER_SECOND) /* from its first byte until it is complete */
#define HTTP_GONE_US    US_PER_SECOND        /* of it, when the client has gone already */
#define HTTP_ANSWER_US  (30 * US_PER_SECOND) /* until it is read */
#define HTTP_IDLE_US    (60 * US_PER_SECOND) /* between two requests */

#endif
