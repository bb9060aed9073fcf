#include "store/redis/redis_command.h"

static void put_head(struct writer *w, char kind, size_t number)
{
	writer_put_u8(w, (uint8_t)kind);
	writer_put_unsigned(w, number);
	writer_put(w, BYTES("\r\n"));
}

void redis_command_begin(struct writer *w, size_t words)
{
	put_head(w, '*', words);
}

void redis_command_put_len(struct writer *w, size_t len)
{
	put_head(w, '$', len);
}

void redis_command_put(struct writer *w, struct bytes word)
{
	put_head(w, '$', word.len);
	writer_put(w, word);
	writer_put(w, BYTES("\r\n"));
}

void redis_command_put_number(struct writer *w, int64_t number)
{
	uint8_t digits[20];
	struct writer text = writer_on(digits, sizeof digits);

	writer_put_decimal(&text, number);
	redis_command_put(w, writer_bytes(&text));
}
