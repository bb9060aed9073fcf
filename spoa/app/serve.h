/*
 * serve.h - the agent: puts the floors together and runs the loop. By signals it reloads (reload.h)
 * and drains (drain.h).
 */
#ifndef APP_SERVE_H
#define APP_SERVE_H

#include "app/options.h"
#include "limit/policies.h"

/* Takes the reference to `policies`. Returns the exit status. */
int serve(const struct options *options, struct policies *policies);

#endif
