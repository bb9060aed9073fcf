#include "limit/verdict.h"

#include "base/clock.h"

/* -1 is the longest wait. */
static bool waits_longer(const struct check *a, const struct check *b)
{
	if (b->outcome.retry_after_us == -1)
		return false;
	return a->outcome.retry_after_us == -1 ||
	       a->outcome.retry_after_us > b->outcome.retry_after_us;
}

/* The denied one with the longest wait. */
static const struct check *find_limited(const struct request *request)
{
	const struct check *found = NULL;

	for (size_t i = 0; i < request->count; i++) {
		const struct check *check = request->checks[i];
		if (check->is_decided && check_is_denied(check) &&
		    (found == NULL || waits_longer(check, found)))
			found = check;
	}
	return found;
}

/* The first that on_error decided; one that it denied before one that it allowed. */
static const struct check *find_undecided(const struct request *request)
{
	const struct check *found = NULL;

	for (size_t i = 0; i < request->count; i++) {
		const struct check *check = request->checks[i];
		if (!check->is_decided &&
		    (found == NULL || (check_is_denied(check) && !check_is_denied(found))))
			found = check;
	}
	return found;
}

static const struct check *find_least_remaining(const struct request *request)
{
	const struct check *found = NULL;

	for (size_t i = 0; i < request->count; i++) {
		const struct check *check = request->checks[i];
		if (found == NULL || check->outcome.remaining < found->outcome.remaining)
			found = check;
	}
	return found;
}

static bool is_degraded(const struct request *request)
{
	for (size_t i = 0; i < request->count; i++)
		if (request->checks[i]->error != STORE_OK)
			return true;
	return false;
}

static enum reason find_reason(const struct request *request, bool is_limited, bool is_error)
{
	if (request->is_invalid)
		return REASON_INVALID;
	if (is_limited)
		return REASON_LIMITED;
	if (is_error)
		return REASON_ERROR;
	return request->count > 0 ? REASON_OK : REASON_NONE;
}

struct verdict verdict_fold(const struct request *request, enum on_error on_error)
{
	const struct check *limited = find_limited(request);
	const struct check *undecided = find_undecided(request);
	struct verdict verdict = {
		.request = request,
		.allowed = true,
		.degraded = is_degraded(request),
		.reason = find_reason(request, limited != NULL, undecided != NULL),
	};

	if (limited != NULL) {
		verdict.allowed = false;
		verdict.retry_after_us = limited->outcome.retry_after_us;
		verdict.lead = limited;
	} else if (undecided != NULL) {
		verdict.allowed = !check_is_denied(undecided);
		verdict.retry_after_us = verdict.allowed ? 0 : VERDICT_ERROR_RETRY_US;
		verdict.lead = undecided;
	} else {
		verdict.lead = find_least_remaining(request);
	}
	/* The same message stays invalid however long its sender waits. */
	if (request->is_invalid && on_error == ON_ERROR_DENY) {
		verdict.allowed = false;
		verdict.retry_after_us = -1;
	}
	return verdict;
}

const char *reason_text(enum reason reason)
{
	static const char *const texts[] = {"invalid", "limited", "error", "ok", "none"};

	return texts[reason];
}

int64_t seconds_up(int64_t us)
{
	return us < 0 ? -1 : divide_up(us, US_PER_SECOND);
}

int64_t milliseconds_up(int64_t us)
{
	return us < 0 ? -1 : divide_up(us, US_PER_MS);
}

const struct check *verdict_header_check(const struct verdict *verdict, size_t index)
{
	if (verdict->lead == NULL || !verdict->lead->is_decided || index >= verdict->request->count)
		return NULL;
	if (index == 0)
		return verdict->lead;
	for (size_t i = 0; i < verdict->request->count; i++) {
		const struct check *check = verdict->request->checks[i];
		if (check != verdict->lead && check->is_decided && --index == 0)
			return check;
	}
	return NULL;
}

static void put_name(struct writer *w, const struct check *check)
{
	writer_put_u8(w, '"');
	writer_put_text(w, check->policy->name);
	writer_put_u8(w, '"');
}

static void put_parameter(struct writer *w, char name, int64_t value)
{
	writer_put_u8(w, ';');
	writer_put_u8(w, (uint8_t)name);
	writer_put_u8(w, '=');
	writer_put_decimal(w, value);
}

void verdict_put_ratelimit(struct writer *w, const struct verdict *verdict,
			   const struct check *check)
{
	int64_t wait_us = 0;

	if (check_is_denied(check))
		wait_us = check->outcome.retry_after_us;
	else if (verdict->allowed)
		wait_us = check->outcome.grows_us;
	put_name(w, check);
	put_parameter(w, 'r', check->outcome.remaining);
	if (wait_us > 0)
		put_parameter(w, 't', seconds_up(wait_us));
}

void verdict_put_ratelimit_policy(struct writer *w, const struct check *check)
{
	bool is_bucket = check->quota->algorithm == TOKEN_BUCKET;
	int64_t window_us = is_bucket ? quota_full_us(check->quota) : check->quota->window_us;

	put_name(w, check);
	put_parameter(w, 'q', check->quota->limit);
	if (window_us >= US_PER_SECOND)
		put_parameter(w, 'w', seconds_up(window_us));
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
