#include "app/policies/problems.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/writer.h"

static void put_place(struct writer *w, const struct place *place)
{
	if (place->in == NULL)
		return;
	put_place(w, place->in);
	if (place->name.data == NULL) {
		writer_put_u8(w, '[');
		writer_put_unsigned(w, place->index);
		writer_put_u8(w, ']');
		return;
	}
	if (w->len > 0)
		writer_put_u8(w, '.');
	writer_put_text(w, quoted_unless_plain(place->name).text);
}

void problems_clear(struct problems *problems)
{
	problems->count = 0;
	problems->lacks_descriptors = false;
}

bool problems_are_full(const struct problems *problems)
{
	return problems->count >= PROBLEMS_MAX;
}

bool place_refuse(const struct place *place, const char *format, ...)
{
	struct problems *problems = place->problems;
	char path[ERR_TEXT_MAX / 2];
	struct writer w = writer_on(path, sizeof path);
	va_list args;

	if (problems_are_full(problems)) {
		problems->count++;
		return false;
	}
	struct err *err = &problems->items[problems->count++];
	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	put_place(&w, place);
	if (w.len > 0)
		(void)err_at(err, "%s: ", writer_text(&w));
	return false;
}

static size_t count_kept(const struct problems *problems)
{
	return problems->count < PROBLEMS_MAX ? problems->count : PROBLEMS_MAX;
}

void problems_name_file(struct problems *problems, const char *path)
{
	for (size_t i = 0; i < count_kept(problems); i++)
		(void)err_at(&problems->items[i], "%s: ", path);
}

void problems_to_err(const struct problems *problems, struct err *ret_err)
{
	ASSERT(problems->count > 0);
	if (problems->count == 1)
		*ret_err = problems->items[0];
	else
		(void)err_set(ret_err, "%.*s (and %zu more)", ERR_TEXT_MAX - 40,
			      problems->items[0].text, problems->count - 1);
}

void problems_print(const struct problems *problems, const char *prefix, FILE *to)
{
	for (size_t i = 0; i < count_kept(problems); i++)
		fprintf(to, "%s%s\n", prefix, problems->items[i].text);
	if (problems->count > PROBLEMS_MAX)
		fprintf(to, "%sand %zu more\n", prefix, problems->count - PROBLEMS_MAX);
}
