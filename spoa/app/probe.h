/*
 * probe.h - asks a running agent whether it serves: over SPOP as HAProxy's `option spop-check`
 * does, or over HTTP. Both block, for 2 seconds at most in each step.
 */
#ifndef APP_PROBE_H
#define APP_PROBE_H

#include "base/err.h"
#include "net/address.h"

/* True when the agent answers the HELLO of a health check by a good AGENT-HELLO. */
MUST_CHECK bool probe_spop(const struct address *address, struct err *err);

#define PROBE_HTTP "http://" /* the beginning of a URL for probe_http */

/* True when http://host[:port]/path is answered by 200. Port 80 unless given. */
MUST_CHECK bool probe_http(const char *url, struct err *err);

#endif
