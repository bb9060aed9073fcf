/*
 *   the file --read()--> memory --+-- plain -------------------+--> the caller's buffer
 *                                 +-- gzip --> replay_gunzip --+
 *
 * A read from a pipe may bring a single byte, and the first bytes decide what the file is. So bytes
 * are kept in `memory` until MAGIC_MAX of them are there, or the file is at its end.
 */
#include "app/replay/replay_source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/least.h"

#define MAGIC_MAX 6

/* Compressions that logs are kept in. The first is read; for the others there is a program. */
static const struct {
	struct bytes magic;
	const char *program; /* NULL: gzip */
} compressions[] = {
	{{(const uint8_t *)"\x1f\x8b", 2}, NULL},
	{{(const uint8_t *)"\x28\xb5\x2f\xfd", 4}, "zstdcat"},
	{{(const uint8_t *)"\xfd"
			   "7zXZ\0",
	  6},
	 "xzcat"},
	{{(const uint8_t *)"BZh", 3}, "bzcat"},
	{{(const uint8_t *)"\x04\x22\x4d\x18", 4}, "lz4cat"},
};

void replay_source_init(struct replay_source *source, struct ev_loop *loop, int fd,
			const char *name, const bool *is_stopped)
{
	source->loop = loop;
	source->fd = fd;
	source->name = name;
	source->is_stopped = is_stopped;
	source->kind = SOURCE_UNKNOWN;
	source->is_at_end = false;
	source->rest = bytes_from(source->memory, 0);
}

void replay_source_release(struct replay_source *source)
{
	if (source->kind == SOURCE_GZIP)
		replay_gunzip_release(&source->gunzip);
	source->kind = SOURCE_UNKNOWN;
}

/* ---- bytes from the file ---- */

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)events;
	ev_io_stop(loop, watcher);
}

static void wait_for_more(struct replay_source *source)
{
	struct ev_io readable;

	ev_io_init(&readable, on_readable, source->fd, EV_READ);
	ev_io_start(source->loop, &readable);
	while (ev_is_active(&readable) && !*source->is_stopped)
		ev_run(source->loop, EVRUN_ONCE);
	ev_io_stop(source->loop, &readable);
}

/* Adds to `rest`; there is room behind it once it has moved to the begin of `memory`. */
static bool read_more(struct replay_source *source, struct err *err)
{
	size_t kept = source->rest.len;

	memmove(source->memory, source->rest.data, kept);
	source->rest = bytes_from(source->memory, kept);
	wait_for_more(source);
	if (*source->is_stopped)
		return true;
	ssize_t len = read(source->fd, source->memory + kept, sizeof source->memory - kept);
	if (len < 0 && errno != EINTR && errno != EAGAIN)
		return err_set(err, "%s: %s", source->name, strerror(errno));
	source->is_at_end = len == 0;
	source->rest.len += len > 0 ? (size_t)len : 0;
	return true;
}

/* ---- what it is ---- */

static bool set_kind(struct replay_source *source, struct err *err)
{
	source->kind = SOURCE_PLAIN;
	for (size_t i = 0; i < ARRAY_SIZE(compressions); i++) {
		const char *program = compressions[i].program;
		if (!bytes_begin_with(source->rest, compressions[i].magic))
			continue;
		if (program != NULL)
			return err_set(err,
				       "%s: the file is compressed, and only gzip is read here: "
				       "use %s FILE | ratelimit-spoa replay",
				       source->name, program);
		if (!replay_gunzip_init(&source->gunzip))
			return err_set(err, "out of memory");
		source->kind = SOURCE_GZIP;
	}
	return true;
}

/* ---- the bytes that are meant ---- */

static void copy_plain(struct replay_source *source, struct writer *to)
{
	size_t room = to->max - to->len;
	struct bytes piece = bytes_from(source->rest.data, least_size(source->rest.len, room));

	writer_put(to, piece);
	source->rest = bytes_skip(source->rest, piece.len);
}

static bool has_bytes(const struct replay_source *source)
{
	return source->rest.len > 0 || (source->kind == SOURCE_GZIP && source->gunzip.has_more);
}

bool replay_source_read(struct replay_source *source, struct writer *to, bool *ret_is_over,
			struct err *err)
{
	bool is_short = !has_bytes(source) ||
			(source->kind == SOURCE_UNKNOWN && source->rest.len < MAGIC_MAX);

	*ret_is_over = false;
	if (is_short && !source->is_at_end && !read_more(source, err))
		return false;
	if (source->kind == SOURCE_UNKNOWN) {
		if (source->rest.len < MAGIC_MAX && !source->is_at_end)
			return true;
		if (!set_kind(source, err))
			return false;
	}
	if (source->kind == SOURCE_PLAIN)
		copy_plain(source, to);
	else if (!replay_gunzip_more(&source->gunzip, &source->rest, to, err))
		return err_at(err, "%s: ", source->name);
	*ret_is_over = source->is_at_end && !has_bytes(source);
	if (*ret_is_over && source->kind == SOURCE_GZIP && source->gunzip.is_inside)
		return err_set(err, "%s: the compressed file is cut off: its end is missing",
			       source->name);
	return true;
}
