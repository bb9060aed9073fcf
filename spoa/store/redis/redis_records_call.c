/*
 * A call is EVALSHA, the script's hash, the five keys, the command (read, put or merge) and its
 * arguments. All replies begin alike, with HEAD items:
 *
 *     time, run, counter, cut, count, sum, number, then three items for each record:
 *                                                  id, counter, value as the script keeps it
 *
 * `number` is what the command answers: the counter up to which was read, the time of the put, or
 * whether the merge was made.
 */
#include "store/redis/redis_records_call.h"

#include <string.h>

#include <sodium.h>

#include "base/parse.h"
#include "limit/quota.h"
#include "store/records_table.h"
#include "store/redis/redis_command.h"

/* ---- calls ---- */

#define KEYS 5

static const char *const key_names[KEYS] = {
	"{records}:version", "{records}:values", "{records}:changes",
	"{records}:ends",    "{records}:gone",
};

void records_call_begin(struct writer *w, const struct records_form *form, const char *command,
			size_t arguments)
{
	redis_command_begin(w, 3 + KEYS + 1 + arguments);
	redis_command_put(w, BYTES("EVALSHA"));
	redis_command_put(w, form->hash);
	redis_command_put_number(w, KEYS);
	for (size_t i = 0; i < KEYS; i++) {
		struct bytes name = bytes_from_text(key_names[i]);
		redis_command_put_two(w, form->prefix, name);
	}
	redis_command_put(w, bytes_from_text(command));
}

/* The script's kinds of records. */
static const char *kind_of(const struct record *record)
{
	if (record->is_removed)
		return "1";
	return record_is_reset(record) ? "2" : "0";
}

void records_call_put_record(struct writer *w, const struct record *record, bool with_changed)
{
	redis_command_put(w, record->id);
	if (with_changed)
		redis_command_put_number(w, (int64_t)record->changed_ms);
	redis_command_put_number(w, (int64_t)record->until_ms);
	redis_command_put(w, bytes_from_text(kind_of(record)));
	redis_command_put(w, record->value);
}

_Static_assert(RECORDS_RUN_LEN == 16, "8 random bytes in hex");

void records_call_put_random_run(struct writer *w)
{
	uint8_t random[RECORDS_RUN_LEN / 2];
	char text[RECORDS_RUN_LEN + 1];

	randombytes_buf(random, sizeof random);
	(void)sodium_bin2hex(text, sizeof text, random, sizeof random);
	redis_command_put(w, bytes_from_text(text));
}

/* ---- replies ---- */

#define HEAD 7 /* time, run, counter, cut, count, sum, and one number */

static bool read_number(const struct redis_item *item, uint64_t *ret_number)
{
	if (item->kind != REDIS_NUMBER || item->number < 0 || item->number > QUOTA_EXACT_MAX)
		return false;
	*ret_number = (uint64_t)item->number;
	return true;
}

static bool read_run(const struct redis_item *item, char *ret_run)
{
	if (item->kind != REDIS_TEXT || (item->text.len != 0 && item->text.len != RECORDS_RUN_LEN))
		return false;
	if (item->text.len > 0)
		memcpy(ret_run, item->text.data, item->text.len);
	ret_run[item->text.len] = '\0';
	return true;
}

bool records_reply_read(struct records_reply *reply, const struct redis_reply *from)
{
	const struct redis_item *items = from->items;
	struct records_reply new = {.next = items + 1 + HEAD, .end = items + from->count};
	uint64_t now_us, number;

	if (from->is_cut || items[0].kind != REDIS_ARRAY || from->count < 1 + HEAD ||
	    (size_t)items[0].number != from->count - 1)
		return false;
	if (!read_number(&items[1], &now_us) || !read_run(&items[2], new.version.run) ||
	    !read_number(&items[3], &new.version.counter) ||
	    !read_number(&items[4], &new.version.cut) ||
	    !read_number(&items[5], &new.version.count) ||
	    !read_number(&items[6], &new.version.sum) || !read_number(&items[7], &number))
		return false;
	new.now_us = (int64_t)now_us;
	new.number = (int64_t)number;
	*reply = new;
	return true;
}

static bool is_printable(struct bytes id)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.data[i] < ' ' || id.data[i] > '~')
			return false;
	return id.len > 0 && id.len <= RECORD_ID_MAX;
}

/* "<changed> <until> <kind> <value>" */
static bool unpack(struct bytes text, struct record *record)
{
	struct bytes changed, until, kind;

	if (!bytes_next_item(&text, ' ', &changed) || !bytes_next_item(&text, ' ', &until) ||
	    !bytes_next_item(&text, ' ', &kind) || text.data == NULL ||
	    !parse_whole(changed, QUOTA_EXACT_MAX, &record->changed_ms) ||
	    !parse_whole(until, QUOTA_EXACT_MAX, &record->until_ms) || kind.len != 1)
		return false;
	record->is_removed = bytes_equal(kind, BYTES("1"));
	record->value = text;
	return record->is_removed ? text.len == 0
				  : text.len >= 1 && text.len <= RECORD_VALUE_MAX + 1 &&
					    bytes_equal(kind, bytes_from_text(kind_of(record)));
}

bool records_reply_next(struct records_reply *reply, struct record *ret_record,
			uint64_t *ret_counter, bool *ret_is_foreign)
{
	const struct redis_item *at = reply->next;
	struct record record = {.changed_ms = 0};

	*ret_is_foreign = false;
	if (reply->end - at < 3)
		return false;
	reply->next += 3;
	*ret_is_foreign = true;
	if (at[0].kind != REDIS_TEXT || !read_number(&at[1], ret_counter) ||
	    at[2].kind != REDIS_TEXT || !is_printable(at[0].text) || !unpack(at[2].text, &record))
		return false;
	record.id = at[0].text;
	*ret_record = record;
	*ret_is_foreign = false;
	return true;
}
