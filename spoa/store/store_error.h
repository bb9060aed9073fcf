/*
 * store_error.h - why a store did not answer a check.
 *
 * The list has every error once, beside the name that people see: in the log, in
 * redis_errors_total, in replay's errors. Enum and names are made of the list, so an error without
 * a name does not compile. Errors that ask different things of the agent, but the same of a person,
 * share a name.
 */
#ifndef STORE_STORE_ERROR_H
#define STORE_STORE_ERROR_H

#define STORE_ERRORS(X)                                                                 \
	X(STORE_OK, "none")               /* it did answer */                           \
	X(STORE_TIMEOUT, "timeout")       /* not in time */                             \
	X(STORE_CONNECTION, "connection") /* there is no connection, or it was lost */  \
	X(STORE_NOSCRIPT, "noscript")     /* Redis lost the script, again and again */  \
	X(STORE_MOVED, "moved")           /* a node of a Redis Cluster */               \
	X(STORE_LOADING, "loading")       /* the server reads its data from disk */     \
	X(STORE_READONLY, "readonly")     /* a replica: another server takes writes */  \
	X(STORE_MISCONF, "readonly")      /* Redis can't save, so it takes no writes */ \
	X(STORE_NOREPLICAS, "readonly")   /* too few replicas, so no writes either */   \
	X(STORE_OOM, "oom")               /* the store has no memory left */            \
	X(STORE_OTHER, "other")           /* anything else that the store says */       \
	X(STORE_FULL, "full")             /* not asked: too many checks wait already */

#define STORE_ERROR_VALUE_(error, name) error,
enum store_error { STORE_ERRORS(STORE_ERROR_VALUE_) STORE_ERROR_COUNT };
#undef STORE_ERROR_VALUE_

const char *store_error_text(enum store_error error);
/* The first error of the same name. What is counted by name is added up there. */
enum store_error store_error_first(enum store_error error);

#endif
