/*
 * Preloaded into the agent, for test_redis_no_memory.py: of the callbacks that hiredis makes, one
 * for each command, one is refused its memory. The file that ALLOCATION_FAILURES names has a number
 * of 8 bytes: which, from 1 on and counted from the moment that a test writes it; it is 0 then.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hiredis/async.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

static uint64_t nothing;
static uint64_t *countdown = &nothing;

__attribute__((constructor)) static void map_countdown(void)
{
	const char *path = getenv("ALLOCATION_FAILURES");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *page;

	if (fd < 0)
		return;
	page = mmap(NULL, sizeof(*countdown), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page != MAP_FAILED)
		countdown = page;
}

static int is_refused(size_t size, const void *caller)
{
	Dl_info info;

	return *countdown > 0 && size == sizeof(redisCallback) && dladdr(caller, &info) != 0 &&
	       strstr(info.dli_fname, "libhiredis") != NULL && --*countdown == 0;
}

/* hiredis 0.14 calls this one, 1.0 and later the other. */
void *malloc(size_t size)
{
	return is_refused(size, __builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
	return is_refused(number * size, __builtin_return_address(0)) ? NULL
								      : __libc_calloc(number, size);
}
