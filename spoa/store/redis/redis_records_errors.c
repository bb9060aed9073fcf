#include "store/redis/redis_records_errors.h"

#include <string.h>

#include "base/writer.h"
#include "store/redis/redis_records.h"

#define LACKS_COMMANDS                                                                       \
	"exceptions and resets can't be shared by the agents of this Redis; allow the user " \
	"+hget +hset +hdel +hlen +zadd +zrem +zcard +zscore +zrangebyscore +unlink +get "    \
	"+set +time, and the keys that begin with --key-prefix"

static bool contains(struct bytes text, const char *part)
{
	return memmem(text.data, text.len, part, strlen(part)) != NULL;
}

/* Redis 7.0 and Redis 8 refuse a command inside of a script in different words. */
bool records_error_is_of_rights(struct bytes why)
{
	return bytes_begin_with(why, BYTES("NOPERM")) || contains(why, "can't run this command") ||
	       contains(why, "permissions to run");
}

/* The script names the command, if it has tried it (try_rights). */
static void tell_lacking(const struct redis_records_config *config, struct bytes why)
{
	const struct bytes start = BYTES("NOPERM the user of Redis may not run ");
	char command[32] = "EVALSHA";
	struct writer w = writer_on(command, sizeof command);

	if (bytes_begin_with(why, start)) {
		writer_put(&w, bytes_skip(why, start.len));
		(void)writer_text(&w);
	}
	config->lacks_right(config->owner, command, LACKS_COMMANDS);
}

void records_errors_note(struct records_errors *errors, struct bytes why, int64_t since_us)
{
	const struct redis_records_config *config = errors->config;
	bool is_of_rights = records_error_is_of_rights(why);
	int64_t *told_us = is_of_rights ? &errors->told_lacking_us : &errors->told_since_us;

	if (*told_us == since_us)
		return;
	*told_us = since_us;
	if (is_of_rights) {
		errors->lacks_right = true;
		if (config->lacks_right != NULL)
			tell_lacking(config, why);
	} else if (config->failed != NULL) {
		config->failed(config->owner, why);
	}
}

void records_errors_note_refused_put(struct records_errors *errors, struct bytes why)
{
	errors->put_lacks_right = errors->put_lacks_right || records_error_is_of_rights(why);
}

void records_errors_note_put(struct records_errors *errors)
{
	if (!errors->lacks_right)
		return;
	errors->lacks_right = false;
	errors->put_lacks_right = false;
	errors->told_lacking_us = 0; /* a right that is taken away again is told again */
	if (errors->config->regained_right != NULL)
		errors->config->regained_right(errors->config->owner, LACKS_COMMANDS);
}

/* A read can do without some rights that a put needs. While there are no records, it tries all. */
void records_errors_note_read(struct records_errors *errors, bool is_empty, int64_t since_us)
{
	bool is_tried = is_empty && errors->read_since_us != since_us;

	errors->read_since_us = since_us;
	if (is_tried || !errors->put_lacks_right)
		records_errors_note_put(errors);
}
