#include "app/secret_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 2048

bool secret_file_read(const char *path, char *ret_secret, size_t max, struct err *err)
{
	char text[LINE_MAX_BYTES];
	FILE *file = fopen(path, "re");

	errno = file == NULL ? errno : 0;
	size_t read = file == NULL ? 0 : fread(text, 1, sizeof text, file);
	int error = errno;
	if (file != NULL)
		(void)fclose(file);
	if (read == 0)
		return err_set(err, "%s: %s", path, error != 0 ? strerror(error) : "it is empty");
	if (read >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return err_set(err, "%s: begins with a byte order mark (BOM); save it without one",
			       path);
	size_t len = 0;
	while (len < read && text[len] != '\r' && text[len] != '\n')
		len++;
	if (len == 0)
		return err_set(err, "%s: its first line is empty", path);
	if (len >= max)
		return err_set(err, "%s: longer than %zu bytes", path, max - 1);
	if (memchr(text, '\0', len) != NULL)
		return err_set(err, "%s: a NUL character in its first line", path);
	memcpy(ret_secret, text, len);
	ret_secret[len] = '\0';
	return true;
}
