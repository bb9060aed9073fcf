#include "app/replay/replay_line.h"

#include "base/clock.h"
#include "base/parse.h"

#define AT BYTES("at_ms")

static bool parse_at(struct bytes text, int64_t *ret_at_us)
{
	struct ratio at;
	uint64_t whole_ms;

	if (parse_whole(text, REPLAY_AT_MAX_US / US_PER_MS, &whole_ms)) {
		*ret_at_us = (int64_t)whole_ms * US_PER_MS;
		return true;
	}
	if (!parse_decimal_or_zero(text, &at) ||
	    !ratio_multiply(at, (struct ratio){US_PER_MS, 1}, &at))
		return false;
	if (at.den != 1 || at.num > REPLAY_AT_MAX_US)
		return false;
	*ret_at_us = at.num;
	return true;
}

static bool read_at(const struct json_value *at, int64_t *ret_at_us, struct err *err)
{
	if (at->kind == JSON_NULL)
		return err_set(err, "at_ms is missing");
	if (at->kind == JSON_NUMBER && parse_at(at->text, ret_at_us))
		return true;
	return err_set(err,
		       "at_ms: %s is not accepted; accepted is a number of milliseconds from 0 to "
		       "%lld with at most three decimals",
		       quoted(at->text).text, (long long)(REPLAY_AT_MAX_US / US_PER_MS));
}

bool replay_line_read(struct bytes text, struct replay_line *ret_line, struct err *err)
{
	return http_map_read_body(text, AT, &ret_line->body, err) &&
	       read_at(&ret_line->body.beside, &ret_line->at_us, err);
}

bool replay_line_read_check(const struct replay_line *line, struct http_question *question,
			    struct err *err)
{
	http_question_clear(question);
	return http_map_read_check(question, line->body.check, AT, err);
}
