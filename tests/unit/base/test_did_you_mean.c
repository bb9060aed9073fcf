#include "base/did_you_mean.h"

#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"
#include "support/test.h"

static const char *const words[] = {"capacity", "cost", "key", "match", "refill_rate", "window"};

static void assert_hint(struct bytes text, const char *const *among, size_t count,
			const char *expected)
{
	assert_string_equal(did_you_mean(text, among, count).text, expected);
}

TEST(did_you_mean_few_changes_find_the_word)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"window", "window"},
		{"Window", "window"},
		{"WINDOW", "window"},
		{"windw", "window"},
		{"windows", "window"},
		{"wimdow", "window"},
		{"widnow", "window"},
		{"windwo", "window"},
		{"indow", "window"},
		{"widnwo", "window"},
		{"kye", "key"},
		{"keys", "key"},
		{"ky", "key"},
		{"costs", "cost"},
		{"cast", "cost"},
		{"refillrate", "refill_rate"},
		{"refil-rate", "refill_rate"},
		{"capazity", "capacity"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char expected[64];
		snprintf(expected, sizeof expected, " (did you mean %s?)", cases[i].expected);
		assert_hint(bytes_from_text(cases[i].text), words, ARRAY_SIZE(words), expected);
	}
}

TEST(did_you_mean_another_word_finds_none)
{
	static const char *const others[] = {
		"",           "k",
		"x",          "colour",
		"yek",        "costly",
		"matches",    "rate",
		"capability", "a text that is much longer than any of the words could ever be"};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_hint(bytes_from_text(others[i]), words, ARRAY_SIZE(words), "");
}

TEST(did_you_mean_the_nearest_of_several_is_found)
{
	static const char *const similar[] = {"sliding_windows", "sliding_window",
					      "sliding_window_counter"};

	assert_hint(BYTES("sliding_windo"), similar, 3, " (did you mean sliding_window?)");
	assert_hint(BYTES("sliding_windowss"), similar, 3, " (did you mean sliding_windows?)");
	assert_hint(BYTES("sliding_window_count"), similar, 3,
		    " (did you mean sliding_window_counter?)");
}

TEST(did_you_mean_any_bytes_are_taken)
{
	static const uint8_t bytes[] = {0, 0xff, '\n', 0x80};

	assert_hint(bytes_from(bytes, sizeof bytes), words, ARRAY_SIZE(words), "");
	assert_hint(bytes_from(NULL, 0), words, ARRAY_SIZE(words), "");
	assert_hint(BYTES("key"), words, 0, "");
}
