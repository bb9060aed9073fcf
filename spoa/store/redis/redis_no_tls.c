/* In the place of redis_tls.c where hiredis has no SSL library. No target has TLS then. */
#include <stddef.h>

#include "store/redis/redis_tls.h"

bool redis_tls_is_built(void)
{
	return false;
}

bool redis_tls_check(const struct redis_tls_files *files, struct err *err)
{
	(void)files;
	return err_set(err, "--store: TLS (rediss) is not in this build, which needs hiredis 1.0 "
			    "or later with its SSL library: take Debian 13 or the container image");
}

struct redis_tls *redis_tls_new(struct ev_loop *loop, const struct redis_tls_files *files,
				void (*reread)(void *owner, const char *why, bool may_pass),
				void *owner)
{
	(void)loop, (void)files, (void)reread, (void)owner;
	return NULL;
}

void redis_tls_free(struct redis_tls *tls)
{
	ASSERT(tls == NULL);
}

void redis_tls_reread(struct redis_tls *tls)
{
	(void)tls;
}

struct ssl_st *redis_tls_begin(struct redis_tls *tls, struct redisContext *context,
			       const char *name, struct redis_tls_session *session, struct err *err)
{
	(void)tls, (void)context, (void)name, (void)session;
	bool is_built = redis_tls_check(NULL, err);
	ASSERT(!is_built);
	return NULL;
}

void redis_tls_end(struct ssl_st *ssl)
{
	(void)ssl;
}

void redis_tls_session_release(struct redis_tls_session *session)
{
	(void)session;
}

bool redis_tls_is_verified(const struct ssl_st *ssl)
{
	(void)ssl;
	return false;
}

bool redis_tls_put_failure(const struct ssl_st *ssl, const char *name, struct writer *w)
{
	(void)ssl, (void)name, (void)w;
	return false;
}
