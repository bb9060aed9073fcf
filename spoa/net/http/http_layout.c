#include "net/http/http_layout.h"

#include <stdint.h>
#include <string.h>

#define MEMORY_ALIGNMENT 16

void http_layout_begin(struct http_layout *layout, const char **memory, const char *first)
{
	if (*memory == NULL)
		*memory = first - (uintptr_t)first % MEMORY_ALIGNMENT;
	layout->at = first == *memory + strlen("\r\n") ? first : *memory;
}

void http_layout_expect(struct http_layout *layout, const char *part, size_t len,
			const char *behind)
{
	if (layout->at != NULL)
		layout->at = layout->at == part ? part + len + strlen(behind) : NULL;
}

bool http_layout_ends_at(const struct http_layout *layout, const char *end)
{
	return layout->at == end;
}
