#include "app/view/decision_log.h"

#include <sodium.h>

#include "base/writer.h"

#define FIELDS_MAX      11
#define HASH_BYTES_SEEN 8

void decision_log_init(struct decision_log *log, enum log_decisions which)
{
	*log = (struct decision_log){.which = which, .limit = {.lines = DECISION_LINES_MAX}};
}

struct fields {
	struct log_field items[FIELDS_MAX];
	size_t count;
};

static void add(struct fields *fields, struct log_field field)
{
	ASSERT(fields->count < FIELDS_MAX);
	fields->items[fields->count++] = field;
}

/* Values that are a hash already, which `#` says (check.h), are not hashed again. */
static struct bytes hash_of(struct bytes values, char memory[2 * HASH_BYTES_SEEN])
{
	struct writer w = writer_on(memory, 2 * HASH_BYTES_SEEN);
	uint8_t hash[crypto_hash_sha256_BYTES];

	if (values.len > w.max && values.data[0] == '#')
		return bytes_from(values.data + 1, w.max);
	crypto_hash_sha256(hash, values.data, values.len);
	writer_put_hex(&w, bytes_from(hash, HASH_BYTES_SEEN));
	return writer_bytes(&w);
}

/* The numbers are those of the policy that is named; an invalid message has none (see count.c). */
static const struct check *told_check(const struct verdict *verdict)
{
	return verdict->reason == REASON_INVALID ? NULL : verdict->lead;
}

static void write_line(const struct decision *decision, int64_t suppressed)
{
	static const char *const sources[SOURCE_COUNT] = {"spop", "http"};
	const struct verdict *verdict = decision->verdict;
	const struct check *check = told_check(verdict);
	char memory[2 * HASH_BYTES_SEEN];
	struct fields fields = {.count = 0};

	add(&fields, LOG_TEXT("source", sources[decision->source]));
	add(&fields, LOG_TEXT("policy", check == NULL ? "none" : check->policy->name));
	add(&fields, LOG_TEXT("reason", reason_text(verdict->reason)));
	add(&fields, LOG_BOOL("allowed", verdict->allowed));
	add(&fields, LOG_BOOL("degraded", verdict->degraded));
	if (check != NULL && check->is_decided)
		add(&fields, LOG_INT("remaining", check->outcome.remaining));
	add(&fields, LOG_INT("retry_after_ms", milliseconds_up(verdict->retry_after_us)));
	add(&fields, LOG_INT("latency_us", decision->latency_us));
	if (check != NULL)
		add(&fields, LOG_BYTES("key_hash", hash_of(check_values(check), memory)));
	if (decision->trace.len > 0)
		add(&fields, LOG_BYTES("traceparent", decision->trace));
	if (suppressed > 0)
		add(&fields, LOG_INT("suppressed", suppressed));
	log_fields(LOG_INFO, "decision", fields.items, fields.count);
}

void decision_log_put(void *owner, const struct decision *decision)
{
	struct decision_log *log = owner;
	int64_t suppressed;

	if (log->which == LOG_DECISIONS_DENIED && decision->verdict->allowed)
		return;
	if (log_is_due(&log->limit, LOG_INFO, &suppressed))
		write_line(decision, suppressed);
}
