/*
 * redis_script.h - the limiters that run in Redis, from outside: a call for several requests is put
 * into bytes, and its reply becomes the outcomes of their checks. lua/contract.lua says what both
 * look like.
 *
 * Nothing is sent here. What Redis replies is believed only as far as it makes sense: a reply of
 * another shape, or with a number that can't be, is an error (STORE_OTHER) of the requests that it
 * was for.
 */
#ifndef STORE_REDIS_SCRIPT_H
#define STORE_REDIS_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/writer.h"
#include "store/redis/redis_reply.h"
#include "store/store.h"

#define REDIS_CALL_OPS_MAX 32
#define REDIS_STATE_MAX    5  /* numbers that the reply has of a check */
#define REDIS_PREFIX_MAX   88 /* that of --key-prefix, and what replay adds */
/* One op always fits. */
#define REDIS_CALL_MAX 65536

/* The script, put together from lua/ at build time. */
struct bytes redis_script_text(void);

/* No more bytes than these are needed for the op, of a call whose keys begin with `prefix`. */
size_t redis_call_size(const struct store_op *op, struct bytes prefix);

/* What all of the ops in a call share. */
struct redis_call_form {
	const char *hash; /* of the script, as SCRIPT LOAD replied */
	struct bytes prefix;
	bool is_time_given; /* else it is Redis' own */
	int64_t time_us;
};

/* EVALSHA for `ops`, which are linked by store_op.link. */
void redis_call_put(struct writer *w, const struct redis_call_form *form, const struct list *ops);

/* Reads what a call replied, op by op. */
struct redis_call_reader {
	const struct redis_item *next, *end;
	int64_t now_us;
};

/* False when it is not a reply of the script's. */
MUST_CHECK bool redis_call_read(struct redis_call_reader *reader, const struct redis_reply *reply);
/* Whether what comes has as many items as these ops are answered with; before any is. */
MUST_CHECK bool redis_call_is_for(const struct redis_call_reader *reader, const struct list *ops);
/*
 * The outcomes of the next op, or its error; *ret_why is then the error's text, for the log. False
 * when what comes is not for such an op: the rest of the reply means nothing either.
 */
MUST_CHECK bool redis_call_next(struct redis_call_reader *reader, struct store_op *op,
				struct bytes *ret_why);

#endif
