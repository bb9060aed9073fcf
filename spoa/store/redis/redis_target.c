#include "store/redis/redis_target.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/compiler.h"
#include "base/parse.h"
#include "base/writer.h"

#define DB_MAX 1000000

/* Moves what stands before the first separator to *ret_before, and drops the separator. */
static bool cut_at(struct bytes *text, char separator, struct bytes *ret_before)
{
	const uint8_t *at = text->len > 0 ? memchr(text->data, separator, text->len) : NULL;

	if (at == NULL)
		return false;
	*ret_before = bytes_from(text->data, (size_t)(at - text->data));
	*text = bytes_skip(*text, ret_before->len + 1);
	return true;
}

/* False when it does not fit in `max` bytes with a NUL, or has a bad escape, or a NUL. */
static bool unescape(struct bytes text, char *memory, size_t max)
{
	struct writer w = writer_on(memory, max - 1);

	while (text.len > 0) {
		uint8_t byte = text.data[0];
		if (byte == '%') {
			int high = text.len < 3 ? -1 : parse_hex_digit(text.data[1]);
			int low = text.len < 3 ? -1 : parse_hex_digit(text.data[2]);
			if (high < 0 || low < 0)
				return false;
			byte = (uint8_t)(high << 4 | low);
			text = bytes_skip(text, 2);
		}
		if (byte == '\0')
			return false;
		writer_put_u8(&w, byte);
		text = bytes_skip(text, 1);
	}
	memory[w.len] = '\0';
	return !w.full;
}

void redis_place_put(const struct redis_place *place, struct writer *w)
{
	bool is_v6 = strchr(place->host, ':') != NULL;

	writer_put_text(w, is_v6 ? "[" : "");
	writer_put_text(w, place->host);
	writer_put_text(w, is_v6 ? "]:" : ":");
	writer_put_text(w, place->port);
}

bool redis_place_equal(const struct redis_place *place, const struct redis_place *other)
{
	return strcmp(place->host, other->host) == 0 && strcmp(place->port, other->port) == 0;
}

/* ---- the text ---- */

static void put_scheme(const struct redis_target *target, struct writer *w)
{
	static const char *const rest[] = {
		[REDIS_ONE_SERVER] = "://",
		[REDIS_SENTINEL] = "+sentinel://",
		[REDIS_CLUSTER] = "+cluster://",
	};

	writer_put_text(w, target->is_tls ? "rediss" : "redis");
	writer_put_text(w, rest[target->topology]);
}

static void put_places(const struct redis_target *target, struct writer *w)
{
	for (size_t i = 0; i < target->place_count; i++) {
		writer_put_text(w, i > 0 ? "," : "");
		redis_place_put(&target->places[i], w);
	}
}

static void put_unix(const struct redis_target *target, struct writer *w)
{
	writer_put_text(w, "redis+unix://");
	writer_put_text(w, target->path);
	writer_put_text(w, "?db=");
	writer_put_unsigned(w, target->db);
}

static void put_one_server(const struct redis_target *target, struct writer *w)
{
	struct redis_place place;

	memcpy(place.host, target->host, sizeof place.host);
	memcpy(place.port, target->port, sizeof place.port);
	put_scheme(target, w);
	redis_place_put(&place, w);
	writer_put_u8(w, '/');
	writer_put_unsigned(w, target->db);
}

static void put_several(const struct redis_target *target, struct writer *w)
{
	put_scheme(target, w);
	put_places(target, w);
	if (target->topology == REDIS_CLUSTER)
		return;
	writer_put_u8(w, '/');
	writer_put_text(w, target->master);
	writer_put_u8(w, '/');
	writer_put_unsigned(w, target->db);
}

/* It always fits, since all parts are bounded. */
static void set_text(struct redis_target *target)
{
	struct writer w = writer_on(target->text, sizeof target->text);

	if (target->is_unix)
		put_unix(target, &w);
	else if (target->topology == REDIS_ONE_SERVER)
		put_one_server(target, &w);
	else
		put_several(target, &w);
	(void)writer_text(&w);
}

/* ---- the URL ---- */

/*
 * No error shows a part of the URL. Each part may have the password in it, when the @ was
 * forgotten, or when it is written as other programs want it: ?password=...
 */

static bool read_db(struct bytes text, struct redis_target *target, struct err *err)
{
	uint64_t db;

	if (!parse_whole(text, DB_MAX, &db))
		return err_set(err, "the database: not a whole number from 0 to %d", DB_MAX);
	target->db = (uint32_t)db;
	return true;
}

static bool read_user(struct bytes text, struct redis_target *target, struct err *err)
{
	struct bytes user = text;

	if (cut_at(&text, ':', &user) &&
	    (text.len == 0 || !unescape(text, target->password, sizeof target->password)))
		return err_set(err, "the password: empty, too long, or a %% that is not %%XX");
	if (!unescape(user, target->user, sizeof target->user))
		return err_set(err, "the user: too long, or a %% that is not %%XX");
	return true;
}

static bool is_host(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f ||
		    strchr("/?#@[]%\\\"'<>,;", text.data[i]) != NULL)
			return false;
	return text.len > 0 && text.len < REDIS_HOST_MAX;
}

static bool is_ipv6(struct bytes text)
{
	char host[INET6_ADDRSTRLEN];
	struct writer w = writer_on(host, sizeof host);
	struct in6_addr address;

	writer_put(&w, text);
	writer_put_u8(&w, '\0');
	return !w.full && inet_pton(AF_INET6, host, &address) == 1;
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static bool read_place(struct bytes text, struct bytes port, struct redis_place *ret_place,
		       struct err *err)
{
	struct redis_place place = {0};
	struct bytes host = text;
	uint64_t number;

	if (bytes_begin_with(text, BYTES("["))) {
		text = bytes_skip(text, 1);
		if (!cut_at(&text, ']', &host) || !is_ipv6(host) ||
		    (text.len > 0 && text.data[0] != ':'))
			return err_set(err, "the host: not host, host:port or [v6]:port");
		if (text.len > 0)
			port = bytes_skip(text, 1);
	} else if (cut_at(&text, ':', &host)) {
		port = text;
	}
	if (!is_host(host))
		return err_set(err, "the host: not a name or an address");
	if (!parse_whole(port, 65535, &number) || number == 0)
		return err_set(err, "the port: not a whole number from 1 to 65535");
	memcpy(place.host, host.data, host.len);
	struct writer w = writer_on(place.port, sizeof place.port);
	writer_put_unsigned(&w, number);
	(void)writer_text(&w);
	*ret_place = place;
	return true;
}

static void set_place(struct redis_target *target, const struct redis_place *place)
{
	memcpy(target->host, place->host, sizeof target->host);
	memcpy(target->port, place->port, sizeof target->port);
}

/* Moves the login before the last @ to the target, and what stands before the first / to *ret_host.
 */
static bool read_authority(struct bytes *rest, struct redis_target *target, struct bytes *ret_host,
			   struct err *err)
{
	const uint8_t *at = rest->len > 0 ? memrchr(rest->data, '@', rest->len) : NULL;

	if (at != NULL) {
		struct bytes user = bytes_from(rest->data, (size_t)(at - rest->data));
		*rest = bytes_skip(*rest, user.len + 1);
		if (!read_user(user, target, err))
			return false;
	}
	if (!cut_at(rest, '/', ret_host)) {
		*ret_host = *rest;
		*rest = BYTES("");
	}
	return true;
}

static bool read_tcp(struct bytes rest, struct redis_target *target, struct err *err)
{
	struct redis_place place;
	struct bytes host;

	if (!read_authority(&rest, target, &host, err))
		return false;
	if (rest.len > 0 && !read_db(rest, target, err))
		return false;
	if (!read_place(host, BYTES("6379"), &place, err))
		return false;
	set_place(target, &place);
	return true;
}

/* ---- Sentinels and clusters ---- */

static bool has_place(const struct redis_target *target, const struct redis_place *place)
{
	for (size_t i = 0; i < target->place_count; i++)
		if (redis_place_equal(&target->places[i], place))
			return true;
	return false;
}

static bool add_place(struct bytes text, struct bytes port, struct redis_target *target,
		      struct err *err)
{
	struct redis_place place;

	if (target->place_count == REDIS_PLACES_MAX)
		return err_set(err, "the hosts: more than %d", REDIS_PLACES_MAX);
	if (!read_place(text, port, &place, err))
		return false;
	/* A Sentinel that stands here twice would count as two of the majority. */
	if (has_place(target, &place))
		return err_set(err, "the hosts: one of them is given twice");
	target->places[target->place_count++] = place;
	return true;
}

static bool read_places(struct bytes list, struct bytes port, struct redis_target *target,
			struct err *err)
{
	struct bytes text;

	if (list.len > REDIS_LIST_MAX)
		return err_set(err, "the hosts: longer than %d bytes together", REDIS_LIST_MAX);
	while (cut_at(&list, ',', &text))
		if (!add_place(text, port, target, err))
			return false;
	if (!add_place(list, port, target, err))
		return false;
	set_place(target, &target->places[0]);
	return true;
}

/* Sentinels take no other characters in the name of a master. */
static bool is_master_name(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.data[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '_')
			return false;
	}
	return name.len > 0 && name.len < REDIS_MASTER_MAX;
}

static bool read_sentinels(struct bytes rest, struct redis_target *target, struct err *err)
{
	struct bytes list, name;

	if (!read_authority(&rest, target, &list, err) ||
	    !read_places(list, BYTES("26379"), target, err))
		return false;
	if (!cut_at(&rest, '/', &name)) {
		name = rest;
		rest = BYTES("");
	}
	if (!is_master_name(name))
		return err_set(err,
			       "the name of the master, behind the hosts and a /: not letters, "
			       "digits, '.', '-' and '_'");
	memcpy(target->master, name.data, name.len);
	return rest.len == 0 || read_db(rest, target, err);
}

static bool read_cluster(struct bytes rest, struct redis_target *target, struct err *err)
{
	struct bytes list;

	if (!read_authority(&rest, target, &list, err))
		return false;
	if (rest.len > 0 && !bytes_equal(rest, BYTES("0")))
		return err_set(err, "the database: a cluster has 0 alone");
	return read_places(list, BYTES("6379"), target, err);
}

/* ---- Unix sockets ---- */

static bool read_unix(struct bytes rest, struct redis_target *target, struct err *err)
{
	struct bytes path;

	target->is_unix = true;
	if (cut_at(&rest, '?', &path)) {
		if (!bytes_begin_with(rest, BYTES("db=")))
			return err_set(err, "what follows the path: not db=N");
		if (!read_db(bytes_skip(rest, strlen("db=")), target, err))
			return false;
	} else {
		path = rest;
	}
	if (path.len < 2 || path.data[0] != '/')
		return err_set(err, "the path: does not begin with /, as in "
				    "redis+unix:///run/redis.sock");
	if (!unescape(path, target->path, sizeof target->path))
		return err_set(err, "the path: longer than %d bytes, or a %% that is not %%XX",
			       REDIS_PATH_MAX - 1);
	return true;
}

/* ---- all of them ---- */

static bool refuse_scheme(struct bytes url, struct err *err)
{
	struct bytes scheme = url;

	(void)cut_at(&url, ':', &scheme);
	if (memchr(scheme.data, '@', scheme.len) != NULL)
		return err_set(err, "not redis://, rediss:// or redis+unix://");
	return err_set(err, "%s is not redis://, rediss:// or redis+unix://", quoted(scheme).text);
}

bool redis_target_is_host(struct bytes text)
{
	bool has_colon = text.len > 0 && memchr(text.data, ':', text.len) != NULL;

	return has_colon ? is_ipv6(text) : is_host(text);
}

static const struct {
	const char *scheme;
	bool is_tls;
	enum redis_topology topology;
	bool (*read)(struct bytes rest, struct redis_target *target, struct err *err);
} schemes[] = {
	{"redis://", false, REDIS_ONE_SERVER, read_tcp},
	{"rediss://", true, REDIS_ONE_SERVER, read_tcp},
	{"redis+unix://", false, REDIS_ONE_SERVER, read_unix},
	{"redis+sentinel://", false, REDIS_SENTINEL, read_sentinels},
	{"rediss+sentinel://", true, REDIS_SENTINEL, read_sentinels},
	{"redis+cluster://", false, REDIS_CLUSTER, read_cluster},
	{"rediss+cluster://", true, REDIS_CLUSTER, read_cluster},
};

bool redis_target_parse(struct bytes url, struct redis_target *ret_target, struct err *err)
{
	struct redis_target target = {0};

	if (bytes_begin_with(url, BYTES("redis+unix:")) &&
	    !bytes_begin_with(url, BYTES("redis+unix://")))
		return err_set(err, "the path: does not follow redis+unix://, as in "
				    "redis+unix:///run/redis.sock");
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		struct bytes scheme = bytes_from_text(schemes[i].scheme);
		if (!bytes_begin_with(url, scheme))
			continue;
		target.is_tls = schemes[i].is_tls;
		target.topology = schemes[i].topology;
		if (!schemes[i].read(bytes_skip(url, scheme.len), &target, err))
			return false;
		set_text(&target);
		*ret_target = target;
		return true;
	}
	return refuse_scheme(url, err);
}
