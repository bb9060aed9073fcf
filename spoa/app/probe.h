/*
 * probe.h - asks a running agent whether it is well, as HAProxy's `option spop-check` does.
 */
#ifndef APP_PROBE_H
#define APP_PROBE_H

#include "base/err.h"
#include "net/address.h"

/* True when it answered the health check's HELLO within 2 seconds. Blocks. */
MUST_CHECK bool probe_spop(const struct address *address, struct err *err);

#endif
