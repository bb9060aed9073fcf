#include "store/redis/redis_agents.h"

#include "base/compiler.h"
#include "support/test.h"

#define SECOND INT64_C(1000000)

static const struct counts {
	const char *name;
	struct {
		int64_t at_s;
		unsigned counted, believed;
	} steps[8];
} all_counts[] = {
	{"the first number is believed", {{1, 3, 3}}},
	{"a larger one at once", {{1, 3, 3}, {2, 4, 4}, {3, 9, 9}}},
	{"a smaller one after 7 s", {{1, 3, 3}, {2, 2, 3}, {5, 2, 3}, {7, 2, 3}, {8, 2, 2}}},
	{"the largest of the smaller ones",
	 {{1, 9, 9},
	  {2, 2, 9},
	  {4, 5, 9},
	  {7, 1, 9},
	  {8, 1, 5},
	  {11, 1, 5},
	  {14, 1, 5},
	  {15, 1, 1}}},
	{"not after the same one came again",
	 {{1, 3, 3}, {4, 2, 3}, {7, 3, 3}, {9, 2, 3}, {12, 2, 3}, {13, 2, 3}}},
	{"an outage: the first one back counts itself, then the others come",
	 {{1, 3, 3}, {61, 1, 3}, {62, 2, 3}, {63, 3, 3}, {64, 3, 3}}},
	{"an outage after which two are gone",
	 {{1, 3, 3}, {61, 1, 3}, {63, 1, 3}, {66, 1, 3}, {67, 1, 3}, {68, 1, 1}}},
};
TEST_ROWS(all_counts)
{
	struct agents_number number = {0};

	for (size_t i = 0; i < ARRAY_SIZE(row->steps) && row->steps[i].at_s > 0; i++) {
		agents_number_add(&number, row->steps[i].counted, row->steps[i].at_s * SECOND);
		assert_int_equal(number.believed, row->steps[i].believed);
	}
}
