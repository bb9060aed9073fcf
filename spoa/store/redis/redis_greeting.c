/*
 * The four commands leave in one write, so a greeting takes one round trip:
 *
 *     AUTH          an error ends the greeting (only sent when there is a password)
 *     INFO          an unusable server ends the greeting; so does an error, except "not allowed"
 *     SELECT        an error ends the greeting
 *     SCRIPT LOAD   the last reply: the hash of the script, or an error, ends the greeting
 *
 * The first reply that is bad decides what is told; the replies after it are ignored. INFO stands
 * before SELECT because it says more clearly what is wrong: a Sentinel and a node of a Cluster
 * answer SELECT with "unknown command" and "SELECT is not allowed in cluster mode".
 */
#include "store/redis/redis_greeting.h"

#include <string.h>

#include "base/writer.h"

static void end_greeting(struct redis_greeting *greeting, enum store_error error, struct bytes why)
{
	if (greeting->is_over)
		return;
	greeting->is_over = true;
	greeting->ended(greeting, error, why);
}

static void end_by_error(struct redis_greeting *greeting, const struct redis_reply *reply)
{
	end_greeting(greeting, redis_error_kind(reply->items[0].text), reply->items[0].text);
}

/* ---- AUTH and SELECT ---- */

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

/* ---- INFO ---- */

static const struct {
	const char *line;
	enum store_error error;
	const char *why;
} unusable[] = {
	{"redis_mode:sentinel", STORE_OTHER, "it is a Sentinel, which keeps no data"},
	{"server_mode:sentinel", STORE_OTHER, "it is a Sentinel, which keeps no data"}, /* Valkey */
	{"redis_mode:cluster", STORE_MOVED, "it is a node of a Redis Cluster"},
	{"server_mode:cluster", STORE_MOVED, "it is a node of a Redis Cluster"},
	{"role:slave", STORE_READONLY, "it is a replica, which can't be written to"},
	{"loading:1", STORE_LOADING, "it is loading its data"},
};

bool redis_greeting_accepts(struct bytes info, enum store_error *ret_error, const char **ret_why)
{
	struct bytes line;

	while (bytes_next_item(&info, '\n', &line)) {
		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		for (size_t i = 0; i < ARRAY_SIZE(unusable); i++) {
			if (!bytes_equal(line, bytes_from_text(unusable[i].line)))
				continue;
			*ret_error = unusable[i].error;
			*ret_why = unusable[i].why;
			return false;
		}
	}
	return true;
}

/*
 * The user may not call INFO: by an ACL, or because the command was renamed. Then nothing is known
 * of the server, and whoever set it up so has to know that it can keep balances.
 */
static bool is_info_forbidden(struct bytes error)
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
	struct redis_item first = reply->items[0];
	if (first.kind == REDIS_ERROR && !is_info_forbidden(first.text))
		end_by_error(greeting, reply);
	else if (first.kind == REDIS_TEXT && !redis_greeting_accepts(first.text, &error, &why))
		end_greeting(greeting, error, bytes_from_text(why));
}

/* ---- SCRIPT LOAD ---- */

static void on_script(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, script);

	if (reply == NULL)
		return;
	if (redis_reply_is_error(reply)) {
		end_by_error(greeting, reply);
	} else if (reply->items[0].kind != REDIS_TEXT ||
		   reply->items[0].text.len != REDIS_HASH_LEN) {
		end_greeting(greeting, STORE_OTHER,
			     BYTES("SCRIPT LOAD was not answered by a hash"));
	} else {
		memcpy(greeting->hash, reply->items[0].text.data, REDIS_HASH_LEN);
		end_greeting(greeting, STORE_OK, BYTES(""));
	}
}

/* ---- all four ---- */

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
	REDIS_ASK(connection, &greeting->info, BYTES("INFO"));
	writer_put_unsigned(&db, target->db);
	REDIS_ASK(connection, &greeting->select, BYTES("SELECT"), writer_bytes(&db));
	REDIS_ASK(connection, &greeting->script, BYTES("SCRIPT"), BYTES("LOAD"), script);
}
