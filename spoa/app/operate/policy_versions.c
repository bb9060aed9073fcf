#include "app/operate/policy_versions.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/parse.h"
#include "base/writer.h"
#include "limit/quota.h"

#define PREFIX      "policies."
#define PIECE_BYTES RECORD_VALUE_MAX

/* ---- ids ---- */

static bool is_upload(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (parse_hex_digit(text.data[i]) < 0)
			return false;
	return text.len == POLICY_UPLOAD_LEN;
}

/* "policies.7" is a head, whose number is set; "policies.<upload>.0" is a piece. */
static bool read_id(struct bytes id, uint64_t *ret_number, struct bytes *ret_upload)
{
	struct bytes upload, rest = bytes_skip(id, strlen(PREFIX));

	*ret_number = 0;
	*ret_upload = (struct bytes){0};
	if (memchr(rest.data, '.', rest.len) == NULL)
		return parse_whole(rest, QUOTA_EXACT_MAX, ret_number) && *ret_number > 0;
	if (!bytes_next_item(&rest, '.', &upload) || !is_upload(upload))
		return false;
	*ret_upload = upload;
	return true;
}

bool policy_versions_have_record(const struct record *record)
{
	return bytes_begin_with(record->id, BYTES(PREFIX));
}

/* ---- heads ---- */

static bool read_head(const struct record *record, struct policy_version *version)
{
	struct bytes rest = record->value, upload, len;
	uint64_t bytes;

	if (rest.len == 0 || rest.data[0] != RECORD_POLICIES)
		return false;
	rest = bytes_skip(rest, 1);
	if (!bytes_next_item(&rest, ' ', &upload) || !is_upload(upload) ||
	    !bytes_next_item(&rest, ' ', &len) || !parse_whole(len, POLICY_TEXT_MAX, &bytes) ||
	    rest.data == NULL || rest.len >= sizeof version->who)
		return false;
	version->len = (size_t)bytes;
	version->changed_ms = record->changed_ms;
	memcpy(version->upload, upload.data, upload.len);
	version->upload[upload.len] = '\0';
	memcpy(version->who, rest.data, rest.len);
	version->who[rest.len] = '\0';
	return true;
}

/* Where the number is, or where it would be. */
static size_t place_of(const struct policy_versions *versions, uint64_t number)
{
	size_t at = 0;

	while (at < versions->count && versions->items[at].number < number)
		at++;
	return at;
}

static void remove_at(struct policy_versions *versions, size_t at)
{
	versions->count--;
	memmove(versions->items + at, versions->items + at + 1,
		(versions->count - at) * sizeof versions->items[0]);
}

static void put_version(struct policy_versions *versions, const struct policy_version *version)
{
	size_t at = place_of(versions, version->number);

	if (at < versions->count && versions->items[at].number == version->number) {
		versions->items[at] = *version;
		return;
	}
	if (versions->count == POLICY_VERSIONS_MAX) {
		if (at == 0)
			return; /* older than all that are known */
		remove_at(versions, 0);
		at--;
	}
	memmove(versions->items + at + 1, versions->items + at,
		(versions->count - at) * sizeof versions->items[0]);
	versions->items[at] = *version;
	versions->count++;
}

bool policy_versions_take(struct policy_versions *versions, const struct record *record)
{
	struct policy_version version = {0};
	struct bytes upload;

	if (!read_id(record->id, &version.number, &upload))
		return false;
	if (upload.len > 0)
		return true;
	if (!record->is_removed) {
		if (!read_head(record, &version))
			return false;
		put_version(versions, &version);
		return true;
	}
	size_t at = place_of(versions, version.number);
	if (at < versions->count && versions->items[at].number == version.number)
		remove_at(versions, at);
	return true;
}

const struct policy_version *policy_versions_latest(const struct policy_versions *versions)
{
	return versions->count == 0 ? NULL : &versions->items[versions->count - 1];
}

const struct policy_version *policy_versions_find(const struct policy_versions *versions,
						  uint64_t number)
{
	size_t at = place_of(versions, number);

	return at < versions->count && versions->items[at].number == number ? &versions->items[at]
									    : NULL;
}

bool policy_version_is_same(const struct policy_version *a, const struct policy_version *b)
{
	return a->number == b->number && strcmp(a->upload, b->upload) == 0;
}

/* ---- texts ---- */

size_t policy_version_pieces(const struct policy_version *version)
{
	return (version->len + PIECE_BYTES - 1) / PIECE_BYTES;
}

static struct bytes put_piece_id(const struct policy_version *version, size_t i,
				 char id[RECORD_ID_MAX + 1])
{
	struct writer w = writer_on(id, RECORD_ID_MAX);

	writer_put_text(&w, PREFIX);
	writer_put_text(&w, version->upload);
	writer_put_text(&w, ".");
	writer_put_unsigned(&w, i);
	ASSERT(!w.full);
	return writer_bytes(&w);
}

static size_t piece_len(const struct policy_version *version, size_t i)
{
	size_t rest = version->len - i * PIECE_BYTES;

	return rest < PIECE_BYTES ? rest : PIECE_BYTES;
}

static bool read_pieces(const struct policy_version *version, const struct records *records,
			char *text)
{
	for (size_t i = 0; i < policy_version_pieces(version); i++) {
		char id[RECORD_ID_MAX + 1];
		struct record piece;
		size_t len = piece_len(version, i);
		if (!records_find(records, put_piece_id(version, i, id), &piece) ||
		    piece.value.len != len + 1 || piece.value.data[0] != RECORD_POLICIES)
			return false;
		memcpy(text + i * PIECE_BYTES, piece.value.data + 1, len);
	}
	text[version->len] = '\0';
	return true;
}

char *policy_version_text(const struct policy_version *version, const struct records *records)
{
	char *text = malloc(version->len + 1);

	if (text == NULL || read_pieces(version, records, text))
		return text;
	free(text);
	return NULL;
}

/* ---- to put a version ---- */

void policy_version_set_upload(struct policy_version *version, size_t len)
{
	uint8_t random[POLICY_UPLOAD_LEN / 2];
	struct writer w = writer_on(version->upload, sizeof version->upload);

	randombytes_buf(random, sizeof random);
	writer_put_hex(&w, bytes_from(random, sizeof random));
	(void)writer_text(&w);
	version->len = len;
}

void policy_version_make_piece(const struct policy_version *version, struct bytes text, size_t i,
			       struct policy_record *ret_record)
{
	size_t len = piece_len(version, i);

	ret_record->value[0] = RECORD_POLICIES;
	memcpy(ret_record->value + 1, text.data + i * PIECE_BYTES, len);
	ret_record->record = (struct record){
		.id = put_piece_id(version, i, ret_record->id),
		.value = bytes_from(ret_record->value, len + 1),
	};
}

void policy_version_make_head(const struct policy_version *version,
			      struct policy_record *ret_record)
{
	struct writer id = writer_on(ret_record->id, RECORD_ID_MAX);
	struct writer value = writer_on(ret_record->value, sizeof ret_record->value);

	writer_put_text(&id, PREFIX);
	writer_put_unsigned(&id, version->number);
	writer_put_u8(&value, RECORD_POLICIES);
	writer_put_text(&value, version->upload);
	writer_put_text(&value, " ");
	writer_put_unsigned(&value, version->len);
	writer_put_text(&value, " ");
	writer_put_text(&value, version->who);
	ASSERT(!id.full && !value.full);
	ret_record->record = (struct record){
		.id = writer_bytes(&id), .value = writer_bytes(&value), .is_new_only = true};
}

/* ---- what nobody needs ---- */

static bool is_old(const struct policy_versions *versions, uint64_t number)
{
	const struct policy_version *latest = policy_versions_latest(versions);

	return latest != NULL && number + POLICY_VERSIONS_KEPT <= latest->number;
}

void policy_uploads_note(struct policy_uploads *uploads, const struct policy_version *version)
{
	memcpy(uploads->items[uploads->next], version->upload, sizeof version->upload);
	uploads->next = (uploads->next + 1) % POLICY_UPLOADS_MAX;
}

static bool is_noted(const struct policy_uploads *uploads, struct bytes upload)
{
	for (size_t i = 0; i < POLICY_UPLOADS_MAX; i++)
		if (bytes_equal(upload, bytes_from_text(uploads->items[i])))
			return true;
	return false;
}

static bool is_unneeded_piece(const struct policy_versions *versions, struct bytes upload,
			      bool is_abandoned)
{
	for (size_t i = 0; i < versions->count; i++)
		if (bytes_equal(upload, bytes_from_text(versions->items[i].upload)))
			return is_old(versions, versions->items[i].number);
	return is_abandoned;
}

static bool is_unneeded(const struct policy_versions *versions, const struct record *record,
			const struct policy_uploads *refused, uint64_t now_ms,
			const struct policy_sweep *sweep)
{
	uint64_t number;
	struct bytes upload;

	if (record->is_removed || !policy_versions_have_record(record) ||
	    !read_id(record->id, &number, &upload) || sweep->is_for_heads != (number > 0))
		return false;
	if (sweep->is_for_heads)
		return is_old(versions, number);
	bool is_late = !sweep->keeps_late && record->changed_ms + POLICY_ABANDONED_MS < now_ms;
	return is_unneeded_piece(versions, upload, is_late || is_noted(refused, upload));
}

#define PLACE_OVER SIZE_MAX

bool policy_sweep_is_over(const struct policy_sweep *sweep)
{
	return sweep->place == PLACE_OVER;
}

/* One pass is over: the next one begins, or the walk is over. */
static void end_pass(struct policy_sweep *sweep)
{
	sweep->place = sweep->is_for_heads ? PLACE_OVER : 0;
	sweep->is_for_heads = true;
}

bool policy_versions_sweep(const struct policy_versions *versions, const struct records *records,
			   struct policy_sweep *sweep, const struct policy_uploads *refused,
			   struct policy_record_id *ret_id)
{
	uint64_t now_ms = records_now_ms(records);
	struct record record;

	for (size_t i = 0; i < POLICY_SWEEP_LOOKS && !policy_sweep_is_over(sweep); i++) {
		if (!records->at(records, sweep->place, &record)) {
			end_pass(sweep);
			continue;
		}
		/* When memory is short, the one that was removed last may be there still. */
		if (!is_unneeded(versions, &record, refused, now_ms, sweep) ||
		    bytes_equal(record.id, bytes_from_text(sweep->found.text))) {
			sweep->place++;
			continue;
		}
		memcpy(sweep->found.text, record.id.data, record.id.len);
		sweep->found.text[record.id.len] = '\0';
		*ret_id = sweep->found;
		return true;
	}
	return false;
}
