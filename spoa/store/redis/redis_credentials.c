#include "store/redis/redis_credentials.h"

#include <string.h>

void redis_credentials_init(struct redis_credentials *credentials, const char *user,
			    const char *password)
{
	ASSERT(strlen(user) < sizeof credentials->user);
	ASSERT(strlen(password) < sizeof credentials->password);
	*credentials = (struct redis_credentials){.generation = 1};
	strcpy(credentials->user, user);
	strcpy(credentials->password, password);
}

void redis_credentials_set(struct redis_credentials *credentials, const char *password)
{
	size_t len = strlen(password);

	ASSERT(len < sizeof credentials->password);
	if (strcmp(credentials->password, password) == 0)
		return;
	memcpy(credentials->password, password, len + 1);
	credentials->generation++;
}

bool redis_credentials_are_given(const struct redis_credentials *credentials)
{
	return *credentials->user != '\0' || *credentials->password != '\0';
}

bool redis_credentials_have_other(const struct redis_credentials *credentials)
{
	return *credentials->good != '\0' && strcmp(credentials->good, credentials->password) != 0;
}

static void send_auth(const struct redis_credentials *credentials,
		      struct redis_connection *connection, struct redis_asked *asked,
		      const char *password)
{
	struct bytes user = bytes_from_text(credentials->user);

	if (user.len > 0)
		REDIS_ASK(connection, asked, BYTES("AUTH"), user, bytes_from_text(password));
	else
		REDIS_ASK(connection, asked, BYTES("AUTH"), bytes_from_text(password));
}

void redis_credentials_send(const struct redis_credentials *credentials,
			    struct redis_connection *connection, struct redis_asked *asked,
			    struct redis_password_try *ret_try)
{
	ret_try->generation = credentials->generation;
	memcpy(ret_try->password, credentials->password, sizeof ret_try->password);
	send_auth(credentials, connection, asked, ret_try->password);
}

void redis_credentials_send_good(const struct redis_credentials *credentials,
				 struct redis_connection *connection, struct redis_asked *asked)
{
	send_auth(credentials, connection, asked, credentials->good);
}

void redis_credentials_took(struct redis_credentials *credentials,
			    const struct redis_password_try *try)
{
	memcpy(credentials->good, try->password, sizeof credentials->good);
}
