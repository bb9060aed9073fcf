/*
 * redis_kind.h - whether a server is one that runs the limiters as they have to run, as far as the
 * server tells: by its INFO, by one of its settings, and by how it refuses the script.
 *
 * The limiters are a Lua script, and no other command may come between the commands of a call:
 *
 *     Redis from 6.2, Valkey from 7.2   always
 *     Dragonfly                         unless default_lua_flags has disable-atomicity
 *     Garnet                            with --lua and --lua-transaction-mode
 *
 * A server that tells nothing is taken as it is.
 */
#ifndef STORE_REDIS_KIND_H
#define STORE_REDIS_KIND_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/writer.h"
#include "store/redis/redis_reply.h"

struct redis_kind {
	const char *name;    /* "Dragonfly"; also of a server whose INFO is unknown: "the server" */
	const char *setting; /* CONFIG GET of it says whether scripts are atomic; NULL: they are */
};

/* By the reply to INFO. */
const struct redis_kind *redis_kind_of(struct bytes info);
/* Why the server is too old, and what to do, a constant; NULL when it is not. */
const char *redis_kind_age(struct bytes info);
/* The same of the reply to CONFIG GET of the kind's setting. */
const char *redis_kind_atomicity(const struct redis_kind *kind, const struct redis_reply *reply);
/* Puts why the server refused SCRIPT LOAD, with what to do where scripts are missing. */
void redis_kind_put_refusal(const struct redis_kind *kind, struct bytes error, struct writer *w);

#endif
