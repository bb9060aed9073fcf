/*
 * With the usual 1024 descriptors and the default options, SPOP wants 10000 + 64 and HTTP 1024:
 *
 *     1024 - 2 listeners - 20 in reserve = 1002
 *     HTTP: a quarter, 250; SPOP: the rest, 752, of which 64 are for extras
 *
 * Where the limit is so low that the extras would take half of what SPOP has, there are none, and
 * newcomers wait in the backlog.
 */
#include "app/descriptors.h"

#include "base/least.h"
#include "net/spop/spop_server.h"

/*
 * The agent's own: three standard ones, some four of the loop and the watch of the policy file; and
 * those that it needs at times: Redis, its name (a socket and two files), the policy file, the
 * token files.
 */
#define RESERVE 20

static size_t less(size_t a, size_t b)
{
	return a > b ? a - b : 0;
}

/* HTTP has a quarter, and beyond what SPOP does not want. */
static size_t share_of_http(const struct descriptor_wants *wants, size_t spop_wants, size_t usable)
{
	size_t quarter = usable / 4, left = less(usable, spop_wants);

	if (wants->http_max == 0)
		return 0;
	return least_size(wants->http_max, left > quarter ? left : quarter);
}

static size_t at_least_1(size_t count)
{
	return count > 0 ? count : 1;
}

struct descriptor_shares descriptors_share(const struct descriptor_wants *wants)
{
	size_t spop_wants = wants->max_connections + SPOP_SERVER_EXTRAS_MAX;
	size_t own = wants->listeners + RESERVE;
	size_t usable = less(wants->limit, own);
	size_t http = share_of_http(wants, spop_wants, usable);
	size_t spop = at_least_1(least_size(spop_wants, usable - http));
	size_t extras = spop >= 2 * SPOP_SERVER_EXTRAS_MAX ? SPOP_SERVER_EXTRAS_MAX : 0;

	return (struct descriptor_shares){
		.wanted = own + spop_wants + wants->http_max,
		.max_connections = least_size(wants->max_connections, spop - extras),
		.spop_max_open = spop,
		.http_max = at_least_1(http),
	};
}
