#include "store/redis/redis_kind.h"

#include <string.h>

#include "base/compiler.h"
#include "base/parse.h"

static const struct redis_kind plain = {"the server", NULL};

static const struct {
	const char *field; /* of INFO */
	struct redis_kind kind;
} kinds[] = {
	{"dragonfly_version:", {"Dragonfly", "default_lua_flags"}},
	{"garnet_version:", {"Garnet", "lua-transaction-mode"}},
};

/* What stands behind the field in its line; no data when INFO does not have the field. */
static struct bytes find_field(struct bytes info, const char *field)
{
	struct bytes line, name = bytes_from_text(field);

	while (bytes_next_item(&info, '\n', &line)) {
		if (!bytes_begin_with(line, name))
			continue;
		if (line.data[line.len - 1] == '\r')
			line.len--;
		return bytes_skip(line, name.len);
	}
	return (struct bytes){0};
}

const struct redis_kind *redis_kind_of(struct bytes info)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (find_field(info, kinds[i].field).data != NULL)
			return &kinds[i].kind;
	return &plain;
}

/* "6.0.16" is before 6.2. What is no version is not. */
static bool is_before(struct bytes version, uint64_t major, uint64_t minor)
{
	struct bytes part;
	uint64_t number;

	if (!bytes_next_item(&version, '.', &part) || !parse_whole(part, 1000000, &number))
		return false;
	if (number != major)
		return number < major;
	return bytes_next_item(&version, '.', &part) && parse_whole(part, 1000000, &number) &&
	       number < minor;
}

/* Other servers, and Valkey, also say that they are some Redis, for the clients of that. */
const char *redis_kind_age(struct bytes info)
{
	struct bytes valkey = find_field(info, "valkey_version:");

	if (redis_kind_of(info) != &plain)
		return NULL;
	if (valkey.data != NULL)
		return is_before(valkey, 7, 2)
			       ? "it is a Valkey before 7.2; upgrade it to 7.2 or later"
			       : NULL;
	return is_before(find_field(info, "redis_version:"), 6, 2)
		       ? "it is a Redis before 6.2; upgrade it to Redis 6.2 or Valkey 7.2 or later"
		       : NULL;
}

static bool has_text(struct bytes in, const char *text)
{
	return memmem(in.data, in.len, text, strlen(text)) != NULL;
}

/* The setting's name, then its value. */
const char *redis_kind_atomicity(const struct redis_kind *kind, const struct redis_reply *reply)
{
	const struct redis_item *items = reply->items;

	if (kind->setting == NULL || reply->count != 3 || items[0].kind != REDIS_ARRAY ||
	    items[1].kind != REDIS_TEXT || items[2].kind != REDIS_TEXT ||
	    !bytes_equal(items[1].text, bytes_from_text(kind->setting)))
		return NULL;
	struct bytes value = items[2].text;
	if (has_text(value, "disable-atomicity"))
		return "it is a Dragonfly whose scripts are not atomic; start it without "
		       "disable-atomicity in --default_lua_flags";
	if (bytes_equal(value, BYTES("no")) || bytes_equal(value, BYTES("false")) ||
	    bytes_equal(value, BYTES("False")))
		return "it is a Garnet whose scripts are not atomic; start it with --lua and "
		       "--lua-transaction-mode";
	return NULL;
}

static bool means_no_scripts(struct bytes error)
{
	return bytes_begin_with(error, BYTES("ERR unknown command")) ||
	       has_text(error, "disabled") || has_text(error, "not supported") ||
	       has_text(error, "not enabled");
}

void redis_kind_put_refusal(const struct redis_kind *kind, struct bytes error, struct writer *w)
{
	size_t room = w->max - w->len;

	if (means_no_scripts(error)) {
		writer_put_text(w, kind->name);
		writer_put_text(w, " runs no Lua scripts, which the agent needs; enable them");
		if (strcmp(kind->name, "Garnet") == 0)
			writer_put_text(w, " by --lua and --lua-transaction-mode");
		writer_put_text(w, ": ");
		room = w->max - w->len;
	}
	writer_put(w, bytes_from(error.data, error.len < room ? error.len : room - 1));
}
