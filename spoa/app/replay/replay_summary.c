#include "app/replay/replay_summary.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "app/replay/replay_against.h"
#include "app/view/ranking.h"
#include "base/clock.h"

#define TIME_TEXT_MAX 40

struct time_text {
	char text[TIME_TEXT_MAX];
};

/* "2026-11-24T11:44:28Z", or "28 s" */
static struct time_text text_of_time(int64_t at_us)
{
	struct time_text time;
	time_t seconds = at_us / US_PER_SECOND;
	struct tm date;

	if (replay_summary_is_date(at_us) && gmtime_r(&seconds, &date) != NULL)
		strftime(time.text, sizeof time.text, "%Y-%m-%dT%H:%M:%SZ", &date);
	else
		snprintf(time.text, sizeof time.text, "%" PRId64 " s", at_us / US_PER_SECOND);
	return time;
}

/* "1.5s", "60s" */
static struct time_text text_of_span(int64_t us)
{
	struct time_text text;
	struct writer w = writer_on(text.text, sizeof text.text);

	writer_put_fraction(&w, (uint64_t)us, 6);
	writer_put_u8(&w, 's');
	(void)writer_text(&w);
	return text;
}

static void put_span(FILE *to, const struct replay_counts *counts)
{
	if (counts->requests == 0)
		return;
	fprintf(to, "first at %s, ", text_of_time(counts->first_us).text);
	fprintf(to, "last at %s\n", text_of_time(counts->last_us).text);
}

static void put_if_any(FILE *to, uint64_t count, const char *what)
{
	if (count > 0)
		fprintf(to, "%s: %" PRIu64 "\n", what, count);
}

/* "not read in --log-format: %[a], %[b] and 2 more" */
static void put_unknown(FILE *to, const struct line_format *format)
{
	size_t count = format != NULL ? format->unknown_count : 0;
	size_t named = count < LINE_UNKNOWN_MAX ? count : LINE_UNKNOWN_MAX;

	for (size_t i = 0; i < named; i++) {
		const struct quoted name = quoted(format->unknown[i]);
		fprintf(to, "%s%%[%.*s]", i == 0 ? "not read in --log-format: " : ", ",
			(int)strlen(name.text) - 2, name.text + 1);
	}
	if (count > named)
		fprintf(to, " and %zu more", count - named);
	fputs(count > 0 ? "\n" : "", to);
}

static void put_notes(FILE *to, const struct replay_lines *lines)
{
	put_if_any(to, lines->bad, "lines that are not valid");
	put_if_any(to, lines->skipped, "lines without a request");
	put_if_any(to, lines->bad_requests, "of these, bad requests (<BADREQ>)");
	put_if_any(to, lines->cut,
		   "lines that were cut off, by HAProxy at 1,024 bytes unless its log line has "
		   "`len 65535`");
	put_if_any(to, lines->other_captures,
		   "lines with other captured headers than --captures names");
	put_unknown(to, lines->format);
	if (lines->late > 0)
		fprintf(to, "lines more than %s late, left out: %" PRIu64 "\n",
			text_of_span(lines->window_us).text, lines->late);
	put_if_any(to, lines->left_out, "checks left out, of requests with more than 16");
	put_if_any(to, lines->evicted,
		   "balances forgotten before their time, since --memory-limit is too low");
}

/* A key that took the place of another key may have come less often: that is shown as a range. */
static void put_key_count(FILE *to, const struct top_key *key)
{
	fprintf(to, "%.*s ", (int)key->len, key->text);
	if (key->error > 0)
		fprintf(to, "%" PRIu64 "-", top_key_certain(key));
	fprintf(to, "%" PRIu64, key->count);
}

/* Not the empty key of a policy that counts everything together, nor a key that may be rare. */
static bool stands_out(const struct top_key *key)
{
	return key->len > 0 && 2 * top_key_certain(key) > key->count;
}

size_t replay_summary_keys(const struct top_keys *top,
			   const struct top_key *ret_keys[REPLAY_KEYS_SHOWN])
{
	const struct top_key *keys[TOP_KEYS_MAX];
	size_t count = top == NULL ? 0 : top_keys_sorted(top, keys), shown = 0;

	for (; shown < count && shown < REPLAY_KEYS_SHOWN && stands_out(keys[shown]); shown++)
		ret_keys[shown] = keys[shown];
	return shown;
}

static void put_keys(FILE *to, const char *title, const struct top_keys *top)
{
	const struct top_key *keys[REPLAY_KEYS_SHOWN];
	size_t shown = replay_summary_keys(top, keys);

	for (size_t i = 0; i < shown; i++) {
		fprintf(to, "%s%s%s", i > 0 ? "" : "  ", i > 0 ? "" : title, i > 0 ? ", " : ": ");
		put_key_count(to, keys[i]);
	}
	fputs(shown > 0 ? "\n" : "", to);
}

static uint64_t checked(const struct replay_step *total)
{
	return total->allowed + total->denied + total->shadow_denied;
}

static void put_numbers(FILE *to, const char *name, const struct replay_row *row)
{
	const struct replay_step *total = &row->total;

	fprintf(to, "%-24s %10" PRIu64 " %10" PRIu64 " %10" PRIu64, name, checked(total),
		total->denied, total->shadow_denied);
	if (row->busiest.count > 0)
		fprintf(to, "  %" PRIu64 " at %s", row->busiest.count,
			text_of_time(row->busiest.at_s * US_PER_SECOND).text);
	fputc('\n', to);
}

static void put_policy(FILE *to, const struct policy *policy, const struct replay_row *row)
{
	put_numbers(to, policy->name, row);
	if (checked(&row->total) == 0)
		return; /* the tally may have a key all the same, of a request that failed */
	put_keys(to, "seen most", policy->tally->seen);
	/* A policy in shadow denies nobody: the line has whom it would have denied. */
	put_keys(to, "denied most",
		 policy->tally->denied != NULL ? policy->tally->denied
					       : policy->tally->shadow_denied);
}

/* ---- a second policy file ---- */

static void put_denials(FILE *to, const char *file, const struct replay_denials *denials)
{
	if (denials->count == 0)
		return;
	fprintf(to, "  denied by %s only: %" PRIu64 "\n", file, denials->count);
	put_keys(to, "  keys", denials->keys);
}

/* Below the line of the policy in the first file. */
static void put_second(FILE *to, const struct replay_against *against,
		       const struct replay_change *change)
{
	if (change->second != NULL)
		put_numbers(to, "  against", replay_counts_row(&against->counts, change->second));
	else
		fprintf(to, "%-24s %10s %10s %10s\n", "  against", "-", "-", "-");
	put_denials(to, against->first_file, &change->by_first);
	put_denials(to, against->file, &change->by_second);
}

static void put_totals(FILE *to, const struct replay_counts *counts)
{
	const struct replay_against *against = counts->against;
	const struct replay_changes *changes = &against->changes;

	fprintf(to, "against %s: %" PRIu64 " allowed, %" PRIu64 " denied\n", against->file,
		counts->requests - changes->second_denied, changes->second_denied);
	fprintf(to, "  denied by %s only: %" PRIu64 "\n", against->first_file,
		changes->denied_by_first);
	fprintf(to, "  denied by %s only: %" PRIu64 "\n", against->file, changes->denied_by_second);
}

/* The policies of the second file alone, in its order. */
static void put_new_policies(FILE *to, const struct replay_against *against)
{
	const struct replay_changes *changes = &against->changes;
	size_t end = changes->row_count - changes->first_count > RANKING_MAX
			     ? changes->first_count + RANKING_MAX
			     : changes->row_count;

	for (size_t i = changes->first_count; i < end; i++) {
		const struct replay_change *change = &changes->rows[i];
		fprintf(to, "%-24s %10s %10s %10s\n", change->second->name, "-", "-", "-");
		put_second(to, against, change);
	}
	if (end < changes->row_count)
		fprintf(to, "and %zu more policies of %s\n", changes->row_count - end,
			against->file);
}

/* ---- what makes the answers worthless ---- */

#define LATE_PERCENT_MAX 1

static bool refuse_late_lines(const struct replay_lines *lines, struct err *err)
{
	int64_t needed_us = divide_up(lines->latest_by_us, US_PER_SECOND) * US_PER_SECOND;

	(void)err_set(err,
		      "%" PRIu64 " of %" PRIu64
		      " lines came more than %s later than lines of later "
		      "requests and were left out, so the answers are not those of all requests. ",
		      lines->late, lines->read, text_of_span(lines->window_us).text);
	size_t len = strlen(err->text);
	if (lines->is_window_shortened)
		snprintf(err->text + len, sizeof err->text - len,
			 "Replay holds at most 256 MiB of lines for sorting, and the window had "
			 "more: sort the lines by time first");
	else
		snprintf(err->text + len, sizeof err->text - len,
			 "Give each log file as an argument of its own, in place of one stream of "
			 "them all; if the lines are in no better order, use --window %s",
			 text_of_span(needed_us).text);
	return false;
}

static bool refuse_other_lines(const struct replay_lines *lines, uint64_t requests, struct err *err)
{
	const char *name = lines->sample_name;

	(void)err_set(err,
		      "only %" PRIu64 " of %" PRIu64
		      " lines were requests, so the answers say little "
		      "about the traffic. ",
		      requests, lines->read);
	size_t len = strlen(err->text);
	if (lines->cut * 2 > lines->read)
		snprintf(err->text + len, sizeof err->text - len,
			 "%" PRIu64
			 " lines were cut off: give the `log` line of HAProxy `len 65535`",
			 lines->cut);
	else
		snprintf(err->text + len, sizeof err->text - len,
			 "The first other line is line %" PRIu64
			 "%s%s: %s. Read are the formats of "
			 "option httplog, httpslog, tcplog and httplog clf, and JSON lines with "
			 "at_ms; for another one use --log-format",
			 lines->sample_number, name != NULL ? " of " : "", name != NULL ? name : "",
			 lines->sample.text);
	return false;
}

bool replay_summary_judge(const struct replay_lines *lines, struct err *err)
{
	if (lines->late * 100 > lines->read * LATE_PERCENT_MAX)
		return refuse_late_lines(lines, err);
	uint64_t requests = lines->read - lines->skipped - lines->bad;
	/* Lines that are not valid were reported each. */
	if (requests * 2 < lines->read && lines->skipped > 0)
		return refuse_other_lines(lines, requests, err);
	return true;
}

void replay_summary_put(FILE *to, const struct replay_counts *counts,
			const struct replay_lines *lines)
{
	struct ranking ranking = ranking_of(counts->policies);
	const struct replay_against *against = counts->against;

	fprintf(to, "requests: %" PRIu64 ", %" PRIu64 " allowed, %" PRIu64 " denied\n",
		counts->requests, counts->requests - counts->denied, counts->denied);
	if (against != NULL)
		put_totals(to, counts);
	put_span(to, counts);
	put_notes(to, lines);
	fprintf(to, "\n%-24s %10s %10s %10s  %s\n", "policy", "checked", "denied", "in shadow",
		"busiest second");
	for (size_t i = 0; i < ranking.count; i++) {
		const struct policy *policy = ranking.policies[i];
		put_policy(to, policy, replay_counts_row(counts, policy));
		if (against != NULL)
			put_second(to, against, replay_changes_of(&against->changes, policy));
	}
	if (ranking.left_out > 0)
		fprintf(to, "and %zu policies that were checked less\n", ranking.left_out);
	if (against != NULL)
		put_new_policies(to, against);
}
