#include "net/request_log.h"

#include "base/log.h"

void request_log_left_out(const struct request *request)
{
	static struct log_limit limit;

	if (request->left_out > 0)
		log_limited(&limit, LOG_WARN, "policies_left_out",
			    LOG_INT("max", REQUEST_CHECKS_MAX),
			    LOG_INT("left_out", request->left_out));
}
