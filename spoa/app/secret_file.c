/*
 * At the start a secret may come through a pipe, as from `--token-file <(decrypt secret)`. Its
 * writer is waited for, but a pipe that nobody writes to must not keep the agent from saying so:
 * all descriptors are non-blocking, and of a pipe each read waits until PIPE_WAIT_US are over.
 */
#include "app/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_MAX_BYTES 2048
#define PIPE_WAIT_US   (5 * US_PER_SECOND)

/* A pipe that no writer has opened yet reads as if it was empty, and is waited for as well. */
static bool wait_for_writer(int fd, int64_t until_us)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};
	int64_t left_us = until_us - clock_mono_us();

	return left_us > 0 && (poll(&wanted, 1, (int)(left_us / US_PER_MS) + 1) != 0);
}

static bool is_regular(int fd)
{
	struct stat found;

	return fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

/* Reads until the text is full or the file ends. Returns 0, or the errno. */
static int read_beginning(int fd, char *text, size_t max, size_t *ret_len)
{
	int64_t until_us = clock_mono_us() + PIPE_WAIT_US;
	bool waits = !is_regular(fd);
	size_t len = 0;

	while (len < max) {
		if (waits && !wait_for_writer(fd, until_us))
			return ETIMEDOUT;
		ssize_t got = read(fd, text + len, max - len);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return errno;
		if (got == 0)
			break;
		len += got > 0 ? (size_t)got : 0;
	}
	*ret_len = len;
	return 0;
}

static bool cut_first_line(const char *path, const char *text, size_t text_len, char *ret_secret,
			   size_t max, struct err *err)
{
	if (text_len == 0)
		return err_set(err, "%s: it is empty", path);
	if (text_len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return err_set(err, "%s: begins with a byte order mark (BOM); save it without one",
			       path);
	size_t len = 0;
	while (len < text_len && text[len] != '\r' && text[len] != '\n')
		len++;
	if (len == 0)
		return err_set(err, "%s: its first line is empty", path);
	if (len >= max)
		return err_set(err, "%s: longer than %zu bytes", path, max - 1);
	if (memchr(text, '\0', len) != NULL)
		return err_set(err, "%s: a NUL character in its first line", path);
	memcpy(ret_secret, text, len);
	ret_secret[len] = '\0';
	return true;
}

static const char *text_of(int error)
{
	return error == ETIMEDOUT ? "it is no regular file, and nothing came through it within 5 s"
				  : strerror(error);
}

static bool read_line_and_close(int fd, const char *path, char *ret_secret, size_t max,
				struct err *err)
{
	char text[LINE_MAX_BYTES];
	size_t len;
	int error = read_beginning(fd, text, sizeof text, &len);

	(void)close(fd);
	return error != 0 ? err_set(err, "%s: %s", path, text_of(error))
			  : cut_first_line(path, text, len, ret_secret, max, err);
}

/* One byte more than `max` is asked for, to see whether the file is larger. */
static bool read_whole_and_close(int fd, const char *path, char *ret_text, size_t max,
				 size_t *ret_len, struct err *err)
{
	char behind;
	size_t more = 0;
	int error = read_beginning(fd, ret_text, max, ret_len);

	if (error == 0 && *ret_len == max)
		error = read_beginning(fd, &behind, 1, &more);
	(void)close(fd);
	if (error != 0)
		return err_set(err, "%s: %s", path, text_of(error));
	return more == 0 || err_set(err, "%s: larger than %zu bytes", path, max);
}

static int open_at_start(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		(void)err_set(err, "%s: %s", path, strerror(errno));
	return fd;
}

/* From the loop, which must not wait for a pipe's writer. */
static int open_regular(const char *path, bool *ret_may_pass, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*ret_may_pass = fd < 0 && (errno == EMFILE || errno == ENFILE || errno == EAGAIN);
	if (fd < 0) {
		(void)err_set(err, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (is_regular(fd))
		return fd;
	(void)close(fd);
	(void)err_set(err, "%s: it is not a regular file", path);
	return -1;
}

bool secret_file_read(const char *path, char *ret_secret, size_t max, struct err *err)
{
	int fd = open_at_start(path, err);

	return fd >= 0 && read_line_and_close(fd, path, ret_secret, max, err);
}

bool secret_file_read_again(const char *path, char *ret_secret, size_t max, bool *ret_may_pass,
			    struct err *err)
{
	int fd = open_regular(path, ret_may_pass, err);

	return fd >= 0 && read_line_and_close(fd, path, ret_secret, max, err);
}

bool secret_file_read_whole(const char *path, char *ret_text, size_t max, size_t *ret_len,
			    struct err *err)
{
	int fd = open_at_start(path, err);

	return fd >= 0 && read_whole_and_close(fd, path, ret_text, max, ret_len, err);
}

bool secret_file_read_whole_again(const char *path, char *ret_text, size_t max, size_t *ret_len,
				  bool *ret_may_pass, struct err *err)
{
	int fd = open_regular(path, ret_may_pass, err);

	return fd >= 0 && read_whole_and_close(fd, path, ret_text, max, ret_len, err);
}
