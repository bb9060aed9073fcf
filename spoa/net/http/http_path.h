/*
 * http_path.h - one way to write each path and each host, by the rules of docs/paths.md: what
 * HAProxy's lines there do, for requests that come from other proxies. Pure.
 *
 * A path that could be read in two ways is refused. The caller must refuse the request then: a
 * policy that does not find its attribute would not apply.
 */
#ifndef NET_HTTP_PATH_H
#define NET_HTTP_PATH_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/writer.h"

/* What a request line names. */
struct http_target {
	struct bytes raw_path; /* as it was sent */
	struct bytes query;    /* behind the first `?`; empty without one */
};

/*
 * "/path?query", a URL with its host, or "*", which has the path "/". The views are of `text`, or
 * constants. Anything is taken: what is no path is refused when it is normalised.
 */
struct http_target http_target_split(struct bytes text);
/*
 * Puts the normalised path: "/", or segments that are neither empty nor "." nor "..", each with a
 * slash in front. It is not longer than `raw_path`, but that one without a slash in front gets one.
 * Returns NULL, or why the path is refused: a constant.
 */
MUST_CHECK const char *http_path_put(struct writer *w, struct bytes raw_path);
/*
 * Puts the host in lower case, without its port and final dot. The empty host is one too. Returns
 * NULL, or why it is refused.
 */
MUST_CHECK const char *http_host_put(struct writer *w, struct bytes host);

#endif
