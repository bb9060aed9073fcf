/*
 * serve.h - the agent: puts the floors together, runs the loop, reloads and drains by signals
 * (INTERFACE.md section 7).
 */
#ifndef APP_SERVE_H
#define APP_SERVE_H

#include "app/options.h"

/* Takes the reference to `policies`. Returns the exit status. */
int serve(const struct options *options, struct policies *policies);

#endif
