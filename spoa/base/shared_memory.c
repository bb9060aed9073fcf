#include "base/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

#define PAGE_BYTES 4096 /* at least: it is what shared_memory_shrink unmaps in */
#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/* Linux before 6.3 does not know the flag, and later ones warn without it. */
static int make_descriptor(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}

/* Returns 0 or the errno. */
static int map(struct shared_memory *memory, int fd, size_t size, int protection)
{
	void *data = mmap(NULL, size, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (data == MAP_FAILED)
		return errno;
	*memory = (struct shared_memory){.fd = fd, .data = data, .size = size};
	return 0;
}

bool shared_memory_make(struct shared_memory *memory, const char *name, size_t size)
{
	int fd = make_descriptor(name), error = 0;

	if (fd < 0)
		return false;
	if (ftruncate(fd, (off_t)size) != 0 || fcntl(fd, F_ADD_SEALS, SIZE_SEALS) != 0)
		error = errno;
	if (error == 0)
		error = map(memory, fd, size, PROT_READ | PROT_WRITE);
	if (error != 0)
		(void)close(fd);
	errno = error;
	return error == 0;
}

bool shared_memory_map(struct shared_memory *memory, int fd)
{
	struct stat found;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SIZE_SEALS) != SIZE_SEALS || fstat(fd, &found) != 0 ||
	    found.st_size <= 0 || found.st_size % PAGE_BYTES != 0)
		return false;
	return map(memory, fd, (size_t)found.st_size, PROT_READ) == 0;
}

bool shared_memory_put(const struct shared_memory *memory, size_t at, const void *bytes, size_t len)
{
	return pwrite(memory->fd, bytes, len, (off_t)at) == (ssize_t)len;
}

void shared_memory_shrink(struct shared_memory *memory, size_t most)
{
	size_t cut = memory->size < most ? memory->size : most;

	if (cut > 0)
		(void)munmap(memory->data + memory->size - cut, cut);
	memory->size -= cut;
}

void shared_memory_release(struct shared_memory *memory)
{
	if (memory->data == NULL)
		return;
	if (memory->size > 0)
		(void)munmap(memory->data, memory->size);
	if (memory->fd >= 0)
		(void)close(memory->fd);
	*memory = (struct shared_memory){0};
}
