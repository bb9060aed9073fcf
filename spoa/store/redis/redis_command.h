/*
 * redis_command.h - puts a command to Redis as RESP2: its number of words, then each word.
 */
#ifndef STORE_REDIS_COMMAND_H
#define STORE_REDIS_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/writer.h"

void redis_command_begin(struct writer *w, size_t words);
void redis_command_put(struct writer *w, struct bytes word);
void redis_command_put_number(struct writer *w, int64_t number);
/* The head of a word of `len` bytes. The caller puts the bytes and then "\r\n". */
void redis_command_put_len(struct writer *w, size_t len);

#endif
