/*
 * replay_gunzip.h - undoes gzip (RFC 1952) piece by piece, in memory of a fixed size.
 *
 * A gzip file is one or more members, one after the other: `cat a.gz b.gz` makes two. Behind a member
 * only another member may follow, or zeros, with which tape drives fill up their blocks. Anything
 * else is an error.
 */
#ifndef APP_REPLAY_GUNZIP_H
#define APP_REPLAY_GUNZIP_H

#include <stdbool.h>

#include <zlib.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/writer.h"

struct replay_gunzip {
	z_stream stream;
	bool is_inside;   /* of a member: more of it has to come */
	bool is_in_zeros; /* behind the last member */
	bool has_more;    /* there was no room for all that the bytes so far mean */
};

/* False when memory is short; then there is nothing to release. */
MUST_CHECK bool replay_gunzip_init(struct replay_gunzip *gunzip);
void replay_gunzip_release(struct replay_gunzip *gunzip);
/*
 * Takes bytes off the front of `input` and puts what they mean into `output`, until `output` is
 * full or `input` is empty and `has_more` is false. False when the bytes are not gzip; `err` says
 * why.
 */
MUST_CHECK bool replay_gunzip_more(struct replay_gunzip *gunzip, struct bytes *input,
				   struct writer *output, struct err *err);

#endif
