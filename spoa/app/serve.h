/*
 * serve.h - the agent: puts the floors together and runs the loop until it has drained (drain.h).
 * While it runs, it reloads its policies (reload.h).
 */
#ifndef APP_SERVE_H
#define APP_SERVE_H

#include "app/options.h"
#include "app/policies/list_files.h"
#include "limit/policies.h"

/*
 * Takes over the reference to `policies`, which name the list files `files`. Returns the exit
 * status of the process.
 */
int serve(const struct options *options, struct policies *policies, const struct list_files *files);

#endif
