#include "net/http/http_reply.h"

unsigned http_reply_status(const struct verdict *verdict, struct http_denial denial)
{
	if (verdict->allowed)
		return 200;
	return verdict->reason == REASON_ERROR ? denial.error : denial.limited;
}

static void put_bool(struct writer *w, const char *name, bool value)
{
	writer_put_text(w, name);
	writer_put_text(w, value ? "true" : "false");
}

static void put_number(struct writer *w, const char *name, int64_t value)
{
	writer_put_text(w, name);
	writer_put_decimal(w, value);
}

static void put_text(struct writer *w, const char *name, const char *value)
{
	writer_put_text(w, name);
	writer_put_json_string(w, bytes_from_text(value));
}

/* The numbers of a check. A check that on_error decided has no `remaining` and no `reset`. */
static void put_numbers(struct writer *w, const struct check *check, int64_t retry_after_us)
{
	put_number(w, ",\"limit\":", check_limit(check));
	if (check->is_decided)
		put_number(w, ",\"remaining\":", check->outcome.remaining);
	put_number(w, ",\"retry_after_ms\":", milliseconds_up(retry_after_us));
	if (check->is_decided)
		put_number(w, ",\"reset_ms\":", milliseconds_up(check->outcome.reset_us));
}

static void put_check(struct writer *w, const struct check *check)
{
	int64_t retry_after_us = check_is_denied(check) ? VERDICT_ERROR_RETRY_US : 0;

	put_text(w, "{\"policy\":", check->policy->name);
	put_bool(w, ",\"allowed\":", !check_is_denied(check));
	put_numbers(w, check, check->is_decided ? check->outcome.retry_after_us : retry_after_us);
	if (check->is_shadow)
		put_bool(w, ",\"shadow\":", true);
	writer_put_u8(w, '}');
}

void http_reply_put_verdict(struct writer *w, const struct verdict *verdict)
{
	const struct request *request = verdict->request;

	put_bool(w, "{\"allowed\":", verdict->allowed);
	put_text(w, ",\"reason\":", reason_text(verdict->reason));
	put_bool(w, ",\"degraded\":", verdict->degraded);
	if (verdict->lead != NULL) {
		put_text(w, ",\"policy\":", verdict->lead->policy->name);
		put_numbers(w, verdict->lead, verdict->retry_after_us);
	} else {
		put_number(w, ",\"retry_after_ms\":", milliseconds_up(verdict->retry_after_us));
	}
	writer_put_text(w, ",\"policies\":[");
	for (size_t i = 0, count = 0; i < request->count; i++) {
		if (request->checks[i]->is_skipped)
			continue;
		if (count++ > 0)
			writer_put_u8(w, ',');
		put_check(w, request->checks[i]);
	}
	writer_put_text(w, "]}");
}

void http_reply_set_limits(struct http_limits *limits, const struct verdict *verdict)
{
	struct writer ratelimit = writer_on(limits->ratelimit, sizeof limits->ratelimit);
	struct writer policy = writer_on(limits->ratelimit_policy, sizeof limits->ratelimit_policy);
	struct writer retry_after = writer_on(limits->retry_after, sizeof limits->retry_after);

	verdict_put_headers(&ratelimit, &policy, verdict, 2 * HTTP_LIMITS_MAX);
	if (!verdict->allowed && verdict->retry_after_us >= 0)
		writer_put_decimal(&retry_after, seconds_up(verdict->retry_after_us));
	(void)writer_text(&ratelimit);
	(void)writer_text(&policy);
	(void)writer_text(&retry_after);
}

const char *http_reply_status_text(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} all[] = {
		{200, "OK"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{412, "Precondition Failed"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{428, "Precondition Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].status == status)
			return all[i].text;
	return "Error";
}

void http_reply_put_problem(struct writer *w, unsigned status, const char *detail)
{
	put_text(w, "{\"type\":\"about:blank\",\"title\":", http_reply_status_text(status));
	put_number(w, ",\"status\":", status);
	put_text(w, ",\"detail\":", detail);
	writer_put_u8(w, '}');
}
