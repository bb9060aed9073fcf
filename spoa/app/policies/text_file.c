#include "app/policies/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL, with errno set, when the file can't be opened. */
static FILE *open_file(const char *path)
{
	struct stat stat = {.st_mode = 0};
	FILE *file = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		file = fdopen(fd, "r");
	else
		errno = S_ISDIR(stat.st_mode) ? EISDIR : EINVAL;
	if (file != NULL)
		return file;
	int error = errno;
	close(fd);
	errno = error;
	return NULL;
}

char *text_file_read(const char *path, size_t max_bytes, size_t *ret_len)
{
	FILE *file = open_file(path);
	char *memory = file == NULL ? NULL : malloc(max_bytes);
	size_t len = memory == NULL ? 0 : fread(memory, 1, max_bytes, file);
	int error = len == max_bytes ? EFBIG : errno;
	bool is_whole = memory != NULL && feof(file) && !ferror(file);

	if (file != NULL)
		(void)fclose(file);
	if (!is_whole) {
		free(memory);
		errno = error;
		return NULL;
	}
	*ret_len = len;
	return memory;
}
