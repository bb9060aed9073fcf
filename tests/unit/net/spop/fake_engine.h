/*
 * fake_engine.h - an engine on a store that answers when the test says so, and HAProxy's side of a
 * connection.
 */
#ifndef NET_SPOP_FAKE_ENGINE_H
#define NET_SPOP_FAKE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

#define ASKED_MAX 256

/* A policy by src that the store below decides: each NOTIFY of `send_notify` asks the store once.
 */
struct fake_engine {
	struct engine *engine;
	struct store store;
	struct store *local;
	bool waits; /* asked ops wait for fake_engine_answer; else they are answered at once */
	struct store_op *asked[ASKED_MAX]; /* NULL once it is answered */
	size_t asked_count;
};

void fake_engine_init(struct fake_engine *fake);
/* Answers what still waits. */
void fake_engine_release(struct fake_engine *fake);
/* Allows what was asked as the so-manieth. */
void fake_engine_answer(struct fake_engine *fake, size_t index);

/* Bytes in the notation of support/vector.h. */
void send_notation(int fd, const char *notation);
/* A frame of this notation, without its LENGTH. */
void send_frame(int fd, const char *notation);
void send_hello(int fd);
/* Ids are below 240. */
void send_notify(int fd, unsigned stream_id, unsigned frame_id);

/*
 * Reads all that is there and compares it with a list of "hello", "ack S.F" (stream and frame id),
 * "bye STATUS MESSAGE" and, last, "end" or "reset", with ", " between them.
 */
void assert_gets(int fd, const char *expected);

#endif
