#include "unit/net/log_lines.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/test.h"
#include "unit/net/loop_time.h"

#define KEPT_MAX 65536

static char kept[KEPT_MAX + 1];
static size_t kept_len;

ssize_t write(int fd, const void *data, size_t len)
{
	if (fd != STDERR_FILENO)
		return syscall(SYS_write, fd, data, len);
	assert_true(len <= KEPT_MAX - kept_len);
	memcpy(kept + kept_len, data, len);
	kept_len += len;
	kept[kept_len] = '\0';
	return (ssize_t)len;
}

void log_lines_clear(void)
{
	loop_time_pass(120);
	kept_len = 0;
	kept[0] = '\0';
}

static size_t count_lines(const char *first, const char *second)
{
	size_t count = 0;

	for (char *line = kept; *line != '\0';) {
		char *end = strchr(line, '\n');
		assert_non_null(end);
		*end = '\0';
		count += strstr(line, first) != NULL && strstr(line, second) != NULL;
		*end = '\n';
		line = end + 1;
	}
	return count;
}

size_t log_lines_count(void)
{
	return count_lines("", "");
}

size_t log_lines_of(const char *event)
{
	char field[80];

	snprintf(field, sizeof field, "\"event\":\"%s\"", event);
	return count_lines(field, "");
}

bool log_lines_have(const char *event, const char *text)
{
	char field[80];

	snprintf(field, sizeof field, "\"event\":\"%s\"", event);
	return count_lines(field, text) > 0;
}
