#include "net/address.h"

#include <string.h>

#include "support/test.h"

TEST(address_is_local_is_what_this_machine_alone_reaches)
{
	static const struct {
		const char *text;
		bool is_local;
	} cases[] = {
		{"127.0.0.1:1", true},
		{"127.1.2.3:1", true},
		{"[::1]:1", true},
		{"[::ffff:127.0.0.1]:1", true},
		{"unix:/x", true},
		{"0.0.0.0:1", false},
		{"[::]:1", false},
		{"192.0.2.1:1", false},
		{"128.0.0.1:1", false},
		{"[2001:db8::1]:1", false},
		{"[::ffff:192.0.2.1]:1", false},
		{"[::7f00:1]:1", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address address;
		struct err err;
		assert_true(address_parse(bytes_from_text(cases[i].text), &address, &err));
		if (address_is_local(&address) != cases[i].is_local)
			fail_msg("%s", cases[i].text);
	}
}
