#include "wire/spop_notify.h"

#include <string.h>

#include "wire/reader.h"

enum action { ACTION_SET_VAR = 1, ACTION_UNSET_VAR = 2 };

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

/* What is in front of an action's value: the room for all of it is asked for once. */
static void put_action(struct writer *w, enum action action, uint8_t arguments,
		       enum spop_scope scope, struct bytes name)
{
	ASSERT(name.len > 0 && name.len <= SPOP_VAR_NAME_MAX);
	uint8_t *at = writer_take(w, 4 + name.len);

	if (at == NULL)
		return;
	at[0] = (uint8_t)action;
	at[1] = arguments;
	at[2] = (uint8_t)scope;
	at[3] = (uint8_t)name.len; /* a varint of one byte */
	memcpy(at + 4, name.data, name.len);
}

void spop_put_set_var(struct writer *w, enum spop_scope scope, struct bytes name,
		      struct spop_data data)
{
	put_action(w, ACTION_SET_VAR, 3, scope, name);
	spop_data_put(w, &data);
}

void spop_put_unset_var(struct writer *w, enum spop_scope scope, struct bytes name)
{
	put_action(w, ACTION_UNSET_VAR, 2, scope, name);
}
