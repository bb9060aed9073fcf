#include "app/descriptors.h"

#include "base/compiler.h"
#include "net/spop/spop_server.h"
#include "support/test.h"

TEST(descriptors_share_leaves_the_options_alone_when_all_fits)
{
	struct descriptor_shares shares = descriptors_share(&(struct descriptor_wants){
		.limit = 524288, .listeners = 2, .max_connections = 10000, .http_max = 1024});

	assert_int_equal(shares.wanted, 20 + 2 + 10000 + 64 + 1024);
	assert_int_equal(shares.max_connections, 10000);
	assert_int_equal(shares.spop_max_open, 10064);
	assert_int_equal(shares.http_max, 1024);
}

TEST(descriptors_share_fits_exactly)
{
	struct descriptor_wants wants = {
		.limit = 11110, .listeners = 2, .max_connections = 10000, .http_max = 1024};
	struct descriptor_shares shares = descriptors_share(&wants);

	assert_int_equal(shares.wanted, wants.limit);
	assert_int_equal(shares.max_connections, 10000);
	assert_int_equal(shares.http_max, 1024);
	wants.limit--;
	shares = descriptors_share(&wants);
	assert_int_equal(shares.spop_max_open + shares.http_max, 10064 + 1024 - 1);
}

TEST(descriptors_share_of_1024_leaves_http_a_quarter)
{
	struct descriptor_shares shares = descriptors_share(&(struct descriptor_wants){
		.limit = 1024, .listeners = 2, .max_connections = 10000, .http_max = 1024});

	assert_int_equal(shares.http_max, 250);
	assert_int_equal(shares.spop_max_open, 752);
	assert_int_equal(shares.max_connections, 688);
}

TEST(descriptors_share_gives_http_what_spop_does_not_want)
{
	struct descriptor_shares shares = descriptors_share(&(struct descriptor_wants){
		.limit = 1024, .listeners = 2, .max_connections = 100, .http_max = 1024});

	assert_int_equal(shares.max_connections, 100);
	assert_int_equal(shares.spop_max_open, 164);
	assert_int_equal(shares.http_max, 1002 - 164);
}

TEST(descriptors_share_keeps_the_reserve_at_every_limit)
{
	static const size_t https[] = {0, 16, 1024};

	for (size_t i = 0; i < ARRAY_SIZE(https); i++)
		for (size_t limit = 0; limit < 12000; limit++) {
			struct descriptor_shares shares = descriptors_share(
				&(struct descriptor_wants){.limit = limit,
							   .listeners = 3,
							   .max_connections = 10000,
							   .http_max = https[i]});
			assert_in_range(shares.max_connections, 1, 10000);
			assert_in_range(shares.spop_max_open, shares.max_connections, 10064);
			assert_true(shares.http_max >= 1);
			if (limit >= 3 + 20 + 8)
				assert_true(shares.spop_max_open +
						    (https[i] > 0 ? shares.http_max : 0) <=
					    limit - 3 - 20);
		}
}

TEST(descriptors_share_of_a_low_limit_has_no_extras)
{
	struct descriptor_shares shares = descriptors_share(&(struct descriptor_wants){
		.limit = 64, .listeners = 1, .max_connections = 10000, .http_max = 0});

	assert_int_equal(shares.max_connections, 43);
	assert_int_equal(shares.spop_max_open, 43);
}
