/*
 * Counts what a program allocates, for test_resources.py: preloaded into it, this adds one for each
 * malloc, calloc, realloc and their like to the 8 bytes of the file that ALLOCATION_COUNT names.
 * A test reads them whenever it likes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The allocator under the names that glibc keeps for such wrappers. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static uint64_t before_main;
static uint64_t *counter = &before_main;

__attribute__((constructor)) static void map_counter(void)
{
	const char *path = getenv("ALLOCATION_COUNT");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *page;

	if (fd < 0)
		return;
	page = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return;
	counter = page;
	*counter += before_main;
}

static void count(void)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	count();
	return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
	count();
	return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size)
{
	count();
	return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
	count();
	return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
	void *memory = memalign(alignment, size);

	if (memory == NULL)
		return ENOMEM;
	*ret_memory = memory;
	return 0;
}
