/*
 * probe.h - asks a running agent whether it serves: over SPOP as HAProxy's `option spop-check`
 * does, or over HTTP.
 *
 * All addresses are asked, one after the other, until one gives the good answer. Each gets its
 * share of the time that is left, so that one that keeps silent, or answers byte by byte, leaves
 * time for the next. The functions block, at most until `until_us` by clock_mono_us(). When no
 * address gives the good answer, `err` has each with its reason.
 */
#ifndef APP_PROBE_H
#define APP_PROBE_H

#include "base/err.h"
#include "net/address_list.h"

#define PROBE_SECONDS 2 /* for a whole probe */

/*
 * Call it before any host name is looked up, which knows no time-out: the process then exits by 1,
 * with a line that says so, when the look-ups are not over in PROBE_SECONDS. Returns `until_us` for
 * the functions below.
 */
int64_t probe_begin(void);

/* True when an address answers the HELLO of a health check by a good AGENT-HELLO. */
MUST_CHECK bool probe_spop(const struct address_list *addresses, int64_t until_us, struct err *err);

#define PROBE_HTTP "http://" /* the beginning of a URL for probe_http */

/*
 * Whether `url`, which begins with PROBE_HTTP, is a host, a port from 1 to 65535 if it has one, and
 * a path without spaces and control characters. The host is not looked up.
 */
MUST_CHECK bool probe_check_url(const char *url, struct err *err);
/* True when http://host[:port]/path is answered by 200. Port 80 unless given. */
MUST_CHECK bool probe_http(const char *url, int64_t until_us, struct err *err);

#endif
