/*
 * redis_info.h - whether a server can keep balances, by what it says in INFO.
 */
#ifndef STORE_REDIS_INFO_H
#define STORE_REDIS_INFO_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "store/store_error.h"

/* False for a Sentinel, a node of a Cluster, a replica, or one that loads; *ret_why is a constant.
 */
MUST_CHECK bool redis_info_is_usable(struct bytes info, enum store_error *ret_error,
				     const char **ret_why);

#endif
