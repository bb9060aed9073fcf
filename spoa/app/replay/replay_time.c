#include "app/replay/replay_time.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

struct replay_time replay_time_text(int64_t at_us)
{
	struct replay_time time;
	time_t seconds = at_us / US_PER_SECOND;
	struct tm date;

	if (replay_time_is_date(at_us) && gmtime_r(&seconds, &date) != NULL)
		strftime(time.text, sizeof time.text, "%Y-%m-%dT%H:%M:%SZ", &date);
	else
		snprintf(time.text, sizeof time.text, "%" PRId64 " s", at_us / US_PER_SECOND);
	return time;
}
