/*
 * policy_text.h - writes the values of a policy in the notation of the policy file.
 */
#ifndef APP_POLICY_TEXT_H
#define APP_POLICY_TEXT_H

#include <stdint.h>

#include "base/writer.h"
#include "limit/policy.h"

extern const char *const on_error_names[]; /* by enum on_error, then NULL */
/* The shortest exact notation: "1d", "90s", "1.5ms". */
void policy_text_put_duration(struct writer *w, int64_t us);
/* Tokens per second, "50" or "0.5"; when that is not exact, a ratio: "1000/1m". */
void policy_text_put_refill_rate(struct writer *w, const struct quota *quota);
/* "90%" of SHADOW_SHARE_ALL. */
void policy_text_put_share(struct writer *w, unsigned share);

#endif
