#include "app/view/process_stats.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/test.h"

TEST(process_stats_counts_descriptors)
{
	int fds[3];

	uint64_t before = process_stats().open_fds;
	for (size_t i = 0; i < 3; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint64_t after = process_stats().open_fds;
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);

	assert_true(before >= 3);
	assert_int_equal(after, before + 3);
	assert_int_equal(process_stats().open_fds, before);
}

TEST(process_stats_knows_the_limit)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);

	assert_int_equal(process_stats().max_fds, limit.rlim_cur);
}

TEST(process_stats_memory_and_time_are_there)
{
	struct process_stats stats = process_stats();

	assert_true(stats.resident_bytes >= 100 * 1024);
	assert_true(stats.cpu_us > 0);
}
