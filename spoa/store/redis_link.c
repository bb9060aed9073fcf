#include "store/redis_link.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <sodium.h>

#include "base/clock.h"
#include "base/writer.h"
#include "store/lookup.h"
#include "store/redis_info.h"

#define GIVE_UP_SECONDS   0.5 /* from connecting to the answered probe */
#define HEARTBEAT_SECONDS 0.25
#define SILENT_BEATS_MAX  2 /* without a reply to anything: it is dead */
#define PAUSE_MIN_MS      20
#define PAUSE_MAX_MS      800
#define UNFINISHED_MAX    (1024 * 1024) /* bytes of a reply; INFO's is the longest */
#define HASH_LEN          40
#define WHY_MAX           160
#define NO_ANSWER         "no answer in time"

enum link_state {
	LINK_PAUSED = 0,
	LINK_LOOKUP,
	LINK_CONNECTING,
	LINK_GREETING,
	LINK_PROBING,
	LINK_UP,
	LINK_FAILED, /* until the loop is about to wait: then the connection is freed, and so on */
};

/* Its own commands. */
enum greeting {
	GREETING_AUTH = 0,
	GREETING_SELECT,
	GREETING_INFO,
	GREETING_SCRIPT,
	GREETING_COUNT
};

struct redis_link {
	struct redis_link_config config;
	struct ev_loop *loop;
	enum link_state state;
	struct ev_prepare before_wait;
	struct ev_timer timer; /* the state's: of the pause, of giving up, of the heartbeat */

	struct lookup *lookup;
	struct lookup_result found;
	size_t next_address;
	unsigned failures; /* in a row, of all addresses */
	uint64_t connects;

	redisAsyncContext *context; /* NULL: none */
	struct ev_io readable, writable;
	bool wants_write;
	struct redis_replies *replies;
	size_t outstanding;    /* commands without a reply */
	bool has_replied;      /* since the last heartbeat */
	unsigned silent_beats; /* heartbeats in a row without one */

	struct redis_asked asked[GREETING_COUNT];
	struct redis_asked probe, heartbeat, reload;
	int64_t probed_us;
	char hash[HASH_LEN + 1];

	enum store_error error;
	char why[WHY_MAX];
	bool is_told, is_told_up;
	enum store_error told_error;
	char told_why[WHY_MAX];
};

static void set_timer(struct redis_link *link, double seconds)
{
	link->timer.repeat = seconds;
	ev_timer_again(link->loop, &link->timer);
}

/* ---- what is told ---- */

static void tell_up(struct redis_link *link)
{
	if (link->is_told && link->is_told_up)
		return;
	link->is_told = link->is_told_up = true;
	link->config.changed(link->config.owner, true, STORE_OK, "");
}

static void tell_down(struct redis_link *link)
{
	if (link->is_told && !link->is_told_up && link->told_error == link->error &&
	    strcmp(link->told_why, link->why) == 0)
		return;
	link->is_told = true;
	link->is_told_up = false;
	link->told_error = link->error;
	memcpy(link->told_why, link->why, sizeof link->why);
	link->config.changed(link->config.owner, false, link->error, link->why);
}

/* ---- failing ---- */

/* The first reason is the one that counts. */
static void fail(struct redis_link *link, enum store_error error, struct bytes why)
{
	struct writer w = writer_on(link->why, sizeof link->why);

	if (link->state == LINK_FAILED)
		return;
	link->state = LINK_FAILED;
	link->error = error;
	writer_put(&w, bytes_from(why.data, why.len < w.max - 1 ? why.len : w.max - 1));
	(void)writer_text(&w);
}

static void fail_with_text(struct redis_link *link, enum store_error error, const char *why)
{
	fail(link, error, bytes_from_text(why));
}

/* From half of it to all of it, so that many agents do not come at once. */
static double pause_seconds(unsigned failures)
{
	uint32_t pause_ms = (uint32_t)PAUSE_MIN_MS << (failures < 6 ? failures : 6);

	if (pause_ms > PAUSE_MAX_MS)
		pause_ms = PAUSE_MAX_MS;
	return (pause_ms / 2 + randombytes_uniform(pause_ms / 2)) / 1e3;
}

static void begin_pause(struct redis_link *link)
{
	link->state = LINK_PAUSED;
	set_timer(link, pause_seconds(link->failures));
	link->failures++;
	tell_down(link);
}

/* ---- hiredis' context and the loop ---- */

/* hiredis keeps what may become a reply, of any length, and reads as fast as it comes. */
static bool is_too_long(const redisReader *reader)
{
	return reader->len - reader->pos > UNFINISHED_MAX;
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct redis_link *link = CONTAINER_OF(watcher, struct redis_link, readable);

	(void)loop, (void)events;
	redisAsyncHandleRead(link->context);
	if (link->context != NULL && is_too_long(link->context->c.reader))
		fail_with_text(link, STORE_OTHER, "a reply is too long");
}

static void on_writable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)loop, (void)events;
	redisAsyncHandleWrite(CONTAINER_OF(watcher, struct redis_link, writable)->context);
}

static void add_read(void *owner)
{
	struct redis_link *link = owner;

	ev_io_start(link->loop, &link->readable);
}

static void del_read(void *owner)
{
	struct redis_link *link = owner;

	ev_io_stop(link->loop, &link->readable);
}

/* While it connects the socket tells; later what a turn has put together leaves at its end. */
static void add_write(void *owner)
{
	struct redis_link *link = owner;

	if (link->state == LINK_CONNECTING)
		ev_io_start(link->loop, &link->writable);
	else
		link->wants_write = true;
}

static void del_write(void *owner)
{
	struct redis_link *link = owner;

	ev_io_stop(link->loop, &link->writable);
	link->wants_write = false;
}

/* What it said was wrong, or there is no way to it. */
static enum store_error kind_of(int error)
{
	return error == REDIS_ERR_PROTOCOL || error == REDIS_ERR_OTHER ? STORE_OTHER
								       : STORE_CONNECTION;
}

/*
 * The context ends: refused, lost, or freed by us; in the first two it frees itself after this.
 * What waits for a reply gets NULL before this or, from hiredis 1.0 on, also after it, in the same
 * call.
 */
static void on_cleanup(void *owner)
{
	struct redis_link *link = owner;
	const redisAsyncContext *context = link->context;

	del_read(link);
	del_write(link);
	if (context->err != 0)
		fail_with_text(link, kind_of(context->err), context->errstr);
	link->context = NULL;
}

static void on_reply(redisAsyncContext *context, void *object, void *owner)
{
	struct redis_link *link = context->data;
	struct redis_asked *asked = owner;

	link->outstanding--;
	if (object == NULL) {
		asked->replied(asked, NULL);
		return;
	}
	struct redis_reply reply = redis_replies_last(link->replies);
	link->has_replied = true;
	asked->replied(asked, &reply);
}

void redis_link_send(struct redis_link *link, struct bytes command, struct redis_asked *asked)
{
	link->outstanding++;
	if (redisAsyncFormattedCommand(link->context, on_reply, asked, (const char *)command.data,
				       command.len) == REDIS_OK)
		return;
	link->outstanding--;
	asked->replied(asked, NULL); /* no memory */
}

/* ---- greeting and probing ---- */

static void send_words(struct redis_link *link, struct redis_asked *asked,
		       const struct bytes *words, int count)
{
	const char *texts[3];
	size_t lens[3];
	char *command;

	ASSERT(count <= 3);
	for (int i = 0; i < count; i++) {
		texts[i] = (const char *)words[i].data;
		lens[i] = words[i].len;
	}
	/* Its type is int in hiredis 0.14, long long later. */
	long long len = redisFormatCommandArgv(&command, count, texts, lens);
	if (len < 0) {
		fail_with_text(link, STORE_OTHER, "out of memory");
		return;
	}
	redis_link_send(link, bytes_from(command, (size_t)len), asked);
	redisFreeCommand(command);
}

#define SEND(link, asked, ...)                                       \
	send_words(link, asked, (const struct bytes[]){__VA_ARGS__}, \
		   sizeof((const struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes))

static void on_connect(const redisAsyncContext *context, int status)
{
	struct redis_link *link = context->data;
	const struct redis_target *target = link->config.target;
	uint8_t memory[20];
	struct writer db = writer_on(memory, sizeof memory);

	if (status != REDIS_OK)
		return; /* on_cleanup follows */
	link->state = LINK_GREETING;
	if (*target->user != '\0')
		SEND(link, &link->asked[GREETING_AUTH], BYTES("AUTH"),
		     bytes_from_text(target->user), bytes_from_text(target->password));
	else if (*target->password != '\0')
		SEND(link, &link->asked[GREETING_AUTH], BYTES("AUTH"),
		     bytes_from_text(target->password));
	writer_put_unsigned(&db, target->db);
	SEND(link, &link->asked[GREETING_SELECT], BYTES("SELECT"), writer_bytes(&db));
	SEND(link, &link->asked[GREETING_INFO], BYTES("INFO"));
	SEND(link, &link->asked[GREETING_SCRIPT], BYTES("SCRIPT"), BYTES("LOAD"),
	     link->config.script);
}

/* Whether the reply is worth a look; an error fails the link. */
static bool is_good(struct redis_link *link, enum link_state state, const struct redis_reply *reply)
{
	if (reply == NULL || link->state != state)
		return false;
	if (reply->items[0].kind != REDIS_ERROR)
		return true;
	fail(link, redis_error_kind(reply->items[0].text), reply->items[0].text);
	return false;
}

static struct redis_link *link_of(struct redis_asked *asked, enum greeting greeting)
{
	return CONTAINER_OF(asked - greeting, struct redis_link, asked);
}

static void on_auth(struct redis_asked *asked, const struct redis_reply *reply)
{
	(void)is_good(link_of(asked, GREETING_AUTH), LINK_GREETING, reply);
}

static void on_select(struct redis_asked *asked, const struct redis_reply *reply)
{
	(void)is_good(link_of(asked, GREETING_SELECT), LINK_GREETING, reply);
}

/* A user who may not ask for it (ACL) has to know what it is. */
static void on_info(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_link *link = link_of(asked, GREETING_INFO);
	enum store_error error;
	const char *why;

	if (reply != NULL && link->state == LINK_GREETING && reply->items[0].kind == REDIS_TEXT &&
	    !redis_info_is_usable(reply->items[0].text, &error, &why))
		fail_with_text(link, error, why);
}

static bool take_hash(struct redis_link *link, const struct redis_item *item)
{
	if (item->kind != REDIS_TEXT || item->text.len != HASH_LEN) {
		fail_with_text(link, STORE_OTHER, "SCRIPT LOAD was not answered by a hash");
		return false;
	}
	memcpy(link->hash, item->text.data, HASH_LEN);
	return true;
}

static void on_script(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_link *link = link_of(asked, GREETING_SCRIPT);

	if (!is_good(link, LINK_GREETING, reply) || !take_hash(link, &reply->items[0]))
		return;
	link->state = LINK_PROBING;
	link->probed_us = clock_mono_us();
	SEND(link, &link->probe, BYTES("PING"));
}

static void on_probe(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_link *link = CONTAINER_OF(asked, struct redis_link, probe);

	if (!is_good(link, LINK_PROBING, reply))
		return;
	if (clock_mono_us() - link->probed_us > link->config.timeout_us) {
		fail_with_text(link, STORE_TIMEOUT, NO_ANSWER);
		return;
	}
	link->state = LINK_UP;
	link->connects++;
	link->next_address = link->found.count; /* when it is lost, the name is asked for again */
	link->silent_beats = 0;
	set_timer(link, HEARTBEAT_SECONDS);
}

/* ---- while it is up ---- */

static void on_heartbeat(struct redis_asked *asked, const struct redis_reply *reply)
{
	(void)is_good(CONTAINER_OF(asked, struct redis_link, heartbeat), LINK_UP, reply);
}

static void beat(struct redis_link *link)
{
	unsigned silent_beats_max = link->config.silent_beats_max;
	bool is_silent = link->outstanding > 0 && !link->has_replied;

	link->silent_beats = is_silent ? link->silent_beats + 1 : 0;
	if (link->silent_beats >= (silent_beats_max > 0 ? silent_beats_max : SILENT_BEATS_MAX)) {
		fail_with_text(link, STORE_TIMEOUT, NO_ANSWER);
		return;
	}
	link->has_replied = false;
	link->failures = 0;
	if (link->outstanding == 0)
		SEND(link, &link->heartbeat, BYTES("PING"));
	tell_up(link);
}

static void on_reload(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_link *link = CONTAINER_OF(asked, struct redis_link, reload);

	if (is_good(link, LINK_UP, reply))
		(void)take_hash(link, &reply->items[0]);
}

void redis_link_load_script(struct redis_link *link)
{
	SEND(link, &link->reload, BYTES("SCRIPT"), BYTES("LOAD"), link->config.script);
}

void redis_link_drop(struct redis_link *link, enum store_error error, const char *why)
{
	if (link->state == LINK_UP)
		fail_with_text(link, error, why);
}

/* ---- connecting ---- */

static redisAsyncContext *open_context(struct redis_link *link)
{
	const struct redis_target *target = link->config.target;
	size_t address = link->next_address++;

	if (target->is_unix)
		return redisAsyncConnectUnix(target->path);
	return redisAsyncConnect(link->found.addresses[address], atoi(target->port));
}

static void attach(struct redis_link *link, redisAsyncContext *context)
{
	link->context = context;
	link->outstanding = 0;
	link->state = LINK_CONNECTING;
	context->data = link;
	context->ev.addRead = add_read;
	context->ev.delRead = del_read;
	context->ev.addWrite = add_write;
	context->ev.delWrite = del_write;
	context->ev.cleanup = on_cleanup;
	context->ev.data = link;
	ev_io_set(&link->readable, context->c.fd, EV_READ);
	ev_io_set(&link->writable, context->c.fd, EV_WRITE);
	redis_replies_collect(link->replies, context->c.reader);
	redisAsyncSetConnectCallback(context, on_connect); /* asks to write, too */
	set_timer(link, GIVE_UP_SECONDS);
}

static void try_next_address(struct redis_link *link)
{
	redisAsyncContext *context = open_context(link);

	if (context != NULL && context->err == 0) {
		attach(link, context);
		return;
	}
	fail_with_text(link, STORE_CONNECTION, context == NULL ? "out of memory" : context->errstr);
	if (context != NULL)
		redisAsyncFree(context);
}

/* When the resolver does not answer, the addresses that it gave before are as good as any. */
static void on_found(void *owner, const struct lookup_result *result)
{
	struct redis_link *link = owner;

	link->lookup = NULL;
	if (result->count > 0)
		link->found = *result;
	if (link->found.count > 0)
		try_next_address(link);
	else
		fail_with_text(link, STORE_CONNECTION, result->why);
}

static void look_up(struct redis_link *link)
{
	struct lookup_result numeric = lookup_numeric(link->config.target->host);

	if (numeric.count > 0) {
		on_found(link, &numeric);
		return;
	}
	link->state = LINK_LOOKUP;
	link->lookup = lookup_begin(link->loop, link->config.target->host, on_found, link);
	if (link->lookup == NULL)
		fail_with_text(link, STORE_CONNECTION, "the look-up of the name can't be begun");
}

static void begin(struct redis_link *link)
{
	ev_timer_stop(link->loop, &link->timer);
	link->next_address = 0;
	if (link->config.target->is_unix)
		try_next_address(link);
	else
		look_up(link);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct redis_link *link = CONTAINER_OF(timer, struct redis_link, timer);

	(void)loop, (void)events;
	switch (link->state) {
	case LINK_PAUSED:
		begin(link);
		break;
	case LINK_CONNECTING:
		fail_with_text(link, STORE_CONNECTION, "no connection in time");
		break;
	case LINK_GREETING:
	case LINK_PROBING:
		fail_with_text(link, STORE_TIMEOUT, NO_ANSWER);
		break;
	case LINK_UP:
		beat(link);
		break;
	case LINK_LOOKUP:
	case LINK_FAILED:
		break;
	}
}

/* ---- the turn ---- */

static void go_on_after_failure(struct redis_link *link)
{
	if (link->context != NULL)
		redisAsyncFree(link->context);
	if (link->next_address < link->found.count)
		try_next_address(link);
	else
		begin_pause(link);
}

static void before_wait(struct ev_loop *loop, struct ev_prepare *watcher, int events)
{
	struct redis_link *link = CONTAINER_OF(watcher, struct redis_link, before_wait);

	(void)events;
	link->config.flush(link->config.owner);
	if (link->wants_write && !ev_is_active(&link->writable)) {
		link->wants_write = false;
		redisAsyncHandleWrite(link->context);
		if (link->wants_write) /* not all: the socket is full */
			ev_io_start(loop, &link->writable);
	}
	while (link->state == LINK_FAILED)
		go_on_after_failure(link);
}

/* ---- start and end ---- */

struct redis_link *redis_link_new(struct ev_loop *loop, const struct redis_link_config *config)
{
	struct redis_link *link = calloc(1, sizeof *link);

	if (link == NULL)
		return NULL;
	link->config = *config;
	link->loop = loop;
	link->error = STORE_CONNECTION;
	link->asked[GREETING_AUTH].replied = on_auth;
	link->asked[GREETING_SELECT].replied = on_select;
	link->asked[GREETING_INFO].replied = on_info;
	link->asked[GREETING_SCRIPT].replied = on_script;
	link->probe.replied = on_probe;
	link->heartbeat.replied = on_heartbeat;
	link->reload.replied = on_reload;
	link->replies = redis_replies_new();
	if (link->replies == NULL) {
		free(link);
		return NULL;
	}
	redis_replies_expect(link->replies, &link->outstanding);
	ev_init(&link->readable, on_readable);
	ev_init(&link->writable, on_writable);
	ev_init(&link->timer, on_timer);
	ev_prepare_init(&link->before_wait, before_wait);
	/* Before the streams, whose writes carry what is answered here. */
	ev_set_priority(&link->before_wait, EV_MAXPRI);
	ev_prepare_start(loop, &link->before_wait);
	begin(link);
	return link;
}

void redis_link_free(struct redis_link *link)
{
	if (link == NULL)
		return;
	link->state = LINK_FAILED;
	if (link->context != NULL)
		redisAsyncFree(link->context);
	lookup_cancel(link->lookup);
	ev_timer_stop(link->loop, &link->timer);
	ev_prepare_stop(link->loop, &link->before_wait);
	redis_replies_free(link->replies);
	free(link);
}

bool redis_link_is_up(const struct redis_link *link)
{
	return link->state == LINK_UP;
}

enum store_error redis_link_error(const struct redis_link *link)
{
	return link->error;
}

const char *redis_link_why(const struct redis_link *link)
{
	return link->why;
}

uint64_t redis_link_connects(const struct redis_link *link)
{
	return link->connects;
}

const char *redis_link_hash(const struct redis_link *link)
{
	return link->hash;
}
