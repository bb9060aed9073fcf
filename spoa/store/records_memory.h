/*
 * records_memory.h - records that are kept in the memory of this agent alone.
 *
 * A put is done at once. Nothing outlives the agent.
 */
#ifndef STORE_RECORDS_MEMORY_H
#define STORE_RECORDS_MEMORY_H

#include "store/records.h"

/* `now_us` is the clock: microseconds since 1970. NULL when memory is short. */
struct records *records_memory_new(int64_t (*now_us)(void));

#endif
