#include "app/replay/replay_plot.h"

#include <inttypes.h>
#include <time.h>

#include "app/replay/replay_against.h"
#include "app/replay/replay_summary.h"
#include "base/clock.h"

/* In pixels. */
#define WIDTH       880
#define LEFT        56
#define RIGHT       840
#define TOP         52
#define PANEL       176 /* from one panel to the next */
#define PANEL_TITLE 14
#define PLOT_TOP    26
#define PLOT_HEIGHT 100
#define TICK_LABEL  16
#define TIME_TICKS  9
#define TIME_TEXT   24
#define BAR_GAP     0.18 /* as a part of the width of a step */

static const char style[] =
	"<style>\n"
	"svg{--back:#fff;--ink:#24292f;--faint:#57606a;--line:#d8dee4;"
	"--allowed:#3f8fd2;--denied:#d1482f;--shadow:#d9a441}\n"
	"@media(prefers-color-scheme:dark){svg{--back:#0d1117;--ink:#e6edf3;--faint:#9198a1;"
	"--line:#30363d;--allowed:#4493d8;--denied:#e5644b;--shadow:#d6a545}}\n"
	"text{font:12px system-ui,sans-serif;fill:var(--faint)}\n"
	".name{font-weight:600;font-size:13px;fill:var(--ink)}\n"
	".back{fill:var(--back)}.line{stroke:var(--line);stroke-width:1}\n"
	".allowed{fill:var(--allowed)}.denied{fill:var(--denied)}.shadow{fill:var(--shadow)}\n"
	".mid{text-anchor:middle}.end{text-anchor:end}\n"
	"</style>\n";

struct panel {
	const struct policy *policy;
	const struct replay_row *row;
	const struct replay_row *twin; /* of the same policy in the other file, or NULL */
	const char *file;              /* NULL when there is one file */
};

struct panels {
	struct panel items[REPLAY_PANELS_MAX];
	size_t count; /* of those that are left out too */
};

struct plot {
	FILE *to;
	const struct replay_counts *counts;
	double step_width;
};

/* ---- time ---- */

static int64_t begin_us(const struct replay_counts *counts)
{
	return counts->first_step * counts->step_us;
}

static int64_t end_us(const struct replay_counts *counts)
{
	return begin_us(counts) + (int64_t)counts->step_count * counts->step_us;
}

static double x_of(const struct replay_counts *counts, int64_t at_us)
{
	double part =
		(double)(at_us - begin_us(counts)) / (double)(end_us(counts) - begin_us(counts));

	return LEFT + part * (RIGHT - LEFT);
}

/* The distance of the time marks: the smallest usual one of which at most TIME_TICKS fit. */
static int64_t tick_us(int64_t span_us)
{
	static const int64_t ms[] = {
		1,        2,        5,        10,        20,        50,      100,     200,
		500,      1000,     2000,     5000,      10000,     15000,   30000,   60000,
		120000,   300000,   600000,   900000,    1800000,   3600000, 7200000, 10800000,
		21600000, 43200000, 86400000, 172800000, 604800000,
	};

	for (size_t i = 0; i < ARRAY_SIZE(ms); i++)
		if (span_us / (ms[i] * US_PER_MS) <= TIME_TICKS)
			return ms[i] * US_PER_MS;
	return divide_up(span_us, TIME_TICKS);
}

/* "500 ms", "30 s", "5 min", "2 h", "7 d" */
static void put_length(FILE *to, int64_t us)
{
	static const struct {
		int64_t us;
		const char *name;
	} units[] = {
		{86400 * US_PER_SECOND, "d"},
		{3600 * US_PER_SECOND, "h"},
		{60 * US_PER_SECOND, "min"},
		{US_PER_SECOND, "s"},
		{US_PER_MS, "ms"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (us % units[i].us == 0) {
			fprintf(to, "%" PRId64 " %s", us / units[i].us, units[i].name);
			return;
		}
}

static void put_date(FILE *to, int64_t at_us, int64_t every_us)
{
	const char *format = every_us >= 86400 * US_PER_SECOND ? "%Y-%m-%d"
			     : every_us >= 60 * US_PER_SECOND  ? "%m-%d %H:%M"
							       : "%H:%M:%S";
	time_t seconds = at_us / US_PER_SECOND;
	char text[TIME_TEXT] = "";
	struct tm date;

	if (gmtime_r(&seconds, &date) != NULL)
		strftime(text, sizeof text, format, &date);
	fputs(text, to);
	if (every_us < US_PER_SECOND)
		fprintf(to, ".%03d", (int)(at_us % US_PER_SECOND / US_PER_MS));
}

static void put_time(FILE *to, int64_t at_us, int64_t every_us)
{
	if (replay_summary_is_date(at_us))
		put_date(to, at_us, every_us);
	else if (every_us < US_PER_SECOND)
		fprintf(to, "%.3f s", (double)at_us / 1e6);
	else
		fprintf(to, "%" PRId64 " s", at_us / US_PER_SECOND);
}

/* ---- a panel ---- */

static uint64_t height_of(const struct replay_step *step)
{
	return step->allowed + step->denied + step->shadow_denied;
}

/* The upper end of the scale: 1, or a round number of which the half is a whole number too. */
static uint64_t scale_of(const struct replay_step *steps, size_t count)
{
	static const uint64_t digits[] = {1, 2, 4, 6, 8, 10, 12, 16};
	uint64_t highest = 1;

	for (size_t i = 0; i < count; i++)
		if (height_of(&steps[i]) > highest)
			highest = height_of(&steps[i]);
	for (uint64_t power = 1;; power *= 10)
		for (size_t i = 0; i < ARRAY_SIZE(digits); i++)
			if (digits[i] * power >= highest)
				return digits[i] * power;
}

static void draw_line(FILE *to, double x1, double y1, double x2, double y2)
{
	fprintf(to, "<path class=\"line\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", x1, y1, x2, y2);
}

static void put_levels(FILE *to, double top, uint64_t scale)
{
	unsigned marks = scale > 1 ? 2 : 1;

	for (unsigned i = 0; i <= marks; i++) {
		double y = top + PLOT_HEIGHT - (double)PLOT_HEIGHT * i / marks;
		draw_line(to, LEFT, y, RIGHT, y);
		fprintf(to, "<text class=\"end\" x=\"%d\" y=\"%.1f\">%" PRIu64 "</text>\n",
			LEFT - 8, y + 4, scale * i / marks);
	}
}

static void put_times(const struct plot *plot, double bottom)
{
	const struct replay_counts *counts = plot->counts;
	int64_t every_us = tick_us(end_us(counts) - begin_us(counts));

	for (int64_t at_us = divide_up(begin_us(counts), every_us) * every_us;
	     at_us <= end_us(counts); at_us += every_us) {
		double x = x_of(counts, at_us);
		draw_line(plot->to, x, bottom, x, bottom + 4);
		fprintf(plot->to, "<text class=\"mid\" x=\"%.1f\" y=\"%.1f\">", x,
			bottom + TICK_LABEL);
		put_time(plot->to, at_us, every_us);
		fputs("</text>\n", plot->to);
	}
}

/* A piece of a bar: `units` requests high, above `from` requests. */
static void put_piece(const struct plot *plot, double bottom, size_t step, uint64_t from,
		      uint64_t units, double unit, const char *class)
{
	if (units == 0)
		return;
	fprintf(plot->to,
		"<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n",
		class, LEFT + plot->step_width * ((double)step + BAR_GAP / 2),
		bottom - (double)(from + units) * unit, plot->step_width * (1 - BAR_GAP),
		(double)units * unit);
}

static void put_bars(const struct plot *plot, double bottom, const struct replay_step *steps,
		     uint64_t scale)
{
	double unit = PLOT_HEIGHT / (double)scale;

	for (size_t i = 0; i < plot->counts->step_count; i++) {
		const struct replay_step *s = &steps[i];
		put_piece(plot, bottom, i, 0, s->allowed, unit, "allowed");
		put_piece(plot, bottom, i, s->allowed, s->denied, unit, "denied");
		put_piece(plot, bottom, i, s->allowed + s->denied, s->shadow_denied, unit,
			  "shadow");
	}
}

/* The name of a file may have any bytes. Those that are not printable ASCII are left out. */
static void put_file(FILE *to, const char *file)
{
	for (; *file != '\0'; file++)
		if (*file == '<' || *file == '&')
			fputs(*file == '<' ? "&lt;" : "&amp;", to);
		else if (*file >= ' ' && *file <= '~')
			fputc(*file, to);
}

/* A name has letters, digits, `.`, `_` and `-` only (limit/policy.h): nothing needs escaping. */
static void put_title(FILE *to, double y, const struct panel *panel)
{
	const struct replay_step *total = &panel->row->total;

	fprintf(to, "<text x=\"%d\" y=\"%.1f\"><tspan class=\"name\">%s", LEFT, y,
		panel->policy->name);
	if (panel->file != NULL) {
		fputs(", ", to);
		put_file(to, panel->file);
	}
	fprintf(to, "</tspan><tspan dx=\"10\">%" PRIu64 " allowed, %" PRIu64 " denied",
		total->allowed, total->denied);
	if (total->shadow_denied > 0)
		fprintf(to, ", %" PRIu64 " in shadow", total->shadow_denied);
	fputs("</tspan></text>\n", to);
}

/* Two panels of one policy have one scale, so that they can be compared. */
static uint64_t scale_of_panel(const struct plot *plot, const struct panel *panel)
{
	size_t count = plot->counts->step_count;
	uint64_t scale = scale_of(panel->row->steps, count);
	uint64_t twin = panel->twin != NULL ? scale_of(panel->twin->steps, count) : 0;

	return scale > twin ? scale : twin;
}

static void put_panel(const struct plot *plot, size_t index, const struct panel *panel)
{
	double y = TOP + (double)index * PANEL, bottom = y + PLOT_TOP + PLOT_HEIGHT;
	uint64_t scale = scale_of_panel(plot, panel);

	put_title(plot->to, y + PANEL_TITLE, panel);
	put_levels(plot->to, y + PLOT_TOP, scale);
	put_bars(plot, bottom, panel->row->steps, scale);
	put_times(plot, bottom);
}

/* ---- which panels there are ---- */

/* The row of a policy that was used; NULL when there is no such policy, or it was not used. */
static const struct replay_row *used_row(const struct replay_counts *counts,
					 const struct policy *policy)
{
	const struct replay_row *row = policy != NULL ? replay_counts_row(counts, policy) : NULL;

	return row != NULL && row->steps != NULL ? row : NULL;
}

/* Gives the panels of one policy, and of the policy of its name in the second file. */
static void add_pair(struct panels *panels, const struct replay_counts *counts,
		     const struct policy *first, const struct policy *second)
{
	const struct replay_against *against = counts->against;
	const struct replay_row *row = used_row(counts, first), *other = NULL;

	if (against != NULL)
		other = used_row(&against->counts, second);
	if (row != NULL && panels->count++ < REPLAY_PANELS_MAX)
		panels->items[panels->count - 1] = (struct panel){
			first, row, other, against != NULL ? against->first_file : NULL};
	if (other != NULL && panels->count++ < REPLAY_PANELS_MAX)
		panels->items[panels->count - 1] =
			(struct panel){second, other, row, against->file};
}

static void find_panels(struct panels *panels, const struct replay_counts *counts)
{
	const struct replay_changes *changes =
		counts->against != NULL ? &counts->against->changes : NULL;

	panels->count = 0;
	for (size_t i = 0; i < counts->row_count; i++)
		add_pair(panels, counts, policies_at_row(counts->policies, i),
			 changes != NULL ? changes->rows[i].second : NULL);
	for (size_t i = counts->row_count; changes != NULL && i < changes->row_count; i++)
		add_pair(panels, counts, NULL, changes->rows[i].second);
}

/* ---- the whole ---- */

static bool has_shadow(const struct replay_counts *counts)
{
	for (size_t i = 0; i < counts->row_count; i++)
		if (counts->rows[i].total.shadow_denied > 0)
			return true;
	return counts->against != NULL && has_shadow(&counts->against->counts);
}

static void put_legend(FILE *to, const struct replay_counts *counts)
{
	static const struct {
		const char *class, *text;
		int x;
	} items[] = {{"allowed", "allowed", 0},
		     {"denied", "denied", 84},
		     {"shadow", "would be denied (shadow)", 162}};

	for (size_t i = 0; i < ARRAY_SIZE(items) - !has_shadow(counts); i++)
		fprintf(to,
			"<rect class=\"%s\" x=\"%d\" y=\"14\" width=\"11\" height=\"11\"/>"
			"<text x=\"%d\" y=\"24\">%s</text>\n",
			items[i].class, LEFT + items[i].x, LEFT + items[i].x + 16, items[i].text);
	fprintf(to, "<text class=\"end\" x=\"%d\" y=\"24\">requests in ", RIGHT);
	put_length(to, counts->step_us);
	fputs(counts->requests > 0 && replay_summary_is_date(counts->first_us) ? ", UTC</text>\n"
									       : "</text>\n",
	      to);
}

static void put_left_out(FILE *to, size_t panels, double y)
{
	if (panels > REPLAY_PANELS_MAX)
		fprintf(to, "<text x=\"%d\" y=\"%.1f\">and %zu more policies</text>\n", LEFT, y,
			panels - REPLAY_PANELS_MAX);
}

void replay_plot_put(FILE *to, const struct replay_counts *counts)
{
	struct panels panels;

	find_panels(&panels, counts);
	size_t shown = panels.count < REPLAY_PANELS_MAX ? panels.count : REPLAY_PANELS_MAX;
	int height = TOP + (int)shown * PANEL + (panels.count > shown ? 24 : 0);
	const struct plot plot = {to, counts,
				  (double)(RIGHT - LEFT) /
					  (double)(counts->step_count + !counts->step_count)};

	fprintf(to,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" role=\"img\">\n<title>Requests over time, by policy</title>\n%s"
		"<rect class=\"back\" width=\"%d\" height=\"%d\"/>\n",
		WIDTH, height, WIDTH, height, style, WIDTH, height);
	put_legend(to, counts);
	for (size_t i = 0; i < shown; i++)
		put_panel(&plot, i, &panels.items[i]);
	put_left_out(to, panels.count, TOP + (double)shown * PANEL);
	fputs("</svg>\n", to);
}
