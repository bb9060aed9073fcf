#include "store/redis/redis_target.h"

#include <arpa/inet.h>
#include <string.h>

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

/* It always fits: host and path are bounded. */
static void set_text(struct redis_target *target)
{
	struct writer w = writer_on(target->text, sizeof target->text);
	bool is_v6 = strchr(target->host, ':') != NULL;

	writer_put_text(&w, target->is_unix  ? "redis+unix://"
			    : target->is_tls ? "rediss://"
					     : "redis://");
	writer_put_text(&w, is_v6 ? "[" : "");
	writer_put_text(&w, target->is_unix ? target->path : target->host);
	writer_put_text(&w, is_v6 ? "]" : "");
	if (!target->is_unix) {
		writer_put_u8(&w, ':');
		writer_put_text(&w, target->port);
	}
	writer_put_text(&w, target->is_unix ? "?db=" : "/");
	writer_put_unsigned(&w, target->db);
	(void)writer_text(&w);
}

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
		    strchr("/?#@[]%\\\"'<>,", text.data[i]) != NULL)
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
static bool read_host(struct bytes text, struct redis_target *target, struct err *err)
{
	struct bytes host = text, port = BYTES("6379");
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
	memcpy(target->host, host.data, host.len);
	struct writer w = writer_on(target->port, sizeof target->port);
	writer_put_unsigned(&w, number);
	(void)writer_text(&w);
	return true;
}

static bool read_tcp(struct bytes rest, struct redis_target *target, struct err *err)
{
	const uint8_t *at = rest.len > 0 ? memrchr(rest.data, '@', rest.len) : NULL;
	struct bytes host;

	if (at != NULL) {
		struct bytes user = bytes_from(rest.data, (size_t)(at - rest.data));
		rest = bytes_skip(rest, user.len + 1);
		if (!read_user(user, target, err))
			return false;
	}
	if (!cut_at(&rest, '/', &host)) {
		host = rest;
		rest = BYTES("");
	}
	if (rest.len > 0 && !read_db(rest, target, err))
		return false;
	return read_host(host, target, err);
}

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

static bool is_of_another_version(struct bytes url)
{
	struct bytes kind;

	return (cut_at(&url, '+', &kind) &&
		(bytes_equal(kind, BYTES("redis")) || bytes_equal(kind, BYTES("rediss")))) &&
	       (bytes_begin_with(url, BYTES("sentinel:")) ||
		bytes_begin_with(url, BYTES("cluster:")));
}

static bool refuse_scheme(struct bytes url, struct err *err)
{
	struct bytes scheme = url;

	if (is_of_another_version(url))
		return err_set(err, "Sentinel and Cluster are not in this version");
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

bool redis_target_parse(struct bytes url, struct redis_target *ret_target, struct err *err)
{
	struct redis_target target = {.is_tls = bytes_begin_with(url, BYTES("rediss://"))};
	bool is_good;

	if (bytes_begin_with(url, BYTES("redis+unix://")))
		is_good = read_unix(bytes_skip(url, strlen("redis+unix://")), &target, err);
	else if (target.is_tls)
		is_good = read_tcp(bytes_skip(url, strlen("rediss://")), &target, err);
	else if (bytes_begin_with(url, BYTES("redis://")))
		is_good = read_tcp(bytes_skip(url, strlen("redis://")), &target, err);
	else if (bytes_begin_with(url, BYTES("redis+unix:")))
		return err_set(err, "the path: does not follow redis+unix://, as in "
				    "redis+unix:///run/redis.sock");
	else
		return refuse_scheme(url, err);
	if (!is_good)
		return false;
	set_text(&target);
	*ret_target = target;
	return true;
}
