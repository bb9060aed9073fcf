#include "app/policies/policy_text.h"

#include <stdlib.h>

#include "base/parse.h"
#include "support/test.h"

TEST(policy_text_put_duration_is_short_and_exact)
{
	static const char *const texts[] = {"1ms", "1.5ms", "0.001ms", "999ms", "1500ms",
					    "1s",  "59s",   "90s",     "1m",    "59m",
					    "90m", "1h",    "23h",     "25h",   "1d",
					    "7d",  "3650d", "86401s",  "1001ms"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char memory[64];
		struct writer w = writer_on(memory, sizeof memory);
		int64_t us;
		assert_true(parse_duration(bytes_from_text(texts[i]), &us));
		policy_text_put_duration(&w, us);
		assert_string_equal(writer_text(&w), texts[i]);
	}
}

static struct quota bucket(const char *rate)
{
	struct quota quota = {.algorithm = TOKEN_BUCKET, .limit = 10};
	struct ratio ratio;

	assert_true(refill_rate_parse(bytes_from_text(rate), &ratio));
	quota.refill_tokens = ratio.num;
	quota.refill_us = ratio.den;
	return quota;
}

TEST(policy_text_put_refill_rate_is_what_was_written)
{
	static const char *const rates[] = {"1",       "50",    "0.5",       "0.001",  "123.456",
					    "1000/1m", "1/1m",  "7/1h",      "1/1d",   "1000000",
					    "1/7d",    "1/11s", "5/7.001ms", "1/1.7ms"};

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		char memory[64];
		struct writer w = writer_on(memory, sizeof memory);
		struct quota quota = bucket(rates[i]);
		policy_text_put_refill_rate(&w, &quota);
		assert_string_equal(writer_text(&w), rates[i]);
	}
}

/* Whatever the notation: it reads as the same rate. */
TEST(policy_text_put_refill_rate_reads_as_the_same)
{
	static const char *const rates[] = {"100/1m",  "60/1m", "3600/1h",         "1/3s",
					    "2/3s",    "1e9",   "0.0001",          "1e-9",
					    "1/3650d", "13/1d", "9007199254740991"};

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		char memory[64];
		struct writer w = writer_on(memory, sizeof memory);
		struct quota quota = bucket(rates[i]);
		policy_text_put_refill_rate(&w, &quota);
		struct quota again = bucket(writer_text(&w));
		assert_int_equal(again.refill_tokens, quota.refill_tokens);
		assert_int_equal(again.refill_us, quota.refill_us);
	}
}
