/*
 * replay_time.h - times of a replay, for people: a date in UTC, or, of a trace that began to count
 * at some other time than 1970, seconds.
 */
#ifndef APP_REPLAY_TIME_H
#define APP_REPLAY_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_TIME_MAX 40

/* Nobody has a log of before 2000. */
static inline bool replay_time_is_date(int64_t at_us)
{
	return at_us >= INT64_C(946684800000000);
}

struct replay_time {
	char text[REPLAY_TIME_MAX];
};

/* "2026-11-24T11:44:28Z", or "28 s". */
struct replay_time replay_time_text(int64_t at_us);

#endif
