/*
 * decision_log.h - writes a line for each request that was decided, or with --log-decisions denied
 * only for each that was denied.
 *
 *   {"time":…,"level":"info","event":"decision","source":"spop","policy":"login",
 *    "reason":"limited","allowed":false,"degraded":false,"remaining":0,"retry_after_ms":29400,
 *    "latency_us":12,"key_hash":"2f0c0b7b4a5f31d7","traceparent":"00-…"}
 *
 * No line shows a key: `key_hash` is the beginning of the SHA-256 of the key as /top shows it. At
 * most DECISION_LINES_MAX lines are written in a second; the next line has the number of the
 * others.
 */
#ifndef APP_DECISION_LOG_H
#define APP_DECISION_LOG_H

#include "app/options.h"
#include "base/log.h"
#include "engine/engine.h"

#define DECISION_LINES_MAX 100

struct decision_log {
	enum log_decisions which;
	struct log_limit limit;
};

void decision_log_init(struct decision_log *log, enum log_decisions which);
/* For engine_config.decided: `log` is a struct decision_log. */
void decision_log_put(void *log, const struct decision *decision);

#endif
