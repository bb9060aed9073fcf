/*
 * reply_reader.h - hiredis' own reader, which collects its replies as the store has it.
 */
#ifndef UNIT_STORE_REPLY_READER_H
#define UNIT_STORE_REPLY_READER_H

#include <hiredis/read.h>

#include "base/bytes.h"
#include "store/redis/redis_reply.h"

enum reply_state { REPLY_BROKEN = -1, REPLY_NONE, REPLY_WHOLE };

struct reply_reader {
	struct redis_replies *replies;
	redisReader *reader;
};

struct reply_reader reply_reader_new(void);
void reply_reader_free(struct reply_reader *r);

void reply_reader_feed(struct reply_reader *r, struct bytes wire);
/* Takes the next reply of what was fed, if it is there whole. */
enum reply_state reply_reader_next(struct reply_reader *r, struct redis_reply *ret_reply);
/* Feeds one reply and takes it; good until the next. */
struct redis_reply reply_reader_read(struct reply_reader *r, struct bytes wire);

#endif
