/*
 * spop_hello.h - the handshake and its end: HELLO and DISCONNECT frames, as the agent reads and
 * writes them, and as `probe` does, which plays HAProxy's part (SPOE.txt 3.2.2 to 3.2.4, 3.2.8,
 * 3.2.9).
 */
#ifndef WIRE_SPOP_HELLO_H
#define WIRE_SPOP_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/spop_frame.h"

/* HAPROXY-HELLO. What is optional and absent is false or empty. */
struct spop_hello {
	uint32_t max_frame_size; /* HAProxy's offer */
	bool pipelining;
	bool healthcheck;
	struct bytes engine_id; /* a view */
};

/* SPOP_NORMAL when it may be answered, else the status to refuse it with. */
MUST_CHECK enum spop_status spop_hello_read(const struct spop_frame *frame,
					    struct spop_hello *ret_hello);
/* Announces 2.0, and pipelining only; HAProxy refuses a max_frame_size above its offer. */
void spop_put_agent_hello(struct writer *w, uint32_t max_frame_size, bool pipelining);
void spop_put_agent_disconnect(struct writer *w, enum spop_status status, const char *message);

/* HAPROXY-DISCONNECT or AGENT-DISCONNECT; false when it has no status-code. */
MUST_CHECK bool spop_disconnect_read(struct bytes payload, uint64_t *ret_status,
				     struct bytes *ret_message);

/* HAProxy's health check, and whether the payload of AGENT-HELLO passes it. */
void spop_put_healthcheck(struct writer *w);
MUST_CHECK bool spop_agent_hello_is_good(struct bytes payload);

#endif
