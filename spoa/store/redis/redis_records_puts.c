/*
 * The way of a put:
 *
 *     add --> waits for the script --> sent --> Redis has it: taken, then RECORDS_DONE
 *                  ^                    |
 *                  |                    +-----> there are too many: RECORDS_FULL
 *                  |                    +-----> there is one already: RECORDS_EXISTS
 *                  |                    |
 *                  `-- NOSCRIPT, MOVED -+-----> refused: RECORDS_UNAVAILABLE
 *                                       |
 *                                       `-----> the connection is lost: RECORDS_UNCERTAIN
 *
 * A server that goes on to say MOVED is given up after PUT_US.
 */
#include "store/redis/redis_records_puts.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/writer.h"
#include "store/redis/redis_command.h"
#include "store/redis/redis_link.h"
#include "store/redis/redis_records.h"

#define PUTS_MAX 4096          /* that wait for Redis at once */
#define PUT_US   US_PER_SECOND /* the longest that a put waits for a server that says MOVED */

struct put {
	struct list link;
	struct redis_asked asked;
	struct redis_records_puts *puts;
	records_done_fn *done;
	void *owner;
	bool is_sent;
	int64_t asked_us;
	struct record record; /* its texts lie behind the struct */
};

/* Of a put that was sent nobody knows whether Redis has it. */
static enum records_outcome outcome_of_lost(const struct put *put)
{
	return put->is_sent ? RECORDS_UNCERTAIN : RECORDS_UNAVAILABLE;
}

static void end_put(struct put *put, enum records_outcome outcome)
{
	records_done_fn *done = put->done;
	void *owner = put->owner;

	list_remove(&put->link);
	put->puts->count--;
	free(put);
	done(owner, outcome);
}

static void on_put(struct redis_asked *asked, const struct redis_reply *from)
{
	struct put *put = CONTAINER_OF(asked, struct put, asked);
	const struct redis_records_puts_config *config = &put->puts->config;
	struct records_reply reply;

	put->is_sent = false;
	if (from == NULL) {
		end_put(put, RECORDS_UNCERTAIN);
	} else if (from->items[0].kind == REDIS_ERROR) {
		enum records_outcome outcome = config->refused(config->owner, from->items[0].text);
		if (outcome != RECORDS_DONE)
			end_put(put, outcome);
	} else if (!records_reply_read(&reply, from)) {
		(void)config->refused(config->owner,
				      BYTES("the reply is none of the script for records"));
		end_put(put, RECORDS_UNAVAILABLE);
	} else if (reply.number == 0) {
		end_put(put, RECORDS_FULL);
	} else if (reply.number == 1) {
		end_put(put, RECORDS_EXISTS);
	} else {
		put->record.changed_ms = (uint64_t)reply.number;
		config->taken(config->owner, &put->record, &reply.version);
		end_put(put, RECORDS_DONE);
	}
}

static void send_put(struct put *put, struct redis_link *link, const struct records_form *form)
{
	const struct redis_records_puts_config *config = &put->puts->config;
	struct writer w = writer_on(put->puts->command, sizeof put->puts->command);

	records_call_begin(&w, form, "put", 10);
	records_call_put_random_run(&w);
	records_call_put_record(&w, &put->record, false);
	redis_command_put_number(&w,
				 (int64_t)config->known_change_ms(config->owner, put->record.id));
	redis_command_put_number(&w, RECORDS_MAX);
	redis_command_put_number(&w, RECORDS_GONE_MAX);
	redis_command_put_number(&w, RECORDS_KEPT_MS);
	redis_command_put_number(&w, put->record.is_new_only);
	ASSERT(!w.full);
	put->is_sent = true;
	redis_link_send(link, writer_bytes(&w), &put->asked);
}

void redis_records_puts_send(struct redis_records_puts *puts)
{
	const struct redis_records_puts_config *config = &puts->config;
	const struct records_form form = config->form(config->owner);
	struct redis_link *link = config->find_link(config->owner);
	int64_t now_us = clock_mono_us();

	for (struct list *l = puts->list.next, *next; l != &puts->list; l = next) {
		struct put *put = CONTAINER_OF(l, struct put, link);
		next = l->next;
		if (put->is_sent)
			continue;
		if (link == NULL || now_us - put->asked_us > PUT_US)
			end_put(put, RECORDS_UNAVAILABLE);
		else if (form.hash.len > 0)
			send_put(put, link, &form);
	}
}

static struct put *copy_put(const struct record *record)
{
	struct put *put = calloc(1, sizeof *put + record->id.len + record->value.len);

	if (put == NULL)
		return NULL;
	uint8_t *text = (uint8_t *)(put + 1);
	put->record = *record;
	memcpy(text, record->id.data, record->id.len);
	put->record.id.data = text;
	if (record->value.len > 0)
		memcpy(text + record->id.len, record->value.data, record->value.len);
	put->record.value.data = text + record->id.len;
	return put;
}

bool redis_records_puts_add(struct redis_records_puts *puts, const struct record *record,
			    records_done_fn *done, void *owner)
{
	struct put *put;

	if (puts->count == PUTS_MAX || puts->config.find_link(puts->config.owner) == NULL)
		return false;
	put = copy_put(record);
	if (put == NULL)
		return false;
	put->puts = puts;
	put->asked.replied = on_put;
	put->asked_us = clock_mono_us();
	put->done = done;
	put->owner = owner;
	list_init(&put->link);
	list_append(&puts->list, &put->link);
	puts->count++;
	return true;
}

void redis_records_puts_init(struct redis_records_puts *puts,
			     const struct redis_records_puts_config *config)
{
	puts->config = *config;
	puts->count = 0;
	list_init(&puts->list);
}

void redis_records_puts_end(struct redis_records_puts *puts)
{
	while (!list_is_empty(&puts->list)) {
		struct put *put = CONTAINER_OF(puts->list.next, struct put, link);
		end_put(put, outcome_of_lost(put));
	}
}
