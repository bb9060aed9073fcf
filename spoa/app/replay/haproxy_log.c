#include "app/replay/haproxy_log.h"

#include <stdlib.h>
#include <string.h>

#include "app/replay/replay_line.h"
#include "base/clock.h"
#include "base/least.h"
#include "base/parse.h"

#define PREFIX_WORDS_MAX 16

/* As HAProxy's configuration manual has them, section "Log formats". */
static const struct {
	const char *text;
	bool has_tail; /* httpslog, and many formats of people, are httplog and more behind it */
} known[] = {
	{"%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc "
	 "%ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r",
	 true},
	{"%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq", false},
	{"%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc "
	 "%ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl",
	 true},
};

#define KNOWN ARRAY_SIZE(known)

struct haproxy_log {
	const struct line_format *own;
	const struct line_captures *captures;
	struct line_format formats[KNOWN];
	struct line_fields fields;
	uint8_t unwrapped[HTTP_BODY_MAX]; /* a line from within a line of docker's */
};

struct haproxy_log *haproxy_log_new(const struct line_format *own,
				    const struct line_captures *captures)
{
	struct haproxy_log *log = malloc(sizeof *log);
	struct err err;

	if (log == NULL)
		return NULL;
	log->own = own;
	log->captures = captures;
	for (size_t i = 0; i < KNOWN; i++) {
		struct line_format *format = &log->formats[i];
		bool is_read = line_format_read(bytes_from_text(known[i].text), format, &err);
		ASSERT(is_read);
		format->has_tail = known[i].has_tail;
		for (size_t j = 0; j < format->count; j++)
			if (format->pieces[j].field.meaning == LINE_REQUEST)
				format->pieces[j].field.shape = LINE_REQUEST_LINE;
	}
	return log;
}

void haproxy_log_free(struct haproxy_log *log)
{
	free(log);
}

/* ---- the time ---- */

/* A field whose digits line_match has found; 0 when HAProxy wrote -1, for what never came. */
static int64_t number_of(struct bytes text, int64_t max)
{
	uint64_t number;

	if (bytes_begin_with(text, BYTES("+")))
		text = bytes_skip(text, 1);
	return parse_whole(text, (uint64_t)max, &number) ? (int64_t)number : 0;
}

static struct line_time time_of(const struct line_format *format, const struct line_fields *fields)
{
	const struct line_field *field = &format->pieces[format->time].field;
	bool has_date = field->shape == LINE_DATE;
	struct line_time time = {.has_date = has_date, .date = fields->date};
	int64_t unit_us = field->meaning == LINE_AT_CONNECTION_S ? US_PER_SECOND : US_PER_MS;

	if (!has_date)
		time.at_us = number_of(fields->texts[format->time], REPLAY_AT_MAX_US / unit_us) *
			     unit_us;
	if (format->took < fields->count)
		time.took_us =
			number_of(fields->texts[format->took], REPLAY_AT_MAX_US / US_PER_MS) *
			US_PER_MS;
	if (field->meaning == LINE_AT_NOW) /* when the line was written */
		time.at_us -= least_i64(time.took_us, time.at_us);
	/* %ms is of the connection, as %T and %Ts are; the request's %trg has whole seconds. */
	int64_t ms = format->ms < fields->count ? number_of(fields->texts[format->ms], 999) : 0;
	if (field->meaning == LINE_AT_CONNECTION && time.date.has_offset)
		time.date.ms = ms;
	if (field->meaning == LINE_AT_CONNECTION_S && time.at_us < REPLAY_AT_MAX_US - US_PER_SECOND)
		time.at_us += ms * US_PER_MS;
	return time;
}

/* ---- lines of a log-format ---- */

/* Of a line that was cut off: whether what it still has is enough to ask about the request. */
static bool has_all_attributes(const struct line_format *format, const struct line_fields *fields)
{
	size_t cut = fields->count - 1;

	for (size_t i = cut; i < format->count; i++) {
		enum line_meaning meaning = format->pieces[i].field.meaning;
		bool is_begun = i == cut && meaning == LINE_REQUEST;
		if (meaning != LINE_NOTHING && !is_begun)
			return false;
	}
	return true;
}

static enum haproxy_line fill_question(struct haproxy_log *log, const struct line_format *format,
				       struct http_question *question, struct haproxy_entry *entry)
{
	const struct line_parts line = {format, &log->fields, log->captures};

	switch (line_question_fill(question, &line)) {
	case LINE_ASKED_NOTHING:
		entry->is_bad_request = !entry->is_cut;
		return HAPROXY_OTHER;
	case LINE_ASKED_OTHERS:
		entry->has_other_captures = true;
		break;
	case LINE_ASKED:
		break;
	}
	entry->time = time_of(format, &log->fields);
	return HAPROXY_REQUEST;
}

/* Whether the line is of the format, from its begin on; *ret_kind is then what the line is. */
static bool read_at_begin(struct haproxy_log *log, const struct line_format *format,
			  struct bytes line, struct http_question *question,
			  struct haproxy_entry *entry, enum haproxy_line *ret_kind)
{
	enum line_matched matched = line_match(format, line, &log->fields);

	if (matched == LINE_OTHER || (matched == LINE_CUT && log->fields.count <= format->time + 1))
		return false;
	entry->is_cut = matched == LINE_CUT;
	*ret_kind = matched == LINE_WHOLE || has_all_attributes(format, &log->fields)
			    ? fill_question(log, format, question, entry)
			    : HAPROXY_OTHER;
	return true;
}

/*
 * The prefix of syslog or of a container's log is some words. What stands behind a brace is what a
 * client wrote, and no line begins there.
 */
static bool read_format(struct haproxy_log *log, const struct line_format *format,
			struct bytes line, struct http_question *question,
			struct haproxy_entry *entry, enum haproxy_line *ret_kind)
{
	for (size_t words = 0; words < PREFIX_WORDS_MAX; words++) {
		struct bytes word;
		if (read_at_begin(log, format, line, question, entry, ret_kind))
			return true;
		if (!bytes_next_item(&line, ' ', &word) || line.data == NULL ||
		    (word.len > 0 && memchr(word.data, '{', word.len) != NULL))
			return false;
	}
	return false;
}

static bool read_formats(struct haproxy_log *log, struct bytes line, struct http_question *question,
			 struct haproxy_entry *entry, enum haproxy_line *ret_kind)
{
	if (log->own != NULL)
		return read_format(log, log->own, line, question, entry, ret_kind);
	for (size_t i = 0; i < KNOWN; i++)
		if (read_format(log, &log->formats[i], line, question, entry, ret_kind))
			return true;
	return false;
}

/* ---- JSON ---- */

static bool find_field(struct json_value object, struct bytes wanted, struct json_value *ret_value)
{
	struct json_value name;

	while (json_next_field(&object, &name, ret_value))
		if (bytes_equal(name.text, wanted))
			return true;
	return false;
}

/* HAProxy writes "-" for a value that it does not have. */
static void drop_dashes(struct http_question *question)
{
	for (size_t i = 0; i < question->count; i++) {
		struct value *value = &question->items[i].value;
		if (value->kind == VALUE_TEXT && bytes_equal(value->text, BYTES("-")))
			value->kind = VALUE_ABSENT;
	}
}

/* HAProxy logs "<BADREQ>" in place of the method of a request that it could not read. */
static bool is_bad_request(const struct http_question *question)
{
	const struct attributes attributes = http_question_attributes(question);
	const struct value *method = attributes_find(&attributes, BYTES("method"));

	return method != NULL && method->kind == VALUE_TEXT &&
	       bytes_begin_with(method->text, BYTES("<"));
}

static enum haproxy_line read_request(struct bytes json, struct http_question *question,
				      struct haproxy_entry *entry, struct err *err)
{
	struct replay_line line;

	if (!replay_line_read(json, &line, err))
		return HAPROXY_BAD;
	if (line.body.is_batch) {
		(void)err_set(err, "checks: a line of a log is one request");
		return HAPROXY_BAD;
	}
	if (!replay_line_read_check(&line, question, err))
		return HAPROXY_BAD;
	entry->time = (struct line_time){.at_us = line.at_us};
	drop_dashes(question);
	entry->is_bad_request = is_bad_request(question);
	return entry->is_bad_request ? HAPROXY_OTHER : HAPROXY_REQUEST;
}

/* HAProxy cuts a line at 1,024 bytes, unless its `log` line has a larger `len`. */
static bool is_cut_request(struct bytes json)
{
	return json.data[json.len - 1] != '}' &&
	       memmem(json.data, json.len, "\"at_ms\"", strlen("\"at_ms\"")) != NULL;
}

static enum haproxy_line read_json(struct bytes json, struct http_question *question,
				   struct haproxy_entry *entry, struct err *err)
{
	struct json_value root, at;

	if (!json_read(json, &root, err)) {
		entry->is_cut = is_cut_request(json);
		return HAPROXY_OTHER;
	}
	if (root.kind != JSON_OBJECT || !find_field(root, BYTES("at_ms"), &at))
		return HAPROXY_OTHER;
	return read_request(json, question, entry, err);
}

/* ---- docker ---- */

/* {"log":"a line\n","stream":"stdout","time":"..."} */
static struct bytes unwrap(struct haproxy_log *log, struct bytes line)
{
	struct writer memory = writer_on(log->unwrapped, sizeof log->unwrapped);
	struct json_value root, text;
	struct err err;

	if (!bytes_begin_with(line, BYTES("{\"log\":")) || !json_read(line, &root, &err) ||
	    root.kind != JSON_OBJECT || !find_field(root, BYTES("log"), &text) ||
	    text.kind != JSON_STRING)
		return line;
	return json_string(&text, &memory);
}

static struct bytes without_line_end(struct bytes line)
{
	while (line.len > 0 && (line.data[line.len - 1] == '\r' || line.data[line.len - 1] == '\n'))
		line.len--;
	return line;
}

enum haproxy_line haproxy_log_read(struct haproxy_log *log, struct bytes line,
				   struct http_question *question, struct haproxy_entry *ret_entry,
				   struct err *err)
{
	struct bytes text = without_line_end(unwrap(log, line));
	struct haproxy_entry entry = {.is_cut = false};
	enum haproxy_line kind = HAPROXY_OTHER;
	const uint8_t *brace = text.len > 0 ? memchr(text.data, '{', text.len) : NULL;

	if (!read_formats(log, text, question, &entry, &kind) && brace != NULL)
		kind = read_json(bytes_skip(text, (size_t)(brace - text.data)), question, &entry,
				 err);
	*ret_entry = entry;
	return kind;
}
