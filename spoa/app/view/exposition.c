#include "app/view/exposition.h"

#include "base/writer.h"

#define LINE_MAX_BYTES 512
#define BOUND_MAX      24

static void put_line(const struct exposition *e, struct writer *w)
{
	writer_put_u8(w, '\n');
	ASSERT(!w->full); /* a policy's name has at most 64 bytes, all other text is constant */
	(void)fwrite_unlocked(w->data, 1, w->len, e->to);
}

void exposition_begin(struct exposition *e, const char *name, const char *type, const char *help)
{
	e->name = name;
	fprintf(e->to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_label(struct writer *w, const struct label *label, char before)
{
	writer_put_u8(w, (uint8_t)before);
	writer_put_text(w, label->name);
	writer_put_text(w, "=\"");
	writer_put_text(w, label->value);
	writer_put_u8(w, '"');
}

/* name_suffix{labels} and a space */
static void put_series(const struct exposition *e, struct writer *w, const char *suffix,
		       const struct label *labels)
{
	char before = '{';

	writer_put_text(w, e->name);
	writer_put_text(w, suffix);
	for (; labels->name != NULL; labels++) {
		put_label(w, labels, before);
		before = ',';
	}
	if (before == ',')
		writer_put_u8(w, '}');
	writer_put_u8(w, ' ');
}

static void put_sample(const struct exposition *e, const char *suffix, const struct label *labels,
		       uint64_t value, unsigned decimals)
{
	char memory[LINE_MAX_BYTES];
	struct writer w = writer_on(memory, sizeof memory);

	put_series(e, &w, suffix, labels);
	writer_put_fraction(&w, value, decimals);
	put_line(e, &w);
}

void exposition_put(struct exposition *e, const struct label *labels, uint64_t value)
{
	put_sample(e, "", labels, value, 0);
}

void exposition_put_fraction(struct exposition *e, const struct label *labels, uint64_t value,
			     unsigned decimals)
{
	put_sample(e, "", labels, value, decimals);
}

void exposition_put_part(struct exposition *e, const char *suffix, const struct label *labels,
			 uint64_t value)
{
	put_sample(e, suffix, labels, value, 0);
}

/* With the label `le` after the others. */
static void put_bucket(struct exposition *e, const struct label *labels, const char *bound,
		       uint64_t value)
{
	struct label with_bound[LABELS_MAX + 1];
	size_t count = 0;

	for (; labels->name != NULL; labels++) {
		ASSERT(count < LABELS_MAX - 1);
		with_bound[count++] = *labels;
	}
	with_bound[count++] = (struct label){"le", bound};
	with_bound[count] = (struct label){NULL, NULL};
	put_sample(e, "_bucket", with_bound, value, 0);
}

void exposition_put_histogram(struct exposition *e, const struct label *labels,
			      const struct histogram *histogram, unsigned decimals)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		char memory[BOUND_MAX];
		struct writer bound = writer_on(memory, sizeof memory);
		writer_put_fraction(&bound, (uint64_t)histogram_bounds_us[i], decimals);
		sum += histogram->buckets[i];
		put_bucket(e, labels, writer_text(&bound), sum);
	}
	put_bucket(e, labels, "+Inf", histogram->count);
	put_sample(e, "_sum", labels, histogram->sum_us, decimals);
	put_sample(e, "_count", labels, histogram->count, 0);
}
