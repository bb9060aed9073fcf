/*
 * rfc3339.h - moments as RFC 3339 writes them: "2026-11-30T12:46:01Z".
 */
#ifndef APP_OPERATE_RFC3339_H
#define APP_OPERATE_RFC3339_H

#include <stdint.h>

#include "base/writer.h"

/* Puts a time in UTC, with milliseconds if it has any. `ms` is since 1970, before the year 10000.
 */
void rfc3339_put(struct writer *w, uint64_t ms);
/* Reads a time with any offset, and cuts its fraction to milliseconds. False for one before 1970,
 * too. */
MUST_CHECK bool rfc3339_read(struct bytes text, uint64_t *ret_ms);

#endif
