#include "limit/verdict.h"

#include <string.h>

#include "base/clock.h"
#include "base/decimal.h"

/* -1 is the longest wait. */
static bool waits_longer(const struct check *a, const struct check *b)
{
	if (b->outcome.retry_after_us == -1)
		return false;
	return a->outcome.retry_after_us == -1 ||
	       a->outcome.retry_after_us > b->outcome.retry_after_us;
}

/* The one that stops the request, with the longest wait. */
static const struct check *find_limited(const struct request *request)
{
	const struct check *found = NULL;

	for (size_t i = 0; i < request->count; i++) {
		const struct check *check = request->checks[i];
		if (check->is_decided && check_denies(check) &&
		    (found == NULL || waits_longer(check, found)))
			found = check;
	}
	return found;
}

static bool is_blocked(const struct request *request)
{
	for (size_t i = 0; i < request->count; i++)
		if (request->checks[i]->terms->is_blocked && !request->checks[i]->is_shadow)
			return true;
	return false;
}

/* The first that on_error decided; one that it denied before one that it allowed. */
static const struct check *find_undecided(const struct request *request)
{
	const struct check *found = NULL;

	for (size_t i = 0; i < request->count; i++) {
		const struct check *check = request->checks[i];
		if (!check->is_decided && !check->is_skipped && !check->is_shadow &&
		    (found == NULL || (check_is_denied(check) && !check_is_denied(found))))
			found = check;
	}
	return found;
}

/* The first that would have denied. */
static const struct check *find_shadow(const struct request *request)
{
	for (size_t i = 0; i < request->count; i++)
		if (request->checks[i]->is_shadow && check_is_denied(request->checks[i]))
			return request->checks[i];
	return NULL;
}

/* One that limits comes before one in shadow, and one with numbers before one without. */
static bool leads(const struct check *a, const struct check *b)
{
	if (a->is_shadow != b->is_shadow)
		return b->is_shadow;
	if (a->is_decided != b->is_decided)
		return a->is_decided;
	return a->outcome.remaining < b->outcome.remaining;
}

static const struct check *find_least_remaining(const struct request *request)
{
	const struct check *found = NULL;

	for (size_t i = 0; i < request->count; i++)
		if (found == NULL || leads(request->checks[i], found))
			found = request->checks[i];
	return found;
}

static bool is_degraded(const struct request *request)
{
	for (size_t i = 0; i < request->count; i++)
		if (request->checks[i]->error != 0)
			return true;
	return false;
}

/* No policy is known that could check the request (--policies store:). */
static bool lacks_policies(const struct request *request)
{
	return request->lacks_policies && !request_is_settled(request);
}

/* Most requests are one check that the store decided: then there is nothing to look for. */
static bool is_one_decided(const struct request *request)
{
	if (request->count != 1 || request->is_invalid)
		return false;
	const struct check *check = request->checks[0];
	return check->is_decided && check->error == 0 && !check->is_shadow;
}

static enum reason reason_of_denied(const struct request *request)
{
	return is_blocked(request) ? REASON_BLOCKED : REASON_LIMITED;
}

static struct verdict verdict_of_one(const struct request *request)
{
	const struct check *check = request->checks[0];
	bool allowed = check->outcome.allowed;

	return (struct verdict){
		.request = request,
		.allowed = allowed,
		.reason = allowed ? REASON_OK : reason_of_denied(request),
		.retry_after_us = allowed ? 0 : check->outcome.retry_after_us,
		.lead = check,
	};
}

struct verdict verdict_fold(const struct request *request, enum on_error on_error)
{
	if (is_one_decided(request))
		return verdict_of_one(request);
	const struct check *limited = find_limited(request);
	const struct check *undecided = find_undecided(request);
	const struct check *shadow = find_shadow(request);
	struct verdict verdict = {
		.request = request,
		.allowed = true,
		.degraded = is_degraded(request),
		.reason = request->count > 0 ? REASON_OK : REASON_NONE,
	};

	if (limited != NULL) {
		verdict.allowed = false;
		verdict.reason = reason_of_denied(request);
		verdict.retry_after_us = limited->outcome.retry_after_us;
		verdict.lead = limited;
	} else if (undecided != NULL) {
		verdict.allowed = !check_is_denied(undecided);
		verdict.reason = REASON_ERROR;
		verdict.retry_after_us = verdict.allowed ? 0 : VERDICT_ERROR_RETRY_US;
		verdict.lead = undecided;
	} else if (lacks_policies(request)) {
		verdict.allowed = on_error != ON_ERROR_DENY;
		verdict.degraded = true;
		verdict.reason = REASON_ERROR;
		verdict.retry_after_us = verdict.allowed ? 0 : VERDICT_ERROR_RETRY_US;
	} else if (shadow != NULL) {
		verdict.reason = REASON_SHADOW;
		verdict.lead = shadow;
	} else {
		verdict.lead = find_least_remaining(request);
	}
	if (!request->is_invalid)
		return verdict;
	verdict.reason = REASON_INVALID;
	/* The same message stays invalid however long its sender waits. */
	if (on_error == ON_ERROR_DENY) {
		verdict.allowed = false;
		verdict.retry_after_us = -1;
	}
	return verdict;
}

#define REASON(text)                   \
	{                              \
		text, sizeof(text) - 1 \
	}
static const struct {
	char text[REASON_TEXT_SIZE];
	uint8_t len;
} reasons[] = {REASON("invalid"), REASON("blocked"), REASON("limited"), REASON("error"),
	       REASON("shadow"),  REASON("ok"),      REASON("none")};

_Static_assert(ARRAY_SIZE(reasons) == REASON_COUNT, "a reason has no text");

const char *reason_text(enum reason reason)
{
	return reasons[reason].text;
}

size_t reason_text_len(enum reason reason)
{
	return reasons[reason].len;
}

int64_t seconds_up(int64_t us)
{
	return us < 0 ? -1 : divide_up(us, US_PER_SECOND);
}

int64_t milliseconds_up(int64_t us)
{
	return us < 0 ? -1 : divide_up(us, US_PER_MS);
}

static bool is_in_headers(const struct check *check)
{
	return check->is_decided && !check->is_shadow && !check->terms->is_blocked;
}

const struct check *verdict_header_check(const struct verdict *verdict, size_t index)
{
	const struct check *lead = verdict->lead;

	/* on_error decided the outcome; when the lead is in shadow it did not. */
	if (lead == NULL || (!lead->is_decided && !lead->is_shadow))
		return NULL;
	if (is_in_headers(lead) && index-- == 0)
		return lead;
	for (size_t i = 0; i < verdict->request->count; i++) {
		const struct check *check = verdict->request->checks[i];
		if (check != lead && is_in_headers(check) && index-- == 0)
			return check;
	}
	return NULL;
}

/* What has to be put is bounded, so nothing here looks at what remains (verdict.h). */
static uint8_t *put_name(uint8_t *at, const struct check *check)
{
	size_t len = check->policy->name_len;

	*at = '"';
	COPY_CONSTANT(at + 1, check->policy->name, POLICY_NAME_MAX);
	at[1 + len] = '"';
	return at + 1 + len + 1;
}

static uint8_t *put_parameter(uint8_t *at, char name, int64_t value)
{
	at[0] = ';';
	at[1] = (uint8_t)name;
	at[2] = '=';
	at += 3;
	if (value < 0) {
		*at++ = '-';
		return decimal_put(at, 0 - (uint64_t)value);
	}
	return decimal_put(at, (uint64_t)value);
}

uint8_t *verdict_ratelimit_at(uint8_t *at, const struct verdict *verdict, const struct check *check)
{
	int64_t wait_us = 0;

	if (check_is_denied(check))
		wait_us = check->outcome.retry_after_us;
	else if (verdict->allowed)
		wait_us = check->outcome.grows_us;
	at = put_name(at, check);
	at = put_parameter(at, 'r', check->outcome.remaining);
	if (wait_us > 0)
		at = put_parameter(at, 't', seconds_up(wait_us));
	return at;
}

uint8_t *verdict_ratelimit_policy_at(uint8_t *at, const struct check *check)
{
	const struct terms *terms = check->terms;

	at = put_name(at, check);
	if (check->quota != &terms->quota || terms->header_len == 0)
		return quota_header_at(at, check->quota);
	COPY_CONSTANT(at, terms->header, QUOTA_HEADER_MAX);
	return at + terms->header_len;
}

void verdict_put_ratelimit(struct writer *w, const struct verdict *verdict,
			   const struct check *check)
{
	uint8_t item[VERDICT_ITEM_MAX];

	writer_put(w,
		   bytes_from(item, (size_t)(verdict_ratelimit_at(item, verdict, check) - item)));
}

void verdict_put_ratelimit_policy(struct writer *w, const struct check *check)
{
	uint8_t item[VERDICT_ITEM_MAX];

	writer_put(w, bytes_from(item, (size_t)(verdict_ratelimit_policy_at(item, check) - item)));
}

void verdict_put_headers(struct writer *limits, struct writer *policies,
			 const struct verdict *verdict, size_t room)
{
	const struct check *check;

	for (size_t i = 0; (check = verdict_header_check(verdict, i)) != NULL; i++) {
		size_t limits_mark = writer_mark(limits), policies_mark = writer_mark(policies);
		if (i > 0) {
			writer_put_text(limits, ", ");
			writer_put_text(policies, ", ");
		}
		verdict_put_ratelimit(limits, verdict, check);
		verdict_put_ratelimit_policy(policies, check);
		if (limits->full || policies->full || limits->len + policies->len > room) {
			writer_rewind(limits, limits_mark);
			writer_rewind(policies, policies_mark);
			return;
		}
	}
}
