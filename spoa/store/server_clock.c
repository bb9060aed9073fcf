#include "store/server_clock.h"

/* The server's clock gains or loses at most 1 us in so many. */
#define DRIFT_IN 1000
/* Each of the three readings was rounded down to a microsecond. */
#define ROUNDING_US 3

static int64_t most_after(int64_t store_us, int64_t passed_us)
{
	return store_us + passed_us + passed_us / DRIFT_IN + ROUNDING_US;
}

static int64_t least_after(int64_t store_us, int64_t passed_us)
{
	int64_t sure_us = passed_us - passed_us / DRIFT_IN - ROUNDING_US;

	return sure_us > 0 ? store_us + sure_us : store_us;
}

int64_t server_clock_most_us(const struct server_clock *clock, int64_t mono_us)
{
	return most_after(clock->most_us, mono_us - clock->most_asked_us);
}

int64_t server_clock_least_us(const struct server_clock *clock, int64_t mono_us)
{
	return least_after(clock->least_us, mono_us - clock->least_read_us);
}

void server_clock_learn(struct server_clock *clock, int64_t store_us, int64_t asked_us,
			int64_t read_us)
{
	int64_t most_us = most_after(store_us, read_us - asked_us), least_us = store_us;

	/* By the earlier replies the clock can't show this now, or could not show it then. */
	if (clock->is_known && (least_us > server_clock_most_us(clock, read_us) ||
				most_us < server_clock_least_us(clock, read_us)))
		clock->is_known = false;
	if (!clock->is_known || most_us < server_clock_most_us(clock, read_us)) {
		clock->most_us = store_us;
		clock->most_asked_us = asked_us;
	}
	if (!clock->is_known || least_us > server_clock_least_us(clock, read_us)) {
		clock->least_us = store_us;
		clock->least_read_us = read_us;
	}
	clock->is_known = true;
}
