#include "limit/exception.h"

static bool refuse_number(struct err *err, const char *name, enum algorithm algorithm,
			  const char *accepted)
{
	return err_set(err, "%s: is not a number of a %s; %s", name, algorithm_name(algorithm),
		       accepted);
}

static bool set_quota(const struct exception *exception, const struct quota *quota,
		      struct quota *ret_quota, struct err *err)
{
	int64_t units = exception->units != 0 ? exception->units : quota->limit;
	struct ratio rate = exception->tokens_per_us;

	if (!algorithm_traits(quota->algorithm)->is_by_rate) {
		if (rate.num != 0)
			return refuse_number(err, "refill_rate", quota->algorithm,
					     "accepted is limit");
		return quota_set_window(ret_quota, quota->algorithm, units, quota->window_us, err);
	}
	if (rate.num == 0)
		rate = (struct ratio){quota->refill_tokens, quota->refill_us};
	return quota_set_bucket(ret_quota, quota->algorithm, units, rate, err);
}

bool exception_quota(const struct exception *exception, const struct quota *quota,
		     int64_t *lease_us, struct quota *ret_quota, struct err *err)
{
	struct quota whole = *quota; /* as the policy file has it */

	whole.limit += quota_lease_units(&whole, *lease_us);
	if (!set_quota(exception, &whole, ret_quota, err))
		return false;
	if (!quota_can_be_leased(ret_quota, *lease_us))
		*lease_us = 0;
	ret_quota->limit -= quota_lease_units(ret_quota, *lease_us);
	return true;
}
