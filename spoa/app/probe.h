/*
 * probe.h - asks a running agent whether it is well, as HAProxy's `option spop-check` does, or over
 * HTTP.
 */
#ifndef APP_PROBE_H
#define APP_PROBE_H

#include "base/err.h"
#include "net/address.h"

/* True when it answered the health check's HELLO within 2 seconds. Blocks. */
MUST_CHECK bool probe_spop(const struct address *address, struct err *err);
#define PROBE_HTTP "http://" /* begins such an URL */

/* True when http://host[:port]/path is answered by 200 within 2 seconds. Blocks. */
MUST_CHECK bool probe_http(const char *url, struct err *err);

#endif
