#include "app/view/process_stats.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

static uint64_t us_of(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * US_PER_SECOND + (uint64_t)time->tv_usec;
}

static uint64_t read_cpu_us(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return us_of(&usage.ru_utime) + us_of(&usage.ru_stime);
}

/* The second number of statm is in pages. */
static uint64_t read_resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*u %" SCNu64, &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t count_entries(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	uint64_t count = 0;

	if (directory == NULL)
		return 0;
	while ((entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.';
	(void)closedir(directory);
	return count > 0 ? count - 1 : 0; /* without the descriptor of `directory` */
}

/* From Linux 6.2 on the size of the folder is the number of descriptors: no need to count them. */
static uint64_t read_open_fds(void)
{
	struct stat stat_of;

	if (stat("/proc/self/fd", &stat_of) == 0 && stat_of.st_size > 0)
		return (uint64_t)stat_of.st_size;
	return count_entries("/proc/self/fd");
}

static uint64_t read_max_fds(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (uint64_t)limit.rlim_cur : 0;
}

struct process_stats process_stats(void)
{
	return (struct process_stats){
		.cpu_us = read_cpu_us(),
		.resident_bytes = read_resident_bytes(),
		.open_fds = read_open_fds(),
		.max_fds = read_max_fds(),
	};
}
