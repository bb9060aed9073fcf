#include "engines.h"

#include "support/test.h"

struct engine *engine_on(struct engine_config config, struct policies *policies)
{
	config.store_timeout_us = TIMEOUT_US;
	struct engine *engine = engine_new(&config, policies);
	assert_non_null(engine);
	policies_unref(policies);
	return engine;
}
