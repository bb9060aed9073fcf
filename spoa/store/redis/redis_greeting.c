/*
 * The commands leave in one write, so a greeting takes one round trip:
 *
 *     AUTH          an error ends the greeting (only sent when there is a password)
 *     AUTH          with the password that worked last, if another one was set since then: the
 *                   greeting ends only when the server refuses both
 *     CLUSTER SLOTS an error, or a map that can't be one, ends the greeting (only sent to a node of
 *                   a cluster; before INFO, since the map of a replica is as good as any)
 *     INFO          an unusable server ends the greeting; so does an error, except "not allowed"
 *     SELECT        an error ends the greeting; but of database 0, which a connection begins in,
 *                   not one that says that there is no such command
 *     PTTL          only MOVED of a cluster ends the greeting: without the right to PTTL one thing
 *                   is missing (below)
 *     SCRIPT LOAD   the last reply: the hash of the script, or an error, ends the greeting; but
 *     CONFIG GET    of a Dragonfly or a Garnet comes behind that, and ends it
 *
 * The first reply that is bad decides what is told; the replies after it are ignored. INFO stands
 * before SELECT because it says more clearly what is wrong: a Sentinel and a node of a Cluster
 * answer SELECT with "unknown command" and "SELECT is not allowed in cluster mode".
 *
 * The same reply to INFO also has what the server does when it is full, so the warning about that
 * needs no command and no right of its own. Without INFO only the warning is missing.
 *
 * The script calls PTTL before each write, so that no write shortens the life of a key. Users that
 * were made for a version before may not call it: their writes work as they did in that version,
 * and the agent has to say what is missing. The script can't say so, since its reply is that of a
 * check that went well. So PTTL is tried here, of a key that is the prefix alone.
 */
#include "store/redis/redis_greeting.h"

#include <string.h>

#include "base/writer.h"
#include "store/redis/redis_script.h"

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

static void note_refusal(struct redis_greeting *greeting, struct bytes why)
{
	struct writer w = writer_on(greeting->refusal, sizeof greeting->refusal);

	greeting->refusal_error = redis_error_kind(why);
	writer_put(&w, bytes_from(why.data, why.len < w.max - 1 ? why.len : w.max - 1));
	(void)writer_text(&w);
}

static void on_auth(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, auth);

	if (reply == NULL)
		return;
	greeting->is_password_taken = !redis_reply_is_error(reply);
	if (greeting->is_password_taken)
		return;
	if (greeting->has_other)
		note_refusal(greeting, reply->items[0].text);
	else
		end_by_error(greeting, reply);
}

/* A connection that has been authenticated stays so when a later AUTH is refused. */
static void on_auth_good(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, auth_good);

	if (reply != NULL && redis_reply_is_error(reply) && !greeting->is_password_taken)
		end_greeting(greeting, greeting->refusal_error, bytes_from_text(greeting->refusal));
}

/* Some services with one database do without SELECT. */
static bool lacks_select(const struct redis_reply *reply)
{
	struct bytes why = reply->items[0].text;

	return bytes_begin_with(why, BYTES("ERR unknown command")) ||
	       bytes_begin_with(why, BYTES("ERR SELECT is not allowed"));
}

static void on_select(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, select);

	if (reply == NULL || !redis_reply_is_error(reply))
		return;
	if (greeting->db != 0 || !lacks_select(reply))
		end_by_error(greeting, reply);
}

/* ---- CLUSTER SLOTS ---- */

static void on_slots(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, slots);

	if (reply == NULL)
		return;
	if (redis_reply_is_error(reply)) {
		if (bytes_begin_with(reply->items[0].text, BYTES("ERR This instance has cluster")))
			end_greeting(greeting, STORE_OTHER,
				     BYTES("it is no node of a Redis Cluster; without a cluster, "
					   "--store begins with redis://"));
		else
			end_by_error(greeting, reply);
		return;
	}
	const char *why = greeting->told_slots(greeting, reply);
	if (why != NULL)
		end_greeting(greeting, STORE_OTHER, bytes_from_text(why));
}

/* ---- INFO ---- */

#define A_CLUSTER                                                                                \
	"it is a node of a Redis Cluster; a cluster of one node takes --key-prefix '{rl}:', by " \
	"which all keys share a slot"

static const struct {
	const char *line;
	enum store_error error;
	const char *why;
} unusable[] = {
	{"redis_mode:sentinel", STORE_OTHER, "it is a Sentinel, which keeps no data"},
	{"server_mode:sentinel", STORE_OTHER, "it is a Sentinel, which keeps no data"}, /* Valkey */
	{"redis_mode:cluster", STORE_MOVED, A_CLUSTER},
	{"server_mode:cluster", STORE_MOVED, A_CLUSTER},
	{"role:slave", STORE_READONLY,
	 "it is a replica, which can't be written to: --store needs the address of its master"},
	{"loading:1", STORE_LOADING, "it is loading its data"},
};

static bool next_line(struct bytes *info, struct bytes *ret_line)
{
	if (!bytes_next_item(info, '\n', ret_line))
		return false;
	if (ret_line->len > 0 && ret_line->data[ret_line->len - 1] == '\r')
		ret_line->len--;
	return true;
}

bool redis_greeting_accepts(struct bytes info, bool takes_cluster, enum store_error *ret_error,
			    const char **ret_why)
{
	struct bytes line, info_text = info;

	while (next_line(&info, &line)) {
		for (size_t i = 0; i < ARRAY_SIZE(unusable); i++) {
			if (!bytes_equal(line, bytes_from_text(unusable[i].line)) ||
			    (takes_cluster && unusable[i].error == STORE_MOVED))
				continue;
			*ret_error = unusable[i].error;
			*ret_why = unusable[i].why;
			return false;
		}
	}
	const char *age = redis_kind_age(info_text);
	if (age == NULL)
		return true;
	*ret_error = STORE_OTHER;
	*ret_why = age;
	return false;
}

#define FORGETS(which)                       \
	"when it is full, it forgets " which \
	"; set maxmemory-policy volatile-lfu and lfu-decay-time 0"
#define SILENT    FORGETS("exhausted clients that stopped asking")
#define UNCHARGED FORGETS("exhausted clients first, since they are not charged any more")
#define ANY       FORGETS("exhausted clients as soon as any others")
#define WINDOWS   FORGETS("exhausted clients first, except those of token_bucket")

/*
 * docs/redis.md has the figures. The policies that are not here keep exhausted clients: noeviction,
 * and those by frequency (lfu), since a client that is exhausted has asked often. Those by the time
 * of the last write (lrm) are newer than the servers that were measured.
 */
static const struct redis_forgetful forgetful[] = {
	{"allkeys-lru", SILENT},     {"volatile-lru", SILENT}, {"allkeys-lrm", UNCHARGED},
	{"volatile-lrm", UNCHARGED}, {"allkeys-random", ANY},  {"volatile-random", ANY},
	{"volatile-ttl", WINDOWS},
};

static const struct redis_forgetful *find_forgetful(struct bytes policy)
{
	for (size_t i = 0; i < ARRAY_SIZE(forgetful); i++)
		if (bytes_equal(policy, bytes_from_text(forgetful[i].policy)))
			return &forgetful[i];
	return NULL;
}

const struct redis_forgetful *redis_greeting_forgets(struct bytes info)
{
	const struct bytes maxmemory = BYTES("maxmemory:");
	const struct bytes policy = BYTES("maxmemory_policy:");
	bool has_limit = false;
	const struct redis_forgetful *forgets = NULL;
	struct bytes line;

	while (next_line(&info, &line)) {
		if (bytes_begin_with(line, maxmemory))
			has_limit = !bytes_equal(bytes_skip(line, maxmemory.len), BYTES("0"));
		else if (bytes_begin_with(line, policy))
			forgets = find_forgetful(bytes_skip(line, policy.len));
	}
	return has_limit ? forgets : NULL;
}

/* A name that is too long is none that Redis has. */
static void note_eviction(struct redis_greeting *greeting, struct bytes info)
{
	const struct bytes policy = BYTES("maxmemory_policy:");
	struct bytes line;

	while (next_line(&info, &line)) {
		struct bytes name = bytes_skip(line, policy.len);
		if (!bytes_begin_with(line, policy) || name.len >= sizeof greeting->eviction)
			continue;
		memcpy(greeting->eviction, name.data, name.len);
		greeting->eviction[name.len] = '\0';
	}
}

/*
 * The user may not call the command: by an ACL, or because the command was renamed. Without INFO
 * nothing is known of the server, and whoever set it up so has to know that it can keep balances.
 */
static bool is_forbidden(struct bytes error)
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
	if (first.kind == REDIS_ERROR && !is_forbidden(first.text))
		end_by_error(greeting, reply);
	else if (first.kind == REDIS_TEXT &&
		 !redis_greeting_accepts(first.text, greeting->takes_cluster, &error, &why))
		end_greeting(greeting, error, bytes_from_text(why));
	else if (first.kind == REDIS_TEXT)
		greeting->forgets = redis_greeting_forgets(first.text);
	if (first.kind == REDIS_TEXT) {
		greeting->kind = redis_kind_of(first.text);
		note_eviction(greeting, first.text);
	}
}

/* ---- PTTL ---- */

/*
 * A node of a cluster answers MOVED if another node owns the slot of this key. With a plain
 * redis:// no request could be answered then, so the greeting fails and says why, once for all
 * requests.
 */
static void on_pttl(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, pttl);

	if (reply == NULL || !redis_reply_is_error(reply))
		return;
	greeting->lacks_pttl = is_forbidden(reply->items[0].text);
	if (greeting->told_slots == NULL && redis_error_kind(reply->items[0].text) == STORE_MOVED)
		end_by_error(greeting, reply);
}

/* ---- SCRIPT LOAD ---- */

/* A server that does not show the setting is taken as it is. */
static void on_setting(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, setting);

	if (reply == NULL)
		return;
	const char *why = redis_kind_atomicity(greeting->kind, reply);
	end_greeting(greeting, why == NULL ? STORE_OK : STORE_OTHER,
		     bytes_from_text(why == NULL ? "" : why));
}

static void end_by_script_error(struct redis_greeting *greeting, struct bytes error)
{
	char why[2 * REDIS_REFUSAL_MAX];
	struct writer w = writer_on(why, sizeof why);

	redis_kind_put_refusal(greeting->kind, error, &w);
	end_greeting(greeting, redis_error_kind(error), writer_bytes(&w));
}

static void on_script(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_greeting *greeting = CONTAINER_OF(asked, struct redis_greeting, script);

	if (reply == NULL)
		return;
	if (redis_reply_is_error(reply)) {
		end_by_script_error(greeting, reply->items[0].text);
	} else if (reply->items[0].kind != REDIS_TEXT ||
		   reply->items[0].text.len != REDIS_HASH_LEN) {
		end_greeting(greeting, STORE_OTHER,
			     BYTES("SCRIPT LOAD was not answered by a hash"));
	} else {
		memcpy(greeting->hash, reply->items[0].text.data, REDIS_HASH_LEN);
		if (greeting->kind->setting != NULL && !greeting->is_over)
			REDIS_ASK(greeting->connection, &greeting->setting, BYTES("CONFIG"),
				  BYTES("GET"), bytes_from_text(greeting->kind->setting));
		else
			end_greeting(greeting, STORE_OK, BYTES(""));
	}
}

/* ---- all of them ---- */

void redis_greeting_begin(struct redis_greeting *greeting, struct redis_connection *connection,
			  const struct redis_credentials *credentials, uint32_t db,
			  struct bytes prefix, struct bytes script)
{
	uint8_t digits[20];
	struct writer w = writer_on(digits, sizeof digits);

	greeting->is_over = false;
	greeting->forgets = NULL;
	*greeting->eviction = '\0';
	greeting->lacks_pttl = false;
	greeting->takes_cluster = greeting->told_slots != NULL || redis_prefix_has_hash_tag(prefix);
	greeting->connection = connection;
	greeting->db = db;
	greeting->kind = redis_kind_of(BYTES(""));
	greeting->is_password_taken = false;
	greeting->has_other = redis_credentials_have_other(credentials);
	greeting->auth.replied = on_auth;
	greeting->auth_good.replied = on_auth_good;
	greeting->slots.replied = on_slots;
	greeting->select.replied = on_select;
	greeting->info.replied = on_info;
	greeting->pttl.replied = on_pttl;
	greeting->script.replied = on_script;
	greeting->setting.replied = on_setting;
	if (redis_credentials_are_given(credentials))
		redis_credentials_send(credentials, connection, &greeting->auth, &greeting->tried);
	if (greeting->has_other)
		redis_credentials_send_good(credentials, connection, &greeting->auth_good);
	if (greeting->told_slots != NULL)
		REDIS_ASK(connection, &greeting->slots, BYTES("CLUSTER"), BYTES("SLOTS"));
	REDIS_ASK(connection, &greeting->info, BYTES("INFO"));
	writer_put_unsigned(&w, db);
	REDIS_ASK(connection, &greeting->select, BYTES("SELECT"), writer_bytes(&w));
	REDIS_ASK(connection, &greeting->pttl, BYTES("PTTL"), prefix);
	REDIS_ASK(connection, &greeting->script, BYTES("SCRIPT"), BYTES("LOAD"), script);
}
