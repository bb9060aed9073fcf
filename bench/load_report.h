/*
 * load_report.h - prints the measurement on standard output: as a table, or as one line of JSON.
 */
#ifndef BENCH_LOAD_REPORT_H
#define BENCH_LOAD_REPORT_H

#include "load_options.h"
#include "load_process.h"
#include "load_tally.h"

struct load_report {
	const struct load_options *options;
	const struct load_tally *tally;
	int64_t took_us;
	const struct load_process *processes;
	size_t process_count;
};

void load_report_print(const struct load_report *report);

#endif
