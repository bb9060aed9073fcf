#include "app/view/process_stats.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static void test_process_stats_counts_descriptors(void **state)
{
	int fds[3];
	(void)state;

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

static void test_process_stats_knows_the_limit(void **state)
{
	struct rlimit limit;
	(void)state;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);

	assert_int_equal(process_stats().max_fds, limit.rlim_cur);
}

static void test_process_stats_memory_and_time_are_there(void **state)
{
	struct process_stats stats = process_stats();
	(void)state;

	assert_true(stats.resident_bytes >= 100 * 1024);
	assert_true(stats.cpu_us > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_stats_counts_descriptors),
		cmocka_unit_test(test_process_stats_knows_the_limit),
		cmocka_unit_test(test_process_stats_memory_and_time_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
