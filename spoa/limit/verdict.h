/*
 * verdict.h - what all checks of a request come to, as in docs/reference.md, section SPOP.
 *
 * A verdict points into the request that it was folded from and dies with it.
 */
#ifndef LIMIT_VERDICT_H
#define LIMIT_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/decimal.h"
#include "base/writer.h"
#include "limit/request.h"

/* In order: the first that holds is the reason. */
enum reason {
	REASON_INVALID = 0,
	REASON_BLOCKED,
	REASON_LIMITED,
	REASON_ERROR,
	REASON_SHADOW,
	REASON_OK,
	REASON_NONE,
	REASON_COUNT,
};

struct verdict {
	const struct request *request;
	bool allowed;
	bool degraded;
	enum reason reason;
	int64_t retry_after_us;   /* 0 if allowed, -1 for never */
	const struct check *lead; /* whose policy and numbers are told; NULL without a check */
};

#define VERDICT_ERROR_RETRY_US INT64_C(1000000) /* of a denial by on_error */

/* `on_error` is the flag, by which an invalid message is answered. */
struct verdict verdict_fold(const struct request *request, enum on_error on_error);

/* Memory of REASON_TEXT_SIZE bytes, of which those behind the text are 0. */
#define REASON_TEXT_SIZE 8
const char *reason_text(enum reason reason);
size_t reason_text_len(enum reason reason);
/* Rounded up; -1 stays -1. */
int64_t seconds_up(int64_t us);
int64_t milliseconds_up(int64_t us);

/*
 * The checks that the RateLimit and RateLimit-Policy headers tell of, the lead first; NULL behind
 * the last. What is in shadow or blocked is not told of. The items follow the IETF draft, revision
 * 10, sections 3 and 4.
 */
const struct check *verdict_header_check(const struct verdict *verdict, size_t index);

/* `"NAME"`, and two parameters at most, such as `;r=4;t=30`. */
#define VERDICT_ITEM_MAX (2 + POLICY_NAME_MAX + 2 * (3 + DECIMAL_MAX))

/*
 * The item of one check, for a caller that has room for the longest one; returns the end of what
 * was put. To look at what remains before each byte takes 400 instructions more an answer.
 */
uint8_t *verdict_ratelimit_at(uint8_t *at, const struct verdict *verdict,
			      const struct check *check);
uint8_t *verdict_ratelimit_policy_at(uint8_t *at, const struct check *check);

void verdict_put_ratelimit(struct writer *w, const struct verdict *verdict,
			   const struct check *check);
void verdict_put_ratelimit_policy(struct writer *w, const struct check *check);
/* Both headers, with as many policies as fit into `room` together, and the same in both. */
void verdict_put_headers(struct writer *limits, struct writer *policies,
			 const struct verdict *verdict, size_t room);

#endif
