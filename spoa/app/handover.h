/*
 * handover.h - the balances of a memory store go from one process to the next in memory that
 * systemd keeps meanwhile (FileDescriptorStoreMax=), so that a restart waits for no balance to be
 * written or read.
 *
 * The memory is made at the start, and systemd gets a descriptor of it at once. So there is nothing
 * to do at the end but to mark it (store/balances_handover.h). Memory without the mark, of another
 * layout, or damaged is dropped with a log line, and the agent starts without it.
 */
#ifndef APP_HANDOVER_H
#define APP_HANDOVER_H

#include <stdbool.h>

#include <ev.h>

#include "app/options.h"
#include "base/compiler.h"
#include "store/balances_handover.h"
#include "store/store.h"

struct systemd_notify;

struct handover {
	struct store *memory; /* NULL: nothing is handed over */
	struct ev_loop *loop; /* NULL before the start */
	struct systemd_notify *systemd;
	char name[STORED_NAME_MAX]; /* of this process' memory */
	bool is_kept;               /* by systemd */
	bool is_taking;             /* there are balances of the process before */
	bool is_unmapping;          /* all of them were looked at */
	struct balances_handover from;
	int64_t began_us;
	struct ev_timer timer;
	/* What systemd keeps and nobody needs once this process has started. */
	struct stored_descriptor old[STORED_MAX];
	size_t old_count;
};

/*
 * Looks at what systemd kept, and has `memory`, a store without balances, take what can be used;
 * its secrets of key hashes are in force then. The descriptors of `options` are the handover's from
 * now on. `memory` is NULL when balances are kept elsewhere. Balances that have been full for
 * `keep_full_us` are left out.
 */
void handover_open(struct handover *handover, const struct options *options, struct store *memory,
		   int64_t keep_full_us);
/* Whether there are balances of the process before. */
bool handover_has_balances(const struct handover *handover);
/* The agent listens: what was taken is no other process' any more, and systemd keeps the new
 * memory.
 */
void handover_start(struct handover *handover, struct ev_loop *loop,
		    struct systemd_notify *systemd);
/* After the last answer. True when the next process gets the balances from systemd. */
bool handover_end(struct handover *handover);
/* `handover` may be all zeros. Before the store is freed. */
void handover_release(struct handover *handover);

#endif
