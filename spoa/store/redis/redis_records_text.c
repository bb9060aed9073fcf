/* The script of the records, as it is. */
#include "store/redis/redis_records_call.h"

#include "base/incbin.h"

INCBIN(records_script, RECORDS_LUA);

struct bytes redis_records_script(void)
{
	return INCBIN_BYTES(records_script);
}
