#include "base/memory_file.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"

TEST(memory_file_end_returns_what_was_written)
{
	struct memory_file file;

	assert_true(memory_file_begin(&file));
	for (int i = 0; i < 10000; i++)
		fputs("0123456789", file.to);
	char *text = memory_file_end(&file);

	assert_non_null(text);
	assert_int_equal(file.len, 100000);
	assert_int_equal(strlen(text), 100000);
	free(text);
}

TEST(memory_file_end_of_nothing_is_an_empty_text)
{
	struct memory_file file;

	assert_true(memory_file_begin(&file));
	char *text = memory_file_end(&file);

	assert_string_equal(text, "");
	assert_int_equal(file.len, 0);
	free(text);
}

TEST(memory_file_end_twice_returns_nothing_the_second_time)
{
	struct memory_file file;

	assert_true(memory_file_begin(&file));
	free(memory_file_end(&file));

	assert_null(memory_file_end(&file));
}
