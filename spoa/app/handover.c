/*
 * What systemd keeps, from one restart to the next:
 *
 *     open     [old, marked]             mapped, and its head checked
 *     start    [old] [new]               the mark of the old one is removed, the new one is stored
 *              ... balances are taken, when they are asked for, and a few in each turn ...
 *              [new]                     the old one is unmapped and removed
 *     end      [new, marked]
 *
 * A process that crashes leaves memory without a mark, also when it has not taken all yet. Nobody
 * knows then which balances of the old memory have changed since, so neither is used.
 *
 * If the end comes while balances are still being taken, the rest is taken first: the next process
 * gets one memory with all.
 */
#include "app/handover.h"

#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "app/systemd_notify.h"
#include "app/systemd_sockets.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/writer.h"
#include "limit/key_hash.h"
#include "store/memory.h"

#define TAKE_AT_ONCE 500 /* balances, in a turn of the loop: some 0.2 ms */
#define SOON_S       1e-6

/* ---- the start ---- */

static const char *reason_of(enum handover_state state)
{
	switch (state) {
	case HANDOVER_NO_MEMORY:
		return "it is no memory with balances, or it can't be mapped";
	case HANDOVER_WITHOUT_MARK:
		return "the agent before did not end cleanly";
	case HANDOVER_OF_ANOTHER_LAYOUT:
		return "another version of this program wrote it";
	case HANDOVER_DAMAGED:
		return "it is damaged";
	case HANDOVER_GOOD:
		break;
	}
	return "";
}

static void log_unusable(const char *name, const char *reason)
{
	log_event(LOG_WARN, "handover_unusable", LOG_TEXT("name", name), LOG_TEXT("reason", reason),
		  LOG_TEXT("hint", "the agent starts without the balances in this memory"));
}

/* True when the balances of this memory come. */
static bool open_memory(struct handover *handover, const struct stored_descriptor *stored,
			int64_t keep_full_us)
{
	enum handover_state state =
		balances_handover_open(&handover->from, stored->fd, keep_full_us);

	if (state != HANDOVER_GOOD) {
		log_unusable(stored->name, reason_of(state));
		return false;
	}
	key_hash_set_secrets(handover->from.head.secrets);
	balances_handover_begin(&handover->from, memory_store_balances(handover->memory));
	memory_store_inherit(handover->memory, &handover->from);
	log_event(LOG_INFO, "balances_handed_over", LOG_INT("balances", handover->from.head.count),
		  LOG_INT("ms", (clock_now_us() - handover->from.head.ended_us) / US_PER_MS));
	return true;
}

static void make_name(char name[STORED_NAME_MAX])
{
	uint8_t random[8];
	struct writer w = writer_on(name, STORED_NAME_MAX - 1);

	randombytes_buf(random, sizeof random);
	writer_put_text(&w, SYSTEMD_BALANCES);
	writer_put_hex(&w, bytes_from(random, sizeof random));
	ASSERT(!w.full);
	name[w.len] = '\0';
}

void handover_open(struct handover *handover, const struct options *options, struct store *memory,
		   int64_t keep_full_us)
{
	*handover = (struct handover){.memory = memory};
	make_name(handover->name);
	for (size_t i = 0; i < options->stored_count; i++) {
		const struct stored_descriptor *stored = &options->stored[i];
		handover->old[handover->old_count++] = *stored;
		if (memory == NULL)
			log_unusable(stored->name, "this agent has its balances in Redis");
		else if (!handover->is_taking)
			handover->is_taking = open_memory(handover, stored, keep_full_us);
		if (handover->from.memory.fd != stored->fd || !handover->is_taking)
			(void)close(stored->fd);
	}
}

bool handover_has_balances(const struct handover *handover)
{
	return handover->is_taking;
}

/* ---- while the agent runs ---- */

static void log_taken(const struct handover *handover)
{
	const struct handover_counts *counts = &handover->from.counts;

	if (counts->damaged > 0)
		log_event(LOG_WARN, "balances_damaged", LOG_INT("balances", counts->damaged),
			  LOG_TEXT("hint", "these balances are full now; the others were taken"));
	log_event(LOG_INFO, "balances_taken", LOG_INT("balances", counts->balances),
		  LOG_INT("full", counts->full), LOG_INT("dropped", counts->dropped),
		  LOG_INT("ms", (clock_mono_us() - handover->began_us) / US_PER_MS));
}

/* False when all have been taken. */
static bool take_some(struct handover *handover, unsigned most)
{
	if (balances_handover_take_some(&handover->from, memory_store_balances(handover->memory),
					clock_now_us(), most))
		return true;
	memory_store_inherit(handover->memory, NULL);
	handover->is_taking = false;
	handover->is_unmapping = true;
	log_taken(handover);
	return false;
}

static void drop_old(struct handover *handover)
{
	for (size_t i = 0; i < handover->old_count; i++)
		systemd_notify_drop(handover->systemd, handover->old[i].name);
	handover->old_count = 0;
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct handover *handover = CONTAINER_OF(timer, struct handover, timer);

	(void)events;
	if (handover->is_taking) {
		(void)take_some(handover, TAKE_AT_ONCE);
	} else if (!balances_handover_release_some(&handover->from)) {
		handover->is_unmapping = false;
		drop_old(handover);
		ev_timer_stop(loop, timer);
		return;
	}
	ev_timer_again(loop, timer);
}

static void keep_memory(struct handover *handover)
{
	int fd = handover->memory == NULL ? -1 : memory_store_descriptor(handover->memory);

	handover->is_kept = fd >= 0 && systemd_notify_keep(handover->systemd, handover->name, fd);
}

void handover_start(struct handover *handover, struct ev_loop *loop, struct systemd_notify *systemd)
{
	handover->loop = loop;
	handover->systemd = systemd;
	handover->began_us = clock_mono_us();
	ev_timer_init(&handover->timer, on_timer, SOON_S, SOON_S);
	ev_set_priority(&handover->timer, EV_MINPRI);
	if (!handover->is_taking)
		drop_old(handover); /* first, so that systemd has room for one more */
	keep_memory(handover);
	if (!handover->is_taking)
		return;
	if (!balances_handover_claim(&handover->from))
		drop_old(handover);
	ev_timer_again(loop, &handover->timer);
}

/* ---- the end ---- */

bool handover_end(struct handover *handover)
{
	if (handover->memory == NULL)
		return false;
	while (handover->is_taking && take_some(handover, UINT32_MAX))
		;
	drop_old(handover);
	if (!handover->is_kept)
		return false;
	balances_handover_leave(memory_store_balances(handover->memory), clock_now_us());
	log_event(LOG_INFO, "balances_left",
		  LOG_INT("balances", memory_store_stats(handover->memory).balances),
		  LOG_TEXT("name", handover->name));
	return true;
}

void handover_release(struct handover *handover)
{
	if (handover->loop != NULL)
		ev_timer_stop(handover->loop, &handover->timer);
	if (handover->memory != NULL)
		memory_store_inherit(handover->memory, NULL);
	if (handover->is_taking || handover->is_unmapping)
		balances_handover_release(&handover->from);
	*handover = (struct handover){.memory = NULL};
}
