#include "app/replay/line_format.h"

#include <stdio.h>
#include <string.h>

#include "support/sweep.h"
#include "support/test.h"

static struct line_format format;

/* "[text]" before each field, and then what it means as a number; the time is marked. */
static void assert_pieces(const char *text, size_t count, const char *const *texts)
{
	struct err err = {""};

	if (!line_format_read(bytes_from_text(text), &format, &err))
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(format.count, count);
	for (size_t i = 0; i < count; i++)
		if (!bytes_equal(format.pieces[i].text, bytes_from_text(texts[i])))
			fail_msg("%s: piece %zu: %.*s", text, i, (int)format.pieces[i].text.len,
				 format.pieces[i].text.data);
}

TEST(line_format_read_takes_a_format_apart)
{
	assert_pieces("%ci:%cp [%tr] \"%HM\" 100%%", 4,
		      (const char *[]){"", " [", "] \"", "\" 100%"});
	assert_int_equal(format.pieces[0].field.meaning, LINE_CLIENT);
	assert_int_equal(format.pieces[1].field.meaning, LINE_AT_REQUEST);
	assert_int_equal(format.pieces[2].field.meaning, LINE_METHOD);
	assert_int_equal(format.pieces[3].field.shape, LINE_END);
	assert_int_equal(format.time, 1);
	assert_int_equal(format.ms, format.count);
	assert_int_equal(format.took, format.count);
}

TEST(line_format_read_spaces_and_quotes_are_those_of_the_configuration)
{
	assert_pieces("  %ci   %t  ", 3, (const char *[]){"", " ", " "});
	assert_pieces("%ci\\ [%t]\\ \\\"%r\\\"", 4, (const char *[]){"", " [", "] \"", "\""});
	assert_pieces("\"%ci %t\"", 3, (const char *[]){"", " ", ""});
	assert_pieces("'%ci %t \"%r\"'", 4, (const char *[]){"", " ", " \"", "\""});
	assert_pieces("\"%ci %t \\\"%r\\\"\"", 4, (const char *[]){"", " ", " \"", "\""});
	assert_pieces("\"%ci\" %t \"%r\"", 4, (const char *[]){"\"", "\" ", " \"", "\""});
	assert_pieces("%{+Q}o %ci %t", 3, (const char *[]){"", " ", ""});
}

TEST(line_format_read_flags_are_those_of_the_field_or_of_all)
{
	assert_pieces("%{+Q}o%b %{-Q}s %{+X}ci %{-Q,+E}[var(txn.a)] %{+Q-X+E}H %t", 7,
		      (const char *[]){"", " ", " ", " ", " ", " ", ""});
	static const char flags[] = "Q--|---|QX-|--E|Q-E|Q--|";
	char found[64] = "";
	for (size_t i = 0; i < 6; i++) {
		const struct line_piece *piece = &format.pieces[i];
		snprintf(found + 4 * i, 5, "%c%c%c|", piece->is_quoted ? 'Q' : '-',
			 piece->is_hex ? 'X' : '-', piece->is_escaped ? 'E' : '-');
	}
	assert_string_equal(found, flags);
}

TEST(line_format_read_expressions_and_names)
{
	static const struct {
		const char *text;
		enum line_meaning meaning;
		const char *name;
	} cases[] = {
		{"%[src]", LINE_SRC, "src"},
		{"%[src,ipmask(24)]", LINE_SRC, "src"},
		{"%[var(txn.path),json(utf8s)]", LINE_NAMED, "path"},
		{"%[ var(sess.plan) ]", LINE_NAMED, "plan"},
		{"%[var(txn.rl.reason)]", LINE_NOTHING, ""},
		{"%[var(txn.)]", LINE_NOTHING, ""},
		{"%[var(txn.base)]", LINE_BASE, ""},
		{"%[var(txn.at_ms)]", LINE_AT_REQUEST_MS, ""},
		{"%[date(0,ms)]", LINE_AT_NOW, ""},
		{"%[capture.req.hdr(12)]", LINE_CAPTURE, ""},
		{"%[capture.req.hdr(x)]", LINE_NOTHING, ""},
		{"%[capture.req.uri]", LINE_URI, "path"},
		{"%[ssl_fc_sni,regsub([.]$,)]", LINE_NOTHING, ""},
		{"%(client:str)ci", LINE_SRC, "src"},
		{"%(host)[var(txn.host)]", LINE_NAMED, "host"},
		{"%HPO", LINE_PATH, "path"},
		{"%Ts", LINE_AT_CONNECTION_S, ""},
	};
	char text[128];
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof text, "%s %%t", cases[i].text);
		if (!line_format_read(bytes_from_text(text), &format, &err))
			fail_msg("%s: %s", text, err.text);
		if (format.pieces[0].field.meaning != cases[i].meaning ||
		    !bytes_equal(format.pieces[0].field.name, bytes_from_text(cases[i].name)))
			fail_msg("%s: %d", text, format.pieces[0].field.meaning);
	}
}

TEST(line_format_read_the_best_time_counts)
{
	static const struct {
		const char *text;
		size_t time;
	} cases[] = {
		{"%t %tr", 1},
		{"%tr %t", 0},
		{"%[date(0,ms)] %Ts %ms", 1},
		{"%[var(txn.at_ms)] %tr", 0},
		{"%T %Tl %t", 0},
		{"%t %[accept_date(ms)]", 1},
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(line_format_read(bytes_from_text(cases[i].text), &format, &err));
		assert_int_equal(format.time, cases[i].time);
	}
}

TEST(line_format_read_neighbours_that_only_go_together_are_one_field)
{
	assert_pieces("%t %CC %CS %tsc", 4, (const char *[]){"", " ", " ", ""});
	assert_true(format.pieces[1].is_pair);
	assert_pieces("%t %CC|%CS", 4, (const char *[]){"", " ", "|", ""});
	assert_pieces("%t %ci/%cp", 4, (const char *[]){"", " ", "/", ""});
	assert_pieces("%t %{+X}ci:%cp", 4, (const char *[]){"", " ", ":", ""});
	assert_pieces("%t %{+Q}CC %{+Q}CS", 4, (const char *[]){"", " ", " ", ""});
}

TEST(line_format_read_what_is_not_known_is_named)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"%t %xy", "\"%xy\" is not known"},
		{"%t %", "\"%\" is not known"},
		{"%t %cix", "\"%cix\" is not known"},
		{"%t %[src", "bracket ] is missing at \"%[src\""},
		{"%t %[f(a]", "bracket ] is missing"},
		{"%t %{+Q ci", "bracket } is missing"},
		{"%t %(x ci", "bracket ) is missing"},
		{"%t %{+json}o", "the flag \"+json\" is not read"},
		{"%t %{Q}ci", "the flag \"Q\" is not read"},
		{"%ci:%cp %HM", "no time of the request"},
		{"", "no time of the request"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {""};
		assert_false(line_format_read(bytes_from_text(cases[i].text), &format, &err));
		if (strstr(err.text, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

TEST(line_format_read_has_bounds)
{
	static char text[LINE_FORMAT_MAX + 2];
	struct err err;

	for (size_t i = 0; i < LINE_PIECES_MAX; i++)
		memcpy(text + 3 * i, "%t ", 3);
	assert_true(line_format_read(bytes_from(text, 3 * (LINE_PIECES_MAX - 1)), &format, &err));
	assert_false(line_format_read(bytes_from(text, 3 * LINE_PIECES_MAX), &format, &err));
	assert_string_equal(err.text, "it has more than 127 fields");
	memset(text, '.', sizeof text);
	memcpy(text, "%t", 2);
	assert_true(line_format_read(bytes_from(text, LINE_FORMAT_MAX), &format, &err));
	assert_false(line_format_read(bytes_from(text, LINE_FORMAT_MAX + 1), &format, &err));
}

static int decode(struct bytes input, void *context)
{
	struct err err = {""};

	(void)context;
	if (!line_format_read(input, &format, &err)) {
		for (const char *c = err.text; *c != '\0'; c++)
			assert_in_range(*c, ' ', '~');
		return -1;
	}
	assert_in_range(format.count, 1, LINE_PIECES_MAX);
	return 1;
}

TEST(line_format_read_any_bytes_are_read_within_their_bounds)
{
	(void)sweep_decoder(
		BYTES("\"%{+Q}o %(c)ci:%cp [%tr] %{-Q+X}ci %[var(txn.a),lower] \\\"%%\""), decode,
		NULL);
}
