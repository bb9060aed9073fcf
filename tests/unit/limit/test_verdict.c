#include "limit/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const char *const answer_words[ANSWERS] = {
	"",
	"passed",
	"stopped",
	"failed_allow",
	"failed_deny",
	"local_passed",
	"local_stopped",
	"blocked",
};

struct given {
	enum answer answer;
	bool is_shadow;
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

static void set_check(struct check *check, const struct policy *policy, struct given given)
{
	enum answer answer = given.answer;

	/* A slot still holds what its last user left in it. */
	memset(check, 0xa5, sizeof *check);
	check->policy = policy;
	check->terms = &policy->terms;
	check->quota = &policy->terms.quota;
	check->is_shadow = given.is_shadow;
	check->cost = 1;
	check->error = is_in(answer, PASSED, STOPPED) || answer == BLOCKED ? 0 : 1;
	check->is_decided = !is_in(answer, FAILED_ALLOW, FAILED_DENY);
	check->is_skipped = false;
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

static void set_checks(struct scene *scene, const struct given given[CHECKS_MAX], bool is_invalid)
{
	memset(scene, 0, sizeof *scene);
	scene->request.is_invalid = is_invalid;
	for (size_t i = 0; i < CHECKS_MAX && given[i].answer != NO_CHECK; i++) {
		scene->policies[i].name[0] = (char)('a' + i);
		scene->policies[i].name_len = 1;
		scene->policies[i].position = i;
		scene->policies[i].terms.on_error =
			given[i].answer == FAILED_DENY ? ON_ERROR_DENY : ON_ERROR_ALLOW;
		scene->policies[i].terms.is_blocked = given[i].answer == BLOCKED;
		scene->policies[i].terms.is_shadow = given[i].is_shadow;
		scene->policies[i].terms.quota = (struct quota){
			.algorithm = FIXED_WINDOW, .limit = 10, .window_us = 60 * SECOND};
		set_check(&scene->checks[i], &scene->policies[i], given[i]);
		scene->request.checks[i] = &scene->checks[i];
		scene->request.count++;
	}
}

static struct given read_given(const char *text)
{
	struct given given = {0};
	char word[16] = "";

	if (strncmp(text, "shadow ", 7) == 0) {
		given.is_shadow = true;
		text += 7;
	}
	assert_true(sscanf(text, "%15[a-z_]:%" SCNd64, word, &given.number) >= 1);
	for (int answer = PASSED; answer < ANSWERS; answer++)
		if (strcmp(word, answer_words[answer]) == 0)
			given.answer = (enum answer)answer;
	assert_true(given.answer != NO_CHECK);
	return given;
}

/*
 * What the store left in each check, as in "passed:5, stopped:1000000, shadow failed_deny"; with
 * "invalid" among them if a message was.
 */
static void set_scene(struct scene *scene, const char *notation)
{
	struct given given[CHECKS_MAX] = {{0}};
	struct bytes rest = bytes_from_text(notation), item;
	bool is_invalid = false;
	size_t count = 0;
	char text[64];

	while (rest.len > 0 && bytes_next_item(&rest, ',', &item)) {
		item = bytes_trim(item);
		snprintf(text, sizeof text, "%.*s", (int)item.len, (const char *)item.data);
		if (strcmp(text, "invalid") == 0) {
			is_invalid = true;
			continue;
		}
		assert_true(count < CHECKS_MAX);
		given[count++] = read_given(text);
	}
	set_checks(scene, given, is_invalid);
}

/* ---- allowed, reason, degraded, retry_after, policy ---- */

/*
 * By the checks and the flag on_error: "allow/REASON/LEAD" or "deny/REASON/LEAD/RETRY_AFTER_US",
 * and "/degraded".
 */
static const struct {
	const char *name, *given;
	enum on_error flag;
	const char *expected;
} verdicts[] = {
	/* no policy applied */
	{"nothing", "", ON_ERROR_ALLOW, "allow/none/"},
	{"nothing, and on_error denies", "", ON_ERROR_DENY, "allow/none/"},

	/* allowed: the least remaining */
	{"one passed", "passed:5", ON_ERROR_ALLOW, "allow/ok/a"},
	{"one passed with nothing left", "passed:0", ON_ERROR_DENY, "allow/ok/a"},
	{"the least remaining leads", "passed:5, passed:3, passed:4", ON_ERROR_ALLOW, "allow/ok/b"},
	{"a tie of remaining: file order", "passed:5, passed:3, passed:3", ON_ERROR_ALLOW,
	 "allow/ok/b"},

	/* denied: the longest wait */
	{"one stopped", "stopped:1", ON_ERROR_ALLOW, "deny/limited/a/1"},
	{"one of several stopped", "passed:0, stopped:7, passed:0", ON_ERROR_ALLOW,
	 "deny/limited/b/7"},
	{"the longest wait leads", "stopped:7, stopped:9, stopped:8", ON_ERROR_ALLOW,
	 "deny/limited/b/9"},
	{"a tie of waits: file order", "stopped:7, stopped:9, stopped:9", ON_ERROR_ALLOW,
	 "deny/limited/b/9"},
	{"never is the longest", "stopped:9223372036854775807, stopped:-1", ON_ERROR_ALLOW,
	 "deny/limited/b/-1"},
	{"never first stays", "stopped:-1, stopped:9", ON_ERROR_ALLOW, "deny/limited/a/-1"},
	{"a tie of never: file order", "stopped:1, stopped:-1, stopped:-1", ON_ERROR_ALLOW,
	 "deny/limited/b/-1"},

	/* error: on_error decided the outcome; a second to wait */
	{"one failed, allowed", "failed_allow", ON_ERROR_DENY, "allow/error/a/degraded"},
	{"one failed, denied", "failed_deny", ON_ERROR_ALLOW, "deny/error/a/1000000/degraded"},
	{"any denial denies", "failed_allow, failed_deny, failed_allow", ON_ERROR_ALLOW,
	 "deny/error/b/1000000/degraded"},
	{"a tie of errors: file order", "failed_allow, failed_allow", ON_ERROR_ALLOW,
	 "allow/error/a/degraded"},
	{"a denial by error among those that passed", "passed:0, failed_deny", ON_ERROR_ALLOW,
	 "deny/error/b/1000000/degraded"},

	/* limited comes before error */
	{"stopped and failed", "failed_deny, stopped:5", ON_ERROR_ALLOW,
	 "deny/limited/b/5/degraded"},
	{"stopped and failed, allowed", "stopped:5, failed_allow", ON_ERROR_ALLOW,
	 "deny/limited/a/5/degraded"},

	/* local: the usual reason, degraded */
	{"local passed", "local_passed:3", ON_ERROR_DENY, "allow/ok/a/degraded"},
	{"local stopped", "passed:3, local_stopped:4", ON_ERROR_ALLOW, "deny/limited/b/4/degraded"},

	/* blocked: never, and before limited */
	{"one blocked", "blocked", ON_ERROR_ALLOW, "deny/blocked/a/-1"},
	{"blocked among those that passed", "passed:0, blocked", ON_ERROR_ALLOW,
	 "deny/blocked/b/-1"},
	{"blocked and stopped", "stopped:5, blocked", ON_ERROR_ALLOW, "deny/blocked/b/-1"},
	{"blocked and never: a tie", "stopped:-1, blocked", ON_ERROR_ALLOW, "deny/blocked/a/-1"},
	{"blocked and failed", "failed_deny, blocked", ON_ERROR_ALLOW,
	 "deny/blocked/b/-1/degraded"},
	{"blocked, and another message invalid", "invalid, blocked", ON_ERROR_ALLOW,
	 "deny/invalid/a/-1"},

	/* shadow: allowed, and the first that would have denied leads */
	{"one in shadow passed", "shadow passed:5", ON_ERROR_ALLOW, "allow/ok/a"},
	{"one in shadow stopped", "shadow stopped:5", ON_ERROR_ALLOW, "allow/shadow/a"},
	{"one in shadow blocked", "passed:5, shadow blocked", ON_ERROR_ALLOW, "allow/shadow/b"},
	{"one in shadow blocked, and another stopped", "stopped:5, shadow blocked", ON_ERROR_ALLOW,
	 "deny/limited/a/5"},
	{"the first in shadow, not the longest",
	 "passed:0, shadow passed:0, shadow stopped:5, shadow stopped:-1", ON_ERROR_ALLOW,
	 "allow/shadow/c"},
	{"one in shadow does not lead those that limit", "shadow passed:0, passed:5",
	 ON_ERROR_ALLOW, "allow/ok/b"},
	{"the least remaining of nothing but shadow", "shadow passed:5, shadow passed:4",
	 ON_ERROR_ALLOW, "allow/ok/b"},
	{"stopped, and in shadow longer", "shadow stopped:-1, stopped:5", ON_ERROR_ALLOW,
	 "deny/limited/b/5"},
	{"failed before shadow", "shadow stopped:5, failed_allow", ON_ERROR_ALLOW,
	 "allow/error/b/degraded"},
	{"one in shadow failed, allowed", "passed:5, shadow failed_allow", ON_ERROR_ALLOW,
	 "allow/ok/a/degraded"},
	{"nothing but shadow failed, allowed", "shadow failed_allow", ON_ERROR_DENY,
	 "allow/ok/a/degraded"},
	{"one in shadow failed, and would be denied", "passed:5, shadow failed_deny",
	 ON_ERROR_ALLOW, "allow/shadow/b/degraded"},
	{"one in shadow has numbers and leads one without", "shadow failed_allow, shadow passed:9",
	 ON_ERROR_ALLOW, "allow/ok/b/degraded"},
	{"local in shadow stopped", "shadow local_stopped:5, local_passed:5", ON_ERROR_ALLOW,
	 "allow/shadow/a/degraded"},
	{"invalid, and in shadow stopped", "invalid, shadow stopped:5", ON_ERROR_ALLOW,
	 "allow/invalid/a"},

	/* invalid comes first; local means allow */
	{"invalid, allowed", "invalid", ON_ERROR_ALLOW, "allow/invalid/"},
	{"invalid, local", "invalid", ON_ERROR_LOCAL, "allow/invalid/"},
	{"invalid, and another message passed", "invalid, passed:3", ON_ERROR_ALLOW,
	 "allow/invalid/a"},
	{"invalid, and another message stopped", "invalid, stopped:3", ON_ERROR_ALLOW,
	 "deny/invalid/a/3"},
	{"invalid, and another message failed", "invalid, failed_deny", ON_ERROR_ALLOW,
	 "deny/invalid/a/1000000/degraded"},
	/* docs/reference.md, section SPOP: it stays invalid however long one waits. */
	{"invalid, denied", "invalid", ON_ERROR_DENY, "deny/invalid//-1"},
};

TEST_ROWS(verdicts)
{
	struct scene scene;
	char text[128], retry_after[32] = "";

	set_scene(&scene, row->given);

	struct verdict verdict = verdict_fold(&scene.request, row->flag);

	if (!verdict.allowed || verdict.retry_after_us != 0)
		snprintf(retry_after, sizeof retry_after, "/%" PRId64, verdict.retry_after_us);
	snprintf(text, sizeof text, "%s/%s/%s%s%s", verdict.allowed ? "allow" : "deny",
		 reason_text(verdict.reason),
		 verdict.lead != NULL ? verdict.lead->policy->name : "", retry_after,
		 verdict.degraded ? "/degraded" : "");
	assert_string_equal(text, row->expected);
}

TEST(verdict_fold_every_store_error_degrades)
{
	struct scene scene;

	set_scene(&scene, "passed:5, local_passed:5");
	for (unsigned error = 0; error < 32; error++) {
		scene.checks[1].error = error;
		assert_int_equal(verdict_fold(&scene.request, ON_ERROR_ALLOW).degraded, error != 0);
	}
}

TEST(verdict_fold_what_was_skipped_has_no_say)
{
	static const enum on_error flags[] = {ON_ERROR_ALLOW, ON_ERROR_DENY};
	struct scene scene;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		set_scene(&scene, "failed_deny, stopped:5, shadow failed_deny");
		for (size_t k = 0; k < 3; k += 2) {
			scene.checks[k].error = 0;
			scene.checks[k].is_skipped = true;
		}
		struct verdict verdict = verdict_fold(&scene.request, flags[i]);
		assert_false(verdict.allowed);
		assert_false(verdict.degraded);
		assert_int_equal(verdict.reason, REASON_LIMITED);
		assert_ptr_equal(verdict.lead, &scene.checks[1]);
		assert_int_equal(verdict.retry_after_us, 5);
		assert_ptr_equal(verdict_header_check(&verdict, 0), &scene.checks[1]);
		assert_null(verdict_header_check(&verdict, 1));
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

static const struct {
	const char *name, *given, *limits, *policies;
} headers[] = {
	{"none without a check", "", "", ""},
	{"none without a check, invalid", "invalid", "", ""},
	{"allowed tells when it grows", "passed:5", "\"a\";r=5;t=3", "\"a\";q=10;w=60"},
	{"denied tells its wait, rounded up", "stopped:29000001", "\"a\";r=0;t=30",
	 "\"a\";q=10;w=60"},
	{"never has no time", "stopped:-1", "\"a\";r=0", "\"a\";q=10;w=60"},
	{"another denied has no time", "passed:5, stopped:1000000", "\"b\";r=0;t=1, \"a\";r=5",
	 "\"b\";q=10;w=60, \"a\";q=10;w=60"},
	{"each denied tells its own wait",
	 "stopped:2000000, passed:1, stopped:5000000, stopped:3000000",
	 "\"c\";r=0;t=5, \"a\";r=0;t=2, \"b\";r=1, \"d\";r=0;t=3",
	 "\"c\";q=10;w=60, \"a\";q=10;w=60, \"b\";q=10;w=60, \"d\";q=10;w=60"},
	{"the lead first, then in the order of the file", "passed:4, passed:3, passed:2, passed:3",
	 "\"c\";r=2;t=3, \"a\";r=4;t=3, \"b\";r=3;t=3, \"d\";r=3;t=3",
	 "\"c\";q=10;w=60, \"a\";q=10;w=60, \"b\";q=10;w=60, \"d\";q=10;w=60"},
	{"none when the reason is error", "passed:5, failed_allow", "", ""},
	{"none when the reason is error and denies", "passed:5, failed_deny", "", ""},
	{"limited leaves out what failed", "failed_deny, stopped:1000000, failed_allow, passed:5",
	 "\"b\";r=0;t=1, \"d\";r=5", "\"b\";q=10;w=60, \"d\";q=10;w=60"},
	{"what was decided locally is told of", "local_passed:5", "\"a\";r=5;t=3",
	 "\"a\";q=10;w=60"},
	{"invalid tells of the other messages", "invalid, passed:5", "\"a\";r=5;t=3",
	 "\"a\";q=10;w=60"},
	/*
	 * The reason is `invalid`, and there is an error too: a check without an outcome has no
	 * `remaining` to tell, and its slot holds that of another request.
	 */
	{"invalid and failed has none", "invalid, failed_allow", "", ""},
	{"shadow that leads is not told of", "shadow stopped:1000000, passed:5", "\"b\";r=5;t=3",
	 "\"b\";q=10;w=60"},
	{"shadow that passed is not told of", "shadow passed:1, passed:5", "\"b\";r=5;t=3",
	 "\"b\";q=10;w=60"},
	{"shadow alone is not told of", "shadow passed:5", "", ""},
	{"shadow that failed is not told of", "shadow failed_deny, passed:5", "\"b\";r=5;t=3",
	 "\"b\";q=10;w=60"},
	{"blocked that leads is not told of", "blocked, passed:5", "\"b\";r=5", "\"b\";q=10;w=60"},
	{"blocked behind one that stopped is not told of", "stopped:2000000, blocked",
	 "\"a\";r=0;t=2", "\"a\";q=10;w=60"},
	{"blocked alone is not told of", "blocked", "", ""},
	{"blocked in shadow is not told of", "shadow blocked, passed:5", "\"b\";r=5;t=3",
	 "\"b\";q=10;w=60"},
};

TEST_ROWS(headers)
{
	struct scene scene;

	set_scene(&scene, row->given);
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);

	struct headers both = headers_of(&verdict);

	assert_string_equal(both.limits, row->limits);
	assert_string_equal(both.policies, row->policies);
}

TEST(verdict_put_ratelimit_full_has_no_time)
{
	struct scene scene;

	set_scene(&scene, "passed:10");
	scene.checks[0].outcome.grows_us = 0;
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);

	assert_string_equal(headers_of(&verdict).limits, "\"a\";r=10");
}

TEST(verdict_put_ratelimit_time_is_rounded_up)
{
	struct scene scene;

	set_scene(&scene, "passed:5");
	scene.checks[0].outcome.grows_us = 1;
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);

	assert_string_equal(headers_of(&verdict).limits, "\"a\";r=5;t=1");
}

/*
 * The reason is `invalid`, and behind it stands an error: a check without an outcome has no
 * `remaining` to tell, and what its slot holds is another request's.
 */
TEST(verdict_header_check_never_tells_of_what_has_no_outcome)
{
	struct scene scene;
	const struct check *check;

	/* Every mix of three answers, in shadow and not, valid and not. */
	for (unsigned mix = 0; mix < 2 * 8 * ANSWERS * ANSWERS * ANSWERS; mix++) {
		struct given given[CHECKS_MAX] = {{0}};
		unsigned answers = mix / 16;
		for (unsigned i = 0; i < 3; i++, answers /= ANSWERS) {
			enum answer answer = (enum answer)(answers % ANSWERS);
			bool is_shadow = answer != NO_CHECK && (mix >> i & 2) != 0;
			given[i] = (struct given){answer, is_shadow, 5 - i};
		}
		set_checks(&scene, given, mix % 2 == 1);
		struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);
		for (size_t i = 0; (check = verdict_header_check(&verdict, i)) != NULL; i++)
			if (!check->is_decided || check->is_shadow || check->terms->is_blocked)
				fail_msg("mix %u tells of a check that it must not", mix);
	}
}

TEST(check_limit_of_what_is_blocked_is_none)
{
	struct scene scene;

	set_scene(&scene, "blocked, passed:5");

	assert_int_equal(check_limit(&scene.checks[0]), 0);
	assert_int_equal(check_limit(&scene.checks[1]), 10);
}

/* The window in seconds, rounded up; of a bucket, the time in which it fills. */
static const struct {
	const char *name;
	struct quota quota;
	const char *expected;
} policy_windows[] = {
	{"a minute", {FIXED_WINDOW, 5, 0, 0, 60 * SECOND}, "\"a\";q=5;w=60"},
	{"a second", {SLIDING_WINDOW, 5, 0, 0, SECOND}, "\"a\";q=5;w=1"},
	{"above a second", {SLIDING_WINDOW, 5, 0, 0, SECOND + 1}, "\"a\";q=5;w=2"},
	{"below a second", {SLIDING_WINDOW, 5, 0, 0, SECOND - 1}, "\"a\";q=5"},
	{"a thousandth of a second", {FIXED_WINDOW, 5, 0, 0, 1000}, "\"a\";q=5"},
	/* the window, though what was used counts in the next one too */
	{"sliding_window_counter",
	 {SLIDING_WINDOW_COUNTER, 5, 0, 0, 60 * SECOND},
	 "\"a\";q=5;w=60"},
	/* from empty to full */
	{"bucket that fills in 20 s", {TOKEN_BUCKET, 10, 1, 2 * SECOND, 0}, "\"a\";q=10;w=20"},
	{"bucket that fills in 2 s", {TOKEN_BUCKET, 100, 1, 20000, 0}, "\"a\";q=100;w=2"},
	{"bucket that fills in less than 1 s", {TOKEN_BUCKET, 100, 3, 20001, 0}, "\"a\";q=100"},
	{"bucket that fills in a second and a third",
	 {TOKEN_BUCKET, 2, 3, 2 * SECOND, 0},
	 "\"a\";q=2;w=2"},
};

TEST_ROWS(policy_windows)
{
	struct policy policy = {.name = "a", .name_len = 1, .terms.quota = row->quota};
	struct check check = {
		.policy = &policy, .terms = &policy.terms, .quota = &policy.terms.quota};
	char memory[64];
	struct writer w = writer_on(memory, sizeof memory);

	verdict_put_ratelimit_policy(&w, &check);

	assert_string_equal(writer_text(&w), row->expected);
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

/* ---- policies that nobody knows ---- */

static struct verdict ask_without_policies(enum on_error on_error, bool is_known)
{
	static const struct attributes none;
	static struct pool slots;
	struct policies *policies = policies_new(on_error);
	struct request request;

	assert_non_null(policies);
	assert_true(policies_compile(policies));
	if (!is_known)
		policies_set_unknown(policies);
	assert_int_equal(policies_are_unknown(policies), !is_known);
	request_init(&request, policies, &slots);
	request_add(&request, &none);
	struct verdict verdict = verdict_fold(&request, on_error);
	request_clear(&request);
	policies_unref(policies);
	return verdict;
}

TEST(verdict_fold_unknown_policies_are_answered_by_on_error)
{
	static const enum on_error all[] = {ON_ERROR_ALLOW, ON_ERROR_LOCAL, ON_ERROR_DENY};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct verdict verdict = ask_without_policies(all[i], false);
		assert_int_equal(verdict.reason, REASON_ERROR);
		assert_true(verdict.degraded);
		assert_null(verdict.lead);
		assert_int_equal(verdict.allowed, all[i] != ON_ERROR_DENY);
		assert_int_equal(verdict.retry_after_us, verdict.allowed ? 0 : SECOND);
	}
	assert_int_equal(ask_without_policies(ON_ERROR_DENY, true).reason, REASON_NONE);
}
