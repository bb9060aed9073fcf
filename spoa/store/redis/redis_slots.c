#include "store/redis/redis_slots.h"

#include <string.h>

#include "base/parse.h"
#include "base/writer.h"

/* ---- the slot of a key ---- */

/* Four bits at a time: a table of 16 numbers stays in the cache beside everything else. */
uint16_t redis_crc16(uint16_t crc, struct bytes bytes)
{
	static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
					   0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
					   0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
	unsigned c = crc;

	for (size_t i = 0; i < bytes.len; i++) {
		c ^= (unsigned)bytes.data[i] << 8;
		c = (c << 4 ^ table[c >> 12 & 0xf]) & 0xffff;
		c = (c << 4 ^ table[c >> 12 & 0xf]) & 0xffff;
	}
	return (uint16_t)c;
}

/*
 * What stands between the first { and the first } behind it. False when there is no such thing, or
 * nothing between the two: then the whole key counts, whatever braces follow.
 */
static bool find_tag(struct bytes text, struct bytes *ret_tag)
{
	const uint8_t *open = text.len > 0 ? memchr(text.data, '{', text.len) : NULL;

	if (open == NULL)
		return false;
	struct bytes rest = bytes_skip(text, (size_t)(open - text.data) + 1);
	const uint8_t *close = rest.len > 0 ? memchr(rest.data, '}', rest.len) : NULL;
	if (close == NULL || close == rest.data)
		return false;
	*ret_tag = bytes_from(rest.data, (size_t)(close - rest.data));
	return true;
}

/* A prefix has a whole tag or no brace (--key-prefix), so no tag begins in it and ends in the key.
 */
uint16_t redis_slot_of(struct bytes prefix, struct bytes key)
{
	struct bytes tag;

	if (find_tag(prefix, &tag) || find_tag(key, &tag))
		return redis_crc16(0, tag) % REDIS_SLOTS;
	return redis_crc16(redis_crc16(0, prefix), key) % REDIS_SLOTS;
}

/* ---- addresses ---- */

static bool set_host(char host[REDIS_HOST_MAX], struct bytes text)
{
	if (!redis_target_is_host(text))
		return false;
	memcpy(host, text.data, text.len);
	host[text.len] = '\0';
	return true;
}

static bool set_port(struct redis_place *place, uint64_t port)
{
	struct writer w = writer_on(place->port, sizeof place->port);

	if (port < 1 || port > 65535)
		return false;
	writer_put_unsigned(&w, port);
	(void)writer_text(&w);
	return true;
}

/* ---- the map ---- */

/* What an operator does about a map that can't be: each reason ends with it. */
#define CHECK_IT "; look at `redis-cli --cluster check`"
#define NO_SHAPE                                                                               \
	"the reply to CLUSTER SLOTS has another shape than that of Redis and Valkey; --store " \
	"must name nodes of a Redis Cluster"

struct reader {
	const struct redis_item *next, *end;
	const char *asked_host;
	const char *why;
};

static bool refuse_map(struct reader *reader, const char *why)
{
	reader->why = why;
	return false;
}

static const struct redis_item *next_item(struct reader *reader, enum redis_item_kind kind)
{
	if (reader->next == reader->end || reader->next->kind != kind)
		return NULL;
	return reader->next++;
}

/* Reads the head of an array. An array that claims more elements than items follow is refused. */
static bool next_array(struct reader *reader, size_t *ret_count)
{
	const struct redis_item *array = next_item(reader, REDIS_ARRAY);

	if (array == NULL || array->number < 0 || array->number > reader->end - reader->next)
		return refuse_map(reader, NO_SHAPE);
	*ret_count = (size_t)array->number;
	return true;
}

/* So many values, with all that is in them. */
static bool skip_values(struct reader *reader, size_t count)
{
	size_t inner;

	while (count > 0) {
		count--;
		if (reader->next == reader->end)
			return refuse_map(reader, NO_SHAPE);
		if (reader->next->kind != REDIS_ARRAY) {
			reader->next++;
			continue;
		}
		if (!next_array(reader, &inner))
			return false;
		count += inner;
	}
	return true;
}

static bool next_slot(struct reader *reader, size_t *ret_slot)
{
	const struct redis_item *item = next_item(reader, REDIS_NUMBER);

	if (item == NULL)
		return refuse_map(reader, NO_SHAPE);
	if (item->number < 0 || item->number >= REDIS_SLOTS)
		return refuse_map(reader,
				  "CLUSTER SLOTS names a slot that does not exist" CHECK_IT);
	*ret_slot = (size_t)item->number;
	return true;
}

/* What a server says of itself beside its address: names and texts. */
struct announced {
	struct bytes ip, hostname;
};

static bool read_announced(struct reader *reader, size_t items, struct announced *announced)
{
	for (; items >= 2; items -= 2) {
		const struct redis_item *name = next_item(reader, REDIS_TEXT);
		const struct redis_item *text = next_item(reader, REDIS_TEXT);
		if (name == NULL || text == NULL)
			return refuse_map(reader, NO_SHAPE);
		if (bytes_equal(name->text, BYTES("ip")))
			announced->ip = text->text;
		else if (bytes_equal(name->text, BYTES("hostname")))
			announced->hostname = text->text;
	}
	return skip_values(reader, items);
}

/* Where the server is that the map calls `host`: *ret_is_known says whether that can be told. */
static bool set_place(struct reader *reader, struct bytes host, const struct announced *announced,
		      struct redis_owner *owner, bool *ret_is_known)
{
	*ret_is_known = true;
	if (host.len == 0)
		host = bytes_from_text(reader->asked_host);
	else if (bytes_equal(host, BYTES("?")))
		host = announced->ip;
	if (host.len == 0)
		*ret_is_known = false;
	else if (!set_host(owner->place.host, host))
		return refuse_map(reader,
				  "CLUSTER SLOTS has a server without a valid address" CHECK_IT);
	if (announced->hostname.len > 0)
		(void)set_host(owner->name, announced->hostname);
	return true;
}

/* [host, port, id, [what it announces]]; id and what follows are missing in old versions. */
static bool read_owner(struct reader *reader, struct redis_owner *owner, bool *ret_is_known)
{
	struct announced announced = {.ip = BYTES("")};
	struct bytes host = BYTES("");
	size_t fields, items;

	if (!next_array(reader, &fields) || fields < 2)
		return refuse_map(reader, NO_SHAPE);
	if (reader->next->kind == REDIS_TEXT)
		host = reader->next->text;
	else if (reader->next->kind != REDIS_NIL)
		return refuse_map(reader, NO_SHAPE);
	reader->next++;
	const struct redis_item *port = next_item(reader, REDIS_NUMBER);
	if (port == NULL)
		return refuse_map(reader, NO_SHAPE);
	if (!set_port(&owner->place, (uint64_t)port->number))
		return refuse_map(reader,
				  "CLUSTER SLOTS has a server without a valid port" CHECK_IT);
	fields -= 2;
	if (fields > 0) {
		fields--;
		if (next_item(reader, REDIS_TEXT) == NULL)
			return refuse_map(reader, NO_SHAPE);
	}
	if (fields > 0) {
		fields--;
		if (!next_array(reader, &items) || !read_announced(reader, items, &announced))
			return false;
	}
	return skip_values(reader, fields) &&
	       set_place(reader, host, &announced, owner, ret_is_known);
}

/* 1 + the place of the owner, which is added if it is new; 0 when there is no room. */
static uint16_t add_owner(struct redis_slot_map *map, const struct redis_owner *owner)
{
	for (size_t i = map->count; i > 0; i--) /* most often it is the last one */
		if (redis_place_equal(&map->owners[i - 1].place, &owner->place))
			return (uint16_t)i;
	if (map->count == REDIS_OWNERS_MAX)
		return 0;
	map->owners[map->count++] = *owner;
	return (uint16_t)map->count;
}

/* Reads one array of the reply: the first slot, the last slot, the owner, and its replicas. */
static bool read_range(struct reader *reader, struct redis_slot_map *map)
{
	struct redis_owner owner = {.name = ""};
	size_t fields, first, last;
	bool is_known;

	if (!next_array(reader, &fields) || fields < 3)
		return refuse_map(reader, NO_SHAPE);
	if (!next_slot(reader, &first) || !next_slot(reader, &last))
		return false;
	if (first > last)
		return refuse_map(reader,
				  "CLUSTER SLOTS has a range that ends before it begins" CHECK_IT);
	if (!read_owner(reader, &owner, &is_known) || !skip_values(reader, fields - 3))
		return false;
	if (!is_known)
		return true;
	uint16_t index = add_owner(map, &owner);
	if (index == 0)
		return refuse_map(
			reader, "CLUSTER SLOTS has more servers than a cluster can have" CHECK_IT);
	for (size_t slot = first; slot <= last; slot++) {
		if (map->owner[slot] != 0)
			return refuse_map(reader,
					  "CLUSTER SLOTS gives a slot to two servers" CHECK_IT);
		map->owner[slot] = index;
	}
	map->covered += last - first + 1;
	return true;
}

bool redis_slot_map_read(struct redis_slot_map *map, const struct redis_reply *reply,
			 const char *asked_host, const char **ret_why)
{
	struct reader reader = {.next = reply->items,
				.end = reply->items + reply->count,
				.asked_host = asked_host,
				.why = NO_SHAPE};
	bool is_good = !reply->is_cut;
	size_t ranges;

	map->count = 0;
	map->covered = 0;
	memset(map->owner, 0, sizeof map->owner);
	if (reply->is_cut)
		reader.why = "the reply to CLUSTER SLOTS is too long" CHECK_IT;
	is_good = is_good && next_array(&reader, &ranges);
	for (size_t i = 0; is_good && i < ranges; i++)
		is_good = read_range(&reader, map);
	if (is_good && reader.next != reader.end)
		is_good = refuse_map(&reader, NO_SHAPE);
	*ret_why = reader.why;
	return is_good;
}

/* ---- redirects ---- */

bool redis_redirect_read(struct bytes error, const char *asked_host,
			 struct redis_redirect *ret_redirect)
{
	struct redis_redirect redirect = {.is_ask = bytes_begin_with(error, BYTES("ASK "))};
	struct bytes word, slot_text;
	uint64_t slot, port;

	if (!redirect.is_ask && !bytes_begin_with(error, BYTES("MOVED ")))
		return false;
	if (!bytes_next_item(&error, ' ', &word) || !bytes_next_item(&error, ' ', &slot_text) ||
	    !parse_whole(slot_text, REDIS_SLOTS - 1, &slot))
		return false;
	/* An IPv6 address has colons too, and no brackets: the last one is the port's. */
	const uint8_t *colon = error.len > 0 ? memrchr(error.data, ':', error.len) : NULL;
	if (colon == NULL)
		return false;
	struct bytes host = bytes_from(error.data, (size_t)(colon - error.data));
	if (!parse_whole(bytes_skip(error, host.len + 1), 65535, &port) ||
	    !set_port(&redirect.place, port) ||
	    !set_host(redirect.place.host, host.len > 0 ? host : bytes_from_text(asked_host)))
		return false;
	redirect.slot = (uint16_t)slot;
	*ret_redirect = redirect;
	return true;
}
