/*
 * process_stats.h - what the kernel says this process takes of the machine.
 */
#ifndef APP_PROCESS_STATS_H
#define APP_PROCESS_STATS_H

#include <stdint.h>

struct process_stats {
	uint64_t cpu_us; /* user and system */
	uint64_t resident_bytes;
	uint64_t open_fds;
	uint64_t max_fds;
};

/* A value that the kernel does not tell is 0. */
struct process_stats process_stats(void);

#endif
