#include "load_process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define FILE_MAX  4096
#define NS_PER_US 1000

static bool read_file(pid_t pid, const char *name, char *text, struct err *err)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return err_set(err, "--pid %d: %s: %s", (int)pid, path, strerror(errno));
	size_t len = fread(text, 1, FILE_MAX - 1, file);
	fclose(file);
	text[len] = '\0';
	return true;
}

/* proc(5): `pid (name) state` and numbers; the name may hold anything, so it ends at the last ')'.
 */
static bool read_times(pid_t pid, int64_t *ret_user_us, int64_t *ret_system_us, struct err *err)
{
	char text[FILE_MAX];
	int64_t user, system, ticks = sysconf(_SC_CLK_TCK);

	if (!read_file(pid, "stat", text, err))
		return false;
	const char *rest = strrchr(text, ')');
	/* state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime */
	if (rest == NULL ||
	    sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNd64 " %" SCNd64,
		   &user, &system) != 2)
		return err_set(err, "--pid %d: /proc/%d/stat can't be read", (int)pid, (int)pid);
	*ret_user_us = user * US_PER_SECOND / ticks;
	*ret_system_us = system * US_PER_SECOND / ticks;
	return true;
}

/*
 * The first number of schedstat is how many nanoseconds a thread has run. 0 when the kernel does
 * not count them: sched_schedstats of sysctl(8) is not needed, but CONFIG_SCHED_INFO is.
 */
static int64_t thread_cpu_ns(pid_t pid, const char *thread)
{
	char name[64], text[FILE_MAX];
	struct err ignored;
	int64_t ns;

	snprintf(name, sizeof name, "task/%.16s/schedstat", thread);
	if (!read_file(pid, name, text, &ignored) || sscanf(text, "%" SCNd64, &ns) != 1)
		return 0; /* the thread has ended */
	return ns;
}

static bool read_cpu(pid_t pid, int64_t *ret_us, struct err *err)
{
	char path[64];
	struct dirent *entry;
	int64_t ns = 0;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *threads = opendir(path);
	if (threads == NULL)
		return err_set(err, "--pid %d: %s: %s", (int)pid, path, strerror(errno));
	while ((entry = readdir(threads)) != NULL)
		if (entry->d_name[0] != '.')
			ns += thread_cpu_ns(pid, entry->d_name);
	closedir(threads);
	*ret_us = ns / NS_PER_US;
	return true;
}

static bool read_rss(pid_t pid, uint64_t *ret_kb, struct err *err)
{
	char text[FILE_MAX];

	if (!read_file(pid, "status", text, err))
		return false;
	const char *line = strstr(text, "\nVmRSS:");
	if (line == NULL || sscanf(line, " VmRSS: %" SCNu64, ret_kb) != 1)
		return err_set(err, "--pid %d: no VmRSS: the process has ended", (int)pid);
	return true;
}

static bool read_name(pid_t pid, char *name, struct err *err)
{
	char text[FILE_MAX];

	if (!read_file(pid, "comm", text, err))
		return false;
	snprintf(name, LOAD_PROCESS_NAME_MAX, "%.*s", (int)strcspn(text, "\n"), text);
	for (char *c = name; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL)
			*c = '?';
	return true;
}

bool load_process_begin(struct load_process *process, pid_t pid, struct err *err)
{
	int64_t user_us, system_us, cpu_us;

	*process = (struct load_process){.pid = pid};
	if (!read_name(pid, process->name, err) || !read_times(pid, &user_us, &system_us, err) ||
	    !read_cpu(pid, &cpu_us, err))
		return false;
	process->cpu_us = -cpu_us;
	process->user_us = -user_us;
	process->system_us = -system_us;
	return true;
}

bool load_process_end(struct load_process *process, struct err *err)
{
	int64_t user_us, system_us, cpu_us;

	if (!read_times(process->pid, &user_us, &system_us, err) ||
	    !read_cpu(process->pid, &cpu_us, err) || !read_rss(process->pid, &process->rss_kb, err))
		return false;
	process->cpu_us += cpu_us;
	process->user_us += user_us;
	process->system_us += system_us;
	return true;
}
