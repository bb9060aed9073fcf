/*
 * redis_tls.h - TLS to Redis: whom we trust, who we are, and the name that the server must have.
 *
 * The files are read and a context is made of them beside the loop, in a thread, since that takes
 * tens of milliseconds (the system's CAs). The caller waits for the first context only, since the
 * loop does not run yet. When the files can't be used, the old context stays. A new context is used
 * by connections that are opened after it was made.
 *
 * The server's chain and name are always verified. The version is 1.2 or later. Sessions are
 * resumed: a connection keeps the session of the one before it, as long as the context is the same.
 *
 * This module is built where hiredis has its SSL library. Elsewhere redis_no_tls.c stands in its
 * place, with which redis_tls_is_built is false and nothing else may be called than
 * redis_tls_check and what takes NULL.
 */
#ifndef STORE_REDIS_TLS_H
#define STORE_REDIS_TLS_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/writer.h"
#include "store/redis/redis_target.h"

struct ev_loop;
struct redisContext;
struct redis_tls;

/* The session of the last connection to a server, for the next one. All zeros: none. */
struct redis_tls_session {
	struct ssl_session_st *session;
	uint64_t generation; /* of the context that it is of */
};

bool redis_tls_is_built(void);
/* Whether a context can be made of these files now. `err` names the option at fault. */
MUST_CHECK bool redis_tls_check(const struct redis_tls_files *files, struct err *err);

/*
 * `files` live as long as the result. The loop calls `reread` after each redis_tls_reread. `why`
 * names the option whose file is bad, and is empty when the new files are used. `may_pass` says
 * that a descriptor or a thread was missing, so that another redis_tls_reread may succeed later.
 * Returns NULL when memory is short.
 */
struct redis_tls *redis_tls_new(struct ev_loop *loop, const struct redis_tls_files *files,
				void (*reread)(void *owner, const char *why, bool may_pass),
				void *owner);
/* Waits for a thread that reads. NULL is allowed. */
void redis_tls_free(struct redis_tls *tls);
/* The files have changed. */
void redis_tls_reread(struct redis_tls *tls);

/*
 * Begins the handshake on a connection that is made. `name` is what the certificate must have: a
 * host name, or an address in numbers. What is sent waits in hiredis until the server is verified.
 * Returns NULL with the reason, or the object of the connection, which ends with the context.
 */
struct ssl_st *redis_tls_begin(struct redis_tls *tls, struct redisContext *context,
			       const char *name, struct redis_tls_session *session,
			       struct err *err);
/*
 * The context is about to end. OpenSSL takes a session for spoilt whose connection ended without a
 * goodbye, which is how Redis and we end one, and would not resume it: this says goodbye for both.
 * A session with which the handshake failed is forgotten, because it may be the reason.
 */
void redis_tls_end(struct ssl_st *ssl);
void redis_tls_session_release(struct redis_tls_session *session);

/* Whether the server has been verified, so that commands leave. */
bool redis_tls_is_verified(const struct ssl_st *ssl);
/*
 * For a connection that hiredis has given up: puts why TLS failed, and what to do. Returns false
 * when TLS is not the reason, because the connection was lost after the handshake.
 */
bool redis_tls_put_failure(const struct ssl_st *ssl, const char *name, struct writer *w);

#endif
