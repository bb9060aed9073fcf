#include "app/secret_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 2048

bool secret_file_read(const char *path, char *ret_secret, size_t max, struct err *err)
{
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(path, "re");

	errno = file == NULL ? errno : 0;
	bool is_read = file != NULL && fgets(line, sizeof line, file) != NULL;
	int error = errno;
	if (file != NULL)
		(void)fclose(file);
	if (!is_read)
		return err_set(err, "%s: %s", path, error != 0 ? strerror(error) : "it is empty");
	size_t len = strcspn(line, "\r\n");
	if (len == 0)
		return err_set(err, "%s: its first line is empty", path);
	if (len >= max)
		return err_set(err, "%s: longer than %zu bytes", path, max - 1);
	memcpy(ret_secret, line, len);
	ret_secret[len] = '\0';
	return true;
}
