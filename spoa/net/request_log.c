#include "net/request_log.h"

#include "base/log.h"

void request_log_policies(const struct request *request)
{
	static struct log_limit limit;

	if (request->left_out > 0)
		log_limited(&limit, LOG_WARN, "policies_left_out",
			    LOG_INT("max", REQUEST_CHECKS_MAX),
			    LOG_INT("left_out", request->left_out));
	if (request->key_never_came != NULL) /* of each policy once, so nothing is to be limited */
		log_event(LOG_WARN, "policy_key_absent",
			  LOG_TEXT("policy", request->key_never_came->name),
			  LOG_INT("requests", REQUEST_ABSENT_KEYS));
}
