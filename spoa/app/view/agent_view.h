/*
 * agent_view.h - what the pages of a running agent (metrics.h, status.h, top.h) can show of it. It
 * owns nothing.
 *
 * Each module counts what it does. agent_stats_of copies all counters of one moment; that takes no
 * system call but those of process_stats.h, and asks no other machine.
 */
#ifndef APP_AGENT_VIEW_H
#define APP_AGENT_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "app/operate/operate_stats.h"
#include "app/options.h"
#include "app/store_warnings.h"
#include "app/view/history.h"
#include "app/view/process_stats.h"
#include "engine/engine.h"
#include "net/http/http_server.h"
#include "net/spop/spop_server.h"
#include "store/memory.h"
#include "store/store.h"

#define LOAD_ERROR_MAX 512

/* The loads of the policy file. */
struct load_stats {
	uint64_t generation; /* how often they were loaded */
	uint64_t errors;     /* reloads that changed nothing */
	int64_t loaded_us;   /* the last load, since the epoch */
	bool lacks_policies; /* --policies store: and the store has not said what it has */
	bool last_failed;    /* the last reload failed, so older policies run than the file has */
	char last_error[LOAD_ERROR_MAX]; /* why it failed; a longer text is cut */
};

struct agent_view {
	const struct options *options;
	const struct engine *engine;
	const struct store *memory;
	const struct store *store; /* the one that is asked: `memory`, or one elsewhere */
	const struct spop_server *spop;
	const struct http_server *http;
	const struct operate_stats *operated;
	const struct store_warnings *warnings;
	struct history history;
	struct load_stats load;
	int64_t started_us; /* since the epoch */
	int64_t started_mono_us;
	bool is_draining;
};

/* All of it at one moment. */
struct agent_stats {
	const struct options *options;
	const struct policies *policies;
	const struct history *history;
	struct engine_stats engine;
	struct memory_store_stats memory;
	struct store_description store;
	struct spop_server_stats spop;
	struct http_server_stats http;
	struct operate_stats operated;
	struct store_warnings warnings;
	struct process_stats process;
	struct load_stats load;
	int64_t started_us;
	int64_t started_mono_us;
	int64_t now_us;
	int64_t uptime_us;
	bool is_draining;
};

struct agent_stats agent_stats_of(const struct agent_view *view);

#endif
