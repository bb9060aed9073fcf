/*
 * front_store.h - a store that stands in front of another one, and does some of its work: see
 * denials.h and lease_store.h.
 */
#ifndef STORE_FRONT_STORE_H
#define STORE_FRONT_STORE_H

#include "store/store.h"

struct front_store {
	struct store store;
	struct store *asked; /* the other one */
};

/*
 * From now on `front` passes all calls on to `asked`, but for `ask`, `describe` and `free`, which
 * are the caller's to set, as are others that it wants to see.
 */
void front_store_init(struct front_store *front, struct store *asked);

#endif
