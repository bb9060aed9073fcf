#include "request_checks.h"

#include <string.h>

#include "base/writer.h"
#include "support/test.h"

#define DESCRIPTION_MAX 4096

struct pool slots;

void open_slots(void)
{
	assert_true(pool_init(&slots, sizeof(struct check), REQUEST_CHECKS_MAX + 1));
}

void close_slots(void)
{
	pool_release(&slots);
}

struct request request_on(const struct policies *policies)
{
	struct request request;

	request_init(&request, policies, &slots);
	policies_unref(policies);
	return request;
}

void add(struct request *request, struct attributes attributes)
{
	request_add(request, &attributes);
}

static void put_check(struct writer *w, const struct check *check)
{
	struct bytes key = check_key(check);
	size_t start = strlen(check->policy->name) + 1;

	if (w->len > 0)
		writer_put_u8(w, ' ');
	writer_put_text(w, check->policy->name);
	writer_put_u8(w, ':');
	if (check->quota != &check->own_quota)
		start += POLICY_GENERATION_MAX + 1;
	writer_put(w, bytes_skip(key, start));
	if (check->cost != 1) {
		writer_put_u8(w, '*');
		writer_put_decimal(w, check->cost);
	}
}

void assert_checks(const struct request *request, const char *expected)
{
	char description[DESCRIPTION_MAX];
	struct writer w = writer_on(description, sizeof description);

	for (size_t i = 0; i < request->count; i++)
		put_check(&w, request->checks[i]);
	assert_string_equal(writer_text(&w), expected);
}

void assert_valid_checks(const struct request *request, const char *expected)
{
	if (request->is_invalid)
		fail_msg("invalid: %s", request->invalid_why);
	assert_checks(request, expected);
}
