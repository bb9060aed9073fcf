#include "app/operate/top_now.h"

#include <stdio.h>

#include "app/operate/operate.h"
#include "base/clock.h"
#include "limit/top_panes.h"
#include "limit/verdict.h"

#define ITEM_MAX 1536 /* of JSON: a key in which every character is escaped */

static const char *const by_names[] = {[TOP_BY_DENIED] = "denied", [TOP_BY_ASKED] = "asked"};
static const char *const last_names[] = {
	[TOP_LAST_MINUTE] = "1m", [TOP_LAST_MINUTES] = "5m", [TOP_LAST_EVER] = "all"};

struct question {
	size_t by, last;
};

/* ---- the query ---- */

static bool find_name(const char *const *names, size_t count, struct bytes value, size_t *ret_found)
{
	for (size_t i = 0; i < count; i++) {
		if (!bytes_equal(value, bytes_from_text(names[i])))
			continue;
		*ret_found = i;
		return true;
	}
	return false;
}

static bool read_parameter(struct question *question, struct bytes name, struct bytes value,
			   bool *has_by, bool *has_last, struct err *err)
{
	bool is_by = bytes_equal(name, BYTES("by"));
	bool *has = is_by ? has_by : has_last;

	if (!is_by && !bytes_equal(name, BYTES("last")))
		return err_set(err, "%s: not a parameter; accepted are by and last",
			       quoted_unless_plain(name).text);
	if (*has)
		return err_set(err, "%s: is given twice", is_by ? "by" : "last");
	*has = true;
	if (is_by)
		return find_name(by_names, ARRAY_SIZE(by_names), value, &question->by) ||
		       err_set(err, "by: %s is not accepted; accepted are denied and asked",
			       quoted(value).text);
	return find_name(last_names, ARRAY_SIZE(last_names), value, &question->last) ||
	       err_set(err, "last: %s is not accepted; accepted are 1m, 5m and all",
		       quoted(value).text);
}

static bool read_query(struct http_question *memory, struct bytes query, struct question *question,
		       struct err *err)
{
	struct bytes pair, name, value;
	bool has_by = false, has_last = false;

	http_question_clear(memory);
	while (bytes_next_item(&query, '&', &pair))
		if (pair.len > 0 &&
		    (!http_question_read_pair(memory, pair, &name, &value, err) ||
		     !read_parameter(question, name, value, &has_by, &has_last, err)))
			return false;
	return true;
}

/* ---- the answer ---- */

static void put_number(struct writer *w, const char *name, int64_t number)
{
	writer_put_text(w, name);
	writer_put_decimal(w, number);
}

static void put_entry(FILE *to, const struct top_entry *entry, const char *separator)
{
	uint8_t memory[ITEM_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_text(&w, separator);
	writer_put_text(&w, "{\"policy\":");
	writer_put_json_string(&w, bytes_from_text(entry->policy));
	writer_put_text(&w, ",\"key\":");
	writer_put_json_string(&w, bytes_from(entry->key, entry->key_len));
	put_number(&w, ",\"count\":", (int64_t)entry->count);
	put_number(&w, ",\"error\":", (int64_t)entry->error);
	put_number(&w, ",\"limit\":", entry->limit);
	if (entry->remaining >= 0)
		put_number(&w, ",\"remaining\":", entry->remaining);
	put_number(&w, ",\"retry_after_ms\":", milliseconds_up(entry->retry_after_us));
	writer_put_u8(&w, '}');
	ASSERT(!w.full);
	(void)fwrite(w.data, 1, w.len, to);
}

static void put_top(FILE *to, const struct operate *operate, const struct question *question)
{
	int64_t us = 0;
	size_t count = 0;
	const struct top_sketch *sum = NULL;
	struct top_panes *panes = engine_top(operate->engine);

	if (panes != NULL)
		sum = top_panes_sum(panes, (enum top_by)question->by, (enum top_last)question->last,
				    clock_mono_us(), &us);
	if (sum != NULL)
		count = sum->count < TOP_NOW_KEYS_MAX ? sum->count : TOP_NOW_KEYS_MAX;
	fprintf(to,
		"{\"by\":\"%s\",\"last\":\"%s\",\"seconds\":%lld,\"total\":%llu,"
		"\"error_max\":%llu,\"hashed\":%s,\"keys\":[",
		by_names[question->by], last_names[question->last], (long long)(us / US_PER_SECOND),
		sum == NULL ? 0ULL : (unsigned long long)sum->total,
		sum == NULL ? 0ULL : (unsigned long long)sum->floor,
		operate->options->hash_keys ? "true" : "false");
	for (size_t i = 0; i < count; i++)
		put_entry(to, &sum->entries[i], i > 0 ? "," : "");
	fputc(']', to);
	operate_put_warnings(operate, to);
	fputc('}', to);
}

void top_now_answer(void *owner, struct http_exchange *exchange)
{
	struct operate *operate = owner;
	struct question question = {TOP_BY_DENIED, TOP_LAST_MINUTE};
	struct memory_file file;
	struct err err;

	if (!read_query(&operate->question, exchange->head.query, &question, &err)) {
		http_answer_problem(exchange, 400, err.text);
		return;
	}
	if (memory_file_begin(&file))
		put_top(file.to, operate, &question);
	operate_send_json(exchange, &file);
}
