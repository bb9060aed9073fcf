/* The script that CMakeLists.txt puts together from lua/, as it is. */
#include "store/redis/redis_script.h"

#include "base/incbin.h"

INCBIN(limiters, LIMITERS);

struct bytes redis_script_text(void)
{
	return INCBIN_BYTES(limiters);
}
