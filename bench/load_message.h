/*
 * load_message.h - the question (a NOTIFY) and the answer (the variables of an ACK).
 *
 * All NOTIFYs have the same payload, which is put together once. Only the address is overwritten,
 * with a random one for each NOTIFY; with --fill each address comes once in order before that.
 * Every run has the same random numbers.
 */
#ifndef BENCH_LOAD_MESSAGE_H
#define BENCH_LOAD_MESSAGE_H

#include "base/compiler.h"
#include "base/err.h"
#include "base/writer.h"
#include "load_options.h"

#define LOAD_NOTIFY_MAX 4096 /* its LENGTH and what follows */

struct load_question {
	uint8_t memory[LOAD_NOTIFY_MAX];
	size_t len;
	size_t address_at; /* where the address stands in `memory`; 0: it has none */
	uint64_t keys;
	uint64_t random;
	uint64_t fill_next; /* the next address in order; from `keys` on, they are random */
};

MUST_CHECK bool load_question_init(struct load_question *question,
				   const struct load_options *options, struct err *err);
/* Whether addresses are left that --fill asks for. */
bool load_question_is_filling(const struct load_question *question);
/* How many bytes load_question_put takes at most. */
size_t load_question_size(const struct load_question *question);
void load_question_put(struct load_question *question, struct writer *w, uint64_t stream_id);

/* The variables that are counted, in whatever scope they are set. */
struct load_answer {
	bool has_allowed;
	bool is_allowed;
	bool is_degraded;
	bool is_error; /* `reason` is "error" */
};

/* False when the payload of the ACK can't be decoded, or has no action. */
MUST_CHECK bool load_answer_read(struct bytes payload, struct load_answer *ret_answer);

#endif
