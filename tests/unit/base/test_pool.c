#include "base/pool.h"

#include "support/test.h"

struct slot {
	void *link;
	uint64_t number;
};

TEST(pool_get_gives_as_many_slots_as_were_promised)
{
	struct slot *slots[3];
	struct pool pool;

	assert_true(pool_init(&pool, sizeof(struct slot), ARRAY_SIZE(slots)));
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++) {
		slots[i] = pool_get(&pool);
		assert_non_null(slots[i]);
		assert_int_equal(slots[i]->number, 0);
		slots[i]->number = i + 1;
	}
	assert_null(pool_get(&pool));
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		assert_int_equal(slots[i]->number, i + 1);
	pool_release(&pool);
}

TEST(pool_get_the_slot_that_came_back_last_is_first)
{
	struct pool pool;

	assert_true(pool_init(&pool, sizeof(struct slot), 3));
	void *a = pool_get(&pool), *b = pool_get(&pool);
	pool_put(&pool, a);
	pool_put(&pool, b);
	assert_ptr_equal(pool_get(&pool), b);
	assert_ptr_equal(pool_get(&pool), a);
	void *c = pool_get(&pool);
	assert_true(c != NULL && c != a && c != b);
	assert_null(pool_get(&pool));
	pool_release(&pool);
}

TEST(pool_init_more_than_there_is_fails)
{
	struct pool pool;

	assert_false(pool_init(&pool, 64, SIZE_MAX / 8));
	assert_false(pool_init(&pool, 64, SIZE_MAX / 128));
	assert_null(pages_reserve(SIZE_MAX / 2));
	pages_release(NULL, 1);
}
