#include "base/compiler.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *fact, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, fact);
	abort();
}
