#include "base/shared_memory.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/test.h"

#define SIZE ((size_t)3 << 20)

TEST(shared_memory_outlives_who_made_it)
{
	struct shared_memory made, mapped;

	assert_true(shared_memory_make(&made, "test", SIZE));
	made.data[0] = 'a';
	made.data[SIZE - 1] = 'z';
	int fd = dup(made.fd);
	shared_memory_release(&made);
	assert_null(made.data);

	assert_true(shared_memory_map(&mapped, fd));
	assert_int_equal(mapped.size, SIZE);
	assert_int_equal(mapped.data[0], 'a');
	assert_int_equal(mapped.data[SIZE - 1], 'z');
	assert_int_equal(mapped.data[SIZE / 2], 0);
	assert_true(shared_memory_put(&mapped, 1, "b", 1));
	assert_int_equal(mapped.data[1], 'b');
	shared_memory_release(&mapped);
}

TEST(shared_memory_can_not_be_cut_off_by_another_process)
{
	struct shared_memory made;

	assert_true(shared_memory_make(&made, "test", SIZE));
	assert_int_equal(ftruncate(made.fd, 0), -1);
	assert_int_equal(ftruncate(made.fd, 2 * SIZE), -1);
	shared_memory_release(&made);
}

TEST(shared_memory_that_could_be_cut_off_is_not_mapped)
{
	struct shared_memory mapped;
	int fd = memfd_create("test", 0);

	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_false(shared_memory_map(&mapped, fd));
	close(fd);
	assert_false(shared_memory_map(&mapped, -1));
}

TEST(shared_memory_is_unmapped_in_pieces)
{
	struct shared_memory made;

	assert_true(shared_memory_make(&made, "test", SIZE));
	shared_memory_shrink(&made, (size_t)2 << 20);
	assert_int_equal(made.size, (size_t)1 << 20);
	made.data[made.size - 1] = 1;
	shared_memory_shrink(&made, (size_t)2 << 20);
	assert_int_equal(made.size, 0);
	shared_memory_shrink(&made, 1);
	shared_memory_release(&made);
	shared_memory_release(&made);
}
