/*
 * http_layout.h - whether the parts of a request's header stand one right behind the other.
 *
 * Libraries before libmicrohttpd 1.0 take folded fields for one word, a NUL for the end of a field,
 * a line that begins with a colon for the end of the header, and one that begins with a NUL for an
 * empty one. That can be seen by where they find things: they cut the text up where it lies, so
 * each part begins where the one before it ends, with what separates them between.
 *
 *     http_layout_begin(&layout, &memory, method);
 *     http_layout_expect(&layout, method, strlen(method), " ");
 *     ...
 *     if (!http_layout_ends_at(&layout, end))
 *
 * Nothing is read here; places are compared.
 */
#ifndef NET_HTTP_LAYOUT_H
#define NET_HTTP_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

struct http_layout {
	const char *at; /* where the next part is to begin; NULL: one did not */
};

/*
 * `memory` is where the library's memory for the connection begins, in which every request begins,
 * or behind one empty line (RFC 9112, section 2.2). NULL before the first: that place is not told,
 * but it is aligned.
 */
void http_layout_begin(struct http_layout *layout, const char **memory, const char *first);
void http_layout_expect(struct http_layout *layout, const char *part, size_t len,
			const char *behind);
bool http_layout_ends_at(const struct http_layout *layout, const char *end);

#endif
