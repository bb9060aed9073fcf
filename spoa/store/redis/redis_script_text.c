/* The script that CMakeLists.txt puts together from lua/, as it is. */
#include "store/redis/redis_script.h"

extern const char limiters_begin[], limiters_end[];

__asm__(".section .rodata\n"
	"limiters_begin: .incbin \"" LIMITERS "\"\n"
	"limiters_end:\n"
	".previous\n");

struct bytes redis_script_text(void)
{
	return bytes_from(limiters_begin, (size_t)(limiters_end - limiters_begin));
}
