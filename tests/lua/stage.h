/*
 * stage.h - a real Redis, a store that asks it, and many requests that are on their way at once.
 *
 *     struct question *question = stage_question(stage, now_us);
 *     question_add(question, "key", &quota, cost);          once for each check
 *     question_expect(question, memory);                    without this any outcome is right
 *     stage_ask(stage, question);                           leaves with the next turn of the loop
 *     stage_settle(stage);                                  waits until all are answered
 *
 * When a field of an answer differs from what is expected, the next call of these functions fails
 * the test. The stage owns the questions. A question is good until it is asked.
 */
#ifndef LUA_STAGE_H
#define LUA_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/request.h"
#include "store/store.h"
#include "support/cluster_servers.h"
#include "support/redis_server.h"

struct stage;

enum expectation { EXPECT_ANYTHING = 0, EXPECT_OUTCOMES, EXPECT_ERROR };

struct question {
	struct check checks[REQUEST_CHECKS_MAX];         /* in the order in which they were added;
							    `pointers` has that of the op */
	struct outcome outcomes[REQUEST_CHECKS_MAX];     /* that are expected */
	enum store_error own_errors[REQUEST_CHECKS_MAX]; /* of checks in shadow that have an error
							    in place of an outcome */
	enum expectation expectation;
	enum store_error error; /* of all checks, with EXPECT_ERROR */
	struct stage *stage;
	struct store_op op;
	struct check *pointers[REQUEST_CHECKS_MAX];
};

/* With `is_time_given` the questions say the time, otherwise the clock of Redis counts. */
struct stage *stage_new(bool is_time_given);
/* The same with a cluster of three nodes, and the questions say the time. */
struct stage *stage_new_cluster(void);
void stage_free(struct stage *stage);
/* Of a cluster one of its nodes. */
struct redis_server *stage_server(const struct stage *stage);
struct redis_server *stage_node(const struct stage *stage, int node);
/* Where the key is, which is without the prefix. */
struct redis_server *stage_server_of(const struct stage *stage, const char *key);

/* When no more questions can be on their way, this waits for one. */
struct question *stage_question(struct stage *stage, int64_t now_us);
struct check *question_add(struct question *question, const char *key, const struct quota *quota,
			   int64_t cost);
/*
 * Asks another store, which answers at once, the same request now, and expects its outcomes; but
 * not for checks that have an error of their own. The test has set in `op` what is in shadow and
 * whether the request is denied.
 */
void question_expect(struct question *question, struct store *store);
void question_expect_error(struct question *question, enum store_error error);
void stage_ask(struct stage *stage, struct question *question);
void stage_settle(struct stage *stage);

/* Asks one check, waits for its answer, and expects no error. */
struct outcome stage_ask_one(struct stage *stage, const char *key, const struct quota *quota,
			     int64_t cost, int64_t now_us);

/* ---- for a test with a store of its own ---- */

/* The caller frees the store, before the stage. */
struct store *stage_open_store(struct stage *stage);
/* One turn of the loop. */
void stage_turn(struct stage *stage);

#endif
