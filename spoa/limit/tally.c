#include "limit/tally.h"

#include <stdlib.h>

const char *source_name(enum source source)
{
	static const char *const names[] = {[SOURCE_SPOP] = "spop", [SOURCE_HTTP] = "http"};

	_Static_assert(ARRAY_SIZE(names) == SOURCE_COUNT, "a source has no name");
	return names[source];
}

struct tally *tally_new(void)
{
	struct tally *tally = calloc(1, sizeof *tally);

	if (tally != NULL)
		tally->references = 1;
	return tally;
}

struct tally *tally_ref(struct tally *tally)
{
	tally->references++;
	return tally;
}

void tally_unref(struct tally *tally)
{
	if (tally == NULL || --tally->references > 0)
		return;
	tally_forget_keys(tally);
	free(tally);
}

void tally_forget_keys(struct tally *tally)
{
	free(tally->seen);
	free(tally->denied);
	free(tally->shadow_denied);
	tally->seen = tally->denied = tally->shadow_denied = NULL;
	tally->keys_absent_before = tally->keys_absent;
	tally->has_key_come = tally->is_absence_told = false;
}
