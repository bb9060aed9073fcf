#include "store/redis/redis_route.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void redis_route_release(struct redis_route *route)
{
	lookup_cancel(route->lookup);
	route->lookup = NULL;
}

void redis_route_restart(struct redis_route *route)
{
	redis_route_release(route);
	route->found = (struct lookup_result){.count = 0};
	route->next = 0;
	*route->opened = '\0';
	*route->good = '\0';
}

static void on_found(void *owner, const struct lookup_result *result)
{
	struct redis_route *route = owner;

	route->lookup = NULL;
	if (result->count > 0 || route->found.count == 0)
		route->found = *result;
	route->looked_up(route->owner);
}

static void begin_look_up(struct redis_route *route)
{
	const char *host = route->host;
	struct lookup_result numeric = lookup_numeric(host);

	if (numeric.count > 0) {
		route->found = numeric;
		return;
	}
	route->lookup = lookup_begin(route->loop, host, on_found, route);
	route->found.why = route->lookup != NULL ? "no answer from the resolver in time"
						 : "no memory or no thread to look up the name";
}

bool redis_route_begin(struct redis_route *route)
{
	bool is_going_on = route->lookup != NULL;

	route->next = 0;
	if (route->path != NULL)
		return true;
	if (!is_going_on)
		begin_look_up(route);
	/* When it was going on in the last round already it is slow: known addresses are enough. */
	return route->lookup == NULL || (is_going_on && route->found.count > 0);
}

bool redis_route_has_next(const struct redis_route *route)
{
	return route->next < (route->path != NULL ? 1 : route->found.count);
}

static void put_good_first(struct redis_route *route)
{
	struct lookup_result *found = &route->found;

	for (size_t i = 1; i < found->count; i++) {
		if (strcmp(found->addresses[i], route->good) != 0)
			continue;
		memmove(found->addresses[1], found->addresses[0], i * LOOKUP_TEXT_MAX);
		memcpy(found->addresses[0], route->good, LOOKUP_TEXT_MAX);
		return;
	}
}

void redis_route_open_next(struct redis_route *route, struct redis_connection *connection)
{
	ASSERT(redis_route_has_next(route));
	if (route->next == 0)
		put_good_first(route);
	size_t address = route->next++;
	if (route->path != NULL) {
		redis_connection_open_unix(connection, route->path);
		return;
	}
	memcpy(route->opened, route->found.addresses[address], LOOKUP_TEXT_MAX);
	redis_connection_open_tcp(connection, route->opened, atoi(route->port));
}

void redis_route_set_good(struct redis_route *route)
{
	memcpy(route->good, route->opened, LOOKUP_TEXT_MAX);
	route->next = SIZE_MAX;
}

const char *redis_route_why(const struct redis_route *route)
{
	return route->found.why;
}
