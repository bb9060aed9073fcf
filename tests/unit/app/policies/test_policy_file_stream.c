/*
 * The policy file when there is no memory for a stream. The C library's own allocations can't be
 * made to fail, so fdopen is another one here.
 */
#include "app/policies/policy_file.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "support/test.h"

FILE *fdopen(int fd, const char *mode)
{
	(void)fd, (void)mode;
	errno = ENOMEM;
	return NULL;
}

static int next_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

TEST(policy_file_load_without_a_stream_keeps_no_descriptor)
{
	int before = next_descriptor();
	struct problems problems;

	assert_null(policy_file_load("/etc/passwd", ON_ERROR_ALLOW, &problems));

	assert_string_equal(problems.items[0].text, "/etc/passwd: Cannot allocate memory");
	assert_int_equal(next_descriptor(), before);
}
