/*
 * request_log.h - what is worth a line of a request, whoever asked.
 */
#ifndef NET_REQUEST_LOG_H
#define NET_REQUEST_LOG_H

#include "limit/request.h"

/* That more policies fit than one request takes. */
void request_log_left_out(const struct request *request);

#endif
