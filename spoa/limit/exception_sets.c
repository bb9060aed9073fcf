/*
 * A set is {"src"} or {"path", "src"}. A shape of a set says for each name whether the value is an
 * IPv4 or IPv6 address, cut to how many bits, or anything else. So a request finds the exceptions
 * without a policy by one look for each shape of each set whose names it has.
 *
 * Nobody who makes an exception may go above EXCEPTION_SETS_MAX and EXCEPTION_NETWORKS_MAX, but two
 * agents that share a store may do so together at the same moment. Then both have to act by what
 * both have accepted, and therefore the arrays here have room for four times as many. An exception
 * above that is void.
 */
#include "limit/exception_sets.h"

#include <stdlib.h>
#include <string.h>

#include "base/writer.h"
#include "limit/conditions.h"

/* ---- the set and the shape of an exception ---- */

static bool has_names(const struct exception_set *set, const struct exception *exception)
{
	if (set->members == 0 || set->count != exception->count ||
	    set->is_hashed != exception->is_hashed)
		return false;
	for (size_t i = 0; i < set->count; i++)
		if (!bytes_equal(set->names[i], exception->names[i].name))
			return false;
	return true;
}

static struct exception_set *find_set(const struct exception_sets *sets,
				      const struct exception *exception)
{
	for (size_t i = 0; i < sets->count; i++)
		if (has_names(sets->items[i], exception))
			return sets->items[i];
	return NULL;
}

struct value exception_part_read(const struct exception_name *name, bool is_hashed,
				 struct exception_part *ret_part)
{
	unsigned prefix;
	struct value value = is_hashed ? (struct value){.kind = VALUE_ABSENT}
				       : network_read(name->text, name->name, &prefix);

	*ret_part = (struct exception_part){.kind = EXCEPTION_PART_TEXT};
	if (!value_is_address(&value))
		return value_text(name->text);
	*ret_part = (struct exception_part){value.kind == VALUE_IPV4 ? EXCEPTION_PART_IPV4
								     : EXCEPTION_PART_IPV6,
					    (uint8_t)prefix};
	return value;
}

static unsigned bits_of(struct exception_part part)
{
	return part.kind == EXCEPTION_PART_TEXT ? 0 : part.kind == EXCEPTION_PART_IPV4 ? 32 : 128;
}

static struct exception_shape shape_of(const struct exception *exception)
{
	struct exception_shape shape = {.members = 0};

	for (size_t i = 0; i < exception->count; i++) {
		(void)exception_part_read(&exception->names[i], exception->is_hashed,
					  &shape.parts[i]);
		shape.open_bits += bits_of(shape.parts[i]) - shape.parts[i].prefix;
	}
	return shape;
}

static bool has_address(const struct exception_shape *shape, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (shape->parts[i].kind != EXCEPTION_PART_TEXT)
			return true;
	return false;
}

static struct exception_shape *find_shape(struct exception_set *set,
					  const struct exception_shape *shape)
{
	for (size_t i = 0; i < set->shape_count; i++)
		if (set->shapes[i].members > 0 &&
		    memcmp(set->shapes[i].parts, shape->parts, sizeof shape->parts) == 0)
			return &set->shapes[i];
	return NULL;
}

static size_t sets_in_use(const struct exception_sets *sets)
{
	size_t used = 0;

	for (size_t i = 0; i < sets->count; i++)
		used += sets->items[i]->members > 0;
	return used;
}

bool exception_sets_have_room(const struct exception_sets *sets, const struct exception *exception,
			      struct err *err)
{
	struct exception_shape shape = shape_of(exception);
	struct exception_set *set;

	if (exception->policy.len > 0)
		return true;
	set = find_set(sets, exception);
	if (set == NULL)
		return sets_in_use(sets) < EXCEPTION_SETS_MAX ||
		       err_set(err,
			       "exceptions without a policy have %d different sets of names "
			       "already, and more are not accepted; remove all of one set first",
			       EXCEPTION_SETS_MAX);
	return find_shape(set, &shape) != NULL || !has_address(&shape, exception->count) ||
	       set->network_count < EXCEPTION_NETWORKS_MAX ||
	       err_set(err,
		       "exceptions with these names have networks of %d different lengths already, "
		       "and more are not accepted; remove all of one length first",
		       EXCEPTION_NETWORKS_MAX);
}

static bool copy_names(struct exception_set *set, const struct exception *exception)
{
	size_t len = 0;

	for (size_t i = 0; i < exception->count; i++)
		len += exception->names[i].name.len;
	set->memory = malloc(len + 1);
	if (set->memory == NULL)
		return false;
	struct writer w = writer_on(set->memory, len);
	for (size_t i = 0; i < exception->count; i++) {
		struct bytes name = exception->names[i].name;
		set->names[i] = bytes_from(w.data + w.len, name.len);
		writer_put(&w, name);
	}
	set->count = exception->count;
	set->is_hashed = exception->is_hashed;
	return true;
}

/* NULL when all are in use, or memory is short. */
static struct exception_set *add_set(struct exception_sets *sets, const struct exception *exception)
{
	size_t at = 0;

	while (at < sets->count && sets->items[at]->members > 0)
		at++;
	if (at == EXCEPTION_SETS_ROOM)
		return NULL;
	if (sets->items[at] == NULL)
		sets->items[at] = malloc(sizeof(struct exception_set));
	struct exception_set *set = sets->items[at];
	if (set == NULL)
		return NULL;
	*set = (struct exception_set){.members = 0};
	if (!copy_names(set, exception))
		return NULL; /* the set stays for the next one: others may stand behind it */
	if (at == sets->count)
		sets->count++;
	return set;
}

static struct exception_shape *add_shape(struct exception_set *set,
					 const struct exception_shape *shape)
{
	size_t at = 0;

	while (at < set->shape_count && set->shapes[at].members > 0)
		at++;
	if (at == EXCEPTION_SHAPES_ROOM)
		return NULL;
	set->shapes[at] = *shape;
	if (at == set->shape_count)
		set->shape_count++;
	return &set->shapes[at];
}

static void leave_set(struct exception_sets *sets, struct exception_set *set)
{
	size_t last = sets->count;

	if (--set->members > 0)
		return;
	free(set->memory);
	set->memory = NULL;
	while (last > 0 && sets->items[last - 1]->members == 0)
		last--;
	/* Those behind it are kept for the next ones, and are freed at the end. */
	sets->count = last;
}

static void leave_shape(struct exception_set *set, struct exception_shape *shape)
{
	if (--shape->members > 0)
		return;
	set->network_count -= has_address(shape, set->count);
	while (set->shape_count > 0 && set->shapes[set->shape_count - 1].members == 0)
		set->shape_count--;
}

bool exception_sets_join(struct exception_sets *sets, const struct exception *exception,
			 struct exception_set **ret_set, struct exception_shape **ret_shape)
{
	struct exception_shape wanted = shape_of(exception), *shape;
	struct exception_set *set = find_set(sets, exception);

	if (set == NULL)
		set = add_set(sets, exception);
	if (set == NULL)
		return false;
	set->members++;
	shape = find_shape(set, &wanted);
	if (shape == NULL) {
		shape = add_shape(set, &wanted);
		set->network_count += shape != NULL && has_address(&wanted, exception->count);
	}
	if (shape == NULL) {
		leave_set(sets, set);
		return false;
	}
	shape->members++;
	*ret_set = set;
	*ret_shape = shape;
	return true;
}

void exception_sets_leave(struct exception_sets *sets, struct exception_set *set,
			  struct exception_shape *shape)
{
	leave_shape(set, shape);
	leave_set(sets, set);
}

unsigned exception_open_bits(const struct exception *exception)
{
	return shape_of(exception).open_bits;
}

void exception_sets_release(struct exception_sets *sets)
{
	for (size_t i = 0; i < EXCEPTION_SETS_ROOM; i++) {
		if (sets->items[i] != NULL)
			free(sets->items[i]->memory);
		free(sets->items[i]);
		sets->items[i] = NULL;
	}
	sets->count = 0;
}

size_t exception_sets_position(const struct exception_sets *sets, const struct exception_set *set)
{
	size_t at = 0;

	while (sets->items[at] != set)
		at++;
	return at;
}

/* ---- what a request has ---- */

static void hash_value(struct value *value, char text[EXCEPTION_HASH_TEXT + 1])
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char memory[VALUE_SHORT_TEXT_MAX];
	struct bytes plain = value_to_text(value, memory);

	crypto_hash_sha256(hash, plain.len > 0 ? plain.data : (const uint8_t *)"", plain.len);
	(void)sodium_bin2hex(text, EXCEPTION_HASH_TEXT + 1, hash, sizeof hash);
	*value = value_text(bytes_from(text, EXCEPTION_HASH_TEXT));
}

bool exception_set_gather(const struct exception_set *set, const struct attributes *attributes,
			  const struct attribute *instead, struct exception_gathered *gathered)
{
	for (size_t i = 0; i < set->count; i++) {
		struct bytes name = set->names[i];
		const struct value *value = instead != NULL && bytes_equal(instead->name, name)
						    ? &instead->value
						    : attributes_find(attributes, name);
		if (value == NULL)
			return false;
		gathered->values[i] = attribute_canonical(name, value);
		if (set->is_hashed)
			hash_value(&gathered->values[i], gathered->hashes[i]);
	}
	return true;
}

static enum exception_part_kind kind_of(const struct value *value)
{
	if (value->kind == VALUE_IPV4)
		return EXCEPTION_PART_IPV4;
	return value->kind == VALUE_IPV6 ? EXCEPTION_PART_IPV6 : EXCEPTION_PART_TEXT;
}

const struct value *exception_part_cut(struct exception_part part, const struct value *value,
				       struct value *memory)
{
	if (kind_of(value) != part.kind)
		return NULL;
	if (part.prefix == bits_of(part))
		return value;
	*memory = *value;
	value_cut_address(memory, part.prefix, part.prefix);
	return memory;
}

bool exception_set_cut(const struct exception_set *set, const struct exception_shape *shape,
		       const struct exception_gathered *gathered, struct value *values)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct value *cut =
			exception_part_cut(shape->parts[i], &gathered->values[i], &values[i]);
		if (cut == NULL)
			return false;
		values[i] = *cut;
	}
	return true;
}
