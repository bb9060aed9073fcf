#include "app/options.h"

#include <ctype.h>
#include <string.h>

#include "app/option_table.h"
#include "app/secret_file.h"

#define ENVIRONMENT_PREFIX "RATELIMIT_"

void options_print_help(FILE *to)
{
	fputs("usage: ratelimit-spoa [serve] [options]     answers HAProxy, in the foreground\n"
	      "       ratelimit-spoa check-config [--json] [options]\n"
	      "                                           shows the policies, opens no ports\n"
	      "       ratelimit-spoa replay [options]     what policies would have done\n"
	      "       ratelimit-spoa probe [ADDRESS]      asks a running agent; exits 0 or 1\n"
	      "       ratelimit-spoa version\n\n"
	      "Each option is also an environment variable: --spop-listen is "
	      "RATELIMIT_SPOP_LISTEN.\n\n",
	      to);
	for (const struct option *o = all_options; o->name != NULL; o++)
		fprintf(to, "  --%-16s %s (default: %s)\n", o->name, o->help,
			*o->fallback == '\0' ? "none" : o->fallback);
}

static bool take(const struct option *option, struct options *options, const char *value,
		 const char *called, struct err *err)
{
	err->text[0] = '\0';
	if (option->take(options, value, err))
		return true;
	if (err->text[0] != '\0')
		return err_at(err, "%s: ", called);
	return err_set(err, "%s: %s is not accepted; accepted is %s", called,
		       quoted(bytes_from_text(value)).text, option->accepted);
}

static bool take_defaults(struct options *options, struct err *err)
{
	for (const struct option *o = all_options; o->name != NULL; o++)
		if (!take(o, options, o->fallback, o->name, err))
			return false;
	return true;
}

/* ---- the environment ---- */

/* Whether `name`, without the prefix, is what `option` is called in the environment. */
static bool is_variable_of(const struct option *option, struct bytes name)
{
	if (strlen(option->name) != name.len)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		int c = option->name[i] == '-' ? '_' : toupper((unsigned char)option->name[i]);
		if (name.data[i] != c)
			return false;
	}
	return true;
}

static bool ends_with(struct bytes name, struct bytes end)
{
	return name.len >= end.len && bytes_equal(bytes_skip(name, name.len - end.len), end);
}

/* "..._PORT_12345_TCP_ADDR": a number between a _PORT_ and another underscore. */
static bool has_port_number(const char *name)
{
	while ((name = strstr(name, "_PORT_")) != NULL) {
		name += strlen("_PORT_");
		size_t digits = strspn(name, "0123456789");
		if (digits > 0 && name[digits] == '_')
			return true;
		name--; /* the underscore may begin the next one */
	}
	return false;
}

/*
 * What Kubernetes sets in every pod for a service whose name begins with "ratelimit":
 * *_SERVICE_HOST, *_SERVICE_PORT*, *_PORT, *_PORT_<n>_*.
 */
static bool is_service_link(const char *name)
{
	struct bytes bytes = bytes_from_text(name);

	return ends_with(bytes, BYTES("_SERVICE_HOST")) || ends_with(bytes, BYTES("_PORT")) ||
	       strstr(name, "_SERVICE_PORT") != NULL || has_port_number(name);
}

static bool take_variable(struct options *options, const char *variable, struct err *err)
{
	const char *equals = strchr(variable, '=');
	size_t prefix = strlen(ENVIRONMENT_PREFIX);

	if (equals == NULL || strncmp(variable, ENVIRONMENT_PREFIX, prefix) != 0)
		return true;
	struct bytes name = bytes_from(variable + prefix, (size_t)(equals - variable) - prefix);
	char called[128];
	snprintf(called, sizeof called, "%.*s", (int)(equals - variable), variable);
	for (const struct option *o = all_options; o->name != NULL; o++)
		if (is_variable_of(o, name))
			return take(o, options, equals + 1, called, err);
	if (redis_login_take(&options->redis_login, name, equals + 1) || is_service_link(called))
		return true;
	return err_set(err, "%s: no such option; accepted are those of ratelimit-spoa --help",
		       quoted_unless_plain(bytes_from_text(called)).text);
}

/* ---- the command line ---- */

static const struct option *find_flag(struct bytes name)
{
	for (const struct option *o = all_options; o->name != NULL; o++)
		if (bytes_equal(name, bytes_from_text(o->name)))
			return o;
	return NULL;
}

/* A command line is seen by everybody on the machine. */
static bool has_no_secret(const struct option *option, const struct options *options,
			  const char *called, struct err *err)
{
	if (strcmp(option->name, "store") != 0 || !store_target_has_password(&options->store))
		return true;
	return err_set(err,
		       "%s: a password is not accepted in a flag; accepted are RATELIMIT_STORE, "
		       "RATELIMIT_REDIS_PASSWORD and RATELIMIT_REDIS_PASSWORD_FILE",
		       called);
}

/* Takes "--name=value", or "--name" and the argument behind it; returns how many, 0 on error. */
static int take_flag(struct options *options, char **args, struct err *err)
{
	struct bytes name = bytes_from_text(args[0]);
	const char *equals = strchr(args[0], '=');
	const char *value = equals == NULL ? args[1] : equals + 1;

	if (equals != NULL)
		name.len = (size_t)(equals - args[0]);
	const struct option *option =
		bytes_begin_with(name, BYTES("--")) ? find_flag(bytes_skip(name, 2)) : NULL;
	if (option == NULL)
		(void)err_set(err,
			      "%s: no such option; accepted are those of ratelimit-spoa --help",
			      quoted_unless_plain(name).text);
	else if (value == NULL)
		(void)err_set(err, "--%s: a value is missing; accepted is %s", option->name,
			      option->accepted);
	else {
		char called[64];
		snprintf(called, sizeof called, "--%s", option->name);
		if (take(option, options, value, called, err) &&
		    has_no_secret(option, options, called, err))
			return equals == NULL ? 2 : 1;
	}
	return 0;
}

/* Visible ASCII, as it stands in a header field. */
static bool read_token(struct options *options, struct err *err)
{
	*options->http_token = '\0';
	if (options->http_token_file == NULL)
		return true;
	if (!secret_file_read(options->http_token_file, options->http_token,
			      sizeof options->http_token, err))
		return err_at(err, "--http-token-file: ");
	for (const char *c = options->http_token; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return err_set(err,
				       "--http-token-file: %s: accepted are printable characters "
				       "without spaces",
				       options->http_token_file);
	return true;
}

bool options_read(char **args, char **environment, struct options *ret_options, bool *ret_help,
		  struct err *err)
{
	*ret_help = false;
	ret_options->redis_login = (struct redis_login){0};
	if (!take_defaults(ret_options, err))
		return false;
	for (; *environment != NULL; environment++)
		if (!take_variable(ret_options, *environment, err))
			return false;
	while (*args != NULL) {
		if (strcmp(*args, "--help") == 0 || strcmp(*args, "-h") == 0) {
			*ret_help = true;
			return true;
		}
		int taken = take_flag(ret_options, args, err);
		if (taken == 0)
			return false;
		args += taken;
	}
	return read_token(ret_options, err) &&
	       (ret_options->store.is_memory ||
		redis_login_apply(&ret_options->redis_login, &ret_options->store.redis, err));
}
