#include "app/redis_login.h"

#include <string.h>

#include "app/secret_file.h"

#define USER     "RATELIMIT_REDIS_USER"
#define PASSWORD "RATELIMIT_REDIS_PASSWORD"
#define FILE_    "RATELIMIT_REDIS_PASSWORD_FILE"

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

static bool fill_password(const struct redis_login *login, struct redis_target *target,
			  struct err *err)
{
	char line[REDIS_PASSWORD_MAX];

	if (login->password != NULL && login->password_file != NULL)
		return err_set(err, PASSWORD ": " FILE_ " is set too; accepted is one of them");
	if (login->password != NULL)
		return fill(target->password, sizeof target->password, login->password, PASSWORD,
			    err);
	if (login->password_file == NULL)
		return true;
	if (!secret_file_read(login->password_file, line, sizeof line, err))
		return err_at(err, FILE_ ": ");
	return fill(target->password, sizeof target->password, line, FILE_, err);
}

bool redis_login_apply(const struct redis_login *login, struct redis_target *target,
		       struct err *err)
{
	if (login->user != NULL && !fill(target->user, sizeof target->user, login->user, USER, err))
		return false;
	if (!fill_password(login, target, err))
		return false;
	if (*target->user != '\0' && *target->password == '\0')
		return err_set(err, PASSWORD
			       ": not set, and there is a user; accepted is this or " FILE_);
	return true;
}
