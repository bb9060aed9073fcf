/*
 * rfc3339.h - moments as RFC 3339 writes them: "2026-11-30T12:46:01Z".
 */
#ifndef APP_OPERATE_RFC3339_H
#define APP_OPERATE_RFC3339_H

#include <stdint.h>

#include "base/writer.h"

/* In UTC, with milliseconds if there are any. `ms` is since 1970, and before the year 10000. */
void rfc3339_put(struct writer *w, uint64_t ms);
/* With any offset and any fraction, cut to milliseconds. False for what is before 1970, too. */
MUST_CHECK bool rfc3339_read(struct bytes text, uint64_t *ret_ms);

#endif
