#include "base/memory_file.h"

#include <stdlib.h>

bool memory_file_begin(struct memory_file *file)
{
	file->text = NULL;
	file->len = 0;
	file->to = open_memstream(&file->text, &file->len);
	return file->to != NULL;
}

char *memory_file_end(struct memory_file *file)
{
	if (file->to == NULL)
		return NULL;
	bool is_whole = !ferror(file->to);
	is_whole = fclose(file->to) == 0 && is_whole;
	file->to = NULL;
	if (is_whole)
		return file->text;
	free(file->text);
	file->text = NULL;
	return NULL;
}
