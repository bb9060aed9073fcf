/*
 * fuzz_redis_slots.c - a stream of bytes as from a node of a Redis Cluster. Each reply in it is
 * read as the reply to CLUSTER SLOTS, and each error as one that sends a request elsewhere. A map
 * that is taken agrees with itself, its owners are places that can be connected to, and written as
 * a reply it is read as the same map. A map that is refused has a reason.
 *
 * The first byte says in what pieces the rest comes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/read.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "store/redis/redis_reply.h"
#include "store/redis/redis_slots.h"

#define ASKED "asked.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct redis_place *place)
{
	int port = atoi(place->port);

	ASSERT(redis_target_is_host(bytes_from_text(place->host)));
	ASSERT(port >= 1 && port <= 65535);
}

static void check_owners(const struct redis_slot_map *map)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct redis_owner *owner = &map->owners[i];
		check_place(&owner->place);
		ASSERT(*owner->name == '\0' || redis_target_is_host(bytes_from_text(owner->name)));
		for (size_t k = 0; k < i; k++)
			ASSERT(!redis_place_equal(&map->owners[k].place, &owner->place));
	}
}

static void check_slots(const struct redis_slot_map *map)
{
	bool has_slot[REDIS_OWNERS_MAX + 1] = {false};
	size_t covered = 0;

	for (size_t slot = 0; slot < REDIS_SLOTS; slot++) {
		ASSERT(map->owner[slot] <= map->count);
		has_slot[map->owner[slot]] = true;
		covered += map->owner[slot] != 0;
	}
	ASSERT(covered == map->covered);
	for (size_t i = 1; i <= map->count; i++)
		ASSERT(has_slot[i]);
}

/* ---- the same map as a reply ---- */

struct list_of_items {
	struct redis_item *items;
	size_t count;
};

static void put_number(struct list_of_items *list, enum redis_item_kind kind, int64_t number)
{
	list->items[list->count++] = (struct redis_item){.kind = kind, .number = number};
}

static void put_text(struct list_of_items *list, const char *text)
{
	list->items[list->count++] =
		(struct redis_item){.kind = REDIS_TEXT, .text = bytes_from_text(text)};
}

/* Returns the first slot behind the range. */
static size_t put_range(struct list_of_items *list, const struct redis_slot_map *map, size_t first)
{
	const struct redis_owner *owner = &map->owners[map->owner[first] - 1];
	size_t end = first;

	while (end < REDIS_SLOTS && map->owner[end] == map->owner[first])
		end++;
	put_number(list, REDIS_ARRAY, 3);
	put_number(list, REDIS_NUMBER, (int64_t)first);
	put_number(list, REDIS_NUMBER, (int64_t)end - 1);
	put_number(list, REDIS_ARRAY, 4);
	put_text(list, owner->place.host);
	put_number(list, REDIS_NUMBER, atoi(owner->place.port));
	put_text(list, "id");
	put_number(list, REDIS_ARRAY, 2);
	put_text(list, "hostname");
	put_text(list, owner->name);
	return end;
}

static void check_again(const struct redis_slot_map *map)
{
	static struct redis_slot_map again;
	static struct redis_item items[1 + 10 * REDIS_SLOTS];
	struct list_of_items list = {items, 0};
	int64_t ranges = 0;
	const char *why;

	put_number(&list, REDIS_ARRAY, 0);
	for (size_t slot = 0; slot < REDIS_SLOTS;) {
		if (map->owner[slot] == 0) {
			slot++;
			continue;
		}
		slot = put_range(&list, map, slot);
		ranges++;
	}
	items[0].number = ranges;
	struct redis_reply reply = {items, list.count, false};
	ASSERT(redis_slot_map_read(&again, &reply, ASKED, &why));
	ASSERT(again.count == map->count && again.covered == map->covered);
	for (size_t slot = 0; slot < REDIS_SLOTS; slot++) {
		ASSERT((again.owner[slot] == 0) == (map->owner[slot] == 0));
		if (map->owner[slot] == 0)
			continue;
		const struct redis_owner *a = &again.owners[again.owner[slot] - 1];
		const struct redis_owner *b = &map->owners[map->owner[slot] - 1];
		ASSERT(redis_place_equal(&a->place, &b->place) && strcmp(a->name, b->name) == 0);
	}
}

/* ---- replies ---- */

static void read_redirect(struct bytes error)
{
	struct redis_redirect redirect;

	if (!redis_redirect_read(error, ASKED, &redirect))
		return;
	check_place(&redirect.place);
	ASSERT(redirect.slot < REDIS_SLOTS);
	ASSERT(bytes_begin_with(error, redirect.is_ask ? BYTES("ASK ") : BYTES("MOVED ")));
}

static void read_map(const struct redis_reply *reply)
{
	static struct redis_slot_map map;
	const char *why = NULL;

	if (redis_slot_map_read(&map, reply, ASKED, &why)) {
		check_owners(&map);
		check_slots(&map);
		check_again(&map);
	} else {
		ASSERT(why != NULL && *why != '\0');
	}
}

/* In a block of their own, so that the sanitizer sees an item too many. */
static void read_reply(const struct redis_reply *reply)
{
	struct redis_item *items = malloc(reply->count * sizeof *items);

	ASSERT(items != NULL);
	memcpy(items, reply->items, reply->count * sizeof *items);
	struct redis_reply alone = {items, reply->count, reply->is_cut};
	if (redis_reply_is_error(&alone))
		read_redirect(items[0].text);
	read_map(&alone);
	free(items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct redis_replies *replies;
	redisReader *reader = redisReaderCreateWithFunctions(NULL);
	size_t piece = size > 0 && data[0] >= 0x80 ? 1 : SIZE_MAX;
	void *object;

	if (replies == NULL)
		replies = redis_replies_new_with(REDIS_SLOTS_ITEMS, REDIS_SLOTS_TEXT);
	ASSERT(reader != NULL && replies != NULL);
	redis_replies_collect(replies, reader);
	for (size_t at = 1; at < size;) {
		size_t len = size - at < piece ? size - at : piece;
		(void)redisReaderFeed(reader, (const char *)data + at, len);
		at += len;
		while (redisReaderGetReply(reader, &object) == REDIS_OK && object != NULL) {
			struct redis_reply reply = redis_replies_last(replies);
			read_reply(&reply);
		}
	}
	redisReaderFree(reader);
	return 0;
}
