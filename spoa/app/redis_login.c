#include "app/redis_login.h"

#include <string.h>

#include "app/secret_file.h"

/* The variables that a login comes from. */
struct login_names {
	const char *user, *password, *file;
};

static const struct login_names of_redis = {
	"RATELIMIT_REDIS_USER",
	"RATELIMIT_REDIS_PASSWORD",
	"RATELIMIT_REDIS_PASSWORD_FILE",
};
static const struct login_names of_sentinels = {
	"RATELIMIT_SENTINEL_USER",
	"RATELIMIT_SENTINEL_PASSWORD",
	"RATELIMIT_SENTINEL_PASSWORD_FILE",
};

/* Where it goes. */
struct login_place {
	char *user;     /* REDIS_USER_MAX */
	char *password; /* REDIS_PASSWORD_MAX */
};

/* `from` is the variable that the value comes from. */
static bool fill(char *memory, size_t max, const char *value, const char *from, struct err *err)
{
	if (*memory != '\0')
		return err_set(err, "%s: the store's URL has one as well; accepted is one of them",
			       from);
	if (strlen(value) >= max)
		return err_set(err, "%s: longer than %zu bytes", from, max - 1);
	strcpy(memory, value);
	return true;
}

static bool fill_password(const struct redis_login *login, const struct login_names *names,
			  const struct login_place *place, struct err *err)
{
	char line[REDIS_PASSWORD_MAX];
	struct err why;

	if (login->password != NULL && login->password_file != NULL)
		return err_set(err, "%s: %s is set too; accepted is one of them", names->password,
			       names->file);
	if (login->password != NULL)
		return fill(place->password, REDIS_PASSWORD_MAX, login->password, names->password,
			    err);
	if (login->password_file == NULL)
		return true;
	if (!secret_file_read(login->password_file, line, sizeof line, &why))
		return err_set(err, "%s: %.400s", names->file, why.text);
	return fill(place->password, REDIS_PASSWORD_MAX, line, names->file, err);
}

static bool apply(const struct redis_login *login, const struct login_names *names,
		  const struct login_place *place, struct err *err)
{
	if (login->user != NULL &&
	    !fill(place->user, REDIS_USER_MAX, login->user, names->user, err))
		return false;
	if (!fill_password(login, names, place, err))
		return false;
	if (*place->user != '\0' && *place->password == '\0')
		return err_set(err, "%s: not set, and there is a user; accepted is this or %s",
			       names->password, names->file);
	return true;
}

bool redis_login_apply(const struct redis_login *login, struct redis_target *target,
		       struct err *err)
{
	return apply(login, &of_redis, &(struct login_place){target->user, target->password}, err);
}

bool redis_login_apply_to_sentinels(const struct redis_login *login, struct redis_target *target,
				    struct err *err)
{
	return target->topology != REDIS_SENTINEL ||
	       apply(login, &of_sentinels,
		     &(struct login_place){target->sentinel_user, target->sentinel_password}, err);
}
