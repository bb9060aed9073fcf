#include "app/view/static_pages.h"

#include <sodium.h>
#include <string.h>

#include "base/compiler.h"
#include "base/incbin.h"

#define HASH_TEXT_MAX \
	sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL)
#define HEADERS_MAX 1024

INCBIN(status_page, STATUS_HTML);
INCBIN(openapi, OPENAPI_JSON);

static bool write_text(struct bytes text, FILE *to)
{
	return fwrite(text.data, 1, text.len, to) == text.len;
}

bool openapi_write(const void *owner, FILE *to)
{
	(void)owner;
	return write_text(INCBIN_BYTES(openapi), to);
}

/* ---- the status page ---- */

struct bytes status_page_text(void)
{
	return INCBIN_BYTES(status_page);
}

bool status_page_write(const void *owner, FILE *to)
{
	(void)owner;
	return write_text(status_page_text(), to);
}

/* The text between `begin` and `end`, which the file has once each (a test looks). */
static struct bytes find_between(struct bytes text, struct bytes begin, struct bytes end)
{
	const uint8_t *from = memmem(text.data, text.len, begin.data, begin.len);
	ASSERT(from != NULL);
	text = bytes_skip(text, (size_t)(from - text.data) + begin.len);
	const uint8_t *to = memmem(text.data, text.len, end.data, end.len);
	ASSERT(to != NULL);
	return bytes_from(text.data, (size_t)(to - text.data));
}

static void put_hash(char text[HASH_TEXT_MAX], struct bytes part)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, part.data, part.len);
	(void)sodium_bin2base64(text, HASH_TEXT_MAX, hash, sizeof hash,
				sodium_base64_VARIANT_ORIGINAL);
}

const char *status_page_headers(void)
{
	static char headers[HEADERS_MAX]; /* made once: the file does not change */
	char script[HASH_TEXT_MAX], style[HASH_TEXT_MAX];
	struct bytes page = status_page_text();

	if (headers[0] != '\0')
		return headers;
	put_hash(script, find_between(page, BYTES("<script>"), BYTES("</script>")));
	put_hash(style, find_between(page, BYTES("<style>"), BYTES("</style>")));
	int len = snprintf(headers, sizeof headers,
			   "Content-Security-Policy: default-src 'none'; script-src 'sha256-%s'; "
			   "style-src 'sha256-%s'; connect-src 'self'; base-uri 'none'; "
			   "form-action 'none'; frame-ancestors 'none'\n",
			   script, style);
	ASSERT(len > 0 && (size_t)len < sizeof headers);
	return headers;
}
