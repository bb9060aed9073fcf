#include "base/bytes.h"

#include "base/compiler.h"
#include "support/test.h"

TEST(bytes_equal_in_any_case_tells_letters_of_ascii_only)
{
	static const struct {
		struct bytes a, b;
		bool is_equal;
	} cases[] = {
		{{(const uint8_t *)"", 0}, {(const uint8_t *)"", 0}, true},
		{{(const uint8_t *)"Host", 4}, {(const uint8_t *)"hOSt", 4}, true},
		{{(const uint8_t *)"AZ", 2}, {(const uint8_t *)"az", 2}, true},
		{{(const uint8_t *)"host", 4}, {(const uint8_t *)"hosts", 5}, false},
		{{(const uint8_t *)"host", 4}, {(const uint8_t *)"hosT\0", 5}, false},
		{{(const uint8_t *)"@", 1}, {(const uint8_t *)"`", 1}, false},
		{{(const uint8_t *)"[", 1}, {(const uint8_t *)"{", 1}, false},
		{{(const uint8_t *)"\xc4", 1}, {(const uint8_t *)"\xe4", 1}, false},
		{{(const uint8_t *)"a\0B", 3}, {(const uint8_t *)"A\0b", 3}, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(bytes_equal_in_any_case(cases[i].a, cases[i].b),
				 cases[i].is_equal);
}
