#include "store/store_error.h"

#include <string.h>

const char *store_error_text(enum store_error error)
{
#define TEXT(value, name) [value] = name,
	static const char *const texts[] = {STORE_ERRORS(TEXT)};
#undef TEXT

	return texts[error];
}

enum store_error store_error_first(enum store_error error)
{
	int first = STORE_OK;

	while (strcmp(store_error_text((enum store_error)first), store_error_text(error)) != 0)
		first++;
	return (enum store_error)first;
}
