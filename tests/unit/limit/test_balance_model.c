/* The four algorithms against the model, on every field of a million random steps. */
#include <stdint.h>

#include "steps.h"
#include "support/test.h"

TEST(token_bucket_random_steps_agree_with_the_model)
{
	steps_take(TOKEN_BUCKET, NULL, NULL);
}

TEST(sliding_window_random_steps_agree_with_the_model)
{
	steps_take(SLIDING_WINDOW, NULL, NULL);
}

TEST(sliding_window_counter_random_steps_agree_with_the_model)
{
	steps_take(SLIDING_WINDOW_COUNTER, NULL, NULL);
}

TEST(fixed_window_random_steps_agree_with_the_model)
{
	steps_take(FIXED_WINDOW, NULL, NULL);
}
