/*
 * stage.h - a real Redis, the store that asks it, and many requests on their way at once.
 *
 *     struct question *question = stage_question(stage, now_us);
 *     question_add(question, "key", &quota, cost);          once for each check
 *     question_expect(question, memory);                    or without: any outcome is right
 *     stage_ask(stage, question);                           leaves with the next turn of the loop
 *     stage_settle(stage);                                  all are answered
 *
 * What is answered otherwise than expected, in any field, fails the test at the next call of these.
 * Questions are the stage's; one is good until it is asked.
 */
#ifndef LUA_STAGE_H
#define LUA_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/request.h"
#include "store/store.h"
#include "support/redis_server.h"

struct stage;

enum expectation { EXPECT_ANYTHING = 0, EXPECT_OUTCOMES, EXPECT_ERROR };

struct question {
	struct check checks[REQUEST_CHECKS_MAX]; /* as they were added; `pointers` as they stand */
	struct outcome outcomes[REQUEST_CHECKS_MAX];     /* expected ones */
	enum store_error own_errors[REQUEST_CHECKS_MAX]; /* in place of one, of those in shadow */
	enum expectation expectation;
	enum store_error error; /* of all of them, with EXPECT_ERROR */
	struct stage *stage;
	struct store_op op;
	struct check *pointers[REQUEST_CHECKS_MAX];
};

/* `is_time_given`: questions say what time it is, else Redis' own clock does. */
struct stage *stage_new(bool is_time_given);
void stage_free(struct stage *stage);
struct redis_server *stage_server(const struct stage *stage);

/* Waits for one when as many as can be are on their way. */
struct question *stage_question(struct stage *stage, int64_t now_us);
struct check *question_add(struct question *question, const char *key, const struct quota *quota,
			   int64_t cost);
/*
 * What another store, which answers at once, says to the same request when it is asked now; but not
 * for checks that have an error of their own. What is in shadow or denied is set in `op` before.
 */
void question_expect(struct question *question, struct store *store);
void question_expect_error(struct question *question, enum store_error error);
void stage_ask(struct stage *stage, struct question *question);
void stage_settle(struct stage *stage);

/* One check, asked and answered, without an error. */
struct outcome stage_ask_one(struct stage *stage, const char *key, const struct quota *quota,
			     int64_t cost, int64_t now_us);

/* ---- for a test with a store of its own ---- */

/* The caller's to free, before the stage. */
struct store *stage_open_store(struct stage *stage);
/* One turn of the loop. */
void stage_turn(struct stage *stage);

#endif
