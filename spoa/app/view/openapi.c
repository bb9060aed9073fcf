#include "app/view/openapi.h"

extern const char openapi_begin[], openapi_end[];

__asm__(".section .rodata\n"
	"openapi_begin: .incbin \"" OPENAPI_JSON "\"\n"
	"openapi_end:\n"
	".previous\n");

void openapi_write(const void *owner, FILE *to)
{
	(void)owner;
	(void)fwrite(openapi_begin, 1, (size_t)(openapi_end - openapi_begin), to);
}
