/*
 * redis_records_errors.h - what Redis refuses of records, and which of it is told: each kind of
 * refusal once a connection, and when a right that was missing is there again.
 */
#ifndef STORE_REDIS_RECORDS_ERRORS_H
#define STORE_REDIS_RECORDS_ERRORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct redis_records_config;

struct records_errors {
	const struct redis_records_config *config; /* who is told */
	int64_t told_since_us;   /* of the link of which a refusal was told last */
	int64_t told_lacking_us; /* and a missing right */
	/* Rights that were missing, until a call that needs them succeeds. */
	bool lacks_right, put_lacks_right;
	int64_t read_since_us; /* of the link that has answered a read */
};

/* Whether Redis refuses because of the rights of the agent's user. */
bool records_error_is_of_rights(struct bytes why);

/* `since_us` is since when the link is up: it stands for the connection. */
void records_errors_note(struct records_errors *errors, struct bytes why, int64_t since_us);
void records_errors_note_refused_put(struct records_errors *errors, struct bytes why);
/* A read was answered; `is_empty`: there are no records, and then a first read tries all rights. */
void records_errors_note_read(struct records_errors *errors, bool is_empty, int64_t since_us);
void records_errors_note_put(struct records_errors *errors);

#endif
