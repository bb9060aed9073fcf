#include "store/redis/redis_greeting.h"

#include <string.h>

#include "base/compiler.h"
#include "base/writer.h"
#include "store/redis/redis_info.h"

static void end(struct redis_greeting *greeting, enum store_error error, struct bytes why)
{
	if (greeting->is_over)
		return;
	greeting->is_over = true;
	greeting->ended(greeting, error, why);
}

static void end_by_error(struct redis_greeting *greeting, const struct redis_reply *reply)
{
	end(greeting, redis_error_kind(reply->items[0].text), reply->items[0].text);
}

static void on_auth(struct redis_asked *asked, const struct redis_reply *reply)
{
	if (reply != NULL && redis_reply_is_error(reply))
		end_by_error(CONTAINER_OF(asked, struct redis_greeting, auth), reply);
}

static void on_select(struct redis_asked *asked, const struct redis_reply *reply)
{
	if (reply != NULL && redis_reply_is_error(reply))
		end_by_error(CONTAINER_OF(asked, struct redis_greeting, select), reply);
}

/* A user who may not ask for it (ACL, or a command that has no name) has to know what it is. */
static bool is_refusal_to_tell(struct bytes error)
{
	return bytes_begin_with(error, BYTES("NOPERM")) ||
	       bytes_begin_with(error, BYTES("ERR unknown command"));
}

static void on_info(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, info);
	enum store_error error;
	const char *why;

	if (reply == NULL)
		return;
	struct redis_item said = reply->items[0];
	if (said.kind == REDIS_ERROR && !is_refusal_to_tell(said.text))
		end_by_error(greeting, reply);
	else if (said.kind == REDIS_TEXT && !redis_info_is_usable(said.text, &error, &why))
		end(greeting, error, bytes_from_text(why));
}

static void on_script(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, script);

	if (reply == NULL)
		return;
	if (redis_reply_is_error(reply)) {
		end_by_error(greeting, reply);
	} else if (reply->items[0].kind != REDIS_TEXT ||
		   reply->items[0].text.len != REDIS_HASH_LEN) {
		end(greeting, STORE_OTHER, BYTES("SCRIPT LOAD was not answered by a hash"));
	} else {
		memcpy(greeting->hash, reply->items[0].text.data, REDIS_HASH_LEN);
		end(greeting, STORE_OK, BYTES(""));
	}
}

void redis_greeting_begin(struct redis_greeting *greeting, struct redis_connection *connection,
			  const struct redis_target *target, struct bytes script)
{
	struct bytes user = bytes_from_text(target->user);
	struct bytes password = bytes_from_text(target->password);
	uint8_t digits[20];
	struct writer db = writer_on(digits, sizeof digits);

	greeting->is_over = false;
	greeting->auth.replied = on_auth;
	greeting->select.replied = on_select;
	greeting->info.replied = on_info;
	greeting->script.replied = on_script;
	if (user.len > 0)
		REDIS_ASK(connection, &greeting->auth, BYTES("AUTH"), user, password);
	else if (password.len > 0)
		REDIS_ASK(connection, &greeting->auth, BYTES("AUTH"), password);
	/* It says more clearly what is wrong than a Sentinel's or a Cluster's answer to SELECT. */
	REDIS_ASK(connection, &greeting->info, BYTES("INFO"));
	writer_put_unsigned(&db, target->db);
	REDIS_ASK(connection, &greeting->select, BYTES("SELECT"), writer_bytes(&db));
	REDIS_ASK(connection, &greeting->script, BYTES("SCRIPT"), BYTES("LOAD"), script);
}
