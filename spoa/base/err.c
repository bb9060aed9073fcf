#include "base/err.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/writer.h"

bool err_set(struct err *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	return false;
}

bool err_at(struct err *err, const char *format, ...)
{
	struct err inner = *err;
	struct writer w = writer_on(err->text, sizeof err->text);
	va_list args;

	va_start(args, format);
	int len = vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	size_t written = len < 0 ? 0 : (size_t)len;
	(void)writer_take(&w, written < sizeof err->text ? written : sizeof err->text - 1);
	for (const char *c = inner.text; *c != '\0'; c++)
		writer_put_u8(&w, (uint8_t)*c);
	(void)writer_text(&w);
	return false;
}

static void put_escaped(struct writer *w, uint8_t byte)
{
	if (byte == '"' || byte == '\\') {
		writer_put_u8(w, '\\');
		writer_put_u8(w, byte);
	} else if (byte >= 0x20 && byte < 0x7f) {
		writer_put_u8(w, byte);
	} else {
		writer_put_text(w, "\\x");
		writer_put_hex(w, bytes_from(&byte, 1));
	}
}

struct quoted quoted(struct bytes bytes)
{
	struct quoted q;
	struct writer w = writer_on(q.text, sizeof q.text - 5); /* room for `..."` and the NUL */
	size_t fits = 0;

	writer_put_u8(&w, '"');
	for (size_t i = 0; i < bytes.len && !w.full; i++) {
		fits = writer_mark(&w);
		put_escaped(&w, bytes.data[i]);
	}
	bool cut = w.full;
	if (cut)
		writer_rewind(&w, fits);
	w.max = sizeof q.text;
	writer_put_text(&w, cut ? "...\"" : "\"");
	(void)writer_text(&w);
	return q;
}

struct quoted quoted_unless_plain(struct bytes name)
{
	struct quoted q;
	struct writer w = writer_on(q.text, sizeof q.text);

	for (size_t i = 0; i < name.len; i++)
		if (strchr("._-", name.data[i]) == NULL && !isalnum(name.data[i]))
			return quoted(name);
	if (name.len == 0 || name.len >= sizeof q.text)
		return quoted(name);
	writer_put(&w, name);
	(void)writer_text(&w);
	return q;
}
