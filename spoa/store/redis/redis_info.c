#include "store/redis/redis_info.h"

static const struct {
	const char *line;
	enum store_error error;
	const char *why;
} unusable[] = {
	{"redis_mode:sentinel", STORE_OTHER, "it is a Sentinel, which keeps no data"},
	{"server_mode:sentinel", STORE_OTHER, "it is a Sentinel, which keeps no data"}, /* Valkey */
	{"redis_mode:cluster", STORE_MOVED, "it is a node of a Redis Cluster"},
	{"server_mode:cluster", STORE_MOVED, "it is a node of a Redis Cluster"},
	{"role:slave", STORE_READONLY, "it is a replica, which can't be written to"},
	{"loading:1", STORE_LOADING, "it is loading its data"},
};

bool redis_info_is_usable(struct bytes info, enum store_error *ret_error, const char **ret_why)
{
	struct bytes line;

	while (bytes_next_item(&info, '\n', &line)) {
		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		for (size_t i = 0; i < ARRAY_SIZE(unusable); i++) {
			if (!bytes_equal(line, bytes_from_text(unusable[i].line)))
				continue;
			*ret_error = unusable[i].error;
			*ret_why = unusable[i].why;
			return false;
		}
	}
	return true;
}
