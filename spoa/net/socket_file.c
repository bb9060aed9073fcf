#include "net/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 100 /* with a millisecond between */

static const char *path_of(const struct address *address)
{
	return ((const struct sockaddr_un *)&address->socket)->sun_path;
}

/* ---- the lock ---- */

static int open_directory(const char *path)
{
	char directory[sizeof(struct sockaddr_un)];
	size_t len = (size_t)(strrchr(path, '/') - path);

	memcpy(directory, path, len);
	strcpy(directory + len, len == 0 ? "/" : "");
	return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Returns a descriptor that unlocks when it is closed, or -1. Others that lock must not stop us. */
static int lock_directory(const char *path)
{
	const struct timespec millisecond = {.tv_nsec = 1000000};
	int fd = open_directory(path);

	for (int i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		(void)nanosleep(&millisecond, NULL);
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- looking ---- */

/* Whether somebody listens on the Unix socket, as far as this process can tell. */
static bool has_listener(const struct address *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused;

	if (fd < 0)
		return true;
	refused = connect(fd, (const struct sockaddr *)&address->socket, address->len) != 0 &&
		  errno == ECONNREFUSED;
	close(fd);
	return !refused;
}

static bool is_stale(const struct address *address)
{
	struct stat stat;

	return lstat(path_of(address), &stat) == 0 && S_ISSOCK(stat.st_mode) &&
	       !has_listener(address);
}

static bool is_ours(const struct address *address, const struct socket_file *file)
{
	struct stat stat;

	return lstat(path_of(address), &stat) == 0 && stat.st_dev == file->device &&
	       stat.st_ino == file->inode;
}

/* ---- the file ---- */

static bool set_rights(const struct address *address)
{
	const char *path = path_of(address);
	uid_t user = address->has_user ? address->user : (uid_t)-1; /* -1: stays as it is */
	gid_t group = address->has_group ? address->group : (gid_t)-1;

	if ((address->has_user || address->has_group) && lchown(path, user, group) != 0)
		return false;
	return !address->has_mode || chmod(path, address->mode) == 0;
}

/* Nobody can connect before listen(), so the rights are set in time. */
static bool listen_on_file(const struct address *address, int fd, int backlog,
			   struct socket_file *ret_file)
{
	struct stat stat;

	if (lstat(path_of(address), &stat) != 0)
		return false;
	*ret_file = (struct socket_file){.device = stat.st_dev, .inode = stat.st_ino};
	return set_rights(address) && listen(fd, backlog) == 0;
}

/* Under the lock, where there is one. */
static bool bind_and_listen(const struct address *address, int fd, int backlog,
			    struct socket_file *ret_file)
{
	if (bind(fd, (const struct sockaddr *)&address->socket, address->len) != 0)
		return false;
	if (listen_on_file(address, fd, backlog, ret_file))
		return true;
	int error = errno;
	unlink(path_of(address));
	errno = error;
	return false;
}

bool socket_file_listen(const struct address *address, int fd, int backlog,
			struct socket_file *ret_file)
{
	int lock = lock_directory(path_of(address));

	if (lock >= 0 && is_stale(address))
		unlink(path_of(address));
	bool listens = bind_and_listen(address, fd, backlog, ret_file);
	int error = errno;
	if (lock >= 0)
		close(lock);
	errno = error;
	return listens;
}

void socket_file_remove(const struct address *address, const struct socket_file *file)
{
	int lock = lock_directory(path_of(address));

	if (lock < 0)
		return;
	if (is_ours(address, file))
		unlink(path_of(address));
	close(lock);
}
