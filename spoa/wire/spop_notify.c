#include "wire/spop_notify.h"

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

static void put_action(struct writer *w, enum action action, uint8_t arguments,
		       enum spop_scope scope, struct bytes name)
{
	writer_put_u8(w, (uint8_t)action);
	writer_put_u8(w, arguments);
	writer_put_u8(w, (uint8_t)scope);
	spop_put_string(w, name);
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
