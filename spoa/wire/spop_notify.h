/*
 * spop_notify.h - what HAProxy asks and what it is answered: NOTIFY and ACK (SPOE.txt 3.2.6, 3.2.7,
 * 3.4).
 *
 * A NOTIFY holds messages, each with its arguments, and is walked without a copy: first a message,
 * then all its arguments, then the next message. After a -1 nothing more may be read: what is left
 * of the payload means nothing.
 *
 * An ACK holds actions; HAProxy stops in silence at the first that it does not understand.
 */
#ifndef WIRE_SPOP_NOTIFY_H
#define WIRE_SPOP_NOTIFY_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/writer.h"
#include "wire/spop_data.h"

struct spop_message {
	struct bytes name;
	unsigned arguments_left;
};

struct spop_argument {
	struct bytes name; /* empty when the argument has none */
	struct spop_data data;
};

/* 1: there is one; 0: the end; -1: the payload can't be decoded. */
MUST_CHECK int spop_message_next(struct bytes *payload, struct spop_message *ret_message);
MUST_CHECK int spop_argument_next(struct bytes *payload, struct spop_message *message,
				  struct spop_argument *ret_argument);

enum spop_scope {
	SPOP_SCOPE_PROCESS = 0,
	SPOP_SCOPE_SESSION,
	SPOP_SCOPE_TRANSACTION,
	SPOP_SCOPE_REQUEST,
	SPOP_SCOPE_RESPONSE,
};

/* The length of a longer name would take more than one byte. */
#define SPOP_VAR_NAME_MAX 239

/* The name of a variable has 1 to SPOP_VAR_NAME_MAX bytes. */
void spop_put_set_var(struct writer *w, enum spop_scope scope, struct bytes name,
		      struct spop_data data);
void spop_put_unset_var(struct writer *w, enum spop_scope scope, struct bytes name);

enum spop_action { SPOP_ACTION_SET_VAR = 1, SPOP_ACTION_UNSET_VAR = 2 };

#define SPOP_ACTION_OVERHEAD 4 /* bytes around the name: type, count, scope, length of the name */

/*
 * What is in front of an action's value, for a caller that has room for it; returns the end of what
 * was put. Inline, so that of a name that is known the compiler makes a few stores of constants.
 */
static inline uint8_t *spop_action_at(uint8_t *at, enum spop_action action, enum spop_scope scope,
				      struct bytes name)
{
	at[0] = (uint8_t)action;
	at[1] = action == SPOP_ACTION_SET_VAR ? 3 : 2; /* arguments */
	at[2] = (uint8_t)scope;
	at[3] = (uint8_t)name.len; /* a varint of one byte */
	COPY_CONSTANT(at + SPOP_ACTION_OVERHEAD, name.data, name.len);
	return at + SPOP_ACTION_OVERHEAD + name.len;
}

#endif
