/*
 * A context and where it comes from:
 *
 *     redis_tls_new: the files are read at once    redis_tls_reread: a thread reads them
 *                      |                                            |
 *                      v                                            v  ev_async, in the loop
 *                  `context` <---------------------- the new one, or the old one and a reason
 *                      |
 *     redis_tls_begin: an SSL object of the connection holds the context until it ends
 *
 * hiredis would make the SSL object too, but it would verify no name: its `server_name` is only
 * told the server (SNI). So the object is ours, and the name that its certificate must have is set
 * in it before the handshake begins. hiredis drives the handshake by its first reads and writes,
 * and has no words for what goes wrong there. The reason is in the object (which certificate failed
 * how) and in OpenSSL's queue of errors.
 */
#include "store/redis/redis_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ev.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define THREAD_NICER 10 /* on one core, the loop runs first */

struct redis_tls {
	struct ev_loop *loop;
	const struct redis_tls_files *files;
	void (*reread)(void *owner, const char *why, bool may_pass);
	void *owner;

	SSL_CTX *context; /* NULL: the files could not be used at the start */
	struct err why;   /* if so */
	uint64_t generation;

	bool is_reading;        /* there is a thread */
	bool has_changed_again; /* the files, since the thread was started */
	struct ev_async on_read;
	pthread_t thread;
	/* The thread's until it has ended: */
	SSL_CTX *read;
	struct err read_err;
	bool read_may_pass; /* what read_err says */
};

bool redis_tls_is_built(void)
{
	return true;
}

/* ---- a context of the files ---- */

/* The reason that OpenSSL noted last, for instance "no start line". */
static const char *last_reason(void)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = error == 0 ? NULL : ERR_reason_error_string(error);

	if (ERR_GET_LIB(error) == ERR_LIB_SYS)
		reason = strerror(ERR_GET_REASON(error));
	return reason == NULL ? "unknown reason" : reason;
}

static bool refuse_file(struct err *err, const char *option, const char *path)
{
	const char *reason = access(path, R_OK) != 0 ? strerror(errno) : last_reason();

	return err_set(err, "%s: %s: %s", option, path, reason);
}

/* Where Debian, other systems and OpenSSL itself keep the certificates of public CAs. */
static const char *system_cas(void)
{
	static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
					     "/etc/pki/tls/certs/ca-bundle.crt",
					     "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
	const char *named = getenv("SSL_CERT_FILE"); /* which OpenSSL knows too */

	if (named != NULL && *named != '\0')
		return named;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return X509_get_default_cert_file();
}

static bool load_cas(SSL_CTX *context, const struct redis_tls_files *files, struct err *err)
{
	if (files->ca_file != NULL)
		return SSL_CTX_load_verify_locations(context, files->ca_file, NULL) == 1 ||
		       refuse_file(err, "--redis-ca-file", files->ca_file);
	const char *path = system_cas();
	return SSL_CTX_load_verify_locations(context, path, NULL) == 1 ||
	       err_set(err, "--redis-ca-file: not set, and the system's CAs can't be read (%s: %s)",
		       path, access(path, R_OK) != 0 ? strerror(errno) : last_reason());
}

static bool load_certificate(SSL_CTX *context, const struct redis_tls_files *files, struct err *err)
{
	if (files->cert_file == NULL)
		return true;
	if (SSL_CTX_use_certificate_chain_file(context, files->cert_file) != 1)
		return refuse_file(err, "--redis-cert-file", files->cert_file);
	if (SSL_CTX_use_PrivateKey_file(context, files->key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return refuse_file(err, "--redis-key-file", files->key_file);
	return true;
}

/* A key with a password would be asked for on the terminal. */
static int no_password(char *memory, int size, int is_writing, void *owner)
{
	(void)memory, (void)size, (void)is_writing, (void)owner;
	return -1;
}

/* Each connection has a slot for the session of the next one; OpenSSL gives us the session. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct redis_tls_session *slot = SSL_get_app_data(ssl);

	if (slot == NULL)
		return 0;
	SSL_SESSION_free(slot->session);
	slot->session = session;
	return 1;
}

static void set_up(SSL_CTX *context)
{
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	/* A Redis that ends says no goodbye; its protocol tells what is a whole reply. */
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_default_passwd_cb(context, no_password);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
}

static bool is_passing(int error)
{
	return error == EMFILE || error == ENFILE || error == EAGAIN;
}

/* Empties OpenSSL's queue of errors; true when one of them says that a descriptor was missing. */
static bool take_passing_errors(void)
{
	bool is_found = false;

	for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error())
		is_found = is_found ||
			   (ERR_GET_LIB(error) == ERR_LIB_SYS && is_passing(ERR_GET_REASON(error)));
	return is_found;
}

/* *ret_may_pass is set in any case; it is true when the failure was for want of a descriptor. */
static SSL_CTX *make_context(const struct redis_tls_files *files, bool *ret_may_pass,
			     struct err *err)
{
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	bool is_made =
		context != NULL && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;

	if (!is_made)
		(void)err_set(err, "no TLS context: %s", last_reason());
	else
		set_up(context);
	bool is_good =
		is_made && load_cas(context, files, err) && load_certificate(context, files, err);
	*ret_may_pass = take_passing_errors() && !is_good;
	if (is_good)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

bool redis_tls_check(const struct redis_tls_files *files, struct err *err)
{
	bool may_pass;
	SSL_CTX *context = make_context(files, &may_pass, err);

	SSL_CTX_free(context);
	return context != NULL;
}

/* ---- the thread ---- */

static void *run_thread(void *argument)
{
	struct redis_tls *tls = argument;

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), THREAD_NICER);
	tls->read = make_context(tls->files, &tls->read_may_pass, &tls->read_err);
	ev_async_send(tls->loop, &tls->on_read);
	return NULL;
}

/* The thread gets no signals: those are the loop's. Returns 0 or the errno. */
static int start_thread(struct redis_tls *tls)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&tls->thread, NULL, run_thread, tls);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void begin_reading(struct redis_tls *tls)
{
	struct err err;

	tls->has_changed_again = false;
	int error = start_thread(tls);
	tls->is_reading = error == 0;
	if (tls->is_reading)
		return;
	(void)err_set(&err, "no thread can be started to read the TLS files: %s", strerror(error));
	tls->reread(tls->owner, err.text, is_passing(error));
}

static void use_context(struct redis_tls *tls, SSL_CTX *context)
{
	SSL_CTX_free(tls->context); /* connections that have it hold it */
	tls->context = context;
	tls->generation++;
}

static void on_read(struct ev_loop *loop, struct ev_async *watcher, int events)
{
	struct redis_tls *tls = CONTAINER_OF(watcher, struct redis_tls, on_read);

	(void)loop, (void)events;
	(void)pthread_join(tls->thread, NULL);
	tls->is_reading = false;
	if (tls->has_changed_again) { /* what was read may be half of it */
		SSL_CTX_free(tls->read);
		begin_reading(tls);
		return;
	}
	if (tls->read != NULL)
		use_context(tls, tls->read);
	tls->reread(tls->owner, tls->read != NULL ? "" : tls->read_err.text, tls->read_may_pass);
}

void redis_tls_reread(struct redis_tls *tls)
{
	if (tls->is_reading)
		tls->has_changed_again = true;
	else
		begin_reading(tls);
}

struct redis_tls *redis_tls_new(struct ev_loop *loop, const struct redis_tls_files *files,
				void (*reread)(void *owner, const char *why, bool may_pass),
				void *owner)
{
	bool may_pass;
	struct redis_tls *tls = calloc(1, sizeof *tls);

	if (tls == NULL)
		return NULL;
	*tls = (struct redis_tls){.loop = loop, .files = files, .reread = reread, .owner = owner};
	tls->context = make_context(files, &may_pass, &tls->why);
	tls->generation = 1;
	ev_async_init(&tls->on_read, on_read);
	ev_async_start(loop, &tls->on_read);
	ev_unref(loop); /* a replay ends when nothing else is left in the loop */
	return tls;
}

void redis_tls_free(struct redis_tls *tls)
{
	if (tls == NULL)
		return;
	if (tls->is_reading) {
		(void)pthread_join(tls->thread, NULL);
		SSL_CTX_free(tls->read);
	}
	ev_ref(tls->loop);
	ev_async_stop(tls->loop, &tls->on_read);
	SSL_CTX_free(tls->context);
	free(tls);
}

/* ---- what went wrong ---- */

static void put_verify_failure(struct writer *w, long result, const char *name)
{
	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		writer_put_text(w, "TLS: the server's certificate is not for ");
		writer_put_text(w, name);
		writer_put_text(w, "; connect by a name that it has, or give one by "
				   "--redis-tls-name");
		return;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		writer_put_text(w, "TLS: the server's certificate, or its CA's, has expired; renew "
				   "it");
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		writer_put_text(w, "TLS: the server's certificate is not valid yet; look at the "
				   "clocks");
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		writer_put_text(w, "TLS: the CA of the server's certificate is not trusted; give "
				   "that CA by --redis-ca-file");
		return;
	default:
		writer_put_text(w, "TLS: the server's certificate is refused: ");
		writer_put_text(w, X509_verify_cert_error_string(result));
	}
}

/* What a server that speaks no TLS makes of the handshake, or answers to it. */
static bool is_plain(int reason)
{
	return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
	       reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_RECORD_TOO_SMALL ||
	       reason == SSL_R_UNEXPECTED_MESSAGE;
}

/* Alerts of a server that wants a certificate of ours, or another one. */
static bool is_about_ours(int reason)
{
	switch (reason) {
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
		return true;
	default:
		return false;
	}
}

static void put_error(struct writer *w, unsigned long error)
{
	int reason = ERR_GET_REASON(error);
	const char *text = ERR_reason_error_string(error);

	text = text == NULL ? "unknown reason" : text;
	if (is_plain(reason)) {
		writer_put_text(w, "TLS: the server speaks no TLS at this port; take its TLS port, "
				   "or redis:// without TLS");
	} else if (is_about_ours(reason)) {
		writer_put_text(w, "TLS: the server refuses our certificate, or wants one: "
				   "--redis-cert-file and --redis-key-file (");
		writer_put_text(w, text);
		writer_put_text(w, ")");
	} else {
		writer_put_text(w, "TLS: ");
		writer_put_text(w, text);
	}
}

bool redis_tls_put_failure(const struct ssl_st *ssl, const char *name, struct writer *w)
{
	long result = SSL_get_verify_result(ssl);
	unsigned long error = ERR_peek_error();

	ERR_clear_error();
	if (result != X509_V_OK)
		put_verify_failure(w, result, name);
	else if (error != 0 && ERR_GET_LIB(error) == ERR_LIB_SSL)
		put_error(w, error);
	else if (!redis_tls_is_verified(ssl))
		writer_put_text(w, "TLS: the server closed the connection in the handshake; it may "
				   "speak no TLS at this port");
	else
		return false;
	return true;
}

/* ---- a connection ---- */

static bool is_address(const char *name)
{
	struct in6_addr address;

	return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

/* The name that the certificate must have, and that is told the server (SNI: no addresses). */
static bool set_name(SSL *ssl, const char *name)
{
	char host[REDIS_HOST_MAX];
	size_t len = strlen(name);

	if (is_address(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	if (len > 1 && name[len - 1] == '.') /* of a full name, which no certificate has */
		len--;
	if (len == 0 || len >= sizeof host)
		return false;
	memcpy(host, name, len);
	host[len] = '\0';
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* A session of another context may be that of another certificate of ours. */
static void resume_session(const struct redis_tls *tls, SSL *ssl, struct redis_tls_session *slot)
{
	if (slot->generation != tls->generation)
		redis_tls_session_release(slot);
	slot->generation = tls->generation;
	SSL_set_app_data(ssl, slot);
	if (slot->session != NULL)
		(void)SSL_set_session(ssl, slot->session);
}

struct ssl_st *redis_tls_begin(struct redis_tls *tls, struct redisContext *context,
			       const char *name, struct redis_tls_session *session, struct err *err)
{
	if (tls->context == NULL) {
		*err = tls->why;
		return NULL;
	}
	ERR_clear_error();
	SSL *ssl = SSL_new(tls->context);
	if (ssl == NULL || !set_name(ssl, name)) {
		SSL_free(ssl);
		(void)err_set(err, "TLS: the name of the server can't be set: %s", last_reason());
		return NULL;
	}
	resume_session(tls, ssl, session);
	/*
	 * The server may have answered already, so this may fail for any reason that a handshake
	 * can fail for. Then hiredis leaves functions behind that would go through a null pointer.
	 */
	const redisContextFuncs *plain = context->funcs;
	if (redisInitiateSSL(context, ssl) == REDIS_OK)
		return ssl;
	context->funcs = plain;
	struct writer w = writer_on(err->text, sizeof err->text);
	(void)redis_tls_put_failure(ssl, name, &w);
	(void)writer_text(&w);
	redis_tls_session_release(session);
	SSL_free(ssl);
	return NULL;
}

void redis_tls_session_release(struct redis_tls_session *session)
{
	SSL_SESSION_free(session->session);
	session->session = NULL;
}

void redis_tls_end(struct ssl_st *ssl)
{
	if (redis_tls_is_verified(ssl))
		SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	else
		redis_tls_session_release(SSL_get_app_data(ssl));
}

bool redis_tls_is_verified(const struct ssl_st *ssl)
{
	return SSL_is_init_finished(ssl) == 1;
}
