/*
 * authority.h - the part of an address or URL that says where: `host`, `host:port`, `[v6]` or
 * `[v6]:port` (RFC 3986, section 3.2). A host with colons stands in brackets, no other host does.
 */
#ifndef BASE_AUTHORITY_H
#define BASE_AUTHORITY_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct authority {
	struct bytes host; /* without its brackets */
	struct bytes port; /* without its colon; `data` is NULL when there is none */
};

/* Splits `text` only: an empty host, and any text for a port, are for the caller to judge. */
MUST_CHECK bool authority_split(struct bytes text, struct authority *ret_authority);

#endif
