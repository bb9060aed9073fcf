/*
 * load_message.h - what is asked and what is answered: the NOTIFY, and the variables of the ACK.
 *
 * The payload of all NOTIFYs is one: it is put together once, and only the address that is counted
 * by is written over, with a random one. The numbers are the same in every run.
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
	size_t address_at; /* 0: none */
	uint64_t keys;
	uint64_t random;
};

MUST_CHECK bool load_question_init(struct load_question *question,
				   const struct load_options *options, struct err *err);
/* How many bytes load_question_put takes at most. */
size_t load_question_size(const struct load_question *question);
void load_question_put(struct load_question *question, struct writer *w, uint64_t stream_id);

/* Of all variables those that are counted, whatever their scope. */
struct load_answer {
	bool has_allowed;
	bool is_allowed;
	bool is_degraded;
	bool is_error; /* `reason` is "error" */
};

/* False when the payload of the ACK can't be decoded, or has no action. */
MUST_CHECK bool load_answer_read(struct bytes payload, struct load_answer *ret_answer);

#endif
