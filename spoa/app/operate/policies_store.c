/*
 * How a version comes into use:
 *
 *     a record has come or gone,
 *     or the store has not answered yet
 *       `--> LOOK, some ms later: which version is the latest?
 *              |-- the one in use, or the one that was refused --> nothing to do
 *              |-- another one, and its text is whole -----------> the reload reads it, beside the
 *              |                                                   loop: `reloaded`, or
 *              |                                                   `policies_refused`, and the one
 *              |                                                   in use stays in use
 *              |-- another one, and pieces of it are missing ----> looked at again later
 *              |-- none, and the store has answered -------------> `policies_store_empty`: the same
 *              |                                                   with a file without policies
 *              `-- none, and the store has not answered ---------> looked at again later
 *
 * Before the store has answered, a version of the state file is used, once, at the start: the
 * latest that the agent can read. While the agent reads all records for the first time it would
 * else use each version on its way.
 *
 * How a version is put:
 *
 *     CHECKING   a thread reads the policies; with problems it ends here
 *     AWAITING   is `expected` the latest version? The agent first reads what the store has now,
 *                since it may have been away; and if `expected` is a later version than that, it
 *                waits for AWAIT_MS at most
 *     SENDING    the pieces are put, then the head. The head is put only if nobody was faster
 *     USING      the store has it. The reload of this agent has its answer soon. If somebody was
 *                faster, the agent waits until it has read who
 *     done       answered; old versions are removed
 *
 * A version that was refused once is tried again every TRY_AGAIN_S: memory may have been short.
 *
 * An agent that has no version in use, and can't take the latest one, tries the next older one, and
 * so on: such is an agent of an older version of this program that is started again after somebody
 * has put policies that only newer ones can read. It goes on with what it could read, and tells the
 * numbers of both versions, as every agent does that can't read the latest one. The empty set is no
 * version: an agent that is started while the store has lost its versions uses it until other
 * agents bring these back.
 *
 * After a put the store is cleaned: of versions that are too old, and of the pieces of a put that
 * was refused in the end. That is a walk through all records, which is made some records at a time,
 * with one removal under way: none of it makes a request wait.
 */
#include "app/operate/policies_store.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/load.h"
#include "app/reload.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/log.h"

#define LOOK_S         0.005
#define LOOK_AGAIN_S   0.05
#define TRY_AGAIN_S    30.0
#define AWAIT_MS       1000
#define PUTS_MAX       8
#define PIECES_AT_ONCE 4
#define THREAD_NICER   10 /* on one core, the loop runs first */
#define CLEAN_S        0.001
#define NO_POLICIES    "{\"policies\":{}}"

enum put_state { PUT_CHECKING = 0, PUT_AWAITING, PUT_SENDING, PUT_USING };

struct policies_put {
	struct list link;
	struct policies_store *store;
	enum put_state state;
	uint64_t expected;
	int64_t began_us; /* since when it is AWAITING */
	struct policy_version version;
	struct http_who who;
	char *text;
	size_t next;     /* piece to be sent */
	size_t sent;     /* pieces that the store has not answered */
	bool is_sending; /* send_pieces is on the stack */
	enum records_outcome outcome;
	policies_put_done_fn *done;
	void *owner;
	/* The thread's until it has ended: */
	pthread_t thread;
	struct ev_async on_checked;
	struct problems problems;
};

static void look_in(struct policies_store *store, double seconds)
{
	if (store->reload == NULL)
		return;
	ev_timer_stop(store->loop, &store->look);
	ev_timer_set(&store->look, seconds, 0.0);
	ev_timer_start(store->loop, &store->look);
}

uint64_t policies_store_latest(const struct policies_store *store)
{
	const struct policy_version *latest = policy_versions_latest(&store->versions);

	return latest == NULL ? 0 : latest->number;
}

/* The empty set of an empty store is none: an agent that has only that one tries older versions. */
static bool has_version(const struct policies_store *store)
{
	return store->is_used && store->used.number > 0;
}

bool policies_store_is_known(const struct policies_store *store)
{
	return records_are_known(store->records);
}

/* ---- use ---- */

static void ask_reload(struct policies_store *store, const struct policy_version *version,
		       char *text)
{
	store->is_asked = true;
	store->asked = *version;
	reload_take_text(store->reload, &(struct reload_text){
						.text = text,
						.len = version->len,
						.version = version->number,
					});
}

/* True when there is nothing left to do. */
static bool use_none(struct policies_store *store)
{
	const struct policy_version none = {.len = strlen(NO_POLICIES)};

	if ((store->is_used && store->used.number == 0) || store->is_none_refused)
		return true;
	if (!policies_store_is_known(store))
		return false;
	char *text = strdup(NO_POLICIES);
	if (text == NULL)
		return false;
	log_event(LOG_WARN, "policies_store_empty",
		  LOG_TEXT("hint", "the store has no policies, so no request is checked by any; "
				   "`ratelimit-spoa policies put FILE --version 0` puts some"));
	ask_reload(store, &none, text);
	return true;
}

/* Of the versions before `number` the latest one; NULL when there is none. */
static const struct policy_version *find_before(const struct policies_store *store, uint64_t number)
{
	const struct policy_version *found = NULL;

	for (size_t i = 0; i < store->versions.count && store->versions.items[i].number < number;
	     i++)
		found = &store->versions.items[i];
	return found;
}

/*
 * The latest version was refused, and nothing is in use. An older version whose text is not there
 * is passed over when the store has told of all that it has.
 */
static bool use_older(struct policies_store *store)
{
	for (;;) {
		const struct policy_version *older = find_before(store, store->tried_down_to);
		char *text = older == NULL ? NULL : policy_version_text(older, store->records);
		if (older == NULL)
			return true;
		if (text != NULL) {
			ask_reload(store, older, text);
			return true;
		}
		if (!policies_store_is_known(store))
			return false;
		store->tried_down_to = older->number;
	}
}

static bool use_latest(struct policies_store *store)
{
	const struct policy_version *latest = policy_versions_latest(&store->versions);

	if (latest == NULL)
		return use_none(store);
	/* That version is gone: it was the state file's, and the store does not have it. */
	if (store->refused.number > latest->number)
		store->refused = (struct policy_version){0};
	if (store->is_used && policy_version_is_same(latest, &store->used))
		return true;
	if (policy_version_is_same(latest, &store->refused))
		return has_version(store) || use_older(store);
	char *text = policy_version_text(latest, store->records);
	if (text == NULL)
		return false;
	ask_reload(store, latest, text);
	return true;
}

static void look(struct policies_store *store)
{
	bool is_done = store->is_asked || use_latest(store);

	if (store->known_since_us == 0 && policies_store_is_known(store))
		store->known_since_us = clock_mono_us();
	if (!is_done || !policies_store_is_known(store))
		look_in(store, LOOK_AGAIN_S);
}

static void go_on_with_puts(struct policies_store *store);

/* Nothing is in use, and the latest version was refused. */
static bool wants_older(const struct policies_store *store)
{
	const struct policy_version *latest = policy_versions_latest(&store->versions);

	return !has_version(store) && latest != NULL &&
	       policy_version_is_same(latest, &store->refused);
}

static void on_look(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct policies_store *store = CONTAINER_OF(timer, struct policies_store, look);

	(void)loop, (void)events;
	if (policies_store_is_known(store) || wants_older(store))
		look(store);
	else
		look_in(store, LOOK_AGAIN_S);
	go_on_with_puts(store);
}

static void on_try_again(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct policies_store *store = CONTAINER_OF(timer, struct policies_store, try_again);

	(void)loop, (void)events;
	store->refused = (struct policy_version){0};
	store->is_none_refused = false;
	look_in(store, LOOK_S);
}

/*
 * Each version is told once, though the latest one is tried again, and then the older ones are too.
 * False when this one was told before.
 */
static bool begin_telling(struct policies_store *store)
{
	if (policy_version_is_same(&store->refused_told, &store->refused) &&
	    store->asked.number >= store->told_down_to)
		return false;
	store->refused_told = store->refused;
	store->told_down_to = store->asked.number;
	return true;
}

static void note_refused(struct policies_store *store, const char *why)
{
	if (store->asked.number >= store->refused.number) {
		store->refused = store->asked;
		store->is_none_refused = store->asked.number == 0;
		(void)err_set(&store->refused_why, "%s", why);
	}
	store->tried_down_to = store->asked.number;
	ev_timer_stop(store->loop, &store->try_again);
	ev_timer_set(&store->try_again, TRY_AGAIN_S, 0.0);
	ev_timer_start(store->loop, &store->try_again);
	if (!begin_telling(store))
		return;
	log_event(LOG_ERROR, "policies_refused", LOG_INT("version", store->asked.number),
		  LOG_INT("used", store->used.number), LOG_TEXT("reason", why),
		  LOG_TEXT("hint", has_version(store)
					   ? "the policies in use stay in use"
					   : "the agent has no policies in use, and tries the "
					     "version before this one"));
}

/* The reload has taken the text that it was asked for, or not. */
static void on_taken(void *owner, uint64_t version, bool is_taken, const char *why_not)
{
	struct policies_store *store = owner;

	ASSERT(version == store->asked.number);
	store->is_asked = false;
	if (is_taken) {
		store->is_used = true;
		store->used = store->asked;
		if (store->asked.number >= store->refused.number)
			store->refused = (struct policy_version){0};
		store->is_none_refused = false;
		store->stats->policies_version = version;
	} else {
		note_refused(store, why_not);
	}
	look_in(store, LOOK_S); /* a later one may have come meanwhile */
}

void policies_store_take_record(struct policies_store *store, const struct record *record)
{
	if (!policy_versions_take(&store->versions, record))
		log_event(LOG_WARN, "policies_unusable", LOG_BYTES("id", record->id),
			  LOG_TEXT("reason", "the record is none that this version writes"));
	store->stats->policies_stored_version = policies_store_latest(store);
	look_in(store, LOOK_S);
}

/* ---- checking ---- */

static void *check_text(void *argument)
{
	struct policies_put *put = argument;
	struct bytes text = bytes_from(put->text, put->version.len);

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), THREAD_NICER);
	policies_unref(load_policies_of_text(put->store->options, text, &put->problems));
	ev_async_send(put->store->loop, &put->on_checked);
	return NULL;
}

/* The thread gets no signals: those are the loop's. */
static bool start_check(struct policies_put *put)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&put->thread, NULL, check_text, put);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0;
}

/* ---- the end of a put ---- */

static void free_put(struct policies_put *put)
{
	list_remove(&put->link);
	put->store->put_count--;
	free(put->text);
	free(put);
}

static void end_put(struct policies_put *put, enum policies_put_outcome outcome)
{
	put->done(put->owner, outcome, put->version.number, &put->problems);
	free_put(put);
}

/* ---- what nobody needs ---- */

static bool has_been_known_long(const struct policies_store *store)
{
	return store->known_since_us != 0 &&
	       clock_mono_us() - store->known_since_us > (int64_t)POLICY_ABANDONED_MS * US_PER_MS;
}

static void begin_cleaning(struct policies_store *store)
{
	if (ev_is_active(&store->clean)) {
		store->is_to_sweep_again = true;
		return;
	}
	store->sweep = (struct policy_sweep){.keeps_late = !has_been_known_long(store)};
	ev_timer_start(store->loop, &store->clean);
}

/* What can't be removed now is found after the next put. */
static void on_removed(void *owner, enum records_outcome outcome)
{
	struct policies_store *store = owner;

	store->is_removing = false;
	if (outcome == RECORDS_DONE)
		return;
	ev_timer_stop(store->loop, &store->clean);
	store->is_to_sweep_again = false;
}

/* One removal at a time is under way, since they share a connection with the checks. */
static void on_clean(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct policies_store *store = CONTAINER_OF(timer, struct policies_store, clean);
	struct policy_record_id id;

	(void)events;
	if (store->is_removing)
		return;
	if (policy_versions_sweep(&store->versions, store->records, &store->sweep,
				  &store->abandoned, &id)) {
		store->is_removing = true;
		records_put(store->records,
			    &(struct record){.id = bytes_from_text(id.text), .is_removed = true},
			    on_removed, store);
	}
	if (!policy_sweep_is_over(&store->sweep))
		return;
	ev_timer_stop(loop, &store->clean);
	if (store->is_to_sweep_again) {
		store->is_to_sweep_again = false;
		begin_cleaning(store);
	}
}

/* The head will not come. When its answer was lost, the store may have it. */
static void abandon_pieces(struct policies_put *put)
{
	if (put->next == 0 || put->outcome == RECORDS_UNCERTAIN)
		return;
	policy_uploads_note(&put->store->abandoned, &put->version);
	begin_cleaning(put->store);
}

/* ---- sending ---- */

static enum policies_put_outcome outcome_of(enum records_outcome outcome)
{
	switch (outcome) {
	case RECORDS_DONE:
		return POLICIES_PUT;
	case RECORDS_EXISTS:
		return POLICIES_NOT_LATEST;
	case RECORDS_FULL:
		return POLICIES_FULL;
	case RECORDS_FORBIDDEN:
		return POLICIES_FORBIDDEN;
	case RECORDS_UNCERTAIN:
		return POLICIES_UNCERTAIN;
	case RECORDS_UNAVAILABLE:
		break;
	}
	return POLICIES_UNAVAILABLE;
}

static void note_put(struct policies_put *put)
{
	struct policies_store *store = put->store;

	store->stats->policies_puts++;
	log_event(LOG_INFO, "policies_put", LOG_INT("version", put->version.number),
		  LOG_TEXT("who", put->who.name), LOG_TEXT("from", put->who.from),
		  LOG_INT("bytes", put->version.len),
		  LOG_TEXT("scope", store->records->is_shared ? "all agents" : "this agent"));
}

/* Puts are ended from the timer and not from here, where records_put may still be on the stack. */
static void on_head_put(void *owner, enum records_outcome outcome)
{
	struct policies_put *put = owner;

	put->outcome = outcome;
	put->state = PUT_USING;
	if (outcome == RECORDS_DONE)
		note_put(put);
	look_in(put->store, 0.0);
}

static void send_head(struct policies_put *put)
{
	struct policy_record head;

	policy_version_make_head(&put->version, &head);
	records_put(put->store->records, &head.record, on_head_put, put);
}

static void on_piece_put(void *owner, enum records_outcome outcome);

/*
 * Few pieces are under way at once, since they share a connection with the checks, and these have
 * to be answered in time. A store in memory answers inside records_put.
 */
static void send_pieces(struct policies_put *put)
{
	struct bytes text = bytes_from(put->text, put->version.len);
	size_t count = policy_version_pieces(&put->version);
	struct policy_record piece;

	put->is_sending = true;
	while (put->outcome == RECORDS_DONE && put->next < count && put->sent < PIECES_AT_ONCE) {
		policy_version_make_piece(&put->version, text, put->next++, &piece);
		put->sent++;
		records_put(put->store->records, &piece.record, on_piece_put, put);
	}
	put->is_sending = false;
	if (put->sent > 0)
		return;
	if (put->outcome == RECORDS_DONE)
		send_head(put);
	else
		on_head_put(put, put->outcome);
}

static void on_piece_put(void *owner, enum records_outcome outcome)
{
	struct policies_put *put = owner;

	/* The head is not sent then: without it the store has no such version. */
	if (outcome != RECORDS_DONE)
		put->outcome = outcome == RECORDS_UNCERTAIN ? RECORDS_UNAVAILABLE : outcome;
	put->sent--;
	if (!put->is_sending)
		send_pieces(put);
}

/* ---- a put goes on ---- */

static bool has_waited_enough(const struct policies_put *put)
{
	return clock_mono_us() - put->began_us > AWAIT_MS * US_PER_MS;
}

/* Whether the number of the latest version, as it is known now, decides. */
static void compare_versions(struct policies_put *put)
{
	struct policies_store *store = put->store;
	uint64_t latest = policies_store_latest(store);
	bool is_late = has_waited_enough(put);
	bool is_known = records_are_known_since(store->records, put->began_us);

	if (is_known && put->expected == latest) {
		put->version.number = latest + 1;
		put->state = PUT_SENDING;
		put->outcome = RECORDS_DONE;
		send_pieces(put);
	} else if (is_known && (put->expected < latest || is_late)) {
		end_put(put, POLICIES_NOT_LATEST);
	} else if (records_are_refused_since(store->records, put->began_us)) {
		end_put(put, POLICIES_FORBIDDEN);
	} else if (is_late) {
		end_put(put, POLICIES_UNAVAILABLE);
	} else {
		look_in(store, LOOK_AGAIN_S);
	}
}

/*
 * The store has taken the version; but another one, which was there before and had got lost, or was
 * put at an agent that could not reach this one, has come in its place or above it.
 */
static bool is_overtaken(const struct policies_put *put)
{
	const struct policy_versions *versions = &put->store->versions;
	const struct policy_version *latest = policy_versions_latest(versions);
	const struct policy_version *own = policy_versions_find(versions, put->version.number);

	if (own == NULL || latest == NULL)
		return false;
	return !policy_version_is_same(own, &put->version) ||
	       (latest->number > own->number && latest->changed_ms < own->changed_ms);
}

/* The version is answered when this agent uses it, or a later one, or has refused it. */
static void await_use(struct policies_put *put)
{
	struct policies_store *store = put->store;
	uint64_t number = put->version.number;

	if (put->outcome == RECORDS_EXISTS && policies_store_latest(store) < number &&
	    !has_waited_enough(put)) {
		look_in(store, LOOK_AGAIN_S); /* so that the answer can name the latest version */
	} else if (put->outcome != RECORDS_DONE) {
		abandon_pieces(put);
		end_put(put, outcome_of(put->outcome));
	} else if (store->used.number >= number || store->refused.number >= number ||
		   policies_store_latest(store) < number) {
		end_put(put, is_overtaken(put) ? POLICIES_NOT_LATEST : POLICIES_PUT);
		begin_cleaning(store);
	}
}

static void go_on_with_puts(struct policies_store *store)
{
	for (struct list *at = store->puts.next, *next; at != &store->puts; at = next) {
		struct policies_put *put = CONTAINER_OF(at, struct policies_put, link);
		next = at->next;
		if (put->state == PUT_AWAITING)
			compare_versions(put);
		else if (put->state == PUT_USING)
			await_use(put);
	}
}

static void on_checked(struct ev_loop *loop, struct ev_async *watcher, int events)
{
	struct policies_put *put = CONTAINER_OF(watcher, struct policies_put, on_checked);

	(void)events;
	(void)pthread_join(put->thread, NULL);
	ev_async_stop(loop, &put->on_checked);
	if (put->problems.count > 0) {
		end_put(put, POLICIES_BAD);
		return;
	}
	put->state = PUT_AWAITING;
	put->began_us = clock_mono_us();
	compare_versions(put);
}

struct policies_put *policies_store_put(struct policies_store *store, uint64_t expected, char *text,
					size_t len, const struct http_who *who,
					policies_put_done_fn *done, void *owner)
{
	struct policies_put *put = store->put_count == PUTS_MAX ? NULL : calloc(1, sizeof *put);

	if (put == NULL) {
		free(text);
		return NULL;
	}
	*put = (struct policies_put){
		.store = store,
		.expected = expected,
		.who = *who,
		.text = text,
		.done = done,
		.owner = owner,
	};
	policy_version_set_upload(&put->version, len);
	memcpy(put->version.who, who->name, sizeof put->version.who);
	list_init(&put->link);
	list_append(&store->puts, &put->link);
	store->put_count++;
	ev_async_init(&put->on_checked, on_checked);
	ev_async_start(store->loop, &put->on_checked);
	if (start_check(put))
		return put;
	ev_async_stop(store->loop, &put->on_checked);
	free_put(put);
	return NULL;
}

/* ---- start and end ---- */

struct policies_store *policies_store_new(struct ev_loop *loop, const struct options *options,
					  struct records *records, struct operate_stats *stats)
{
	struct policies_store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return NULL;
	store->loop = loop;
	store->options = options;
	store->records = records;
	store->stats = stats;
	list_init(&store->puts);
	ev_init(&store->look, on_look);
	ev_init(&store->try_again, on_try_again);
	ev_timer_init(&store->clean, on_clean, CLEAN_S, CLEAN_S);
	return store;
}

void policies_store_start(struct policies_store *store, struct reload *reload)
{
	store->reload = reload;
	reload_on_taken(reload, on_taken, store);
	look(store);
}

void policies_store_free(struct policies_store *store)
{
	if (store == NULL)
		return;
	ev_timer_stop(store->loop, &store->look);
	ev_timer_stop(store->loop, &store->try_again);
	ev_timer_stop(store->loop, &store->clean);
	for (struct list *at = store->puts.next, *next; at != &store->puts; at = next) {
		struct policies_put *put = CONTAINER_OF(at, struct policies_put, link);
		next = at->next;
		if (put->state == PUT_CHECKING) {
			(void)pthread_join(put->thread, NULL);
			ev_async_stop(store->loop, &put->on_checked);
		}
		end_put(put, POLICIES_UNAVAILABLE);
	}
	free(store);
}
