#include "store/store_error.h"

#include <stdbool.h>

#include "support/test.h"

/* The names stand in the log and in /metrics: docs/redis.md and docs/metrics.md have them. */
TEST(store_error_text_names_are_the_documented_ones)
{
	static const char *const names[] = {
		[STORE_OK] = "none",
		[STORE_TIMEOUT] = "timeout",
		[STORE_CONNECTION] = "connection",
		[STORE_NOSCRIPT] = "noscript",
		[STORE_MOVED] = "moved",
		[STORE_LOADING] = "loading",
		[STORE_READONLY] = "readonly",
		[STORE_MISCONF] = "readonly",
		[STORE_NOREPLICAS] = "readonly",
		[STORE_OOM] = "oom",
		[STORE_OTHER] = "other",
		[STORE_FULL] = "full",
	};

	assert_int_equal(sizeof names / sizeof *names, STORE_ERROR_COUNT);
	for (int i = 0; i < STORE_ERROR_COUNT; i++)
		assert_string_equal(store_error_text((enum store_error)i), names[i]);
}

TEST(store_error_first_is_another_one_only_for_a_shared_name)
{
	for (int i = 0; i < STORE_ERROR_COUNT; i++) {
		enum store_error error = (enum store_error)i;
		bool is_shared = error == STORE_MISCONF || error == STORE_NOREPLICAS;
		assert_int_equal(store_error_first(error), is_shared ? STORE_READONLY : error);
	}
}
