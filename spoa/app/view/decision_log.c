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

static void add_field(struct fields *fields, struct log_field field)
{
	ASSERT(fields->count < FIELDS_MAX);
	fields->items[fields->count++] = field;
}

/* With --hash-keys the values are `#` and a hash already (check.h), which is not hashed again. */
static struct bytes hash_of_values(struct bytes values, char memory[2 * HASH_BYTES_SEEN])
{
	struct writer w = writer_on(memory, 2 * HASH_BYTES_SEEN);
	uint8_t hash[crypto_hash_sha256_BYTES];

	if (values.len > w.max && values.data[0] == '#')
		return bytes_from(values.data + 1, w.max);
	crypto_hash_sha256(hash, values.data, values.len);
	writer_put_hex(&w, bytes_from(hash, HASH_BYTES_SEEN));
	return writer_bytes(&w);
}

/* The check of the policy that the line names; an invalid message is told without one (counter.c).
 */
static const struct check *find_named_check(const struct verdict *verdict)
{
	return verdict->reason == REASON_INVALID ? NULL : verdict->lead;
}

static void write_line(const struct decision *decision, int64_t suppressed)
{
	const struct verdict *verdict = decision->verdict;
	const struct check *check = find_named_check(verdict);
	char memory[2 * HASH_BYTES_SEEN];
	struct fields fields = {.count = 0};

	add_field(&fields, LOG_TEXT("source", source_name(decision->source)));
	add_field(&fields, LOG_TEXT("policy", check == NULL ? "none" : check->policy->name));
	add_field(&fields, LOG_TEXT("reason", reason_text(verdict->reason)));
	add_field(&fields, LOG_BOOL("allowed", verdict->allowed));
	add_field(&fields, LOG_BOOL("degraded", verdict->degraded));
	if (check != NULL && check->is_decided)
		add_field(&fields, LOG_INT("remaining", check->outcome.remaining));
	add_field(&fields, LOG_INT("retry_after_ms", milliseconds_up(verdict->retry_after_us)));
	add_field(&fields, LOG_INT("latency_us", decision->latency_us));
	if (check != NULL)
		add_field(&fields,
			  LOG_BYTES("key_hash", hash_of_values(check_values(check), memory)));
	if (decision->trace.len > 0)
		add_field(&fields, LOG_BYTES("traceparent", decision->trace));
	if (suppressed > 0)
		add_field(&fields, LOG_INT("suppressed", suppressed));
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
