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
/* Two numbers below 10. */
void redis_command_put_digits(struct writer *w, uint8_t first, uint8_t second);
/* One word that is made of both. */
void redis_command_put_two(struct writer *w, struct bytes first, struct bytes second);

#endif
