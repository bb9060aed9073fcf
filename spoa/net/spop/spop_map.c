#include "net/spop/spop_map.h"

#include <string.h>

static const struct bytes names[] = {
	[SPOP_VAR_ALLOWED] = BYTES("allowed"),
	[SPOP_VAR_REASON] = BYTES("reason"),
	[SPOP_VAR_DEGRADED] = BYTES("degraded"),
	[SPOP_VAR_RETRY_AFTER] = BYTES("retry_after"),
	[SPOP_VAR_RETRY_AFTER_MS] = BYTES("retry_after_ms"),
	[SPOP_VAR_POLICY] = BYTES("policy"),
	[SPOP_VAR_LIMIT] = BYTES("limit"),
	[SPOP_VAR_REMAINING] = BYTES("remaining"),
	[SPOP_VAR_RESET] = BYTES("reset"),
	[SPOP_VAR_RATELIMIT] = BYTES("ratelimit"),
	[SPOP_VAR_RATELIMIT_POLICY] = BYTES("ratelimit_policy"),
};

_Static_assert(ARRAY_SIZE(names) == SPOP_VAR_COUNT, "a variable has no name");

static struct value value_of(const struct spop_data *data)
{
	struct value value = {.kind = VALUE_ABSENT};

	switch (data->type) {
	case SPOP_NULL:
		break;
	case SPOP_BOOL:
		value.kind = VALUE_BOOL;
		value.boolean = data->boolean;
		break;
	case SPOP_INT32:
	case SPOP_INT64:
		return value_integer(data->number);
	case SPOP_UINT32:
	case SPOP_UINT64:
		value.kind = VALUE_NATURAL;
		value.natural = data->natural;
		break;
	case SPOP_IPV4:
		value.kind = VALUE_IPV4;
		memcpy(value.ipv4, data->ipv4, sizeof value.ipv4);
		break;
	case SPOP_IPV6:
		value.kind = VALUE_IPV6;
		memcpy(value.ipv6, data->ipv6, sizeof value.ipv6);
		break;
	case SPOP_STR:
	case SPOP_BIN:
		return value_text(data->bytes);
	}
	return value;
}

struct attribute spop_map_attribute(const struct spop_argument *argument)
{
	return (struct attribute){argument->name, value_of(&argument->data)};
}

/* The bit of an optional variable, or 0 when none has this name. */
static unsigned find_bit(struct bytes name)
{
	for (enum spop_var var = SPOP_VAR_FIRST_OPTIONAL; var < SPOP_VAR_COUNT; var++)
		if (bytes_equal(name, names[var]))
			return SPOP_VAR_BIT(var);
	return 0;
}

void spop_map_put_var_names(struct writer *w)
{
	for (enum spop_var var = SPOP_VAR_FIRST_OPTIONAL; var < SPOP_VAR_COUNT; var++) {
		if (var > SPOP_VAR_FIRST_OPTIONAL)
			writer_put_u8(w, ',');
		writer_put(w, names[var]);
	}
}

bool spop_map_parse_vars(struct bytes text, unsigned *ret_vars)
{
	unsigned vars = 0;
	struct bytes name;

	if (bytes_equal(text, BYTES("all")) || bytes_equal(text, BYTES("none"))) {
		*ret_vars = bytes_equal(text, BYTES("all")) ? SPOP_VARS_ALL : 0;
		return true;
	}
	while (bytes_next_item(&text, ',', &name)) {
		unsigned bit = find_bit(bytes_trim(name));
		if (bit == 0)
			return false;
		vars |= bit;
	}
	*ret_vars = vars;
	return true;
}

#define ACTION_OVERHEAD 4 /* bytes around the name: type, count, scope, length of the name */
#define STRING_OVERHEAD 3 /* bytes around a string of at most SPOP_ACK_MAX: type, length */

/* How many bytes it takes to unset those of `vars` that come after `var`. */
static size_t size_of_unsets_after(enum spop_var var, unsigned vars)
{
	size_t size = 0;

	for (var++; var < SPOP_VAR_COUNT; var++)
		if ((vars & SPOP_VAR_BIT(var)) != 0)
			size += ACTION_OVERHEAD + names[var].len;
	return size;
}

static void put_set(struct writer *w, enum spop_var var, struct spop_data data)
{
	spop_put_set_var(w, SPOP_SCOPE_TRANSACTION, names[var], data);
}

/* Unset, when it has no value or the value leaves no room to unset the variables after it. */
static void put_optional(struct writer *w, enum spop_var var, unsigned vars, struct spop_data data)
{
	size_t mark = writer_mark(w), max = w->max;

	if ((vars & SPOP_VAR_BIT(var)) == 0)
		return;
	if (data.type != SPOP_NULL) {
		w->max -= size_of_unsets_after(var, vars);
		put_set(w, var, data);
		w->max = max;
		if (!w->full)
			return;
		writer_rewind(w, mark);
	}
	spop_put_unset_var(w, SPOP_SCOPE_TRANSACTION, names[var]);
}

static struct spop_data text_data(const char *text)
{
	return spop_str(bytes_from_text(text));
}

static void put_always(struct writer *w, const struct verdict *verdict)
{
	put_set(w, SPOP_VAR_ALLOWED, spop_bool(verdict->allowed));
	put_set(w, SPOP_VAR_REASON, text_data(reason_text(verdict->reason)));
	put_set(w, SPOP_VAR_DEGRADED, spop_bool(verdict->degraded));
	put_set(w, SPOP_VAR_RETRY_AFTER, spop_int64(seconds_up(verdict->retry_after_us)));
	put_set(w, SPOP_VAR_RETRY_AFTER_MS, spop_int64(milliseconds_up(verdict->retry_after_us)));
}

/* The variables of the check that the verdict tells of; an undecided check has no balance. */
static void put_lead(struct writer *w, const struct check *lead, unsigned vars)
{
	struct spop_data values[SPOP_VAR_COUNT] = {{.type = SPOP_NULL}};

	if (lead != NULL) {
		values[SPOP_VAR_POLICY] = text_data(lead->policy->name);
		values[SPOP_VAR_LIMIT] = spop_int64(check_limit(lead));
	}
	if (lead != NULL && lead->is_decided) {
		values[SPOP_VAR_REMAINING] = spop_int64(lead->outcome.remaining);
		values[SPOP_VAR_RESET] = spop_int64(seconds_up(lead->outcome.reset_us));
	}
	for (enum spop_var var = SPOP_VAR_FIRST_OPTIONAL; var < SPOP_VAR_RATELIMIT; var++)
		put_optional(w, var, vars, values[var]);
}

static struct spop_data header_data(const struct writer *text)
{
	return text->len == 0 ? (struct spop_data){.type = SPOP_NULL}
			      : spop_str(writer_bytes(text));
}

/* What is left of the ACK is for the headers. */
static void put_headers(struct writer *w, const struct verdict *verdict, unsigned vars)
{
	char memory[2][SPOP_ACK_MAX];
	struct writer limits = writer_on(memory[0], sizeof memory[0]);
	struct writer policies = writer_on(memory[1], sizeof memory[1]);
	size_t overhead = size_of_unsets_after(SPOP_VAR_RATELIMIT - 1, vars) + 2 * STRING_OVERHEAD;

	if (w->max - w->len > overhead)
		verdict_put_headers(&limits, &policies, verdict, w->max - w->len - overhead);
	put_optional(w, SPOP_VAR_RATELIMIT, vars, header_data(&limits));
	put_optional(w, SPOP_VAR_RATELIMIT_POLICY, vars, header_data(&policies));
}

void spop_map_put_verdict(struct writer *w, const struct verdict *verdict, unsigned vars)
{
	put_always(w, verdict);
	put_lead(w, verdict->lead, vars);
	put_headers(w, verdict, vars);
}
