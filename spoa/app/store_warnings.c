#include "app/store_warnings.h"

#include <stdio.h>
#include <string.h>

static size_t find_lacking(const struct store_warnings *warnings, const char *hint)
{
	size_t i = 0;

	while (i < warnings->lacking_count && strcmp(warnings->lacking[i].hint, hint) != 0)
		i++;
	return i;
}

void store_warnings_lack(struct store_warnings *warnings, const char *command, const char *hint)
{
	size_t i = find_lacking(warnings, hint);

	if (i == STORE_LACKING_MAX)
		return;
	if (i == warnings->lacking_count)
		warnings->lacking_count++;
	snprintf(warnings->lacking[i].command, sizeof warnings->lacking[i].command, "%s", command);
	warnings->lacking[i].hint = hint;
}

void store_warnings_regain(struct store_warnings *warnings, const char *hint)
{
	size_t i = find_lacking(warnings, hint);

	if (i < warnings->lacking_count)
		warnings->lacking[i] = warnings->lacking[--warnings->lacking_count];
}

void store_warnings_set_eviction(struct store_warnings *warnings, const char *policy)
{
	snprintf(warnings->eviction, sizeof warnings->eviction, "%s", policy);
}

bool store_warnings_evicts(const struct store_warnings *warnings)
{
	return strncmp(warnings->eviction, "allkeys-", strlen("allkeys-")) == 0;
}

size_t store_warnings_texts(const struct store_warnings *warnings, bool has_records,
			    char ret_texts[STORE_WARNINGS_MAX][STORE_WARNING_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < warnings->lacking_count; i++)
		snprintf(ret_texts[count++], STORE_WARNING_MAX,
			 "the agent's user of Redis may not run %s: %s",
			 warnings->lacking[i].command, warnings->lacking[i].hint);
	if (has_records && store_warnings_evicts(warnings))
		snprintf(ret_texts[count++], STORE_WARNING_MAX,
			 "Redis has the maxmemory-policy %s: " STORE_EVICTS, warnings->eviction);
	return count;
}
