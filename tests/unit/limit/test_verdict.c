#include "limit/verdict.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/writer.h"
#include "support/sweep.h"
#include "support/test.h"

#define SECOND INT64_C(1000000)
#define NEVER  (-1)

/* ---- requests as the store leaves them ---- */

enum answer {
	NO_CHECK = 0,
	PASSED,       /* with so much remaining */
	STOPPED,      /* with such a wait, in microseconds */
	FAILED_ALLOW, /* not answered, by on_error */
	FAILED_DENY,
	LOCAL_PASSED, /* not answered, and decided by the local store */
	LOCAL_STOPPED,
	BLOCKED, /* by an override, without the store */
	ANSWERS,
};

#define SHADOW 16 /* with it, the check is in shadow */

struct given {
	enum answer answer;
	int64_t number;
};

#define CHECKS_MAX 4

/* One request of policies named a, b, c and d, in file order. */
struct scene {
	struct policy policies[CHECKS_MAX];
	struct check checks[CHECKS_MAX];
	struct request request;
};

static bool is_in(enum answer answer, enum answer first, enum answer second)
{
	return answer == first || answer == second;
}

static enum answer answer_of(struct given given)
{
	return (enum answer)(given.answer & ~(unsigned)SHADOW);
}

static void set_check(struct check *check, const struct policy *policy, struct given given)
{
	enum answer answer = answer_of(given);

	/* A slot still holds what its last user left in it. */
	memset(check, 0xa5, sizeof *check);
	check->policy = policy;
	check->terms = &policy->terms;
	check->quota = &policy->terms.quota;
	check->is_shadow = (given.answer & SHADOW) != 0;
	check->cost = 1;
	check->error = is_in(answer, PASSED, STOPPED) || answer == BLOCKED ? 0 : 1;
	check->is_decided = !is_in(answer, FAILED_ALLOW, FAILED_DENY);
	if (!check->is_decided)
		return;
	bool passed = is_in(answer, PASSED, LOCAL_PASSED);
	check->outcome = (struct outcome){
		.allowed = passed,
		.remaining = passed ? given.number : 0,
		.retry_after_us = passed ? 0 : given.number,
		.reset_us = 60 * SECOND,
		.grows_us = 3 * SECOND,
	};
	if (answer == BLOCKED)
		check->outcome = (struct outcome){.retry_after_us = NEVER, .reset_us = NEVER};
}

static void set_scene(struct scene *scene, const struct given given[CHECKS_MAX], bool is_invalid)
{
	memset(scene, 0, sizeof *scene);
	scene->request.is_invalid = is_invalid;
	for (size_t i = 0; i < CHECKS_MAX && given[i].answer != NO_CHECK; i++) {
		scene->policies[i].name[0] = (char)('a' + i);
		scene->policies[i].position = i;
		scene->policies[i].terms.on_error =
			answer_of(given[i]) == FAILED_DENY ? ON_ERROR_DENY : ON_ERROR_ALLOW;
		scene->policies[i].terms.is_blocked = answer_of(given[i]) == BLOCKED;
		scene->policies[i].terms.is_shadow = (given[i].answer & SHADOW) != 0;
		scene->policies[i].terms.quota = (struct quota){
			.algorithm = FIXED_WINDOW, .limit = 10, .window_us = 60 * SECOND};
		set_check(&scene->checks[i], &scene->policies[i], given[i]);
		scene->request.checks[i] = &scene->checks[i];
		scene->request.count++;
	}
}

/* ---- allowed, reason, degraded, retry_after, policy ---- */

static const struct {
	const char *what;
	struct given given[CHECKS_MAX];
	bool is_invalid;
	enum on_error on_error; /* the flag */
	struct {
		bool allowed, degraded;
		const char *reason;
		int64_t retry_after_us;
		const char *lead; /* "" for none */
	} expected;
} rows[] = {
	/* no policy applied */
	{"nothing", {{0}}, false, ON_ERROR_ALLOW, {true, false, "none", 0, ""}},
	{"nothing, and on_error denies", {{0}}, false, ON_ERROR_DENY, {true, false, "none", 0, ""}},

	/* allowed: the least remaining */
	{"one passed", {{PASSED, 5}}, false, ON_ERROR_ALLOW, {true, false, "ok", 0, "a"}},
	{"one passed with nothing left",
	 {{PASSED, 0}},
	 false,
	 ON_ERROR_DENY,
	 {true, false, "ok", 0, "a"}},
	{"the least remaining leads",
	 {{PASSED, 5}, {PASSED, 3}, {PASSED, 4}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, false, "ok", 0, "b"}},
	{"a tie of remaining: file order",
	 {{PASSED, 5}, {PASSED, 3}, {PASSED, 3}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, false, "ok", 0, "b"}},

	/* denied: the longest wait */
	{"one stopped", {{STOPPED, 1}}, false, ON_ERROR_ALLOW, {false, false, "limited", 1, "a"}},
	{"one of several stopped",
	 {{PASSED, 0}, {STOPPED, 7}, {PASSED, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "limited", 7, "b"}},
	{"the longest wait leads",
	 {{STOPPED, 7}, {STOPPED, 9}, {STOPPED, 8}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "limited", 9, "b"}},
	{"a tie of waits: file order",
	 {{STOPPED, 7}, {STOPPED, 9}, {STOPPED, 9}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "limited", 9, "b"}},
	{"never is the longest",
	 {{STOPPED, INT64_MAX}, {STOPPED, NEVER}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "limited", NEVER, "b"}},
	{"never first stays",
	 {{STOPPED, NEVER}, {STOPPED, 9}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "limited", NEVER, "a"}},
	{"a tie of never: file order",
	 {{STOPPED, 1}, {STOPPED, NEVER}, {STOPPED, NEVER}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "limited", NEVER, "b"}},

	/* error: on_error decided the outcome; a second to wait */
	{"one failed, allowed",
	 {{FAILED_ALLOW, 0}},
	 false,
	 ON_ERROR_DENY,
	 {true, true, "error", 0, "a"}},
	{"one failed, denied",
	 {{FAILED_DENY, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, true, "error", SECOND, "a"}},
	{"any denial denies",
	 {{FAILED_ALLOW, 0}, {FAILED_DENY, 0}, {FAILED_ALLOW, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, true, "error", SECOND, "b"}},
	{"a tie of errors: file order",
	 {{FAILED_ALLOW, 0}, {FAILED_ALLOW, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, true, "error", 0, "a"}},
	{"a denial by error among those that passed",
	 {{PASSED, 0}, {FAILED_DENY, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, true, "error", SECOND, "b"}},

	/* limited comes before error */
	{"stopped and failed",
	 {{FAILED_DENY, 0}, {STOPPED, 5}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, true, "limited", 5, "b"}},
	{"stopped and failed, allowed",
	 {{STOPPED, 5}, {FAILED_ALLOW, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, true, "limited", 5, "a"}},

	/* local: the usual reason, degraded */
	{"local passed", {{LOCAL_PASSED, 3}}, false, ON_ERROR_DENY, {true, true, "ok", 0, "a"}},
	{"local stopped",
	 {{PASSED, 3}, {LOCAL_STOPPED, 4}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, true, "limited", 4, "b"}},

	/* blocked: never, and before limited */
	{"one blocked",
	 {{BLOCKED, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "blocked", NEVER, "a"}},
	{"blocked among those that passed",
	 {{PASSED, 0}, {BLOCKED, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "blocked", NEVER, "b"}},
	{"blocked and stopped",
	 {{STOPPED, 5}, {BLOCKED, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "blocked", NEVER, "b"}},
	{"blocked and never: a tie",
	 {{STOPPED, NEVER}, {BLOCKED, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "blocked", NEVER, "a"}},
	{"blocked and failed",
	 {{FAILED_DENY, 0}, {BLOCKED, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, true, "blocked", NEVER, "b"}},
	{"blocked, and another message invalid",
	 {{BLOCKED, 0}},
	 true,
	 ON_ERROR_ALLOW,
	 {false, false, "invalid", NEVER, "a"}},

	/* shadow: allowed, and the first that would have denied leads */
	{"one in shadow passed",
	 {{SHADOW | PASSED, 5}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, false, "ok", 0, "a"}},
	{"one in shadow stopped",
	 {{SHADOW | STOPPED, 5}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, false, "shadow", 0, "a"}},
	{"one in shadow blocked",
	 {{PASSED, 5}, {SHADOW | BLOCKED, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, false, "shadow", 0, "b"}},
	{"one in shadow blocked, and another stopped",
	 {{STOPPED, 5}, {SHADOW | BLOCKED, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "limited", 5, "a"}},
	{"the first in shadow, not the longest",
	 {{PASSED, 0}, {SHADOW | PASSED, 0}, {SHADOW | STOPPED, 5}, {SHADOW | STOPPED, NEVER}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, false, "shadow", 0, "c"}},
	{"one in shadow does not lead those that limit",
	 {{SHADOW | PASSED, 0}, {PASSED, 5}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, false, "ok", 0, "b"}},
	{"the least remaining of nothing but shadow",
	 {{SHADOW | PASSED, 5}, {SHADOW | PASSED, 4}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, false, "ok", 0, "b"}},
	{"stopped, and in shadow longer",
	 {{SHADOW | STOPPED, NEVER}, {STOPPED, 5}},
	 false,
	 ON_ERROR_ALLOW,
	 {false, false, "limited", 5, "b"}},
	{"failed before shadow",
	 {{SHADOW | STOPPED, 5}, {FAILED_ALLOW, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, true, "error", 0, "b"}},
	{"one in shadow failed, allowed",
	 {{PASSED, 5}, {SHADOW | FAILED_ALLOW, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, true, "ok", 0, "a"}},
	{"nothing but shadow failed, allowed",
	 {{SHADOW | FAILED_ALLOW, 0}},
	 false,
	 ON_ERROR_DENY,
	 {true, true, "ok", 0, "a"}},
	{"one in shadow failed, and would be denied",
	 {{PASSED, 5}, {SHADOW | FAILED_DENY, 0}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, true, "shadow", 0, "b"}},
	{"one in shadow has numbers and leads one without",
	 {{SHADOW | FAILED_ALLOW, 0}, {SHADOW | PASSED, 9}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, true, "ok", 0, "b"}},
	{"local in shadow stopped",
	 {{SHADOW | LOCAL_STOPPED, 5}, {LOCAL_PASSED, 5}},
	 false,
	 ON_ERROR_ALLOW,
	 {true, true, "shadow", 0, "a"}},
	{"invalid, and in shadow stopped",
	 {{SHADOW | STOPPED, 5}},
	 true,
	 ON_ERROR_ALLOW,
	 {true, false, "invalid", 0, "a"}},

	/* invalid comes first; local means allow */
	{"invalid, allowed", {{0}}, true, ON_ERROR_ALLOW, {true, false, "invalid", 0, ""}},
	{"invalid, local", {{0}}, true, ON_ERROR_LOCAL, {true, false, "invalid", 0, ""}},
	{"invalid, and another message passed",
	 {{PASSED, 3}},
	 true,
	 ON_ERROR_ALLOW,
	 {true, false, "invalid", 0, "a"}},
	{"invalid, and another message stopped",
	 {{STOPPED, 3}},
	 true,
	 ON_ERROR_ALLOW,
	 {false, false, "invalid", 3, "a"}},
	{"invalid, and another message failed",
	 {{FAILED_DENY, 0}},
	 true,
	 ON_ERROR_ALLOW,
	 {false, true, "invalid", SECOND, "a"}},
};

static void assert_row(size_t i)
{
	struct scene scene;

	set_scene(&scene, rows[i].given, rows[i].is_invalid);

	struct verdict verdict = verdict_fold(&scene.request, rows[i].on_error);

	const char *lead = verdict.lead != NULL ? verdict.lead->policy->name : "";
	if (verdict.allowed != rows[i].expected.allowed ||
	    verdict.degraded != rows[i].expected.degraded ||
	    strcmp(reason_text(verdict.reason), rows[i].expected.reason) != 0 ||
	    verdict.retry_after_us != rows[i].expected.retry_after_us ||
	    strcmp(lead, rows[i].expected.lead) != 0)
		fail_msg("%s: allowed %d, degraded %d, reason %s, retry_after %lld us, policy %s",
			 rows[i].what, verdict.allowed, verdict.degraded,
			 reason_text(verdict.reason), (long long)verdict.retry_after_us, lead);
}

TEST(verdict_fold_rows_come_out_as_documented)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_row(i);
}

/* INTERFACE.md says no number here: the same message stays invalid however long one waits. */
TEST(verdict_fold_invalid_and_on_error_deny_is_never_allowed)
{
	static const struct given none[CHECKS_MAX];
	struct scene scene;

	set_scene(&scene, none, true);
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_DENY);

	assert_false(verdict.allowed);
	assert_string_equal(reason_text(verdict.reason), "invalid");
	assert_false(verdict.degraded);
	assert_int_equal(verdict.retry_after_us, NEVER);
	assert_null(verdict.lead);
}

TEST(verdict_fold_every_store_error_degrades)
{
	static const struct given given[CHECKS_MAX] = {{PASSED, 5}, {LOCAL_PASSED, 5}};
	struct scene scene;

	set_scene(&scene, given, false);
	for (unsigned error = 0; error < 32; error++) {
		scene.checks[1].error = error;
		assert_int_equal(verdict_fold(&scene.request, ON_ERROR_ALLOW).degraded, error != 0);
	}
}

/* ---- the header strings ---- */

struct headers {
	char limits[256];
	char policies[256];
};

static struct headers headers_of(const struct verdict *verdict)
{
	struct headers headers;
	struct writer limits = writer_on(headers.limits, sizeof headers.limits);
	struct writer policies = writer_on(headers.policies, sizeof headers.policies);
	const struct check *check;

	for (size_t i = 0; (check = verdict_header_check(verdict, i)) != NULL; i++) {
		assert_true(i < CHECKS_MAX);
		writer_put_text(&limits, i > 0 ? ", " : "");
		writer_put_text(&policies, i > 0 ? ", " : "");
		verdict_put_ratelimit(&limits, verdict, check);
		verdict_put_ratelimit_policy(&policies, check);
	}
	(void)writer_text(&limits);
	(void)writer_text(&policies);
	return headers;
}

static void assert_headers(const struct given given[CHECKS_MAX], bool is_invalid,
			   const char *limits, const char *policies)
{
	struct scene scene;

	set_scene(&scene, given, is_invalid);
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);

	struct headers headers = headers_of(&verdict);

	assert_string_equal(headers.limits, limits);
	assert_string_equal(headers.policies, policies);
}

TEST(verdict_header_check_no_check_has_none)
{
	static const struct given given[CHECKS_MAX] = {{0}};

	assert_headers(given, false, "", "");
	assert_headers(given, true, "", "");
}

TEST(verdict_put_ratelimit_allowed_tells_when_it_grows)
{
	static const struct given given[CHECKS_MAX] = {{PASSED, 5}};

	assert_headers(given, false, "\"a\";r=5;t=3", "\"a\";q=10;w=60");
}

TEST(verdict_put_ratelimit_denied_tells_its_wait)
{
	static const struct given given[CHECKS_MAX] = {{STOPPED, 29 * SECOND + 1}};

	assert_headers(given, false, "\"a\";r=0;t=30", "\"a\";q=10;w=60");
}

TEST(verdict_put_ratelimit_never_has_no_time)
{
	static const struct given given[CHECKS_MAX] = {{STOPPED, NEVER}};

	assert_headers(given, false, "\"a\";r=0", "\"a\";q=10;w=60");
}

TEST(verdict_put_ratelimit_another_denied_has_no_time)
{
	static const struct given given[CHECKS_MAX] = {{PASSED, 5}, {STOPPED, SECOND}};

	assert_headers(given, false, "\"b\";r=0;t=1, \"a\";r=5",
		       "\"b\";q=10;w=60, \"a\";q=10;w=60");
}

TEST(verdict_put_ratelimit_each_denied_tells_its_own_wait)
{
	static const struct given given[CHECKS_MAX] = {
		{STOPPED, 2 * SECOND}, {PASSED, 1}, {STOPPED, 5 * SECOND}, {STOPPED, 3 * SECOND}};

	assert_headers(given, false, "\"c\";r=0;t=5, \"a\";r=0;t=2, \"b\";r=1, \"d\";r=0;t=3",
		       "\"c\";q=10;w=60, \"a\";q=10;w=60, \"b\";q=10;w=60, \"d\";q=10;w=60");
}

TEST(verdict_put_ratelimit_lead_first_then_file_order)
{
	static const struct given given[CHECKS_MAX] = {
		{PASSED, 4}, {PASSED, 3}, {PASSED, 2}, {PASSED, 3}};

	assert_headers(given, false, "\"c\";r=2;t=3, \"a\";r=4;t=3, \"b\";r=3;t=3, \"d\";r=3;t=3",
		       "\"c\";q=10;w=60, \"a\";q=10;w=60, \"b\";q=10;w=60, \"d\";q=10;w=60");
}

TEST(verdict_put_ratelimit_full_has_no_time)
{
	static const struct given given[CHECKS_MAX] = {{PASSED, 10}};
	struct scene scene;

	set_scene(&scene, given, false);
	scene.checks[0].outcome.grows_us = 0;
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);

	assert_string_equal(headers_of(&verdict).limits, "\"a\";r=10");
}

TEST(verdict_put_ratelimit_time_is_rounded_up)
{
	static const struct given given[CHECKS_MAX] = {{PASSED, 5}};
	struct scene scene;

	set_scene(&scene, given, false);
	scene.checks[0].outcome.grows_us = 1;
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);

	assert_string_equal(headers_of(&verdict).limits, "\"a\";r=5;t=1");
}

TEST(verdict_header_check_reason_error_has_none)
{
	static const struct given allowed[CHECKS_MAX] = {{PASSED, 5}, {FAILED_ALLOW, 0}};
	static const struct given denied[CHECKS_MAX] = {{PASSED, 5}, {FAILED_DENY, 0}};

	assert_headers(allowed, false, "", "");
	assert_headers(denied, false, "", "");
}

TEST(verdict_header_check_limited_leaves_out_what_failed)
{
	static const struct given given[CHECKS_MAX] = {
		{FAILED_DENY, 0}, {STOPPED, SECOND}, {FAILED_ALLOW, 0}, {PASSED, 5}};

	assert_headers(given, false, "\"b\";r=0;t=1, \"d\";r=5",
		       "\"b\";q=10;w=60, \"d\";q=10;w=60");
}

TEST(verdict_header_check_local_is_told_of)
{
	static const struct given given[CHECKS_MAX] = {{LOCAL_PASSED, 5}};

	assert_headers(given, false, "\"a\";r=5;t=3", "\"a\";q=10;w=60");
}

TEST(verdict_header_check_invalid_tells_of_the_other_messages)
{
	static const struct given given[CHECKS_MAX] = {{PASSED, 5}};

	assert_headers(given, true, "\"a\";r=5;t=3", "\"a\";q=10;w=60");
}

/*
 * The reason is `invalid`, and behind it stands an error: a check without an outcome has no
 * `remaining` to tell, and what its slot holds is another request's.
 */
TEST(verdict_header_check_invalid_and_failed_has_none)
{
	static const struct given given[CHECKS_MAX] = {{FAILED_ALLOW, 0}};

	assert_headers(given, true, "", "");
}

TEST(verdict_header_check_never_tells_of_what_has_no_outcome)
{
	struct scene scene;
	const struct check *check;

	/* Every mix of three answers, in shadow and not, valid and not. */
	for (unsigned mix = 0; mix < 2 * 8 * ANSWERS * ANSWERS * ANSWERS; mix++) {
		struct given given[CHECKS_MAX] = {{0}};
		unsigned answers = mix / 16;
		for (unsigned i = 0; i < 3; i++, answers /= ANSWERS) {
			unsigned shadow =
				answers % ANSWERS != NO_CHECK && (mix >> i & 2) != 0 ? SHADOW : 0;
			given[i] = (struct given){(enum answer)(answers % ANSWERS | shadow), 5 - i};
		}
		set_scene(&scene, given, mix % 2 == 1);
		struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);
		for (size_t i = 0; (check = verdict_header_check(&verdict, i)) != NULL; i++)
			if (!check->is_decided || check->is_shadow || check->terms->is_blocked)
				fail_msg("mix %u tells of a check that it must not", mix);
	}
}

TEST(verdict_header_check_shadow_is_not_told_of)
{
	static const struct given leads[CHECKS_MAX] = {{SHADOW | STOPPED, SECOND}, {PASSED, 5}};
	static const struct given passes[CHECKS_MAX] = {{SHADOW | PASSED, 1}, {PASSED, 5}};
	static const struct given alone[CHECKS_MAX] = {{SHADOW | PASSED, 5}};
	static const struct given failed[CHECKS_MAX] = {{SHADOW | FAILED_DENY, 0}, {PASSED, 5}};

	assert_headers(leads, false, "\"b\";r=5;t=3", "\"b\";q=10;w=60");
	assert_headers(passes, false, "\"b\";r=5;t=3", "\"b\";q=10;w=60");
	assert_headers(alone, false, "", "");
	assert_headers(failed, false, "\"b\";r=5;t=3", "\"b\";q=10;w=60");
}

TEST(verdict_header_check_blocked_is_not_told_of)
{
	static const struct given first[CHECKS_MAX] = {{BLOCKED, 0}, {PASSED, 5}};
	static const struct given last[CHECKS_MAX] = {{STOPPED, 2 * SECOND}, {BLOCKED, 0}};
	static const struct given alone[CHECKS_MAX] = {{BLOCKED, 0}};
	static const struct given shadow[CHECKS_MAX] = {{SHADOW | BLOCKED, 0}, {PASSED, 5}};

	assert_headers(first, false, "\"b\";r=5", "\"b\";q=10;w=60");
	assert_headers(last, false, "\"a\";r=0;t=2", "\"a\";q=10;w=60");
	assert_headers(alone, false, "", "");
	assert_headers(shadow, false, "\"b\";r=5;t=3", "\"b\";q=10;w=60");
}

TEST(check_limit_of_what_is_blocked_is_none)
{
	static const struct given given[CHECKS_MAX] = {{BLOCKED, 0}, {PASSED, 5}};
	struct scene scene;

	set_scene(&scene, given, false);

	assert_int_equal(check_limit(&scene.checks[0]), 0);
	assert_int_equal(check_limit(&scene.checks[1]), 10);
}

TEST(verdict_put_ratelimit_policy_window_is_in_seconds_rounded_up)
{
	static const struct {
		struct quota quota;
		const char *expected;
	} cases[] = {
		{{FIXED_WINDOW, 5, 0, 0, 60 * SECOND}, "\"a\";q=5;w=60"},
		{{SLIDING_WINDOW, 5, 0, 0, SECOND}, "\"a\";q=5;w=1"},
		{{SLIDING_WINDOW, 5, 0, 0, SECOND + 1}, "\"a\";q=5;w=2"},
		{{SLIDING_WINDOW, 5, 0, 0, SECOND - 1}, "\"a\";q=5"},
		{{FIXED_WINDOW, 5, 0, 0, 1000}, "\"a\";q=5"},
		/* the window, though what was used counts in the next one too */
		{{SLIDING_WINDOW_COUNTER, 5, 0, 0, 60 * SECOND}, "\"a\";q=5;w=60"},
		/* from empty to full */
		{{TOKEN_BUCKET, 10, 1, 2 * SECOND, 0}, "\"a\";q=10;w=20"},
		{{TOKEN_BUCKET, 100, 1, 20000, 0}, "\"a\";q=100;w=2"},
		{{TOKEN_BUCKET, 100, 3, 20001, 0}, "\"a\";q=100"},
		{{TOKEN_BUCKET, 2, 3, 2 * SECOND, 0}, "\"a\";q=2;w=2"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policy policy = {.name = "a", .terms.quota = cases[i].quota};
		struct check check = {
			.policy = &policy, .terms = &policy.terms, .quota = &policy.terms.quota};
		char memory[64];
		struct writer w = writer_on(memory, sizeof memory);

		verdict_put_ratelimit_policy(&w, &check);

		assert_string_equal(writer_text(&w), cases[i].expected);
	}
}

/* ---- units ---- */

TEST(seconds_up_is_rounded_up)
{
	assert_int_equal(seconds_up(0), 0);
	assert_int_equal(seconds_up(1), 1);
	assert_int_equal(seconds_up(SECOND), 1);
	assert_int_equal(seconds_up(SECOND + 1), 2);
	assert_int_equal(seconds_up(INT64_MAX), 9223372036855);
}

TEST(milliseconds_up_is_rounded_up)
{
	assert_int_equal(milliseconds_up(0), 0);
	assert_int_equal(milliseconds_up(1), 1);
	assert_int_equal(milliseconds_up(1000), 1);
	assert_int_equal(milliseconds_up(1001), 2);
	assert_int_equal(milliseconds_up(29400 * 1000), 29400);
	assert_int_equal(milliseconds_up(INT64_MAX), 9223372036854776);
}

TEST(seconds_up_never_stays_minus_one)
{
	assert_int_equal(seconds_up(NEVER), -1);
	assert_int_equal(milliseconds_up(NEVER), -1);
}
