#include "app/operate/key_names.h"

#include "base/writer.h"
#include "limit/request.h"

const struct policy *key_names_find_policy(const struct policies *policies, struct bytes name,
					   bool *ret_is_inline)
{
	*ret_is_inline = bytes_equal(name, BYTES("inline"));
	return *ret_is_inline ? policies_inline(policies) : policies_find(policies, name);
}

static bool is_of_key(const struct policy *policy, struct bytes name)
{
	for (size_t i = 0; i < policy->key_count; i++)
		if (bytes_equal(policy->key[i], name))
			return true;
	return false;
}

/* An inline policy takes its numbers, any other none. */
static bool is_accepted(const struct policy *policy, struct bytes name, bool is_inline,
			bool has_key)
{
	if (bytes_equal(name, BYTES("key")))
		return true;
	if (!attribute_name_is_reserved(name))
		return !is_inline && !has_key && is_of_key(policy, name);
	return is_inline && !bytes_equal(name, BYTES("policy")) &&
	       !bytes_equal(name, BYTES("cost"));
}

static void put_key_names(struct writer *w, const struct policy *policy)
{
	for (size_t i = 0; i < policy->key_count; i++) {
		writer_put_text(w, quoted(policy->key[i]).text);
		writer_put_text(w, ", ");
	}
	writer_put_text(w, policy->key_count == 0 ? "no names, or key alone" : "or key alone");
}

static bool refuse_name(const struct policy *policy, struct bytes name, bool is_inline,
			struct err *err)
{
	char memory[256];
	struct writer names = writer_on(memory, sizeof memory);

	if (is_inline)
		return err_set(err, "%s: not accepted; accepted are algorithm, its numbers and key",
			       quoted(name).text);
	put_key_names(&names, policy);
	return err_set(err, "%s: not accepted; accepted are %s", quoted(name).text,
		       writer_text(&names));
}

static bool refuse_absent(const struct policy *policy, struct err *err)
{
	char memory[256];
	struct writer names = writer_on(memory, sizeof memory);

	put_key_names(&names, policy);
	return err_set(err, "key: an attribute is missing; accepted are %s", writer_text(&names));
}

bool key_names_read(const struct policy *policy, bool is_inline,
		    const struct attributes *attributes, struct key_names *ret_key, struct err *err)
{
	bool has_key = attributes_find(attributes, BYTES("key")) != NULL;
	const char *why;

	*ret_key = (struct key_names){.is_inline = is_inline};
	for (size_t i = 0; i < attributes->count; i++)
		if (!is_accepted(policy, attributes->items[i].name, is_inline, has_key))
			return refuse_name(policy, attributes->items[i].name, is_inline, err);
	if (is_inline && attributes_find(attributes, BYTES("algorithm")) == NULL)
		return err_set(err, "algorithm: missing");
	if (!is_inline && has_key) {
		/* reserved_read wants `policy` beside `key`. */
		ret_key->reserved.key = attributes_find(attributes, BYTES("key"));
	} else if (is_inline && !reserved_read(attributes, &ret_key->reserved, &why)) {
		return err_set(err, "%s", why);
	}
	return request_key_values(policy, &ret_key->reserved, attributes, is_inline,
				  ret_key->values, &ret_key->count, &ret_key->is_explicit) ||
	       refuse_absent(policy, err);
}
