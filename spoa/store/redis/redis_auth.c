#include "store/redis/redis_auth.h"

#include "base/clock.h"
#include "base/compiler.h"

#define AUTH_AGAIN_US (5 * US_PER_SECOND) /* after a password was refused */

static void tell(struct redis_auth *auth, bool is_taken, struct bytes why)
{
	uint64_t *told = is_taken ? &auth->told_taken : &auth->told_refused;

	if (*told >= auth->tried.generation)
		return;
	*told = auth->tried.generation;
	auth->told(auth, is_taken, why);
}

static void note_answer(struct redis_auth *auth, bool is_taken, struct bytes why)
{
	auth->tried_us = clock_mono_us();
	if (is_taken) {
		auth->authenticated = auth->tried.generation;
		redis_credentials_took(auth->credentials, &auth->tried);
	}
	tell(auth, is_taken, why);
}

static void on_auth(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_auth *auth = CONTAINER_OF(asked, struct redis_auth, asked);

	auth->is_authenticating = false;
	if (reply == NULL || !auth->is_begun)
		return;
	bool is_taken = !redis_reply_is_error(reply);
	note_answer(auth, is_taken, is_taken ? BYTES("") : reply->items[0].text);
}

void redis_auth_init(struct redis_auth *auth, struct redis_credentials *credentials,
		     struct redis_connection *connection, redis_auth_told_fn *told)
{
	*auth = (struct redis_auth){
		.credentials = credentials,
		.connection = connection,
		.told = told,
		.told_taken = credentials->generation, /* that this one is taken is no news */
		.asked.replied = on_auth,
	};
}

void redis_auth_begin(struct redis_auth *auth, const struct redis_greeting *greeting)
{
	auth->is_begun = true;
	auth->is_authenticating = false;
	if (!redis_credentials_are_given(auth->credentials)) {
		auth->authenticated = auth->credentials->generation;
		return;
	}
	auth->authenticated = 0;
	auth->tried = greeting->tried;
	note_answer(auth, greeting->is_password_taken, bytes_from_text(greeting->refusal));
}

void redis_auth_end(struct redis_auth *auth)
{
	auth->is_begun = false;
}

void redis_auth_follow(struct redis_auth *auth)
{
	const struct redis_credentials *credentials = auth->credentials;
	bool is_new = credentials->generation != auth->tried.generation;

	ASSERT(auth->is_begun);
	if (credentials->generation == auth->authenticated || auth->is_authenticating)
		return;
	if (!is_new && clock_mono_us() - auth->tried_us < AUTH_AGAIN_US)
		return;
	auth->is_authenticating = true;
	redis_credentials_send(credentials, auth->connection, &auth->asked, &auth->tried);
}
