/*
 * resets.h - resets of balances, as they get from the agent that was asked for one to the others.
 *
 * The balance itself is in Redis and is full again at once. The other agents hear of the reset by a
 * record, and forget what they remember of the balance: that it was exhausted (--deny-cache), and
 * its copy for on_error `local`.
 */
#ifndef APP_OPERATE_RESETS_H
#define APP_OPERATE_RESETS_H

#include "app/operate/operate.h"
#include "limit/check.h"

/* `check` is of one of the balances that were reset; all have the policy and the key of it. */
void resets_share(struct operate *operate, const struct check *check);
/* A record that is a reset, of this agent or another one. */
void resets_take_record(struct operate *operate, const struct record *record);

#endif
