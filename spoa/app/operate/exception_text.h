/*
 * exception_text.h - an exception as JSON: what is kept of it as a record (store/records.h), and
 * what an operator is shown.
 *
 *     {"policy":"login","algorithm":"sliding_window","key":["src"],"names":{"src":"192.0.2.7"},
 *      "counted_as":"192.0.2.7","limit":5000,"until":"2026-12-01T00:00:00Z","note":"","who":"ann",
 *      "from":"127.0.0.1:4711"}
 *
 * In front of these fields the operator is shown `id` and `when`, and behind them `void`.
 */
#ifndef APP_OPERATE_EXCEPTION_TEXT_H
#define APP_OPERATE_EXCEPTION_TEXT_H

#include "limit/exceptions.h"
#include "net/http/http_access.h"
#include "store/records.h"

#define EXCEPTION_NOTE_MAX 500                      /* bytes */
#define EXCEPTION_ITEM_MAX (RECORD_VALUE_MAX + 128) /* of what an operator is shown */

/* An exception that is being made or read, with the memory of its views. */
struct exception_draft {
	struct exception exception;
	struct exception_name names[EXCEPTION_NAMES_MAX];
	struct bytes key[POLICY_KEY_MAX];
	struct bytes counted_as; /* of a policy: the values as check.h writes them */
	struct bytes note, who, from;
	size_t len; /* of `memory` in use */
	uint8_t memory[2 * RECORD_VALUE_MAX];
};

/* Copies the text into the draft; false when it is too long. */
MUST_CHECK bool exception_draft_keep(struct exception_draft *draft, struct bytes text,
				     struct bytes *ret_kept);
/* Sorts the names, as the table wants them. */
void exception_draft_sort(struct exception_draft *draft);

/* A string of JSON, of text that is UTF-8. */
void exception_text_put_string(struct writer *w, struct bytes text);
void exception_text_put(struct writer *w, const struct exception_draft *draft);
/* False when the text is none that exception_text_put writes: who knows who wrote it. */
MUST_CHECK bool exception_text_read(struct bytes text, struct exception_draft *ret_draft);
/* What an operator is shown; `w` has room for EXCEPTION_ITEM_MAX bytes. */
void exception_text_put_item(struct writer *w, const struct exception *exception, bool is_void);

#endif
