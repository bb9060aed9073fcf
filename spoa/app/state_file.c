/*
 * The file:
 *
 *     ratelimit-spoa state 1
 *     record 6 31 1764000000000 0 0         bytes of id and value, changed, until, is removed
 *     xk3f9ae{"policy":"login",...}         the id, then the value
 *     ...
 *     end 1 <SHA-256 of all before it>      how many records there are
 *     <an image of the balances>            balances_image.h; only after a clean end
 *
 * A writing:
 *
 *     a change, and 0.25 s later --> records are put into a text, some in each turn of the loop
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

#define BEGIN_ANY      "ratelimit-spoa state "
#define BEGIN          BEGIN_ANY "1\n"
#define WAIT_SECONDS   0.25
#define AGAIN_SECONDS  5.0
#define PUT_AT_ONCE    1000   /* records, in a turn of the loop */
#define BYTES_AT_ONCE  262144 /* and fewer, when they are large */
#define TRIES          16
#define HEAD_MAX       160
#define END_MAX        128
#define PATH_BYTES_MAX 4096
#define INPUT_BYTES    65536 /* more than a record and its first line */
#define TIME_MAX       (UINT64_C(1) << 53)

_Static_assert(INPUT_BYTES >= HEAD_MAX + RECORD_ID_MAX + RECORD_VALUE_MAX + 2, "a record fits");

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

/* The file in pieces, so that a large one takes no memory. */
struct input {
	int fd;
	off_t offset;
	int error;         /* the errno of a read that failed; 0 */
	size_t begin, end; /* of what is in the buffer and was not read */
	crypto_hash_sha256_state hash;
	uint8_t buffer[INPUT_BYTES];
};

static void begin_input(struct input *in, int fd)
{
	in->fd = fd;
	in->offset = 0;
	in->error = 0;
	in->begin = in->end = 0;
	crypto_hash_sha256_init(&in->hash);
}

/* 0 at the end of the file, and when it can't be read. */
static size_t read_some(struct input *in, uint8_t *to, size_t max)
{
	ssize_t got;

	do
		got = pread(in->fd, to, max, in->offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		in->error = errno;
	in->offset += got > 0 ? got : 0;
	return got > 0 ? (size_t)got : 0;
}

/* What the buffer holds, which is so many bytes if the file has so many. */
static struct bytes look_ahead(struct input *in, size_t wanted)
{
	size_t got = 1;

	ASSERT(wanted <= sizeof in->buffer);
	if (in->end - in->begin < wanted) {
		memmove(in->buffer, in->buffer + in->begin, in->end - in->begin);
		in->end -= in->begin;
		in->begin = 0;
	}
	while (in->end - in->begin < wanted && got > 0) {
		got = read_some(in, in->buffer + in->end, sizeof in->buffer - in->end);
		in->end += got;
	}
	return bytes_from(in->buffer + in->begin, in->end - in->begin);
}

static void skip_and_hash(struct input *in, size_t len)
{
	ASSERT(len <= in->end - in->begin);
	crypto_hash_sha256_update(&in->hash, in->buffer + in->begin, len);
	in->begin += len;
}

/* The rest of the file, behind the text (balances_image_read_fn). */
static size_t read_image(void *owner, uint8_t *to, size_t max)
{
	struct input *in = owner;
	size_t len = in->end - in->begin;

	if (len == 0)
		return read_some(in, to, max);
	if (len > max)
		len = max;
	memcpy(to, in->buffer + in->begin, len);
	in->begin += len;
	return len;
}

/* A line of the text, without its end; false when none ends within HEAD_MAX bytes. */
static bool look_at_line(struct input *in, struct bytes *ret_line)
{
	struct bytes text = look_ahead(in, HEAD_MAX);
	const uint8_t *end =
		text.len == 0 ? NULL
			      : memchr(text.data, '\n', text.len < HEAD_MAX ? text.len : HEAD_MAX);

	if (end == NULL)
		return false;
	*ret_line = bytes_from(text.data, (size_t)(end - text.data));
	return true;
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

/* Reads a record whose first line was looked at. It is in the buffer until the next one is read. */
static bool read_record(struct input *in, struct bytes line, struct record *ret_record)
{
	uint64_t numbers[5];

	if (!read_head(line, numbers) || numbers[0] == 0 || (numbers[4] == 0) == (numbers[1] == 0))
		return false;
	size_t head_len = line.len + 1, len = numbers[0] + numbers[1] + 1;
	struct bytes text = look_ahead(in, head_len + len);
	if (text.len < head_len + len)
		return false;
	text = bytes_skip(text, head_len);
	*ret_record = (struct record){
		.id = bytes_from(text.data, numbers[0]),
		.changed_ms = numbers[2],
		.until_ms = numbers[3],
		.is_removed = numbers[4] == 1,
		.value = bytes_from(text.data + numbers[0], numbers[1]),
	};
	for (size_t i = 0; i < ret_record->id.len; i++)
		if (ret_record->id.data[i] < ' ' || ret_record->id.data[i] > '~')
			return false;
	skip_and_hash(in, head_len + len);
	return true;
}

static size_t put_end(char *line, size_t max, const crypto_hash_sha256_state *before, size_t count)
{
	crypto_hash_sha256_state state = *before;
	uint8_t hash[crypto_hash_sha256_BYTES];
	struct writer w = writer_on(line, max);

	crypto_hash_sha256_final(&state, hash);
	writer_put_text(&w, "end ");
	writer_put_unsigned(&w, count);
	writer_put_text(&w, " ");
	writer_put_hex(&w, bytes_from(hash, sizeof hash));
	writer_put_text(&w, "\n");
	ASSERT(!w.full);
	return w.len;
}

/* The last line of the text: whether all before it is as it was written. */
static bool read_end(struct input *in, size_t count)
{
	char end[END_MAX];
	size_t len = put_end(end, sizeof end, &in->hash, count);
	struct bytes text = look_ahead(in, len);

	if (text.len < len || memcmp(text.data, end, len) != 0)
		return false;
	in->begin += len;
	return true;
}

/* What the text of a file is. What does not fit into the records is left out. */
enum text_state { TEXT_DAMAGED = 0, TEXT_OF_ANOTHER_VERSION, TEXT_GOOD };

static enum text_state read_begin(struct input *in)
{
	struct bytes line, wanted = BYTES(BEGIN);

	if (!look_at_line(in, &line) || !bytes_begin_with(line, BYTES(BEGIN_ANY)))
		return TEXT_DAMAGED;
	if (line.len + 1 != wanted.len || memcmp(line.data, wanted.data, line.len) != 0)
		return TEXT_OF_ANOTHER_VERSION;
	skip_and_hash(in, wanted.len);
	return TEXT_GOOD;
}

/* Restores all records, or, without `records`, only looks whether the text is good. */
static enum text_state read_text(struct input *in, struct records *records, size_t *ret_count,
				 size_t *ret_dropped)
{
	enum text_state state = read_begin(in);
	struct bytes line;
	size_t count = 0, dropped = 0;

	if (state != TEXT_GOOD)
		return state;
	for (;;) {
		struct record record;
		if (!look_at_line(in, &line))
			return TEXT_DAMAGED;
		if (bytes_begin_with(line, BYTES("end "))) {
			*ret_count = count;
			*ret_dropped = dropped;
			return read_end(in, count) ? TEXT_GOOD : TEXT_DAMAGED;
		}
		if (!read_record(in, line, &record))
			return TEXT_DAMAGED;
		count++;
		dropped += records != NULL && !records->restore(records, &record);
	}
}

/* ---- what is set aside ---- */

static void log_unusable(const struct state_file *file, const char *why, const char *aside,
			 const char *hint)
{
	log_event(LOG_WARN, "state_file_unusable", LOG_TEXT("path", file->path),
		  LOG_TEXT("reason", why), LOG_TEXT("moved_to", aside), LOG_TEXT("hint", hint));
}

/* The agent goes on with a new file. */
static bool set_aside(struct state_file *file, const char *why, struct err *err)
{
	char aside[PATH_BYTES_MAX + 16];

	snprintf(aside, sizeof aside, "%s.unusable", file->path);
	bool is_moved = rename(file->path, aside) == 0;
	log_unusable(file, why, is_moved ? aside : "",
		     "the agent starts without what the file had");
	(void)close(file->fd);
	file->fd = -1;
	return lock_file(file, err);
}

/* A second name is made for the file, and the file itself stays until it is written anew. */
static void set_copy_aside(struct state_file *file, const char *why, const char *hint)
{
	char aside[PATH_BYTES_MAX + 16];

	snprintf(aside, sizeof aside, "%s.unusable", file->path);
	(void)unlink(aside);
	bool is_kept = link(file->path, aside) == 0;
	file->is_changed = true;
	log_unusable(file, why, is_kept ? aside : "", hint);
}

static void set_balances_aside(struct state_file *file, const char *why)
{
	set_copy_aside(file, why,
		       "the agent starts without the balances that the file had; it takes the "
		       "rest");
}

static void set_dropped_aside(struct state_file *file, size_t dropped, size_t count)
{
	struct err why;

	(void)err_set(&why, "%zu of its %zu records have no room here", dropped, count);
	set_copy_aside(file, why.text, "the agent starts without these; it takes the rest");
}

/* ---- reading all ---- */

/* NULL when the balances can be taken, or there are none. */
static const char *check_balances(struct input *in, const struct store *memory, bool *ret_are_there)
{
	struct balances_image_reader reader = {.read = read_image, .owner = in};
	enum balances_image_state state;

	*ret_are_there = look_ahead(in, 1).len > 0;
	if (!*ret_are_there)
		return NULL;
	state = balances_image_read(&reader);
	if (state == BALANCES_IMAGE_OF_ANOTHER_VERSION)
		return "its balances were written by another version of this program";
	if (state == BALANCES_IMAGE_DAMAGED)
		return in->error != 0 ? strerror(in->error) : "its balances are damaged";
	if (memory == NULL && reader.counts.balances > 0)
		return "it has balances of a memory store, and this agent has them in Redis";
	*ret_are_there = memory != NULL;
	return NULL;
}

static void take_balances(struct input *in, struct store *memory)
{
	struct balances_image_counts counts;
	int64_t began_us = clock_mono_us();

	memory_store_read_image(memory, clock_now_us(), read_image, in, &counts);
	log_event(LOG_INFO, "balances_taken", LOG_INT("balances", counts.balances),
		  LOG_INT("full", counts.full), LOG_INT("dropped", counts.dropped),
		  LOG_INT("ms", (clock_mono_us() - began_us) / US_PER_MS));
}

/* Read twice: what is damaged shows at the end. */
static bool read_file(struct state_file *file, const struct state_file_config *config,
		      struct err *err)
{
	const char *why = NULL;
	struct input in;
	size_t count = 0, dropped = 0;
	bool has_balances = false;

	begin_input(&in, file->fd);
	if (look_ahead(&in, 1).len == 0 && in.error == 0)
		return true; /* a new one */
	enum text_state state = read_text(&in, NULL, &count, &dropped);
	if (state != TEXT_GOOD)
		return set_aside(file,
				 in.error != 0 ? strerror(in.error)
				 : state == TEXT_OF_ANOTHER_VERSION
					 ? "it was written by another version of this program"
					 : "it is no state file of this program, or it is damaged",
				 err);
	if (config->skips_balances)
		file->has_skipped = look_ahead(&in, 1).len > 0;
	else
		why = check_balances(&in, config->memory, &has_balances);
	begin_input(&in, file->fd);
	(void)read_text(&in, file->records, &count, &dropped);
	log_event(LOG_INFO, "state_file_read", LOG_TEXT("path", file->path),
		  LOG_INT("records", count - dropped));
	if (dropped > 0)
		set_dropped_aside(file, dropped, count);
	if (why != NULL)
		set_balances_aside(file, why);
	else if (has_balances)
		take_balances(&in, config->memory);
	return true;
}

bool state_file_open(struct state_file *file, const struct state_file_config *config,
		     struct err *err)
{
	*file = (struct state_file){
		.path = config->path,
		.records = config->records,
		.fd = -1,
		.new_fd = -1,
	};
	if (file->path == NULL)
		return true;
	if (strlen(file->path) > PATH_BYTES_MAX)
		return err_set(err, "--state-file: the path is longer than %d bytes",
			       PATH_BYTES_MAX);
	if (lock_file(file, err) && read_file(file, config, err))
		return true;
	file->path = NULL; /* nothing is written */
	return false;
}

/* ---- the thread ---- */

struct output {
	int fd, error;
};

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

/* A piece of the image (balances_image_write_fn). */
static bool write_piece(void *owner, struct bytes piece)
{
	struct output *out = owner;

	if (out->error == 0)
		out->error = write_all(out->fd, piece.data, piece.len);
	return out->error == 0;
}

/* Returns 0, or the errno. */
static int write_balances(struct state_file *file, int fd)
{
	struct output out = {.fd = fd};

	if (file->balances == NULL || memory_store_write_image(file->balances, clock_now_us(),
							       write_piece, &out, &file->counts))
		return 0;
	return out.error;
}

/* Returns 0, or the errno. */
static int replace_file(struct state_file *file, const char *end, size_t end_len)
{
	char new[PATH_BYTES_MAX + 16];

	snprintf(new, sizeof new, "%s.new", file->path);
	/* What is left of an agent that was killed while it wrote, or was put there to make us
	 * wait. */
	(void)unlink(new);
	int fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	int error = write_all(fd, file->text, file->len);
	if (error == 0)
		error = write_all(fd, (const uint8_t *)end, end_len);
	if (error == 0)
		error = write_balances(file, fd);
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
	crypto_hash_sha256_state hash;

	crypto_hash_sha256_init(&hash);
	crypto_hash_sha256_update(&hash, file->text, file->len);
	size_t len = put_end(end, sizeof end, &hash, file->count);
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
static bool put_some(struct state_file *file, size_t most, size_t bytes_most)
{
	size_t begin = file->len;
	struct record record;

	for (size_t i = 0; i < most && file->place > 0 && file->len - begin < bytes_most; i++) {
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

	if (file->balances == NULL) /* else the end says what it means */
		log_limited(
			&limit, LOG_WARN, "state_file_unwritten", LOG_TEXT("path", file->path),
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
	if ((!file->is_putting && !begin_text(file)) ||
	    !put_some(file, PUT_AT_ONCE, BYTES_AT_ONCE)) {
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

void state_file_drop_skipped(struct state_file *file)
{
	if (file->has_skipped)
		state_file_note_change(file);
	file->has_skipped = false;
}

static void await_thread(struct state_file *file)
{
	if (!file->is_writing)
		return;
	(void)pthread_join(file->thread, NULL);
	file->is_writing = false;
	take_result(file);
}

/* Here, and not beside the loop, which has ended. */
static void write_at_once(struct state_file *file)
{
	if (begin_text(file) && put_some(file, SIZE_MAX, SIZE_MAX))
		write_text(file);
	else
		file->error = ENOMEM;
	take_result(file);
	file->is_putting = false;
}

void state_file_write_balances(struct state_file *file, struct store *memory)
{
	int64_t began_us = clock_mono_us();

	if (file->path == NULL)
		return;
	await_thread(file);
	bool is_left = file->is_changed || file->is_putting;
	file->balances = memory;
	write_at_once(file);
	file->balances = NULL;
	if (file->error != 0) {
		log_event(LOG_ERROR, "balances_lost", LOG_TEXT("path", file->path),
			  LOG_TEXT("reason", strerror(file->error)),
			  LOG_TEXT("hint", "the file is as it was; the next agent begins with the "
					   "balances that are in it, if any"));
		file->is_changed = is_left; /* else there is nothing to write without them */
		return;
	}
	log_event(LOG_INFO, "balances_kept", LOG_INT("balances", file->counts.balances),
		  LOG_INT("full", file->counts.full), LOG_INT("bytes", file->counts.bytes),
		  LOG_INT("ms", (clock_mono_us() - began_us) / US_PER_MS));
}

void state_file_close(struct state_file *file)
{
	if (file->path == NULL)
		return;
	await_thread(file);
	if (file->loop != NULL) {
		ev_timer_stop(file->loop, &file->timer);
		ev_async_stop(file->loop, &file->on_written);
	}
	if (file->is_changed || file->is_putting)
		write_at_once(file);
	free(file->text);
	(void)close(file->fd);
	*file = (struct state_file){.fd = -1, .new_fd = -1};
}
