#include "net/spop_map.h"

#include <string.h>

static const struct {
	const char *name;
	enum spop_vars var;
} optional_vars[] = {
	{"policy", SPOP_VAR_POLICY},       {"limit", SPOP_VAR_LIMIT},
	{"remaining", SPOP_VAR_REMAINING}, {"reset", SPOP_VAR_RESET},
	{"ratelimit", SPOP_VAR_RATELIMIT}, {"ratelimit_policy", SPOP_VAR_RATELIMIT_POLICY},
};

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

bool spop_map_parse_vars(struct bytes text, unsigned *ret_vars)
{
	unsigned vars = 0;
	struct bytes name;

	if (bytes_equal(text, BYTES("all")) || bytes_equal(text, BYTES("none"))) {
		*ret_vars = bytes_equal(text, BYTES("all")) ? SPOP_VARS_ALL : 0;
		return true;
	}
	while (bytes_next_item(&text, ',', &name)) {
		unsigned found = 0;
		for (size_t i = 0; i < ARRAY_SIZE(optional_vars); i++)
			if (bytes_equal(bytes_trim(name), bytes_from_text(optional_vars[i].name)))
				found = optional_vars[i].var;
		if (found == 0)
			return false;
		vars |= found;
	}
	*ret_vars = vars;
	return true;
}

static void set(struct writer *w, const char *name, struct spop_data data)
{
	spop_put_set_var(w, SPOP_SCOPE_TRANSACTION, bytes_from_text(name), data);
}

/* An optional variable: set if it has a value, else unset, so that nothing stale stays. */
static void put_optional(struct writer *w, unsigned vars, enum spop_vars var, bool has_value,
			 struct spop_data data)
{
	size_t mark = writer_mark(w);
	const char *name = "";

	if ((vars & var) == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(optional_vars); i++)
		if (optional_vars[i].var == var)
			name = optional_vars[i].name;
	if (has_value)
		set(w, name, data);
	else
		spop_put_unset_var(w, SPOP_SCOPE_TRANSACTION, bytes_from_text(name));
	if (w->full)
		writer_rewind(w, mark);
}

/* The actions around the two header strings: type, count, scope, name, data type, length. */
#define HEADERS_OVERHEAD 48

static void put_headers(struct writer *w, const struct verdict *verdict, unsigned vars)
{
	char memory[2][SPOP_ACK_MAX];
	size_t room = w->max - w->len > HEADERS_OVERHEAD ? w->max - w->len - HEADERS_OVERHEAD : 0;
	struct writer limits = writer_on(memory[0], sizeof memory[0]);
	struct writer policies = writer_on(memory[1], sizeof memory[1]);
	const struct check *check;

	if (room > sizeof memory[0])
		room = sizeof memory[0];
	/* As many policies as fit, and the same in both. */
	for (size_t i = 0; (check = verdict_header_check(verdict, i)) != NULL; i++) {
		size_t limits_mark = writer_mark(&limits), policies_mark = writer_mark(&policies);
		if (i > 0) {
			writer_put_text(&limits, ", ");
			writer_put_text(&policies, ", ");
		}
		verdict_put_ratelimit(&limits, verdict, check);
		verdict_put_ratelimit_policy(&policies, check);
		if (limits.full || policies.full || limits.len + policies.len > room) {
			writer_rewind(&limits, limits_mark);
			writer_rewind(&policies, policies_mark);
			break;
		}
	}
	put_optional(w, vars, SPOP_VAR_RATELIMIT, limits.len > 0, spop_str(writer_bytes(&limits)));
	put_optional(w, vars, SPOP_VAR_RATELIMIT_POLICY, policies.len > 0,
		     spop_str(writer_bytes(&policies)));
}

void spop_map_put_verdict(struct writer *w, const struct verdict *verdict, unsigned vars)
{
	const struct check *lead = verdict->lead;
	bool has_numbers = lead != NULL && lead->is_decided;
	const char *policy = lead != NULL ? lead->policy->name : "";

	set(w, "allowed", spop_bool(verdict->allowed));
	set(w, "reason", spop_str(bytes_from_text(reason_text(verdict->reason))));
	set(w, "degraded", spop_bool(verdict->degraded));
	set(w, "retry_after", spop_int64(seconds_up(verdict->retry_after_us)));
	set(w, "retry_after_ms", spop_int64(milliseconds_up(verdict->retry_after_us)));
	put_optional(w, vars, SPOP_VAR_POLICY, lead != NULL, spop_str(bytes_from_text(policy)));
	put_optional(w, vars, SPOP_VAR_LIMIT, lead != NULL,
		     spop_int64(lead != NULL ? lead->quota->limit : 0));
	put_optional(w, vars, SPOP_VAR_REMAINING, has_numbers,
		     spop_int64(has_numbers ? lead->outcome.remaining : 0));
	put_optional(w, vars, SPOP_VAR_RESET, has_numbers,
		     spop_int64(has_numbers ? seconds_up(lead->outcome.reset_us) : 0));
	put_headers(w, verdict, vars);
}
