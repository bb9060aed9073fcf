/*
 * policies_store.h - --policies store: : the policy file is in the store, all agents use its latest
 * version, and operators put the next one (docs/reference.md, section Operating).
 *
 * The versions are records (policy_versions.h). Who shares the records shares the policies: with
 * Redis all agents, with `memory:` this agent alone.
 */
#ifndef APP_OPERATE_POLICIES_STORE_H
#define APP_OPERATE_POLICIES_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "app/operate/operate_stats.h"
#include "app/operate/policy_versions.h"
#include "app/options.h"
#include "app/policies/problems.h"
#include "base/list.h"
#include "net/http/http_access.h"
#include "store/records.h"

struct reload;

struct policies_store {
	struct ev_loop *loop;
	const struct options *options;
	struct records *records;
	struct operate_stats *stats;
	struct reload *reload;     /* NULL before policies_store_start */
	struct ev_timer look;      /* active while there may be something to do */
	struct ev_timer try_again; /* active after a version was refused */
	struct policy_versions versions;
	bool is_used;                  /* a set from the store is in use */
	struct policy_version used;    /* number 0: the empty set of an empty store */
	bool is_asked;                 /* the reload has a text that it has not answered */
	struct policy_version asked;   /* the last one that it got */
	struct policy_version refused; /* the latest that was; number 0: none */
	/*
	 * While nothing is in use and the latest version was refused, older ones are tried: this
	 * one and all later ones were. 0: none was tried.
	 */
	uint64_t tried_down_to;
	struct policy_version refused_told; /* of which the log has a line; */
	uint64_t told_down_to;              /* and of the older ones down to this number */
	bool is_none_refused;               /* the empty set could not be taken */
	struct err refused_why;
	struct list puts;
	size_t put_count;
	int64_t known_since_us;          /* when the store was first known; 0: not yet */
	struct ev_timer clean;           /* active while the store is cleaned */
	struct policy_sweep sweep;       /* how far that is */
	bool is_removing;                /* a removal waits for the store's answer */
	bool is_to_sweep_again;          /* something came while it was cleaned */
	struct policy_uploads abandoned; /* of puts that were refused */
};

/* NULL when memory is short. Nothing of what it gets is owned, and all of it outlives this. */
struct policies_store *policies_store_new(struct ev_loop *loop, const struct options *options,
					  struct records *records, struct operate_stats *stats);
/*
 * After the records, which end the puts that wait for them, and before the loop. Puts that are not
 * done are told that the store is away. It waits for threads that check policies.
 */
void policies_store_free(struct policies_store *store);

/* A records_changed_fn but for its owner: called for the records of policy_versions_have_record. */
void policies_store_take_record(struct policies_store *store, const struct record *record);
/* From now on versions are used. What the state file had is used at once. */
void policies_store_start(struct policies_store *store, struct reload *reload);

enum policies_put_outcome {
	POLICIES_PUT = 0,
	POLICIES_BAD,         /* see `problems` */
	POLICIES_NOT_LATEST,  /* another version is the latest: see policies_store_latest */
	POLICIES_UNAVAILABLE, /* the store does not answer: nothing has changed */
	POLICIES_FULL,        /* there are too many records: nothing has changed */
	POLICIES_FORBIDDEN,   /* the agent lacks a right at the store: nothing has changed */
	POLICIES_UNCERTAIN,   /* the answer was lost: the store may have taken the version */
};

struct policies_put;
/* Called once, not inside policies_store_put. `number` is that of the new version. */
typedef void policies_put_done_fn(void *owner, enum policies_put_outcome outcome, uint64_t number,
				  const struct problems *problems);

/*
 * Checks the text beside the loop, and puts it as the version after `expected`, if that is the
 * latest. When `done` is called this agent uses it. `text` is from malloc and taken over. NULL,
 * with the text freed, when memory is short or too many are under way.
 */
struct policies_put *policies_store_put(struct policies_store *store, uint64_t expected, char *text,
					size_t len, const struct http_who *who,
					policies_put_done_fn *done, void *owner);

/* The number of the latest version that is known; 0: there is none. */
uint64_t policies_store_latest(const struct policies_store *store);
/* Whether the store has said what it has. */
bool policies_store_is_known(const struct policies_store *store);

#endif
