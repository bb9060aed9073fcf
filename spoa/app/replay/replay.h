/*
 * replay.h - `ratelimit-spoa replay`: requests that were, through policies that might be
 * (INTERFACE.md section 6).
 *
 * Each line of standard input is asked as one that comes over HTTP is, with its own time in place
 * of the clock's, one after the other; the answers go to standard output. Memory does not grow with
 * the number of lines.
 */
#ifndef APP_REPLAY_H
#define APP_REPLAY_H

#include "app/options.h"
#include "app/replay/replay_options.h"
#include "limit/policies.h"

/* The exit status. The reference to the policies is taken over. */
int replay(const struct options *options, struct replay_options *own, struct policies *policies);

#endif
