/*
 *   the link comes up --> SCAN with the cursor --> a cursor --> SCAN with that one ...
 *                               |                     `--> "0": all is deleted
 *                               `--> an error, or no reply for 5 s: given up, with the reason
 *
 * The keys are deleted by the script that scans, so that no list of keys comes back, which might be
 * of any length.
 */
#include "store/redis/redis_sweep.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/writer.h"
#include "store/redis/redis_link.h"
#include "store/redis/redis_script.h"

#define GIVE_UP_SECONDS 5.0 /* without a reply */
#define CURSOR_MAX      24
#define PATTERN_MAX     (2 * REDIS_PREFIX_MAX + 2)

/* The script deletes what it finds, so that no reply has keys in it, which might be too many. */
static const char script[] =
	"local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000)\n"
	"for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end\n"
	"return found[1]\n";

struct redis_sweep {
	struct ev_loop *loop;
	struct redis_credentials credentials;
	struct redis_tls *tls; /* NULL: the target has no TLS */
	struct redis_link *link;
	struct redis_asked asked;
	struct ev_timer give_up;
	enum redis_sweep_state state;
	bool is_asked;
	struct writer pattern;
	char cursor[CURSOR_MAX];
	uint8_t pattern_memory[PATTERN_MAX];
	struct quoted why;
};

static void end_sweep(struct redis_sweep *sweep, enum redis_sweep_state state, struct bytes why)
{
	sweep->state = state;
	sweep->why = quoted(why);
	ev_timer_stop(sweep->loop, &sweep->give_up);
}

static void on_before_wait(void *owner)
{
	struct redis_sweep *sweep = owner;

	if (sweep->is_asked || sweep->state != SWEEP_RUNNING || !redis_link_is_up(sweep->link))
		return;
	const struct bytes words[] = {
		BYTES("EVALSHA"),
		bytes_from_text(redis_link_hash(sweep->link)),
		BYTES("0"),
		bytes_from_text(sweep->cursor),
		writer_bytes(&sweep->pattern),
	};
	sweep->is_asked = true;
	redis_link_ask(sweep->link, &sweep->asked, words, ARRAY_SIZE(words));
}

static bool read_cursor(struct redis_sweep *sweep, const struct redis_item *item)
{
	if (item->kind != REDIS_TEXT || item->text.len == 0 || item->text.len >= CURSOR_MAX)
		return false;
	memcpy(sweep->cursor, item->text.data, item->text.len);
	sweep->cursor[item->text.len] = '\0';
	return true;
}

/* When the reply was lost, the same cursor is asked for again over the next connection. */
static void on_replied(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_sweep *sweep = CONTAINER_OF(asked, struct redis_sweep, asked);

	sweep->is_asked = false;
	if (reply == NULL || sweep->state != SWEEP_RUNNING)
		return;
	if (!read_cursor(sweep, &reply->items[0])) {
		end_sweep(sweep, SWEEP_FAILED,
			  redis_reply_is_error(reply) ? reply->items[0].text
						      : BYTES("SCAN was not answered by a cursor"));
		return;
	}
	ev_timer_again(sweep->loop, &sweep->give_up);
	if (strcmp(sweep->cursor, "0") == 0)
		end_sweep(sweep, SWEEP_DONE, BYTES(""));
}

static void on_give_up(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct redis_sweep *sweep = CONTAINER_OF(timer, struct redis_sweep, give_up);

	(void)loop, (void)events;
	const char *why = redis_link_why(sweep->link);
	end_sweep(sweep, SWEEP_FAILED, bytes_from_text(*why == '\0' ? "no answer in time" : why));
}

static void on_reread(void *owner, const char *why, bool may_pass)
{
	(void)owner, (void)why, (void)may_pass;
}

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	(void)owner, (void)is_up, (void)error, (void)why;
}

/* A glob that matches what begins with the prefix: all that is special in a glob is escaped. */
static void put_pattern(struct writer *w, struct bytes prefix)
{
	for (size_t i = 0; i < prefix.len; i++) {
		if (memchr("*?[]^\\", prefix.data[i], 6) != NULL)
			writer_put_u8(w, '\\');
		writer_put_u8(w, prefix.data[i]);
	}
	writer_put_u8(w, '*');
	ASSERT(!w->full);
}

struct redis_sweep *redis_sweep_new(struct ev_loop *loop, const struct redis_target *target,
				    struct bytes prefix)
{
	struct redis_sweep *sweep = calloc(1, sizeof *sweep);

	if (sweep == NULL)
		return NULL;
	sweep->loop = loop;
	sweep->asked.replied = on_replied;
	strcpy(sweep->cursor, "0");
	sweep->pattern = writer_on(sweep->pattern_memory, sizeof sweep->pattern_memory);
	put_pattern(&sweep->pattern, prefix);
	redis_credentials_init(&sweep->credentials, target->user, target->password);
	if (target->is_tls) {
		sweep->tls = redis_tls_new(loop, &target->tls, on_reread, sweep);
		if (sweep->tls == NULL) {
			free(sweep);
			return NULL;
		}
	}
	sweep->link =
		redis_link_new(loop, &(struct redis_link_config){
					     .target = target,
					     .credentials = &sweep->credentials,
					     .tls = sweep->tls,
					     .script = bytes_from(script, sizeof script - 1),
					     .timeout_us = (int64_t)GIVE_UP_SECONDS * US_PER_SECOND,
					     .silence_us = (int64_t)GIVE_UP_SECONDS * US_PER_SECOND,
					     .flush = on_before_wait,
					     .changed = on_changed,
					     .owner = sweep,
				     });
	if (sweep->link == NULL) {
		redis_tls_free(sweep->tls);
		free(sweep);
		return NULL;
	}
	ev_init(&sweep->give_up, on_give_up);
	sweep->give_up.repeat = GIVE_UP_SECONDS;
	ev_timer_again(loop, &sweep->give_up);
	return sweep;
}

void redis_sweep_free(struct redis_sweep *sweep)
{
	if (sweep == NULL)
		return;
	ev_timer_stop(sweep->loop, &sweep->give_up);
	redis_link_free(sweep->link);
	redis_tls_free(sweep->tls);
	free(sweep);
}

enum redis_sweep_state redis_sweep_state(const struct redis_sweep *sweep)
{
	return sweep->state;
}

const char *redis_sweep_why(const struct redis_sweep *sweep)
{
	return sweep->why.text;
}
