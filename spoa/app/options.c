#include "app/options.h"

#include <ctype.h>
#include <string.h>

#include "app/operate/token_file.h"
#include "base/did_you_mean.h"

#define ENVIRONMENT_PREFIX "RATELIMIT_"

/* ---- the help ---- */

/* "RATELIMIT_STORE" for "store". */
struct variable {
	char name[64];
};

static struct variable variable_of(const struct option *option)
{
	struct variable variable = {ENVIRONMENT_PREFIX};
	size_t len = strlen(variable.name);

	for (const char *c = option->name; *c != '\0' && len + 1 < sizeof variable.name; c++)
		variable.name[len++] = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
	return variable;
}

void options_print_help(FILE *to)
{
	fputs("Each option is also an environment variable: --spop-listen is "
	      "RATELIMIT_SPOP_LISTEN. The flag wins.\n"
	      "Durations are written 2ms, 1.5s, 1m, 1h or 1d; sizes 512, 64k, 1m or 2g.\n\n",
	      to);
	option_print_table(options_table, to);
	fputs("\nOnly as environment variables, because everybody can read a command line:\n\n",
	      to);
	for (const struct option *o = options_secrets; o->name != NULL; o++)
		fprintf(to, "  %s\n      %s\n", variable_of(o).name, o->meaning);
}

/* ---- the environment ---- */

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

static const struct option *find_variable(const struct option *table, struct bytes name)
{
	for (const struct option *o = table; o->name != NULL; o++)
		if (bytes_equal(name, bytes_from_text(variable_of(o).name)))
			return o;
	return NULL;
}

#define NAMES_MAX 64

static size_t add_variables(struct variable *variables, size_t count, const struct option *table)
{
	for (const struct option *o = table; o->name != NULL; o++) {
		ASSERT(count < NAMES_MAX);
		variables[count++] = variable_of(o);
	}
	return count;
}

/* The beginning that all have is left out, because it would make all of them alike. */
static struct option_hint suggest_variable(const char *called)
{
	struct option_hint hint = {""};
	struct variable variables[NAMES_MAX];
	const char *names[NAMES_MAX];
	size_t count = add_variables(variables, 0, options_table);

	count = add_variables(variables, count, options_secrets);
	count = add_variables(variables, count, options_of_commands);
	for (size_t i = 0; i < count; i++)
		names[i] = variables[i].name + strlen(ENVIRONMENT_PREFIX);
	const char *meant =
		find_meant(bytes_from_text(called + strlen(ENVIRONMENT_PREFIX)), names, count);
	if (meant != NULL)
		snprintf(hint.text, sizeof hint.text, " (did you mean " ENVIRONMENT_PREFIX "%s?)",
			 meant);
	return hint;
}

/*
 * `variable` is "NAME=value". Those of other programs are ignored. Without `options` only the names
 * are looked at.
 */
static bool read_variable(struct options *options, const char *variable, struct err *err)
{
	const char *equals = strchr(variable, '=');

	if (equals == NULL ||
	    strncmp(variable, ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX)) != 0)
		return true;
	struct bytes name = bytes_from(variable, (size_t)(equals - variable));
	const struct option *option = find_variable(options_table, name);
	if (option == NULL)
		option = find_variable(options_secrets, name);
	char called[128];
	snprintf(called, sizeof called, "%.*s", (int)name.len, variable);
	if (option != NULL)
		return options == NULL || option_read(option, options, equals + 1, called, err);
	if (find_variable(options_of_commands, name) != NULL || is_service_link(called))
		return true;
	return err_set(err, "%s: no such option%s; accepted are those of ratelimit-spoa --help",
		       quoted_unless_plain(bytes_from_text(called)).text,
		       suggest_variable(called).text);
}

bool options_check_variables(char **environment, struct err *err)
{
	for (; *environment != NULL; environment++)
		if (!read_variable(NULL, *environment, err))
			return false;
	return true;
}

/* ---- the command line ---- */

static bool is_store_flag(const char *arg)
{
	return bytes_equal(bytes_from(arg, strcspn(arg, "=")), BYTES("--store"));
}

/* Reads the flag that `args` begin with. Returns how many arguments that took, or -1. */
static int read_flag(struct options *options, const struct option *own, char **args,
		     struct err *err)
{
	int count = option_read_flag(options_table, options, args, err);

	if (count == 0) {
		struct bytes name = bytes_from(args[0], strcspn(args[0], "="));
		bool is_flag = args[0][0] == '-';
		(void)err_set(err, "%s: %s%s; accepted are %sthose of ratelimit-spoa --help",
			      quoted_unless_plain(name).text,
			      is_flag ? "no such option" : "not accepted here",
			      option_suggest_flag(name, options_table, own).text,
			      is_flag ? "" : "options, ");
		return -1;
	}
	/* A password stays an error when a later --store has none: it could be read. */
	if (count > 0 && is_store_flag(args[0]) && store_target_has_password(&options->store)) {
		(void)err_set(err, "--store: a password is not accepted in a flag; accepted are "
				   "RATELIMIT_STORE, RATELIMIT_REDIS_PASSWORD and "
				   "RATELIMIT_REDIS_PASSWORD_FILE");
		return -1;
	}
	return count;
}

/* ---- all of it ---- */

static bool read_tokens(struct options *options, struct err *err)
{
	options->http_tokens = options->admin_tokens = (struct http_tokens){0};
	return (options->http_token_file == NULL ||
		token_file_read_asker(options->http_token_file, &options->http_tokens, err)) &&
	       (options->admin_token_file == NULL ||
		token_file_read_admins(options->admin_token_file, &options->admin_tokens, err));
}

static bool has_help(char **args)
{
	for (; *args != NULL; args++)
		if (strcmp(*args, "--help") == 0 || strcmp(*args, "-h") == 0)
			return true;
	return false;
}

/* Whoever gives such an option counts on TLS. In memory there is nobody to connect to. */
static bool refuse_tls_options(const struct redis_tls_files *files, struct err *err)
{
	const char *option = files->ca_file != NULL     ? "--redis-ca-file"
			     : files->cert_file != NULL ? "--redis-cert-file"
			     : files->key_file != NULL  ? "--redis-key-file"
			     : files->name != NULL      ? "--redis-tls-name"
							: NULL;

	return option == NULL ||
	       err_set(err, "%s: --store is without TLS; accepted is this option with rediss://",
		       option);
}

static bool apply_tls(const struct redis_tls_files *files, struct redis_target *target,
		      struct err *err)
{
	if (!target->is_tls)
		return refuse_tls_options(files, err);
	if ((files->cert_file == NULL) != (files->key_file == NULL))
		return err_set(err,
			       "%s: not set; accepted are --redis-cert-file and "
			       "--redis-key-file together",
			       files->cert_file == NULL ? "--redis-cert-file" : "--redis-key-file");
	if (files->name != NULL && !redis_target_is_host(bytes_from_text(files->name)))
		return err_set(err,
			       "--redis-tls-name: %s is no host name of at most %d characters and "
			       "no address",
			       quoted(bytes_from_text(files->name)).text, REDIS_HOST_MAX - 1);
	target->tls = *files;
	return true;
}

bool options_check_store(const struct options *options, struct err *err)
{
	return store_target_check(&options->store, err);
}

bool options_read(char **args, char **environment, struct options *ret_options, bool *ret_help,
		  struct err *err)
{
	return options_read_beside(NULL, args, environment, ret_options, ret_help, err);
}

bool options_read_beside(const struct option *own, char **args, char **environment,
			 struct options *ret_options, bool *ret_help, struct err *err)
{
	*ret_help = has_help(args);
	if (*ret_help)
		return true;
	ret_options->redis_login = (struct redis_login){0};
	ret_options->sentinel_login = (struct redis_login){0};
	if (!option_read_defaults(options_table, ret_options, err))
		return false;
	for (; *environment != NULL; environment++)
		if (!read_variable(ret_options, *environment, err))
			return false;
	while (*args != NULL) {
		int count = read_flag(ret_options, own, args, err);
		if (count < 0)
			return false;
		args += count;
	}
	return read_tokens(ret_options, err) &&
	       (ret_options->store.is_memory ||
		(apply_tls(&ret_options->redis_tls, &ret_options->store.redis, err) &&
		 redis_login_apply(&ret_options->redis_login, &ret_options->store.redis, err) &&
		 redis_login_apply_to_sentinels(&ret_options->sentinel_login,
						&ret_options->store.redis, err)));
}

bool options_policies_are_stored(const struct options *options)
{
	return options->policies != NULL && strcmp(options->policies, POLICIES_IN_STORE) == 0;
}
