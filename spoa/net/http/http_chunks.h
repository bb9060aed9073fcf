/*
 * http_chunks.h - reads a body in chunks (RFC 9112, section 7.1), as strictly and as purely as
 * http_head.h reads the head.
 *
 *     struct http_chunks chunks = {.max = HTTP_BODY_MAX};
 *     while ((found = http_chunks_read(&chunks, &input, &piece)) == HTTP_CHUNKS_PIECE)
 *             ...append the piece to the body...
 *
 * Each call takes what it has read off the front of the input. With MORE a part of a line may be
 * left: call again with those bytes and more. The pieces are views of the input.
 *
 * Extensions of chunks and trailers are checked for their form, bounded, and then ignored. Because
 * readers before the agent differ in how they treat them, `has_extras` tells the caller to end the
 * connection after the answer.
 */
#ifndef NET_HTTP_CHUNKS_H
#define NET_HTTP_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

enum http_chunks_found {
	HTTP_CHUNKS_MORE = 0,
	HTTP_CHUNKS_PIECE,
	HTTP_CHUNKS_DONE,
	HTTP_CHUNKS_BAD,
};

enum http_chunks_state { CHUNKS_SIZE = 0, CHUNKS_DATA, CHUNKS_DATA_END, CHUNKS_TRAILERS };

struct http_chunks {
	size_t max;      /* of the body's bytes that are still accepted; set by the caller */
	bool has_extras; /* extensions or trailers */
	/* With BAD, as in struct http_head. */
	unsigned status;
	const char *why;

	/* The reader's own. */
	enum http_chunks_state state;
	size_t left;   /* of the chunk */
	size_t seen;   /* so many bytes of the input have no LF */
	size_t extras; /* bytes of extensions and trailers so far */
};

MUST_CHECK enum http_chunks_found http_chunks_read(struct http_chunks *chunks, struct bytes *input,
						   struct bytes *ret_piece);

#endif
