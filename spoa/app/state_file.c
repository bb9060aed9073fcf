/*
 * The file:
 *
 *     ratelimit-spoa state 1
 *     record 6 31 1764000000000 0 0         bytes of id and value, changed, until, is removed
 *     xk3f9ae{"policy":"login",...}         the id, then the value
 *     ...
 *     end 1 <SHA-256 of all before it>      how many records there are
 *
 * A writing:
 *
 *     note_change --> 0.25 s --> records are put into a text, so many a turn of the loop
 *                                   --> a thread writes it: PATH.new, fsync, lock, rename, fsync
 *                                          --> was there a change meanwhile? again
 *
 * The records are put from the last place down: one that is removed leaves its place to the last
 * one, which then is put twice, and none is left out. Of records that change meanwhile the file has
 * the one or the other state, and is written again.
 *
 * The lock is on the file itself, so the new file is locked before it takes the place of the old
 * one. Who opens the file just before the rename gets the lock of a file that has no name any more,
 * and notices that.
 */
#include "app/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/writer.h"

#define BEGIN          "ratelimit-spoa state 1\n"
#define WAIT_SECONDS   0.25
#define AGAIN_SECONDS  5.0
#define PUT_AT_ONCE    1000 /* records, in a turn of the loop */
#define TRIES          16
#define HEAD_MAX       160
#define END_MAX        128
#define PATH_BYTES_MAX 4096
#define FILE_BYTES_MAX ((size_t)2 << 30)
#define TIME_MAX       (UINT64_C(1) << 53)

/* ---- opening ---- */

static bool is_named(int fd, const char *path)
{
	struct stat own, named;

	return fstat(fd, &own) == 0 && stat(path, &named) == 0 && own.st_dev == named.st_dev &&
	       own.st_ino == named.st_ino;
}

static bool lock_file(struct state_file *file, struct err *err)
{
	for (int i = 0; i < TRIES; i++) {
		struct stat found;
		int fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
		if (fd < 0)
			return err_set(err, "--state-file %s: %s", file->path, strerror(errno));
		if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) {
			(void)close(fd);
			return err_set(err, "--state-file %s: it is not a regular file",
				       file->path);
		}
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_named(fd, file->path)) {
			file->fd = fd;
			return true;
		}
		int error = errno;
		bool is_locked = is_named(fd, file->path);
		(void)close(fd);
		if (is_locked && error == EWOULDBLOCK)
			break;
	}
	return err_set(err,
		       "--state-file %s: another agent has it; each agent needs a file of its "
		       "own",
		       file->path);
}

/* ---- reading ---- */

static bool next_line(struct bytes *text, struct bytes *ret_line)
{
	return text->len > 0 && bytes_next_item(text, '\n', ret_line) && text->data != NULL;
}

/* "record 6 31 1764000000000 0 0" */
static bool read_head(struct bytes line, uint64_t numbers[5])
{
	static const uint64_t most[5] = {RECORD_ID_MAX, RECORD_VALUE_MAX + 1, TIME_MAX, TIME_MAX,
					 1};
	struct bytes word;

	if (!bytes_next_item(&line, ' ', &word) || !bytes_equal(word, BYTES("record")))
		return false;
	for (size_t i = 0; i < 5; i++)
		if (!bytes_next_item(&line, ' ', &word) || !parse_whole(word, most[i], &numbers[i]))
			return false;
	return line.data == NULL;
}

static bool read_record(struct bytes line, struct bytes *text, struct record *ret_record)
{
	uint64_t numbers[5];

	if (!read_head(line, numbers) || numbers[0] == 0 ||
	    numbers[0] + numbers[1] + 1 > text->len || (numbers[4] == 0) == (numbers[1] == 0))
		return false;
	*ret_record = (struct record){
		.id = bytes_from(text->data, numbers[0]),
		.changed_ms = numbers[2],
		.until_ms = numbers[3],
		.is_removed = numbers[4] == 1,
		.value = bytes_from(text->data + numbers[0], numbers[1]),
	};
	*text = bytes_skip(*text, numbers[0] + numbers[1] + 1);
	for (size_t i = 0; i < ret_record->id.len; i++)
		if (ret_record->id.data[i] < ' ' || ret_record->id.data[i] > '~')
			return false;
	return true;
}

static size_t put_end(char *line, size_t max, struct bytes before, size_t count)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	struct writer w = writer_on(line, max);

	crypto_hash_sha256(hash, before.data, before.len);
	writer_put_text(&w, "end ");
	writer_put_unsigned(&w, count);
	writer_put_text(&w, " ");
	writer_put_hex(&w, bytes_from(hash, sizeof hash));
	writer_put_text(&w, "\n");
	ASSERT(!w.full);
	return w.len;
}

/* Restores all records, or, without `records`, only looks whether the text is good. */
static bool read_text(struct bytes all, struct records *records, size_t *ret_count)
{
	struct bytes text = all, line;
	size_t count = 0;

	if (!bytes_begin_with(text, BYTES(BEGIN)))
		return false;
	text = bytes_skip(text, strlen(BEGIN));
	for (;;) {
		struct bytes rest = text;
		struct record record;
		if (!next_line(&text, &line))
			return false;
		if (bytes_begin_with(line, BYTES("end "))) {
			char end[END_MAX];
			struct bytes before = bytes_from(all.data, all.len - rest.len);
			*ret_count = count;
			return bytes_equal(
				rest, bytes_from(end, put_end(end, sizeof end, before, count)));
		}
		if (!read_record(line, &text, &record))
			return false;
		count++;
		if (records != NULL && !records->restore(records, &record))
			return true; /* there are too many, or memory is short */
	}
}

/* NULL, with errno, when it can't be read. */
static uint8_t *read_all(int fd, size_t *ret_len)
{
	struct stat found;
	size_t len = 0;

	if (fstat(fd, &found) != 0)
		return NULL;
	if ((uint64_t)found.st_size > FILE_BYTES_MAX) {
		errno = EFBIG;
		return NULL;
	}
	uint8_t *text = malloc((size_t)found.st_size + 1);
	while (text != NULL && len < (size_t)found.st_size) {
		ssize_t got = pread(fd, text + len, (size_t)found.st_size - len, (off_t)len);
		if (got < 0 && errno != EINTR) {
			free(text);
			return NULL;
		}
		if (got == 0)
			break;
		len += got > 0 ? (size_t)got : 0;
	}
	*ret_len = len;
	return text;
}

static void set_aside(struct state_file *file, const char *why)
{
	char aside[PATH_BYTES_MAX + 16];

	snprintf(aside, sizeof aside, "%s.unusable", file->path);
	bool is_moved = rename(file->path, aside) == 0;
	log_event(LOG_WARN, "state_file_unusable", LOG_TEXT("path", file->path),
		  LOG_TEXT("reason", why), LOG_TEXT("moved_to", is_moved ? aside : ""),
		  LOG_TEXT("hint", "the agent starts without what the file had"));
}

static bool read_file(struct state_file *file, struct err *err)
{
	size_t len = 0, count = 0;
	uint8_t *text = read_all(file->fd, &len);
	const char *why = "it is no state file of this program, or it is damaged";
	bool is_good = text != NULL && (len == 0 || read_text(bytes_from(text, len), NULL, &count));

	if (text == NULL)
		why = strerror(errno);
	if (is_good && len > 0) {
		(void)read_text(bytes_from(text, len), file->records, &count);
		log_event(LOG_INFO, "state_file_read", LOG_TEXT("path", file->path),
			  LOG_INT("records", count));
	}
	free(text);
	if (is_good)
		return true;
	set_aside(file, why);
	(void)close(file->fd);
	file->fd = -1;
	return lock_file(file, err);
}

bool state_file_open(struct state_file *file, const char *path, struct records *records,
		     struct err *err)
{
	*file = (struct state_file){.path = path, .records = records, .fd = -1, .new_fd = -1};
	if (path == NULL)
		return true;
	if (strlen(path) > PATH_BYTES_MAX)
		return err_set(err, "--state-file: the path is longer than %d bytes",
			       PATH_BYTES_MAX);
	if (lock_file(file, err) && read_file(file, err))
		return true;
	file->path = NULL; /* nothing is written */
	return false;
}

/* ---- the thread ---- */

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, data, len);
		if (written < 0 && errno != EINTR)
			return errno;
		data += written > 0 ? written : 0;
		len -= written > 0 ? (size_t)written : 0;
	}
	return 0;
}

static void sync_folder(const char *path)
{
	char folder[PATH_BYTES_MAX + 1];
	const char *slash = strrchr(path, '/');

	snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
		 slash == NULL ? "." : path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
}

/* Returns 0, or the errno. */
static int replace_file(struct state_file *file, const char *end, size_t end_len)
{
	char new[PATH_BYTES_MAX + 16];

	snprintf(new, sizeof new, "%s.new", file->path);
	int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	int error = write_all(fd, file->text, file->len);
	if (error == 0)
		error = write_all(fd, (const uint8_t *)end, end_len);
	if (error == 0 && (fchmod(fd, 0600) != 0 || fsync(fd) != 0 ||
			   flock(fd, LOCK_EX | LOCK_NB) != 0 || rename(new, file->path) != 0))
		error = errno;
	if (error != 0) {
		(void)close(fd);
		(void)unlink(new);
		return error;
	}
	sync_folder(file->path);
	file->new_fd = fd;
	return 0;
}

static void write_text(struct state_file *file)
{
	char end[END_MAX];
	size_t len = put_end(end, sizeof end, bytes_from(file->text, file->len), file->count);

	file->error = replace_file(file, end, len);
	free(file->text);
	file->text = NULL;
	file->len = file->max = 0;
}

static void *run_thread(void *argument)
{
	struct state_file *file = argument;

	write_text(file);
	ev_async_send(file->loop, &file->on_written);
	return NULL;
}

/* It gets no signals: those are the loop's. Returns 0 or the errno. */
static int start_thread(struct state_file *file)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&file->thread, NULL, run_thread, file);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* ---- the text ---- */

static bool make_room(struct state_file *file, size_t bytes)
{
	size_t max = file->max == 0 ? 65536 : file->max;

	while (max - file->len < bytes)
		max *= 2;
	if (max == file->max)
		return true;
	uint8_t *larger = realloc(file->text, max);
	if (larger == NULL)
		return false;
	file->text = larger;
	file->max = max;
	return true;
}

static bool put_record(struct state_file *file, const struct record *record)
{
	if (!make_room(file, HEAD_MAX + record->id.len + record->value.len))
		return false;
	struct writer w = writer_on(file->text + file->len, file->max - file->len);
	writer_put_text(&w, "record ");
	writer_put_unsigned(&w, record->id.len);
	writer_put_text(&w, " ");
	writer_put_unsigned(&w, record->value.len);
	writer_put_text(&w, " ");
	writer_put_unsigned(&w, record->changed_ms);
	writer_put_text(&w, " ");
	writer_put_unsigned(&w, record->until_ms);
	writer_put_text(&w, record->is_removed ? " 1\n" : " 0\n");
	writer_put(&w, record->id);
	writer_put(&w, record->value);
	writer_put_text(&w, "\n");
	ASSERT(!w.full);
	file->len += w.len;
	file->count++;
	return true;
}

static size_t count_records(const struct records *records)
{
	size_t low = 0, high = RECORDS_MAX * 4;
	struct record record;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (records->at(records, middle, &record))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool begin_text(struct state_file *file)
{
	file->is_changed = false;
	file->is_putting = true;
	file->count = 0;
	file->len = 0;
	file->place = count_records(file->records);
	if (!make_room(file, strlen(BEGIN)))
		return false;
	memcpy(file->text, BEGIN, strlen(BEGIN));
	file->len = strlen(BEGIN);
	return true;
}

/* A reset was done at once, in the balances: there is nothing to restore. */
static bool put_some(struct state_file *file, size_t most)
{
	struct record record;

	for (size_t i = 0; i < most && file->place > 0; i++) {
		file->place--;
		if (file->records->at(file->records, file->place, &record) &&
		    !record_is_reset(&record) && !put_record(file, &record))
			return false;
	}
	return true;
}

/* ---- the loop ---- */

static void write_again_in(struct state_file *file, double seconds)
{
	file->timer.repeat = seconds;
	ev_timer_again(file->loop, &file->timer);
}

static void note_failure(struct state_file *file, int error)
{
	static struct log_limit limit = {.period_us = 60 * US_PER_SECOND};

	log_limited(&limit, LOG_WARN, "state_file_unwritten", LOG_TEXT("path", file->path),
		    LOG_TEXT("reason", strerror(error)),
		    LOG_TEXT("hint", "the file is as it was; the agent tries again every 5 s"));
	free(file->text);
	file->text = NULL;
	file->len = file->max = 0;
	file->is_putting = false;
	file->is_changed = true;
}

static void take_result(struct state_file *file)
{
	if (file->error != 0) {
		note_failure(file, file->error);
		return;
	}
	(void)close(file->fd);
	file->fd = file->new_fd;
	file->new_fd = -1;
}

static void on_written(struct ev_loop *loop, struct ev_async *watcher, int events)
{
	struct state_file *file = CONTAINER_OF(watcher, struct state_file, on_written);

	(void)loop, (void)events;
	if (!file->is_writing)
		return;
	(void)pthread_join(file->thread, NULL);
	file->is_writing = false;
	take_result(file);
	if (file->is_changed)
		write_again_in(file, file->error != 0 ? AGAIN_SECONDS : WAIT_SECONDS);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct state_file *file = CONTAINER_OF(timer, struct state_file, timer);

	(void)loop, (void)events;
	ev_timer_stop(loop, timer);
	if (file->is_writing)
		return;
	if ((!file->is_putting && !begin_text(file)) || !put_some(file, PUT_AT_ONCE)) {
		note_failure(file, ENOMEM);
		write_again_in(file, AGAIN_SECONDS);
		return;
	}
	if (file->place > 0) {
		write_again_in(file, 1e-6); /* in the next turn of the loop */
		return;
	}
	file->is_putting = false;
	int error = start_thread(file);
	if (error != 0) {
		note_failure(file, error);
		write_again_in(file, AGAIN_SECONDS);
	} else {
		file->is_writing = true;
	}
}

void state_file_start(struct state_file *file, struct ev_loop *loop)
{
	file->loop = loop;
	if (file->path == NULL)
		return;
	ev_init(&file->timer, on_timer);
	ev_async_init(&file->on_written, on_written);
	ev_async_start(loop, &file->on_written);
	if (file->is_changed)
		write_again_in(file, WAIT_SECONDS);
}

void state_file_note_change(struct state_file *file)
{
	bool is_waiting = file->is_changed || file->is_putting || file->is_writing;

	if (file->path == NULL)
		return;
	file->is_changed = true;
	if (file->loop != NULL && !is_waiting)
		write_again_in(file, WAIT_SECONDS);
}

void state_file_close(struct state_file *file)
{
	if (file->path == NULL)
		return;
	if (file->is_writing) {
		(void)pthread_join(file->thread, NULL);
		file->is_writing = false;
		take_result(file);
	}
	if (file->loop != NULL) {
		ev_timer_stop(file->loop, &file->timer);
		ev_async_stop(file->loop, &file->on_written);
	}
	bool is_left = file->is_changed || file->is_putting;
	if (is_left && begin_text(file) && put_some(file, SIZE_MAX)) {
		write_text(file);
		take_result(file);
	}
	free(file->text);
	(void)close(file->fd);
	*file = (struct state_file){.fd = -1, .new_fd = -1};
}
