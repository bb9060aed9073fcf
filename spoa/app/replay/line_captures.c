#include "app/replay/line_captures.h"

#include "base/parse.h"
#include "base/writer.h"

#define ENTRY_MAX 100

/* Header names are tokens (RFC 9110, section 5.6.2); attributes are named like them. */
static bool is_name(struct bytes name)
{
	static const char other[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = byte_lower(name.data[i]);
		if ((byte < 'a' || byte > 'z') && (byte < '0' || byte > '9') &&
		    memchr(other, byte, sizeof other - 1) == NULL)
			return false;
	}
	return name.len > 0;
}

static struct bytes put_lower(struct bytes name, struct writer *memory)
{
	size_t begin = memory->len;

	for (size_t i = 0; i < name.len; i++)
		writer_put_u8(memory, byte_lower(name.data[i]));
	return bytes_skip(writer_bytes(memory), begin);
}

/* "src=x-forwarded-for:1" */
static bool read_capture(struct bytes text, struct line_capture *capture, struct writer *memory)
{
	struct bytes rest = text, header, number;
	const uint8_t *equals = memchr(text.data, '=', text.len);
	uint64_t entry = 0;

	if (equals != NULL)
		rest = bytes_skip(text, (size_t)(equals - text.data) + 1);
	if (!bytes_next_item(&rest, ':', &header) || !is_name(header))
		return false;
	if (bytes_next_item(&rest, ':', &number) &&
	    (!parse_whole(number, ENTRY_MAX, &entry) || entry == 0 || rest.data != NULL))
		return false;
	capture->attribute = equals != NULL ? bytes_from(text.data, (size_t)(equals - text.data))
					    : put_lower(header, memory);
	capture->entry = entry;
	return is_name(capture->attribute) && !memory->full;
}

bool line_captures_read(struct bytes text, struct line_captures *captures)
{
	struct writer memory = writer_on(captures->memory, sizeof captures->memory);
	struct bytes item;

	captures->count = 0;
	while (bytes_next_item(&text, ',', &item)) {
		if (captures->count == LINE_CAPTURES_MAX ||
		    !read_capture(bytes_trim(item), &captures->items[captures->count], &memory))
			return false;
		captures->count++;
	}
	return true;
}

static size_t count_items(struct bytes list)
{
	struct bytes item;
	size_t count = 0;

	while (bytes_next_item(&list, ',', &item))
		count++;
	return count;
}

struct bytes line_captures_pick(const struct line_capture *capture, struct bytes value)
{
	size_t count = count_items(value);
	struct bytes item = bytes_from(NULL, 0);

	if (value.len == 0)
		return item;
	if (capture->entry == 0)
		return value;
	if (capture->entry > count)
		return item;
	for (size_t left = count - capture->entry + 1; left > 0; left--)
		(void)bytes_next_item(&value, ',', &item);
	return bytes_trim(item);
}
