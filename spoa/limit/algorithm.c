#include "limit/algorithm.h"

#define ALGORITHM_POINTER(value, row) [value] = &row##_traits,
const struct algorithm_traits *const algorithm_rows[ALGORITHM_COUNT] = {
	ALGORITHMS(ALGORITHM_POINTER)};

bool algorithm_find(struct bytes name, enum algorithm *ret_algorithm)
{
	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		if (bytes_equal(name, bytes_from_text(algorithm_rows[i]->name))) {
			*ret_algorithm = (enum algorithm)i;
			return true;
		}
	}
	return false;
}
