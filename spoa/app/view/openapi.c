#include "app/view/openapi.h"

#include "base/incbin.h"

INCBIN(openapi, OPENAPI_JSON);

void openapi_write(const void *owner, FILE *to)
{
	struct bytes text = INCBIN_BYTES(openapi);

	(void)owner;
	(void)fwrite(text.data, 1, text.len, to);
}
