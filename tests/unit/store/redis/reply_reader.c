#include "reply_reader.h"

#include "support/test.h"

struct reply_reader reply_reader_new(void)
{
	struct reply_reader r = {redis_replies_new(), redisReaderCreateWithFunctions(NULL)};

	assert_non_null(r.replies);
	assert_non_null(r.reader);
	redis_replies_collect(r.replies, r.reader);
	return r;
}

void reply_reader_free(struct reply_reader *r)
{
	redisReaderFree(r->reader);
	redis_replies_free(r->replies);
}

void reply_reader_feed(struct reply_reader *r, struct bytes wire)
{
	if (wire.len > 0)
		(void)redisReaderFeed(r->reader, (const char *)wire.data, wire.len);
}

enum reply_state reply_reader_next(struct reply_reader *r, struct redis_reply *ret_reply)
{
	void *object = NULL;

	if (redisReaderGetReply(r->reader, &object) != REDIS_OK)
		return REPLY_BROKEN;
	if (object == NULL)
		return REPLY_NONE;
	*ret_reply = redis_replies_last(r->replies);
	return REPLY_WHOLE;
}

struct redis_reply reply_reader_read(struct reply_reader *r, struct bytes wire)
{
	struct redis_reply reply, none;

	reply_reader_feed(r, wire);
	assert_int_equal(reply_reader_next(r, &reply), REPLY_WHOLE);
	assert_int_equal(reply_reader_next(r, &none), REPLY_NONE);
	return reply;
}
