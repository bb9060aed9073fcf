#include "app/policies/policy_fields.h"

#include "base/did_you_mean.h"
#include "base/writer.h"

static const char *const names[FIELD_COUNT] = {
	[FIELD_ALGORITHM] = "algorithm",
	[FIELD_CAPACITY] = "capacity",
	[FIELD_REFILL_RATE] = "refill_rate",
	[FIELD_LIMIT] = "limit",
	[FIELD_WINDOW] = "window",
	[FIELD_KEY] = "key",
	[FIELD_MATCH] = "match",
	[FIELD_COST] = "cost",
	[FIELD_OVERRIDES] = "overrides",
	[FIELD_IPV4_PREFIX] = "ipv4_prefix",
	[FIELD_IPV6_PREFIX] = "ipv6_prefix",
	[FIELD_SHADOW] = "shadow",
	[FIELD_LEASE] = "lease",
	[FIELD_ON_ERROR] = "on_error",
	[FIELD_UNLIMITED] = "unlimited",
	[FIELD_BLOCKED] = "blocked",
};

static bool is_field_of(enum policy_fields_owner owner, enum policy_field field)
{
	switch (field) {
	case FIELD_ALGORITHM:
	case FIELD_KEY:
	case FIELD_OVERRIDES:
	case FIELD_IPV4_PREFIX:
	case FIELD_IPV6_PREFIX:
	case FIELD_LEASE:
		return owner == FIELDS_OF_POLICY;
	case FIELD_UNLIMITED:
	case FIELD_BLOCKED:
		return owner == FIELDS_OF_OVERRIDE;
	case FIELD_CAPACITY:
	case FIELD_REFILL_RATE:
	case FIELD_LIMIT:
	case FIELD_WINDOW:
	case FIELD_MATCH:
	case FIELD_COST:
	case FIELD_SHADOW:
	case FIELD_ON_ERROR:
	case FIELD_COUNT:
		break;
	}
	return field < FIELD_COUNT;
}

/* FIELD_COUNT when there is no field of this name. */
static enum policy_field find_field(struct bytes name)
{
	size_t field = 0;

	while (field < FIELD_COUNT && !bytes_equal(name, bytes_from_text(names[field])))
		field++;
	return (enum policy_field)field;
}

const struct policy_value *policy_fields_find(const struct policy_fields *fields, struct bytes name)
{
	enum policy_field field = find_field(name);

	return field == FIELD_COUNT ? NULL : &fields->values[field];
}

void policy_fields_refuse_unknown(const struct place *place, const char *const *accepted,
				  size_t count)
{
	char list[256];
	struct writer w = writer_on(list, sizeof list);

	for (size_t i = 0; i < count; i++) {
		writer_put_text(&w, i == 0 ? "" : ", ");
		writer_put_text(&w, accepted[i]);
	}
	struct hint hint = {""};
	if (!problems_are_full(place->problems))
		hint = did_you_mean(place->name, accepted, count);
	(void)place_refuse(place, "unknown field%s; accepted %s %s", hint.text,
			   count == 1 ? "is" : "are", writer_text(&w));
}

static void refuse_unknown(const struct place *place, enum policy_fields_owner owner)
{
	const char *accepted[FIELD_COUNT];
	size_t count = 0;

	for (size_t field = 0; field < FIELD_COUNT; field++)
		if (is_field_of(owner, (enum policy_field)field))
			accepted[count++] = names[field];
	policy_fields_refuse_unknown(place, accepted, count);
}

static void set_field(struct policy_fields *fields, const struct policy_value *given,
		      enum policy_fields_owner owner)
{
	enum policy_field field = find_field(given->place.name);

	if (field == FIELD_COUNT) {
		refuse_unknown(&given->place, owner);
		return;
	}
	struct policy_value *value = &fields->values[field];
	if (!is_field_of(owner, field))
		(void)place_refuse(&value->place, "%s",
				   owner == FIELDS_OF_POLICY ? "is a field of overrides only"
							     : "is not a field of an override");
	else if (value->is_given)
		(void)place_refuse(&value->place, "stands there twice");
	else
		*value = *given;
}

struct policy_fields policy_fields_of(const struct policy_value *object,
				      enum policy_fields_owner owner)
{
	struct policy_fields fields = {0};
	struct policy_walk walk = policy_walk_in(object);
	struct policy_value given;

	for (size_t i = 0; i < FIELD_COUNT; i++)
		fields.values[i].place = place_of_field(&object->place, bytes_from_text(names[i]));
	while (policy_walk_next(&walk, &given))
		set_field(&fields, &given, owner);
	return fields;
}
