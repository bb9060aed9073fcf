/*
 * fuzz_http_path.c - paths, hosts and targets of any bytes. A path that is taken has one way to be
 * written: it begins with a slash, has no empty segment, none that is `.` or `..`, no `;`, `\` or
 * control character, and is not longer than what it was made of. To normalise it again changes
 * nothing, but for the escapes that it may seem to have by then. A host that is taken stays the
 * same, too. What is refused has a reason in one printable line.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "net/http/http_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *memory_of(size_t len)
{
	uint8_t *memory = malloc(len > 0 ? len : 1);

	ASSERT(memory != NULL);
	return memory;
}

static void check_reason(const char *why)
{
	ASSERT(*why != '\0');
	for (; *why != '\0'; why++)
		ASSERT(*why >= ' ' && *why <= '~');
}

static bool is_dot_segment(struct bytes segment)
{
	return bytes_equal(segment, BYTES(".")) || bytes_equal(segment, BYTES(".."));
}

static void check_path(struct bytes path)
{
	struct bytes rest = bytes_skip(path, 1), segment;

	ASSERT(path.len > 0 && path.data[0] == '/');
	for (size_t i = 0; i < path.len; i++)
		ASSERT(path.data[i] >= ' ' && path.data[i] != 0x7f && path.data[i] != ';' &&
		       path.data[i] != '\\' && path.data[i] != '#');
	while (path.len > 1 && bytes_next_item(&rest, '/', &segment))
		ASSERT(segment.len > 0 && !is_dot_segment(segment));
}

/* The path with each `%` escaped: what a client would have to send for it. */
static struct bytes escape(struct bytes path, uint8_t *memory)
{
	struct writer w = writer_on(memory, 3 * path.len);

	for (size_t i = 0; i < path.len; i++)
		if (path.data[i] == '%')
			writer_put_text(&w, "%25");
		else
			writer_put_u8(&w, path.data[i]);
	return writer_bytes(&w);
}

static void check_again(struct bytes path)
{
	uint8_t *escaped = memory_of(3 * path.len), *memory = memory_of(path.len);
	struct writer w = writer_on(memory, path.len);

	ASSERT(http_path_put(&w, escape(path, escaped)) == NULL);
	ASSERT(bytes_equal(writer_bytes(&w), path));
	free(escaped);
	free(memory);
}

static void normalise_path(struct bytes raw)
{
	size_t max = raw.len + (raw.len == 0 || raw.data[0] != '/');
	uint8_t *memory = memory_of(max);
	struct writer w = writer_on(memory, max);
	const char *why = http_path_put(&w, raw);

	ASSERT(!w.full);
	if (why != NULL) {
		check_reason(why);
	} else {
		check_path(writer_bytes(&w));
		check_again(writer_bytes(&w));
	}
	free(memory);
}

static void normalise_host(struct bytes raw)
{
	uint8_t *memory = memory_of(raw.len), *again = memory_of(raw.len);
	struct writer w = writer_on(memory, raw.len), w2 = writer_on(again, raw.len);
	const char *why = http_host_put(&w, raw);

	ASSERT(!w.full);
	if (why != NULL) {
		check_reason(why);
	} else {
		ASSERT(http_host_put(&w2, writer_bytes(&w)) == NULL);
		ASSERT(bytes_equal(writer_bytes(&w), writer_bytes(&w2)));
	}
	free(memory);
	free(again);
}

static void check_inside(struct bytes part, struct bytes whole)
{
	bool is_view = part.len <= whole.len && part.data >= whole.data &&
		       (size_t)(part.data - whole.data) <= whole.len - part.len;

	ASSERT(part.len == 0 || is_view || bytes_equal(part, BYTES("/")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = memory_of(size); /* ends where its memory ends */
	struct bytes input = bytes_from(copy, size);

	if (size > 0)
		memcpy(copy, data, size);
	struct http_target target = http_target_split(input);
	check_inside(target.raw_path, input);
	check_inside(target.query, input);
	ASSERT(target.raw_path.len > 0);
	normalise_path(target.raw_path);
	normalise_path(input);
	normalise_host(input);
	free(copy);
	return 0;
}
