#include "load_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

static const struct {
	const char *name;
	unsigned per_mille;
} latencies[] = {{"p50", 500}, {"p99", 990}, {"p99.9", 999}, {"max", 1000}};

static double per_second(const struct load_report *report)
{
	return (double)report->tally->checks * (double)US_PER_SECOND / (double)report->took_us;
}

static double per_check(const struct load_report *report, int64_t us)
{
	return report->tally->checks == 0 ? 0 : (double)us / (double)report->tally->checks;
}

/* Of one core. */
static double cpu_percent(const struct load_report *report, const struct load_process *process)
{
	return 100.0 * (double)(process->user_us + process->system_us) / (double)report->took_us;
}

static void print_table(const struct load_report *report)
{
	const struct load_tally *tally = report->tally;

	printf("%" PRIu64 " connections, %" PRIu64 " checks in flight each, %.3f s\n",
	       report->options->connections, report->options->in_flight,
	       (double)report->took_us / (double)US_PER_SECOND);
	printf("  checks     %" PRIu64 ", %.0f a second\n", tally->checks, per_second(report));
	printf("  latency   ");
	for (size_t i = 0; i < ARRAY_SIZE(latencies); i++)
		printf(" %s %" PRId64, latencies[i].name,
		       load_tally_latency_us(tally, latencies[i].per_mille));
	printf(" us\n");
	printf("  answers    allowed %" PRIu64 " denied %" PRIu64 " undecided %" PRIu64
	       " degraded %" PRIu64 " reason=error %" PRIu64 "\n",
	       tally->allowed, tally->denied, tally->undecided, tally->degraded, tally->errors);
	for (size_t i = 0; i < report->process_count; i++) {
		const struct load_process *p = &report->processes[i];
		printf("  %-16s %.2f us user + %.2f us system a check, %.0f %% of a core, "
		       "RSS %" PRIu64 " kB\n",
		       p->name, per_check(report, p->user_us), per_check(report, p->system_us),
		       cpu_percent(report, p), p->rss_kb);
	}
}

static void print_json_process(const struct load_report *report, const struct load_process *p)
{
	printf("{\"pid\":%d,\"name\":\"%s\",\"user_us_per_check\":%.4f,"
	       "\"system_us_per_check\":%.4f,\"cpu_us_per_check\":%.4f,\"cpu_percent\":%.1f,"
	       "\"rss_kb\":%" PRIu64 "}",
	       (int)p->pid, p->name, per_check(report, p->user_us), per_check(report, p->system_us),
	       per_check(report, p->cpu_us), cpu_percent(report, p), p->rss_kb);
}

static void print_json(const struct load_report *report)
{
	const struct load_tally *tally = report->tally;

	printf("{\"connections\":%" PRIu64 ",\"in_flight\":%" PRIu64 ",\"seconds\":%.6f,"
	       "\"checks\":%" PRIu64 ",\"checks_per_second\":%.1f,\"latency_us\":{",
	       report->options->connections, report->options->in_flight,
	       (double)report->took_us / (double)US_PER_SECOND, tally->checks, per_second(report));
	for (size_t i = 0; i < ARRAY_SIZE(latencies); i++)
		printf("%s\"%s\":%" PRId64, i > 0 ? "," : "", latencies[i].name,
		       load_tally_latency_us(tally, latencies[i].per_mille));
	printf("},\"allowed\":%" PRIu64 ",\"denied\":%" PRIu64 ",\"undecided\":%" PRIu64
	       ",\"degraded\":%" PRIu64 ",\"reason_error\":%" PRIu64 ",\"processes\":[",
	       tally->allowed, tally->denied, tally->undecided, tally->degraded, tally->errors);
	for (size_t i = 0; i < report->process_count; i++) {
		printf("%s", i > 0 ? "," : "");
		print_json_process(report, &report->processes[i]);
	}
	printf("]}\n");
}

void load_report_print(const struct load_report *report)
{
	if (report->options->json)
		print_json(report);
	else
		print_table(report);
}
