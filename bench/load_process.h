/*
 * load_process.h - the CPU time of a process between two moments, and its memory, from /proc.
 */
#ifndef BENCH_LOAD_PROCESS_H
#define BENCH_LOAD_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

#define LOAD_PROCESS_NAME_MAX 64

struct load_process {
	pid_t pid;
	char name[LOAD_PROCESS_NAME_MAX]; /* letters, digits, `.`, `_` and `-`; others are `?` */
	int64_t user_us, system_us;       /* since load_process_begin, in ticks of 10 ms */
	int64_t cpu_us;                   /* both together, exactly */
	uint64_t rss_kb;
};

/* The times count from here on. */
MUST_CHECK bool load_process_begin(struct load_process *process, pid_t pid, struct err *err);
/* Fills in times and memory. */
MUST_CHECK bool load_process_end(struct load_process *process, struct err *err);

#endif
