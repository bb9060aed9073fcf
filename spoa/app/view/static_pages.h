/*
 * static_pages.h - the two pages that are files, held in the binary: the status page at `/`,
 * which CMakeLists.txt makes of the parts in status/, and /openapi.json (docs/openapi.json).
 *
 * The status page has no data of the agent in it. Its script fetches /status, which decides who may
 * see the data. So everybody may load the page itself, and the page can ask for the token.
 */
#ifndef APP_STATIC_PAGES_H
#define APP_STATIC_PAGES_H

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

struct bytes status_page_text(void);

/*
 * The headers of the status page, as struct http_page has them. Its Content-Security-Policy names
 * the hashes of the script and the style of this file: nothing else runs, whatever a key contains.
 */
const char *status_page_headers(void);

/* For struct http_page. */
bool status_page_write(const void *owner, FILE *to);
bool openapi_write(const void *owner, FILE *to);

#endif
