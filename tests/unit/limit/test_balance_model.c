/* The four algorithms against the model, on every field of a million random steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "steps.h"

static void test_token_bucket_random_steps_agree_with_the_model(void **state)
{
	(void)state;
	steps_take(TOKEN_BUCKET, NULL, NULL);
}

static void test_sliding_window_random_steps_agree_with_the_model(void **state)
{
	(void)state;
	steps_take(SLIDING_WINDOW, NULL, NULL);
}

static void test_sliding_window_counter_random_steps_agree_with_the_model(void **state)
{
	(void)state;
	steps_take(SLIDING_WINDOW_COUNTER, NULL, NULL);
}

static void test_fixed_window_random_steps_agree_with_the_model(void **state)
{
	(void)state;
	steps_take(FIXED_WINDOW, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token_bucket_random_steps_agree_with_the_model),
		cmocka_unit_test(test_sliding_window_random_steps_agree_with_the_model),
		cmocka_unit_test(test_sliding_window_counter_random_steps_agree_with_the_model),
		cmocka_unit_test(test_fixed_window_random_steps_agree_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
