/* A watch when memory is short. */
#include "app/file_watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ev.h>

#include "support/allocations.h"
#include "support/test.h"

/* ---- the log ---- */

static char logged[1000];

ssize_t write(int fd, const void *data, size_t len)
{
	if (fd != STDERR_FILENO)
		return syscall(SYS_write, fd, data, len);
	snprintf(logged, sizeof logged, "%.*s", (int)len, (const char *)data);
	return (ssize_t)len;
}

static void on_changed(void *owner)
{
	(void)owner;
	fail_msg("nothing has changed");
}

TEST(file_watch_new_without_memory_is_null_and_says_so)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

	allocations_fail_at(0);
	struct file_watch *watch =
		file_watch_new_policies(loop, "/policies.json", on_changed, NULL);
	assert_true(allocations_end());

	assert_null(watch);
	assert_non_null(strstr(logged, "/policies.json"));
	assert_non_null(strstr(logged, "Cannot allocate memory"));
	file_watch_free(watch);
	ev_loop_destroy(loop);
}
