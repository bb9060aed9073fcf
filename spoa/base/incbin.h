/*
 * incbin.h - a file of the source tree, held in the binary as it is.
 *
 *     INCBIN(licence, "/path/of/LICENSE");
 *
 *     struct bytes text = INCBIN_BYTES(licence);
 *
 * The path is a string literal that CMakeLists.txt gives. The two symbols must be global:
 * link-time optimization may put the assembly and the code that names the symbols into different
 * object files. They are hidden, so that nothing outside of the binary sees them.
 */
#ifndef BASE_INCBIN_H
#define BASE_INCBIN_H

#include "base/bytes.h"

#define INCBIN(name, path)                                                                 \
	extern const char name##_begin[], name##_end[];                                    \
	__asm__(".pushsection .rodata\n"                                                   \
		".global " #name "_begin, " #name "_end\n"                                 \
		".hidden " #name "_begin, " #name "_end\n" #name "_begin: .incbin \"" path \
		"\"\n" #name "_end:\n"                                                     \
		".popsection\n")

#define INCBIN_BYTES(name) bytes_from(name##_begin, (size_t)(name##_end - name##_begin))

#endif
