#include "app/view/agent_view.h"

#include "base/clock.h"

struct agent_stats agent_stats_of(const struct agent_view *view)
{
	return (struct agent_stats){
		.options = view->options,
		.policies = engine_policies(view->engine),
		.history = &view->history,
		.engine = engine_stats(view->engine),
		.memory = memory_store_stats(view->memory),
		.store = store_describe(view->store),
		.spop = spop_server_stats(view->spop),
		.http = http_server_stats(view->http),
		.operated = *view->operated,
		.warnings = *view->warnings,
		.process = process_stats(),
		.load = view->load,
		.started_us = view->started_us,
		.started_mono_us = view->started_mono_us,
		.now_us = clock_now_us(),
		.uptime_us = clock_mono_us() - view->started_mono_us,
		.is_draining = view->is_draining,
	};
}
