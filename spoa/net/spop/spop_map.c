#include "net/spop/spop_map.h"

#include <string.h>

/* In the order in which they are put; the headers last. */
#define FIRST_HEADER 4

#define VAR(name, var)                     \
	{                                  \
		name, sizeof name - 1, var \
	}

static const struct {
	const char *name;
	size_t len;
	enum spop_vars var;
} optional_vars[] = {
	VAR("policy", SPOP_VAR_POLICY),       VAR("limit", SPOP_VAR_LIMIT),
	VAR("remaining", SPOP_VAR_REMAINING), VAR("reset", SPOP_VAR_RESET),
	VAR("ratelimit", SPOP_VAR_RATELIMIT), VAR("ratelimit_policy", SPOP_VAR_RATELIMIT_POLICY),
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

/* Of an action around its name: type, count, scope, length. Of a string around its bytes. */
#define ACTION_OVERHEAD 4
#define STRING_OVERHEAD 3

/* What it takes to unset the variables from `first` on. */
static size_t size_of_unsets(unsigned vars, size_t first)
{
	size_t size = 0;

	for (size_t i = first; i < ARRAY_SIZE(optional_vars); i++)
		if ((vars & optional_vars[i].var) != 0)
			size += ACTION_OVERHEAD + optional_vars[i].len;
	return size;
}

/* Set if it has a value and there is room, else unset, so that nothing stale stays. */
static void put_optional(struct writer *w, unsigned vars, size_t index,
			 const struct spop_data *data)
{
	const char *name = optional_vars[index].name;
	size_t mark = writer_mark(w), max = w->max;

	if ((vars & optional_vars[index].var) == 0)
		return;
	if (data->type != SPOP_NULL) {
		w->max -= size_of_unsets(vars, index + 1);
		set(w, name, *data);
		w->max = max;
		if (!w->full)
			return;
		writer_rewind(w, mark);
	}
	spop_put_unset_var(w, SPOP_SCOPE_TRANSACTION, bytes_from_text(name));
}

static struct spop_data data_of_text(const struct writer *text)
{
	return text->len == 0 ? (struct spop_data){.type = SPOP_NULL}
			      : spop_str(writer_bytes(text));
}

/* They come last, and what is left of the ACK is theirs. */
static void put_optional_headers(struct writer *w, unsigned vars, const struct verdict *verdict)
{
	char memory[2][SPOP_ACK_MAX];
	struct writer limits = writer_on(memory[0], sizeof memory[0]);
	struct writer policies = writer_on(memory[1], sizeof memory[1]);
	size_t overhead = size_of_unsets(vars, FIRST_HEADER) + 2 * STRING_OVERHEAD;

	if (w->max - w->len > overhead)
		verdict_put_headers(&limits, &policies, verdict, w->max - w->len - overhead);
	struct spop_data limits_data = data_of_text(&limits),
			 policies_data = data_of_text(&policies);
	put_optional(w, vars, FIRST_HEADER, &limits_data);
	put_optional(w, vars, FIRST_HEADER + 1, &policies_data);
}

void spop_map_put_verdict(struct writer *w, const struct verdict *verdict, unsigned vars)
{
	const struct check *lead = verdict->lead;
	struct spop_data optional[FIRST_HEADER] = {{.type = SPOP_NULL}};

	set(w, "allowed", spop_bool(verdict->allowed));
	set(w, "reason", spop_str(bytes_from_text(reason_text(verdict->reason))));
	set(w, "degraded", spop_bool(verdict->degraded));
	set(w, "retry_after", spop_int64(seconds_up(verdict->retry_after_us)));
	set(w, "retry_after_ms", spop_int64(milliseconds_up(verdict->retry_after_us)));
	if (lead != NULL) {
		optional[0] = spop_str(bytes_from_text(lead->policy->name));
		optional[1] = spop_int64(check_limit(lead));
	}
	if (lead != NULL && lead->is_decided) {
		optional[2] = spop_int64(lead->outcome.remaining);
		optional[3] = spop_int64(seconds_up(lead->outcome.reset_us));
	}
	for (size_t i = 0; i < ARRAY_SIZE(optional); i++)
		put_optional(w, vars, i, &optional[i]);
	put_optional_headers(w, vars, verdict);
}
