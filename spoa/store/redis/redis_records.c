/*
 * What an agent asks, one question at a time:
 *
 *               .-------------- every 0.25 s --------------.
 *               v                                          |
 *     LOAD --> READ the changes after `counter` --> nothing new: in step
 *     (the      |   ^
 *     script,   |   `--- more of them, or all of it in pages ---.
 *     after     |                                               |
 *     NOSCRIPT) +-----------------------------------------------'
 *               |
 *               `--> the store lacks what this agent has --> MERGE, in pieces --> READ
 *
 * A put is a call of its own, beside these (redis_records_puts.h).
 *
 * The version. Each change makes the counter of the store one more, and `run` is the random name of
 * this history. An agent that has the same run and asks for what came after its counter gets all of
 * it. It reads everything (`is_full`) in these cases:
 *
 *     another run, or none                      the server was emptied, or is another one
 *     a lower counter                           an older replica was promoted
 *     count and sum differ, on a new            the same, and the counter has caught up since: the
 *     connection                                sum is of the times of all changes
 *     the store forgot changes after `counter`  the agent was away for longer than those are kept
 *
 * In the first three the agent then looks at what the store lacks, or has in an earlier form, and
 * writes that. It does so only if the version is still the one that it has read, so two agents that
 * merge at once do not undo each other: the second one reads first what the first one wrote. Of a
 * history that has lost its end the run changes with the first write, so that every other agent
 * looks too: its own counter may be the new one by chance.
 *
 * A state file is older than what a store says: what is of the file alone is written to a store
 * that has no version, and else dropped.
 */
#include "store/redis/redis_records.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/clock.h"
#include "limit/quota.h"
#include "store/redis/redis_command.h"
#include "store/redis/redis_greeting.h"
#include "store/redis/redis_link.h"
#include "store/redis/redis_records_call.h"
#include "store/redis/redis_records_copy.h"
#include "store/redis/redis_records_errors.h"
#include "store/redis/redis_records_puts.h"
#include "store/redis/redis_slots.h"
#include "store/server_clock.h"

#define POLL_SECONDS    0.25
#define SOON_SECONDS    0.01
#define REFUSED_SECONDS 5 /* between questions that Redis refuses: it may log each refusal */
#define SPARE_GONE      20000

enum question { ASK_NOTHING = 0, ASK_LOAD, ASK_READ, ASK_MERGE };

struct redis_records {
	struct records records;
	struct redis_records_config config;
	struct ev_loop *loop;
	struct ev_timer timer;
	bool is_listened_to; /* else nothing is asked */
	struct records_copy copy;
	struct server_clock clock;

	/* What is known of the store. */
	char run[RECORDS_RUN_LEN + 1]; /* empty: it has nothing, or nothing was read yet */
	uint64_t counter;
	bool has_been_read;               /* all of it, by this agent */
	int64_t known_since_us;           /* when it was last asked for what is all known by now */
	const struct redis_link *checked; /* whose count and sum were compared */
	int64_t checked_since_us;

	/* Reading everything. */
	bool is_full, is_same_run;
	bool is_renewed; /* the next merge gives the history another run */
	/* Other agents that merge give the history another run, which is the same loss. */
	bool is_loss_told;
	bool is_doubted; /* count and sum differ: is something lacking? */

	/* The question that waits for its reply. */
	enum question question;
	struct redis_asked asked;
	int64_t asked_us;
	int64_t refused_us; /* asked_us of the last one that was refused for want of a right */
	char hash[REDIS_HASH_LEN + 1]; /* of the script; empty: it is not loaded */
	char merged[RECORDS_MERGE_MAX][RECORD_ID_MAX + 1];
	size_t merged_count;

	struct redis_records_puts puts;
	struct records_errors errors;
	uint8_t command[RECORDS_CALL_MAX];
};

static struct redis_records *redis_records_of(const struct records *records)
{
	return CONTAINER_OF(records, struct redis_records, records);
}

static struct redis_link *find_link(const struct redis_records *records)
{
	return records->config.find_link(records->config.owner);
}

static int64_t since_of(const struct redis_records *records)
{
	const struct redis_link *link = find_link(records);

	return link == NULL ? 0 : redis_link_since_us(link);
}

static void ask_again_in(struct redis_records *records, double seconds)
{
	records->timer.repeat = seconds;
	ev_timer_again(records->loop, &records->timer);
}

/* A question that comes sooner stays: puts without a pause would else put it off for ever. */
static void ask_again_soon(struct redis_records *records)
{
	if (!ev_is_active(&records->timer) ||
	    ev_timer_remaining(records->loop, &records->timer) > SOON_SECONDS)
		ask_again_in(records, SOON_SECONDS);
}

/* ---- time ---- */

static uint64_t now_ms(const struct records *base)
{
	const struct redis_records *records = redis_records_of(base);
	int64_t us = records->clock.is_known
			     ? server_clock_least_us(&records->clock, clock_mono_us())
			     : clock_now_us();

	return us > 0 ? (uint64_t)(us / US_PER_MS) : 0;
}

/* ---- calls ---- */

static struct records_form form_of(const struct redis_records *records)
{
	return (struct records_form){bytes_from_text(records->hash), records->config.prefix};
}

static void send(struct redis_records *records, struct redis_link *link, enum question question,
		 const struct writer *w)
{
	ASSERT(!w->full);
	records->question = question;
	records->asked_us = clock_mono_us();
	redis_link_send(link, writer_bytes(w), &records->asked);
}

static void send_load(struct redis_records *records, struct redis_link *link)
{
	records->question = ASK_LOAD;
	records->asked_us = clock_mono_us();
	redis_link_ask(
		link, &records->asked,
		(const struct bytes[]){BYTES("SCRIPT"), BYTES("LOAD"), redis_records_script()}, 3);
}

static void send_read(struct redis_records *records, struct redis_link *link)
{
	const struct records_form form = form_of(records);
	struct writer w = writer_on(records->command, sizeof records->command);

	records_call_begin(&w, &form, "read", 6);
	redis_command_put(&w, bytes_from_text(records->run));
	redis_command_put_number(&w, (int64_t)records->counter);
	redis_command_put_number(&w, records->is_full);
	redis_command_put_number(&w, RECORDS_READ_MAX);
	redis_command_put_number(&w, RECORDS_READ_BYTES);
	redis_command_put_number(&w, since_of(records) != records->errors.read_since_us);
	send(records, link, ASK_READ, &w);
}

static void send_merge(struct redis_records *records, struct redis_link *link)
{
	const struct records_form form = form_of(records);
	const struct record *chosen[RECORDS_MERGE_MAX];
	struct writer w = writer_on(records->command, sizeof records->command);
	size_t count = records_copy_choose_lacking(&records->copy, chosen);

	records_call_begin(&w, &form, "merge", 4 + 5 * count);
	redis_command_put(&w, bytes_from_text(records->run));
	redis_command_put_number(&w, (int64_t)records->counter);
	if (records->is_renewed || *records->run == '\0')
		records_call_put_random_run(&w);
	else
		redis_command_put(&w, bytes_from_text(records->run));
	redis_command_put_number(&w, RECORDS_KEPT_MS);
	for (size_t i = 0; i < count; i++) {
		records_call_put_record(&w, chosen[i], true);
		memcpy(records->merged[i], chosen[i]->id.data, chosen[i]->id.len);
		records->merged[i][chosen[i]->id.len] = '\0';
	}
	records->merged_count = count;
	send(records, link, ASK_MERGE, &w);
}

/* The next question, if the server can be asked and no other one waits. */
static void go_on(struct redis_records *records)
{
	struct redis_link *link = find_link(records);

	if (link == NULL || records->question != ASK_NOTHING || !records->is_listened_to)
		return;
	if (*records->hash == '\0')
		send_load(records, link);
	else
		send_read(records, link);
}

/* ---- a store that has lost something ---- */

static void tell_lost(struct redis_records *records, const char *why,
		      const struct records_version *found)
{
	bool is_told = records->is_loss_told;

	records->is_loss_told = true;
	if (!is_told && records->config.lost != NULL)
		records->config.lost(records->config.owner, why, records->counter, found->counter);
}

/* Everything is read, from the first change on. */
static void begin_full(struct redis_records *records, const struct records_version *found)
{
	records->is_same_run = strcmp(records->run, found->run) == 0;
	memcpy(records->run, found->run, sizeof records->run);
	records->counter = 0;
	records->is_full = true;
	records_copy_begin_round(&records->copy);
}

/* Nothing is left of what the store had. */
static void begin_anew(struct redis_records *records)
{
	*records->run = '\0';
	records->counter = 0;
	records->is_full = false;
	records_copy_lack_all(&records->copy);
}

/* ---- replies ---- */

/* True: the script is loaded again, or the records are found elsewhere, and the call repeated. */
static bool can_repeat(struct redis_records *records, struct bytes why)
{
	enum store_error error = redis_error_kind(why);

	if (error == STORE_NOSCRIPT)
		*records->hash = '\0';
	if (error == STORE_MOVED && records->config.moved != NULL)
		records->config.moved(records->config.owner);
	return error == STORE_NOSCRIPT || error == STORE_MOVED;
}

static void note_error(struct redis_records *records, struct bytes why)
{
	if (can_repeat(records, why))
		return;
	ask_again_in(records, REFUSED_SECONDS);
	records_errors_note(&records->errors, why, since_of(records));
}

static void note_refused_question(struct redis_records *records, struct bytes why)
{
	if (records_error_is_of_rights(why))
		records->refused_us = records->asked_us;
	note_error(records, why);
}

static void on_loaded(struct redis_records *records, const struct redis_reply *reply)
{
	const struct redis_item *item = &reply->items[0];

	if (item->kind != REDIS_TEXT || item->text.len != REDIS_HASH_LEN) {
		note_refused_question(records,
				      item->kind == REDIS_ERROR
					      ? item->text
					      : BYTES("SCRIPT LOAD was not answered by a hash"));
		return;
	}
	memcpy(records->hash, item->text.data, REDIS_HASH_LEN);
	redis_records_puts_send(&records->puts);
	go_on(records);
}

/* Whether count and sum of this agent's records are to be compared with those of the store. */
static bool is_other_connection(const struct redis_records *records)
{
	const struct redis_link *link = find_link(records);

	return link != NULL &&
	       (link != records->checked || redis_link_since_us(link) != records->checked_since_us);
}

static void note_compared(struct redis_records *records)
{
	records->checked = find_link(records);
	records->checked_since_us = since_of(records);
}

#define EMPTIED "it has no records any more"
#define OTHER   "its records have another history"
#define OLDER   "it has less changes than before"
#define DIFFERS "its records are not those of before"

/* True: the reply was to the point of where to read on, and what it has is read. */
static bool follow_version(struct redis_records *records, const struct records_version *found)
{
	bool is_known = *records->run != '\0';
	bool is_other = strcmp(found->run, records->run) != 0;

	if (*found->run == '\0') {
		if (is_known || records->copy.table.count > 0) {
			if (is_known && !records->is_full)
				tell_lost(records, EMPTIED, found);
			begin_anew(records);
		}
		records->has_been_read = true;
		return false;
	}
	if (is_other || found->counter < records->counter) {
		if (is_known && !records->is_full)
			tell_lost(records, is_other ? OTHER : OLDER, found);
		records->is_renewed = is_known && !is_other;
		begin_full(records, found);
		return false;
	}
	if (!records->is_full && (records->counter < found->cut ||
				  records->copy.table.count > found->count + SPARE_GONE)) {
		begin_full(records, found);
		return false;
	}
	return true;
}

/* This agent knows all that the store has. Is there something that the store lacks? */
static void be_in_step(struct redis_records *records, struct redis_link *link,
		       const struct records_version *version)
{
	if (records->is_full) {
		records_copy_end_round(&records->copy, records->is_same_run, version->cut,
				       now_ms(&records->records));
		records->is_full = false;
		records->has_been_read = true;
		note_compared(records);
	} else if (is_other_connection(records)) {
		note_compared(records);
		if (!records_copy_agrees(&records->copy, version)) {
			begin_full(records, version);
			records->is_renewed = true;
			records->is_doubted = true;
			send_read(records, link);
			return;
		}
	}
	if (records->copy.table.lacking > 0) {
		if (records->is_doubted)
			tell_lost(records, DIFFERS, version);
		send_merge(records, link);
	} else {
		records->is_renewed = false;
		records->is_loss_told = false;
		records->known_since_us = records->asked_us;
	}
	records->is_doubted = false;
}

static void on_read(struct redis_records *records, struct redis_link *link,
		    struct records_reply *reply)
{
	struct record record;
	uint64_t counter;
	bool is_foreign = false;

	if (!follow_version(records, &reply->version)) {
		if (*reply->version.run != '\0')
			send_read(records, link);
		else if (records->copy.table.lacking > 0)
			send_merge(records, link);
		else
			records->known_since_us = records->asked_us;
		return;
	}
	for (;;) {
		if (records_reply_next(reply, &record, &counter, &is_foreign))
			records_copy_take(&records->copy, &record, counter,
					  now_ms(&records->records));
		else if (!is_foreign)
			break;
		else
			note_error(records, BYTES("a record in Redis is none of ours; it is "
						  "ignored"));
	}
	if (reply->number > 0 && (uint64_t)reply->number > records->counter)
		records->counter = (uint64_t)reply->number;
	if (records->counter < reply->version.counter)
		send_read(records, link);
	else
		be_in_step(records, link, &reply->version);
}

static void on_merged(struct redis_records *records, struct redis_link *link,
		      const struct records_reply *reply)
{
	if (reply->number != 1) { /* somebody else has changed something: first read that */
		send_read(records, link);
		return;
	}
	records->is_renewed = false;
	memcpy(records->run, reply->version.run, sizeof records->run);
	records->counter = reply->version.counter;
	for (size_t i = 0; i < records->merged_count; i++)
		records_copy_note_merged(&records->copy, bytes_from_text(records->merged[i]));
	if (records->copy.table.lacking > 0)
		send_merge(records, link);
	else
		send_read(records, link);
}

static void on_replied(struct redis_asked *asked, const struct redis_reply *from)
{
	struct redis_records *records = CONTAINER_OF(asked, struct redis_records, asked);
	enum question question = records->question;
	struct records_reply reply;

	records->question = ASK_NOTHING;
	if (from == NULL || !records->is_listened_to)
		return;
	struct redis_link *link = find_link(records);
	if (link == NULL)
		return;
	if (question == ASK_LOAD) {
		on_loaded(records, from);
	} else if (from->items[0].kind == REDIS_ERROR) {
		note_refused_question(records, from->items[0].text);
	} else if (!records_reply_read(&reply, from)) {
		note_error(records, BYTES("the reply is none of the script for records"));
	} else {
		server_clock_learn(&records->clock, reply.now_us, records->asked_us,
				   clock_mono_us());
		if (question == ASK_READ) {
			records_errors_note_read(&records->errors, reply.version.counter == 0,
						 since_of(records));
			on_read(records, link, &reply);
		} else {
			on_merged(records, link, &reply);
		}
	}
}

/* ---- puts ---- */

static struct records_form form_for_puts(void *owner)
{
	return form_of(owner);
}

static uint64_t known_change_ms(void *owner, struct bytes id)
{
	struct redis_records *records = owner;
	const struct kept_record *kept = records_table_find(&records->copy.table, id);

	return kept == NULL ? 0 : kept->record.changed_ms;
}

static struct redis_link *link_for_puts(void *owner)
{
	return find_link(owner);
}

/* RECORDS_DONE: the put waits for the script, or for the server that the records have moved to. */
static enum records_outcome on_put_refused(void *owner, struct bytes why)
{
	struct redis_records *records = owner;
	if (can_repeat(records, why) && find_link(records) != NULL) {
		ask_again_soon(records);
		return RECORDS_DONE;
	}
	records_errors_note_refused_put(&records->errors, why);
	note_error(records, why);
	return records_error_is_of_rights(why) ? RECORDS_FORBIDDEN : RECORDS_UNAVAILABLE;
}

static void on_put_taken(void *owner, const struct record *record,
			 const struct records_version *version)
{
	struct redis_records *records = owner;

	records_errors_note_put(&records->errors);
	records_copy_put(&records->copy, record, version->counter);
	if (strcmp(version->run, records->run) == 0 && version->counter == records->counter + 1 &&
	    !records->is_full)
		records->counter = version->counter;
	else
		ask_again_soon(records);
}

static void put_record(struct records *base, const struct record *record, records_done_fn *done,
		       void *owner)
{
	struct redis_records *records = redis_records_of(base);
	struct redis_link *link = find_link(records);

	ASSERT(record->id.len >= 1 && record->id.len <= RECORD_ID_MAX);
	ASSERT(record->value.len <= RECORD_VALUE_MAX + 1);
	if (!redis_records_puts_add(&records->puts, record, done, owner)) {
		done(owner, RECORDS_UNAVAILABLE);
		return;
	}
	if (*records->hash != '\0')
		redis_records_puts_send(&records->puts);
	else if (records->question == ASK_NOTHING)
		send_load(records, link);
}

/* ---- start and end ---- */

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct redis_records *records = CONTAINER_OF(timer, struct redis_records, timer);

	(void)loop, (void)events;
	ask_again_in(records, POLL_SECONDS);
	redis_records_puts_send(&records->puts);
	go_on(records);
}

static void on_change(struct records *base, records_changed_fn *changed, void *owner)
{
	struct redis_records *records = redis_records_of(base);

	records->is_listened_to = true;
	records_copy_listen(&records->copy, changed, owner);
	ask_again_soon(records);
}

static bool restore(struct records *base, const struct record *record)
{
	return records_copy_restore(&redis_records_of(base)->copy, record,
				    (uint64_t)(clock_now_us() / US_PER_MS));
}

static bool at(const struct records *base, size_t place, struct record *ret_record)
{
	const struct records_table *table = &redis_records_of(base)->copy.table;

	if (place >= table->count)
		return false;
	*ret_record = table->items[place]->record;
	return true;
}

static bool find_record(const struct records *base, struct bytes id, struct record *ret_record)
{
	const struct kept_record *kept =
		records_table_find(&redis_records_of(base)->copy.table, id);

	if (kept == NULL)
		return false;
	*ret_record = kept->record;
	return true;
}

static void advance(struct records *base)
{
	records_copy_advance(&redis_records_of(base)->copy, now_ms(base));
}

static bool are_known(const struct records *base)
{
	return redis_records_of(base)->has_been_read;
}

static bool are_known_since(struct records *base, int64_t mono_us)
{
	struct redis_records *records = redis_records_of(base);

	if (records->has_been_read && records->known_since_us >= mono_us)
		return true;
	go_on(records);
	return false;
}

static bool are_refused_since(const struct records *base, int64_t mono_us)
{
	return redis_records_of(base)->refused_us >= mono_us;
}

static void release(struct records *base)
{
	struct redis_records *records = redis_records_of(base);

	redis_records_puts_end(&records->puts);
	ev_timer_stop(records->loop, &records->timer);
	records_copy_release(&records->copy);
	free(records);
}

struct records *redis_records_new(struct ev_loop *loop, const struct redis_records_config *config)
{
	struct redis_records *records = calloc(1, sizeof *records);

	if (records == NULL)
		return NULL;
	records->records = (struct records){
		.put = put_record,
		.on_change = on_change,
		.restore = restore,
		.at = at,
		.find = find_record,
		.are_known = are_known,
		.are_known_since = are_known_since,
		.are_refused_since = are_refused_since,
		.advance = advance,
		.now_ms = now_ms,
		.is_shared = true,
		.free = release,
	};
	records->config = *config;
	records->loop = loop;
	records->asked.replied = on_replied;
	redis_records_puts_init(&records->puts, &(const struct redis_records_puts_config){
							.find_link = link_for_puts,
							.form = form_for_puts,
							.known_change_ms = known_change_ms,
							.refused = on_put_refused,
							.taken = on_put_taken,
							.owner = records,
						});
	records_copy_init(&records->copy, config->outdated, config->owner);
	records->errors.config = &records->config;
	ev_init(&records->timer, on_timer);
	return &records->records;
}

uint16_t redis_records_slot(struct bytes prefix)
{
	return redis_slot_of(prefix, BYTES("{records}:version"));
}
