/* engines.h - an engine on a store that the test made. */
#ifndef UNIT_ENGINE_ENGINES_H
#define UNIT_ENGINE_ENGINES_H

#include "engine/engine.h"

#define NOW_US     INT64_C(1700000000000000)
#define MONO_US    INT64_C(5000000)
#define TIMEOUT_US INT64_C(2000) /* of a request */

/* With the timeout TIMEOUT_US. Takes over the reference to `policies`. */
struct engine *engine_on(struct engine_config config, struct policies *policies);

#endif
