/*
 * operate.h - what an operator asks of a running agent, and changes in it, over HTTP
 * (docs/reference.md, section Operating). commands.h has the commands that ask for it.
 *
 * All of this runs in the loop. The answers to explain and to balances wait for the store; all
 * other answers are given at once.
 */
#ifndef APP_OPERATE_OPERATE_H
#define APP_OPERATE_OPERATE_H

#include <stdio.h>

#include "app/operate/operate_stats.h"
#include "app/options.h"
#include "app/store_warnings.h"
#include "base/memory_file.h"
#include "engine/engine.h"
#include "net/http/http_access.h"
#include "net/http/http_question.h"
#include "net/http/http_route.h"
#include "store/records.h"

struct operate {
	const struct options *options;
	struct engine *engine;
	struct store *memory;
	struct store *store; /* the one that is asked: `memory`, or one elsewhere */
	struct operate_stats *stats;
	const struct store_warnings *warnings;
	struct exceptions *exceptions;   /* the engine's */
	struct records *records;         /* where they come from, and resets */
	struct policies_store *policies; /* of --policies store:, else NULL */
	struct http_access_rules access;
	struct http_question question; /* of the request that is being answered */
	size_t ops;                    /* that are with the store: at most STORE_OPS_BESIDE */
};

/* A copy, to be given back by free, after the server. NULL when memory is short. */
struct operate *operate_new(const struct operate *operate);

/* Their owner is a `struct operate`. */
extern const struct http_route operate_routes[];
extern const size_t operate_route_count;

/* POST /explain */
void explain_answer(void *operate, struct http_exchange *exchange);

/* `,"warnings":["…"]`: what is to be mended at the store. Nothing when all is well there. */
void operate_put_warnings(const struct operate *operate, FILE *to);

/* Ends the file, and sends the JSON that was written to it: 503 when memory was short. */
void operate_send_json(struct http_exchange *exchange, struct memory_file *file);

#endif
