#include "wire/spop_notify.h"

#include "wire/reader.h"

int spop_message_next(struct bytes *payload, struct spop_message *ret_message)
{
	struct bytes name;
	uint8_t count;

	if (payload->len == 0)
		return 0;
	if (!read_string(payload, &name) || !read_u8(payload, &count))
		return -1;
	*ret_message = (struct spop_message){name, count};
	return 1;
}

int spop_argument_next(struct bytes *payload, struct spop_message *message,
		       struct spop_argument *ret_argument)
{
	struct spop_argument argument;

	if (message->arguments_left == 0)
		return 0;
	if (!read_string(payload, &argument.name) || !spop_data_read(payload, &argument.data))
		return -1;
	message->arguments_left--;
	*ret_argument = argument;
	return 1;
}

static void put_action(struct writer *w, enum spop_action action, enum spop_scope scope,
		       struct bytes name)
{
	ASSERT(name.len > 0 && name.len <= SPOP_VAR_NAME_MAX);
	uint8_t *at = writer_take(w, SPOP_ACTION_OVERHEAD + name.len);

	if (at != NULL)
		(void)spop_action_at(at, action, scope, name);
}

void spop_put_set_var(struct writer *w, enum spop_scope scope, struct bytes name,
		      struct spop_data data)
{
	put_action(w, SPOP_ACTION_SET_VAR, scope, name);
	spop_data_put(w, &data);
}

void spop_put_unset_var(struct writer *w, enum spop_scope scope, struct bytes name)
{
	put_action(w, SPOP_ACTION_UNSET_VAR, scope, name);
}
