/*
 * spop_names.h - which arguments HAProxy sends, for people who ask why a policy never applies.
 *
 * The names come from HAProxy's configuration, so there are few of them, and they come in the same
 * order in message after message. At most SPOP_NAMES_MAX are kept, of at most SPOP_NAME_MAX bytes;
 * others are not kept, and `left_out` says so. Values are never kept.
 */
#ifndef NET_SPOP_NAMES_H
#define NET_SPOP_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define SPOP_NAMES_MAX 32
#define SPOP_NAME_MAX  63 /* as many bytes as HAProxy gives to the name of a variable */

struct spop_name {
	uint64_t times;  /* that it came */
	uint64_t absent; /* of these, without a value: HAProxy found none in the request */
	uint8_t len;
	char text[SPOP_NAME_MAX];
};

struct spop_names {
	struct spop_name items[SPOP_NAMES_MAX];
	size_t count;
	size_t next; /* where the next argument probably is */
	bool left_out;
};

void spop_names_add(struct spop_names *names, struct bytes name, bool is_absent);

#endif
