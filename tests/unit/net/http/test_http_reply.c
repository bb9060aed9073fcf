#include "net/http/http_reply.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/store_error.h"
#include "support/sweep.h"
#include "support/test.h"

#define SECOND INT64_C(1000000)

/* ---- requests as the store leaves them ---- */

static struct policy policies[REQUEST_CHECKS_MAX];
static struct check checks[REQUEST_CHECKS_MAX];
static struct request request;

static void begin(void)
{
	memset(&request, 0, sizeof request);
}

static struct check *add(const char *name, int64_t limit)
{
	struct policy *policy = &policies[request.count];
	struct check *check = &checks[request.count];

	memset(policy, 0, sizeof *policy);
	memset(check, 0x5a, sizeof *check);
	snprintf(policy->name, sizeof policy->name, "%s", name);
	policy->name_len = (uint8_t)strlen(policy->name);
	policy->terms.quota =
		(struct quota){.algorithm = FIXED_WINDOW, .limit = limit, .window_us = 60 * SECOND};
	check->policy = policy;
	check->terms = &policy->terms;
	check->quota = &policy->terms.quota;
	check->is_shadow = false;
	check->error = STORE_OK;
	check->is_decided = true;
	check->is_skipped = false;
	request.checks[request.count++] = check;
	return check;
}

static void add_passed(const char *name, int64_t limit, int64_t remaining)
{
	add(name, limit)->outcome =
		(struct outcome){.allowed = true, .remaining = remaining, .reset_us = 1500001};
}

static void add_stopped(const char *name, int64_t limit, int64_t retry_after_us)
{
	add(name, limit)->outcome =
		(struct outcome){.retry_after_us = retry_after_us, .reset_us = 58 * SECOND};
}

static void add_failed(const char *name, int64_t limit, enum on_error on_error)
{
	struct check *check = add(name, limit);

	policies[request.count - 1].terms.on_error = on_error;
	check->error = STORE_TIMEOUT;
	check->is_decided = false;
}

static struct verdict fold(void)
{
	return verdict_fold(&request, ON_ERROR_ALLOW);
}

static void assert_json(const char *expected)
{
	char memory[HTTP_VERDICT_MAX];
	struct writer w = writer_on(memory, sizeof memory);
	struct verdict verdict = fold();

	http_reply_put_verdict(&w, &verdict);
	assert_false(w.full);
	assert_string_equal(writer_text(&w), expected);
}

/* ---- JSON ---- */

/* The example of the interface. */
TEST(http_reply_put_verdict_denied_says_when)
{
	begin();
	add_stopped("login", 5, 29400000);

	assert_json("{\"allowed\":false,\"reason\":\"limited\",\"degraded\":false,"
		    "\"policy\":\"login\",\"limit\":5,\"remaining\":0,\"retry_after_ms\":29400,"
		    "\"reset_ms\":58000,\"policies\":[{\"policy\":\"login\",\"allowed\":false,"
		    "\"limit\":5,\"remaining\":0,\"retry_after_ms\":29400,\"reset_ms\":58000}]}");
}

TEST(http_reply_put_verdict_times_are_rounded_up)
{
	begin();
	add_passed("a", 10, 9);

	assert_json("{\"allowed\":true,\"reason\":\"ok\",\"degraded\":false,\"policy\":\"a\","
		    "\"limit\":10,\"remaining\":9,\"retry_after_ms\":0,\"reset_ms\":1501,"
		    "\"policies\":[{\"policy\":\"a\",\"allowed\":true,\"limit\":10,"
		    "\"remaining\":9,\"retry_after_ms\":0,\"reset_ms\":1501}]}");
}

TEST(http_reply_put_verdict_never_is_minus_one)
{
	begin();
	add_passed("a", 10, 9);
	add_stopped("b", 5, -1);

	assert_json("{\"allowed\":false,\"reason\":\"limited\",\"degraded\":false,"
		    "\"policy\":\"b\",\"limit\":5,\"remaining\":0,\"retry_after_ms\":-1,"
		    "\"reset_ms\":58000,\"policies\":["
		    "{\"policy\":\"a\",\"allowed\":true,\"limit\":10,\"remaining\":9,"
		    "\"retry_after_ms\":0,\"reset_ms\":1501},"
		    "{\"policy\":\"b\",\"allowed\":false,\"limit\":5,\"remaining\":0,"
		    "\"retry_after_ms\":-1,\"reset_ms\":58000}]}");
}

TEST(http_reply_put_verdict_leaves_out_what_was_skipped)
{
	begin();
	for (size_t i = 0; i < 3; i++) {
		const char *name = (const char *const[]){"a", "b", "c"}[i];
		add_stopped(name, 5, 29400000);
		checks[i].is_decided = i == 1;
		checks[i].is_skipped = i != 1;
	}

	assert_json("{\"allowed\":false,\"reason\":\"limited\",\"degraded\":false,"
		    "\"policy\":\"b\",\"limit\":5,\"remaining\":0,\"retry_after_ms\":29400,"
		    "\"reset_ms\":58000,\"policies\":[{\"policy\":\"b\",\"allowed\":false,"
		    "\"limit\":5,\"remaining\":0,\"retry_after_ms\":29400,"
		    "\"reset_ms\":58000}]}");
}

TEST(http_reply_put_verdict_of_an_error_knows_policy_and_limit)
{
	begin();
	add_failed("a", 10, ON_ERROR_ALLOW);
	add_failed("b", 5, ON_ERROR_DENY);

	assert_json("{\"allowed\":false,\"reason\":\"error\",\"degraded\":true,"
		    "\"policy\":\"b\",\"limit\":5,\"retry_after_ms\":1000,\"policies\":["
		    "{\"policy\":\"a\",\"allowed\":true,\"limit\":10,\"retry_after_ms\":0},"
		    "{\"policy\":\"b\",\"allowed\":false,\"limit\":5,\"retry_after_ms\":1000}]}");
}

TEST(http_reply_put_verdict_without_policies_has_none)
{
	begin();

	assert_json("{\"allowed\":true,\"reason\":\"none\",\"degraded\":false,"
		    "\"retry_after_ms\":0,\"policies\":[]}");
}

static const char *longest_name(size_t index)
{
	static char name[POLICY_NAME_MAX + 1];

	memset(name, 'x', POLICY_NAME_MAX);
	name[0] = (char)('a' + index);
	return name;
}

static void begin_with_the_longest(void)
{
	begin();
	for (size_t i = 0; i < REQUEST_CHECKS_MAX; i++)
		add(longest_name(i), INT64_MAX)->outcome = (struct outcome){
			.remaining = INT64_MAX,
			.retry_after_us = INT64_MAX,
			.reset_us = INT64_MAX,
			.grows_us = INT64_MAX,
		};
}

TEST(http_reply_put_verdict_the_longest_fits)
{
	char memory[HTTP_VERDICT_MAX];
	struct writer w = writer_on(memory, sizeof memory);
	begin_with_the_longest();
	struct verdict verdict = fold();

	http_reply_put_verdict(&w, &verdict);

	assert_false(w.full);
}

/* ---- header fields ---- */

TEST(http_reply_set_limits_denied_says_when)
{
	struct http_limits limits;
	begin();
	add_passed("a", 10, 9);
	add_stopped("login", 5, 29400000);
	struct verdict verdict = fold();

	http_reply_set_limits(&limits, &verdict);

	assert_string_equal(limits.ratelimit, "\"login\";r=0;t=30, \"a\";r=9");
	assert_string_equal(limits.ratelimit_policy, "\"login\";q=5;w=60, \"a\";q=10;w=60");
	assert_string_equal(limits.retry_after, "30");
}

TEST(http_reply_set_limits_never_has_no_retry_after)
{
	struct http_limits limits;
	begin();
	add_stopped("a", 5, -1);
	struct verdict verdict = fold();

	http_reply_set_limits(&limits, &verdict);

	assert_string_equal(limits.ratelimit, "\"a\";r=0");
	assert_string_equal(limits.retry_after, "");
}

TEST(http_reply_set_limits_allowed_has_no_retry_after)
{
	struct http_limits limits;
	begin();
	add_passed("a", 5, 4);
	struct verdict verdict = fold();

	http_reply_set_limits(&limits, &verdict);

	assert_string_equal(limits.retry_after, "");
}

TEST(http_reply_set_limits_an_error_has_retry_after_only)
{
	struct http_limits limits;
	begin();
	add_failed("a", 5, ON_ERROR_DENY);
	struct verdict verdict = fold();

	http_reply_set_limits(&limits, &verdict);

	assert_string_equal(limits.ratelimit, "");
	assert_string_equal(limits.ratelimit_policy, "");
	assert_string_equal(limits.retry_after, "1");
}

TEST(http_reply_set_limits_all_policies_fit)
{
	struct http_limits limits;
	begin_with_the_longest();
	struct verdict verdict = fold();

	http_reply_set_limits(&limits, &verdict);

	assert_non_null(strstr(limits.ratelimit, longest_name(REQUEST_CHECKS_MAX - 1)));
	assert_non_null(strstr(limits.ratelimit_policy, longest_name(REQUEST_CHECKS_MAX - 1)));
}

/* ---- status ---- */

TEST(http_reply_status_follows_the_reason)
{
	static const struct {
		bool allowed;
		enum reason reason;
		struct http_denial denial;
		unsigned expected;
	} cases[] = {
		{true, REASON_OK, {429, 503}, 200},       {true, REASON_NONE, {403, 503}, 200},
		{true, REASON_ERROR, {403, 503}, 200},    {false, REASON_LIMITED, {429, 503}, 429},
		{false, REASON_LIMITED, {401, 503}, 401}, {false, REASON_BLOCKED, {403, 503}, 403},
		{false, REASON_ERROR, {429, 503}, 503},   {false, REASON_ERROR, {403, 403}, 403},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct verdict verdict = {.allowed = cases[i].allowed, .reason = cases[i].reason};
		assert_int_equal(http_reply_status(&verdict, cases[i].denial), cases[i].expected);
	}
}

/* ---- problems ---- */

static void put_problem(struct writer *w, const void *detail)
{
	http_reply_put_problem(w, 404, detail);
}

TEST(http_reply_put_problem_is_that_of_rfc_9457)
{
	sweep_encoder(BYTES("{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
			    "\"detail\":\"policy: \\\"a\\u000ab\\\" is unknown\"}"),
		      put_problem, "policy: \"a\nb\" is unknown");
}

TEST(http_reply_put_problem_every_error_fits)
{
	struct err err;
	char memory[HTTP_PROBLEM_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	/* What is longer is cut; all that may stand in an error is printable. */
	memset(err.text, '"', sizeof err.text - 1);
	err.text[sizeof err.text - 1] = '\0';
	http_reply_put_problem(&w, 431, err.text);

	assert_false(w.full);
}

TEST(http_reply_status_text_is_that_of_rfc_9110)
{
	static const struct {
		unsigned status;
		const char *text;
	} cases[] = {
		{200, "OK"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{421, "Misdirected Request"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(http_reply_status_text(cases[i].status), cases[i].text);
	assert_string_equal(http_reply_status_text(418), "Error");
}
