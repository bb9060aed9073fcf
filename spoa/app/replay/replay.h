/*
 * replay.h - `ratelimit-spoa replay`: runs recorded requests through policies (docs/reference.md,
 * section Replay).
 *
 * Each line of the files, or of standard input, becomes a question like a request over HTTP. The
 * engine answers one question after the other, by the time in the line and not by the clock. The
 * answers go to standard output, a summary to standard error. Memory does not grow with the number
 * of lines.
 */
#ifndef APP_REPLAY_H
#define APP_REPLAY_H

#include "app/options.h"
#include "app/replay/replay_options.h"
#include "limit/policies.h"

/* Returns the exit status. Takes over the reference to the policies. */
int replay(const struct options *options, struct replay_options *own, struct policies *policies);

#endif
