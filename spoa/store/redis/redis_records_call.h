/*
 * redis_records_call.h - the calls of lua/records/records.lua, and what they reply.
 *
 * Everything that comes from the server is checked; nothing is sent here.
 */
#ifndef STORE_REDIS_RECORDS_CALL_H
#define STORE_REDIS_RECORDS_CALL_H

#include "base/compiler.h"
#include "base/writer.h"
#include "store/records.h"
#include "store/redis/redis_reply.h"

#define RECORDS_RUN_LEN     16
#define RECORDS_READ_MAX    100   /* records in a reply */
#define RECORDS_READ_BYTES  20480 /* of them, but for the last one */
#define RECORDS_MERGE_MAX   32    /* records in a call */
#define RECORDS_MERGE_BYTES 16384 /* of them */
#define RECORDS_CALL_MAX \
	(1024 + RECORDS_MERGE_BYTES + 2 * RECORD_VALUE_MAX + RECORDS_MERGE_MAX * 100)

struct bytes redis_records_script(void);

/* What is the same in all calls. */
struct records_form {
	struct bytes hash, prefix;
};

/* EVALSHA with `arguments` more words behind the command, which is the first one. */
void records_call_begin(struct writer *w, const struct records_form *form, const char *command,
			size_t arguments);
/* id, changed (if `with_changed`), until, kind, value: four words or five. */
void records_call_put_record(struct writer *w, const struct record *record, bool with_changed);

/* A random name for a history of records; one more word. */
void records_call_put_random_run(struct writer *w);

/* The version of what the store has; run is empty when it has nothing. */
struct records_version {
	char run[RECORDS_RUN_LEN + 1];
	uint64_t counter, cut, count, sum;
};

struct records_reply {
	int64_t now_us;
	struct records_version version;
	int64_t number;                      /* behind the head */
	const struct redis_item *next, *end; /* records */
};

/* False when the reply is none of the script. */
MUST_CHECK bool records_reply_read(struct records_reply *reply, const struct redis_reply *from);
/*
 * The next record, whose texts are the reply's. False when there is none any more, or what is there
 * is none; *ret_is_foreign says which. A foreign one is passed over by the next call.
 */
MUST_CHECK bool records_reply_next(struct records_reply *reply, struct record *ret_record,
				   uint64_t *ret_counter, bool *ret_is_foreign);

#endif
