/*
 * policy_versions.h - the versions of the policy file that the store keeps (--policies store:), and
 * how each of them lies in records (store/records.h).
 *
 * A version is one record, its head, and as many records as its text needs, the pieces:
 *
 *     policies.7                     p<upload> <bytes> <who put it>
 *     policies.<upload>.0            p<the first 4096 bytes of the text>
 *     policies.<upload>.1            p<the next ones>
 *
 * The upload is a random name. The pieces are put first and the head last, so whoever sees the head
 * of a version has its text. After a loss the agents bring records back in any order: then a head
 * may come before its pieces, and the text is not there for a moment.
 *
 * A head is only put where there is none of its number. So of two operators who change the same
 * version one gets the next number, and the other one is told.
 */
#ifndef APP_OPERATE_POLICY_VERSIONS_H
#define APP_OPERATE_POLICY_VERSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "net/http/http_access.h"
#include "store/records.h"

#define POLICY_VERSIONS_KEPT 20
#define POLICY_TEXT_MAX      (1 << 20)
#define POLICY_UPLOAD_LEN    16
/* More than are kept, since an agent that removes the oldest may be interrupted. */
#define POLICY_VERSIONS_MAX 64
#define POLICY_SWEEP_LOOKS  1000
#define POLICY_ABANDONED_MS (10 * 60 * 1000) /* a piece whose head has not come by then */

struct policy_version {
	uint64_t number; /* from 1 on */
	uint64_t changed_ms;
	size_t len; /* of its text */
	char upload[POLICY_UPLOAD_LEN + 1];
	char who[HTTP_WHO_MAX];
};

/* All zeros: there is none. */
struct policy_versions {
	size_t count;
	struct policy_version items[POLICY_VERSIONS_MAX]; /* by number, the latest last */
};

/* Whether a record is one of these, also one that was removed. */
bool policy_versions_have_record(const struct record *record);
/* Notes a head that has come, changed or gone; pieces are passed over. False: it can't be read. */
MUST_CHECK bool policy_versions_take(struct policy_versions *versions, const struct record *record);

/* NULL when there is none. */
const struct policy_version *policy_versions_latest(const struct policy_versions *versions);
const struct policy_version *policy_versions_find(const struct policy_versions *versions,
						  uint64_t number);
bool policy_version_is_same(const struct policy_version *a, const struct policy_version *b);

/*
 * The text, from malloc with a NUL behind it. NULL when pieces of it are missing, or memory is
 * short.
 */
MUST_CHECK char *policy_version_text(const struct policy_version *version,
				     const struct records *records);

/* ---- for who puts a version ---- */

struct policy_record {
	struct record record; /* its texts are the next two */
	char id[RECORD_ID_MAX + 1];
	uint8_t value[RECORD_VALUE_MAX + 1];
};

/* Gives the version, whose text has this length, an upload of its own. */
void policy_version_set_upload(struct policy_version *version, size_t len);
size_t policy_version_pieces(const struct policy_version *version);
void policy_version_make_piece(const struct policy_version *version, struct bytes text, size_t i,
			       struct policy_record *ret_record);
void policy_version_make_head(const struct policy_version *version,
			      struct policy_record *ret_record);

struct policy_record_id {
	char text[RECORD_ID_MAX + 1];
};

/* The uploads that were noted last. All zeros: none. */
#define POLICY_UPLOADS_MAX 8

struct policy_uploads {
	char items[POLICY_UPLOADS_MAX][POLICY_UPLOAD_LEN + 1];
	size_t next;
};

void policy_uploads_note(struct policy_uploads *uploads, const struct policy_version *version);

/*
 * A walk through all records, for those that nobody needs: of versions older than the
 * POLICY_VERSIONS_KEPT latest, and pieces without a head. The walk goes through the records twice,
 * for pieces first, because the head of a version tells that its pieces are old. All zeros at the
 * beginning.
 */
struct policy_sweep {
	bool is_for_heads;
	/*
	 * The caller may not know all heads: after a loss other agents bring back pieces and heads
	 * in any order. So no piece is unneeded because it is old.
	 */
	bool keeps_late;
	size_t place;                  /* of the next record */
	struct policy_record_id found; /* the last one */
};

/*
 * Goes on with the walk: looks at POLICY_SWEEP_LOOKS records at most, and stops at the first that
 * nobody needs. True: it is *ret_id, and the caller removes it before the next call, which begins
 * with the record that is at its place then. If it is there still, it is passed over. A piece
 * without a head is unneeded when it is older than POLICY_ABANDONED_MS (but see keeps_late), or of
 * one of the `refused` uploads, whose head nobody will put.
 */
MUST_CHECK bool policy_versions_sweep(const struct policy_versions *versions,
				      const struct records *records, struct policy_sweep *sweep,
				      const struct policy_uploads *refused,
				      struct policy_record_id *ret_id);
/* Whether the walk has come to the end of all records. */
bool policy_sweep_is_over(const struct policy_sweep *sweep);

#endif
