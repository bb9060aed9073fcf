/*
 * openapi.h - docs/openapi.json, held in the binary and served as it is.
 */
#ifndef APP_OPENAPI_H
#define APP_OPENAPI_H

#include <stdio.h>

void openapi_write(const void *owner, FILE *to);

#endif
