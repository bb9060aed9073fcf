/*
 * status_page.h - the page at `/`, which is the file status.html held in the binary.
 *
 * It has nothing of the agent's in it: what it shows it fetches from /status, and that is where it
 * is decided who may see it. So the page itself may be seen by everybody, and can ask for the
 * token.
 */
#ifndef APP_STATUS_PAGE_H
#define APP_STATUS_PAGE_H

#include <stdio.h>

#include "base/bytes.h"

struct bytes status_page_text(void);

/*
 * Its headers, as struct http_page has them: a Content-Security-Policy under which nothing but the
 * script and the style of this very file is run, whatever a key contains.
 */
const char *status_page_headers(void);

/* For struct http_page. */
void status_page_write(const void *owner, FILE *to);

#endif
