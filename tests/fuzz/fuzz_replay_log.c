/*
 * fuzz_replay_log.c - lines of any bytes, read as HAProxy's log and as the JSON lines of `replay`.
 * A request that is taken is a list of attributes within the bounds, and has a time that the
 * limiters can take. A line that is refused has an error of one printable line. In no order of
 * lines does time go back. A log-format and names of headers are read from the input as well.
 */
#include <stdint.h>
#include <stdlib.h>

#include "app/replay/haproxy_log.h"
#include "app/replay/replay_line.h"
#include "app/replay/replay_order.h"
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_question question;
static struct haproxy_log *haproxy_log;
static struct line_clock line_clock;

static void check_error(const struct err *err)
{
	size_t len = strnlen(err->text, sizeof err->text);

	ASSERT(len > 0 && len < sizeof err->text);
	for (size_t i = 0; i < len; i++)
		ASSERT(err->text[i] >= ' ' && err->text[i] <= '~');
}

static void check_request(int64_t at_us)
{
	ASSERT(at_us >= 0 && at_us <= REPLAY_AT_MAX_US);
	ASSERT(question.count <= HTTP_ATTRIBUTES_MAX);
	for (size_t i = 0; i < question.count; i++) {
		char memory[VALUE_SHORT_TEXT_MAX];
		struct value value = value_canonical(&question.items[i].value);
		ASSERT(question.items[i].name.len > 0);
		if (value.kind != VALUE_ABSENT)
			(void)value_to_text(&value, memory);
	}
}

static void take_log(struct replay_order *order, struct bytes text, uint64_t number)
{
	struct haproxy_entry entry;
	struct err err = {""};
	int64_t at_us;

	switch (haproxy_log_read(haproxy_log, text, &question, &entry, &err)) {
	case HAPROXY_OTHER:
		break;
	case HAPROXY_REQUEST:
		at_us = line_clock_read(&line_clock, &entry.time);
		check_request(at_us);
		ASSERT(replay_order_add(order,
					&(struct replay_order_line){at_us, text, NULL, number}));
		break;
	case HAPROXY_BAD:
		check_error(&err);
		break;
	}
}

static void take_line(struct bytes text)
{
	struct replay_line line;
	struct err err = {""};

	if (!replay_line_read(text, &line, &err))
		check_error(&err);
	else if (line.body.is_batch)
		ASSERT(line.body.count > 0 && line.body.count <= HTTP_CHECKS_MAX);
	else if (!replay_line_read_check(&line, &question, &err))
		check_error(&err);
	else
		check_request(line.at_us);
}

static void check_order(struct replay_order *order, bool all)
{
	static int64_t last_us;
	struct replay_held *held;

	while ((held = replay_order_pop(order, all)) != NULL) {
		ASSERT(held->at_us >= last_us);
		last_us = held->at_us;
		free(held);
	}
	if (all)
		last_us = 0;
}

/* In a block of its own, so that a byte read too many is seen. */
static void take(struct replay_order *order, struct bytes text, uint64_t number)
{
	uint8_t *copy = malloc(text.len + (text.len == 0));

	ASSERT(copy != NULL);
	if (text.len > 0)
		memcpy(copy, text.data, text.len);
	take_log(order, bytes_from(copy, text.len), number);
	take_line(bytes_from(copy, text.len));
	free(copy);
	check_order(order, false);
}

/*
 * When the first line begins with "format ", its rest is the log-format of the other lines; with
 * "captures " it has names for headers.
 */
static void open_log(struct bytes *rest)
{
	static struct line_format format;
	static struct line_captures captures;
	struct bytes lines = *rest, line = bytes_from(NULL, 0);
	bool has_format = false;
	struct err err = {""};

	captures.count = 0;
	if (bytes_next_item(&lines, '\n', &line) && bytes_begin_with(line, BYTES("format "))) {
		has_format = line_format_read(bytes_skip(line, 7), &format, &err);
		if (!has_format)
			check_error(&err);
		*rest = lines;
	} else if (bytes_begin_with(line, BYTES("captures "))) {
		if (!line_captures_read(bytes_skip(line, 9), &captures))
			captures.count = 0;
		*rest = lines;
	}
	haproxy_log = haproxy_log_new(has_format ? &format : NULL, &captures);
	ASSERT(haproxy_log != NULL);
	line_clock.latest_end_us = 0;
	ASSERT(time_zone_set(&line_clock.zone, "Europe/Berlin") ||
	       time_zone_set(&line_clock.zone, "+01:00"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest = bytes_from(data, size < HTTP_BODY_MAX ? size : HTTP_BODY_MAX), line;
	struct replay_order order = {.window_us = 60 * US_PER_SECOND};

	open_log(&rest);
	for (uint64_t number = 0; bytes_next_item(&rest, '\n', &line); number++)
		take(&order, line, number);
	check_order(&order, true);
	replay_order_release(&order);
	haproxy_log_free(haproxy_log);
	return 0;
}
