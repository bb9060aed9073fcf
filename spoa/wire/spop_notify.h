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

#endif
