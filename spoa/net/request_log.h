/*
 * request_log.h - the log lines of a request that are the same for SPOP and HTTP.
 */
#ifndef NET_REQUEST_LOG_H
#define NET_REQUEST_LOG_H

#include "limit/request.h"

/*
 * Logs, at most once a second, that more policies fit a request than it may be checked by; and of
 * each policy once that what it counts by never comes.
 */
void request_log_policies(const struct request *request);

#endif
