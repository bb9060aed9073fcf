/*
 * fuzz_redis_target.c - any bytes as the URL of a store. A URL that is taken is within its bounds,
 * and its text is a URL of the same place without the login. A URL that is refused has an error of
 * one printable line without the password.
 *
 * A $ of the input stands for the password.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/writer.h"
#include "store/redis/redis_target.h"

#define SECRET  "hunter2"
#define URL_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_secret(const char *text)
{
	return strstr(text, SECRET) != NULL;
}

static bool has_secret_place(const struct redis_target *target)
{
	bool has = has_secret(target->host) || has_secret(target->master);

	for (size_t i = 0; i < target->place_count; i++)
		has = has || has_secret(target->places[i].host);
	return has;
}

static void check_error(struct bytes url, const struct err *err)
{
	size_t len = strnlen(err->text, sizeof err->text);

	ASSERT(len > 0 && len < sizeof err->text);
	for (size_t i = 0; i < len; i++)
		ASSERT(err->text[i] >= ' ' && err->text[i] <= '~');
	/* No more than a scheme is shown, when there is no @ in it. */
	const uint8_t *colon = memchr(url.data, ':', url.len);
	size_t scheme = colon == NULL ? url.len : (size_t)(colon - url.data);
	ASSERT(!has_secret(err->text) || (memmem(url.data, scheme, SECRET, strlen(SECRET)) &&
					  memchr(url.data, '@', scheme) == NULL));
}

/* The place in the URL, without the login. */
static void check_text(const struct redis_target *target)
{
	struct redis_target again;
	struct err err;

	ASSERT(strlen(target->text) < sizeof target->text - 1);
	if (target->is_unix)
		return; /* its path is told as it is, not escaped */
	ASSERT(strchr(target->text, '@') == NULL);
	ASSERT(!has_secret(target->text) || has_secret_place(target));
	ASSERT(redis_target_parse(bytes_from_text(target->text), &again, &err));
	ASSERT(strcmp(again.host, target->host) == 0 && strcmp(again.port, target->port) == 0);
	ASSERT(again.is_tls == target->is_tls && again.topology == target->topology);
	ASSERT(again.place_count == target->place_count);
	ASSERT(strcmp(again.master, target->master) == 0);
	ASSERT(again.db == target->db && *again.user == '\0' && *again.password == '\0');
	ASSERT(strcmp(again.text, target->text) == 0);
}

static void check_target(const struct redis_target *target)
{
	ASSERT(strnlen(target->host, sizeof target->host) < sizeof target->host);
	ASSERT(strnlen(target->path, sizeof target->path) < sizeof target->path);
	ASSERT(strnlen(target->user, sizeof target->user) < sizeof target->user);
	ASSERT(strnlen(target->password, sizeof target->password) < sizeof target->password);
	ASSERT((*target->host == '\0') == target->is_unix);
	ASSERT((*target->path == '/') == target->is_unix);
	ASSERT(target->is_unix || (atoi(target->port) > 0 && atoi(target->port) < 65536));
	ASSERT((target->place_count == 0) == (target->topology == REDIS_ONE_SERVER));
	ASSERT((*target->master == '\0') == (target->topology != REDIS_SENTINEL));
	check_text(target);
}

static struct bytes fill_in(struct bytes input, char *memory, size_t max)
{
	struct writer w = writer_on(memory, max);

	for (size_t i = 0; i < input.len; i++) {
		if (input.data[i] == '$')
			writer_put_text(&w, SECRET);
		else
			writer_put_u8(&w, input.data[i]);
	}
	return writer_bytes(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char memory[URL_MAX];
	struct bytes filled = fill_in(bytes_from(data, size), memory, sizeof memory);
	/* In a block of its own, so that the sanitizer sees a byte too many. */
	uint8_t *alone = malloc(filled.len > 0 ? filled.len : 1);
	ASSERT(alone != NULL);
	struct bytes url = bytes_from(alone, filled.len);
	struct redis_target target;
	struct err err = {""};

	if (filled.len > 0)
		memcpy(alone, filled.data, filled.len);
	if (redis_target_parse(url, &target, &err))
		check_target(&target);
	else
		check_error(url, &err);
	free(alone);
	return 0;
}
