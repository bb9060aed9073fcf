/*
 * The value of the record is `r`, then `<policy>:<values>`, or for an inline policy the key of the
 * balance, `inline:<numbers>:<value>` (check.h). An agent that reads `login:192.0.2.1` makes the
 * keys of the balances of all terms that `login` has here.
 *
 * The id is a hash of the value: a second reset of the same key takes the place of the first one.
 */
#include "app/operate/resets.h"

#include <sodium.h>

#include "base/log.h"
#include "base/writer.h"
#include "store/memory.h"

#define ID_PREFIX "reset-"
#define ID_BYTES  16
#define VALUE_MAX (1 + POLICY_NAME_MAX + 1 + CHECK_KEY_MAX)
#define IS_INLINE BYTES("inline")

_Static_assert(VALUE_MAX <= RECORD_VALUE_MAX, "a record takes it");
_Static_assert(sizeof ID_PREFIX + 2 * ID_BYTES <= RECORD_ID_MAX, "and its id");

static void on_done(void *owner, enum records_outcome outcome)
{
	const struct operate *operate = owner;

	if (outcome == RECORDS_DONE)
		return;
	log_event(LOG_WARN, "balance_reset_unshared",
		  LOG_TEXT("store", store_target_text(&operate->options->store)),
		  LOG_TEXT("hint", "the balance is full again in Redis; other agents could not be "
				   "told, and may deny by what they remember for --deny-cache at "
				   "most"));
}

static void put_id(struct writer *w, struct bytes value)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, value.data, value.len);
	writer_put_text(w, ID_PREFIX);
	writer_put_hex(w, bytes_from(hash, ID_BYTES));
}

void resets_share(struct operate *operate, const struct check *check)
{
	uint8_t id_memory[RECORD_ID_MAX], value_memory[VALUE_MAX];
	struct writer id = writer_on(id_memory, sizeof id_memory);
	struct writer value = writer_on(value_memory, sizeof value_memory);

	if (!operate->records->is_shared)
		return;
	writer_put_u8(&value, RECORD_RESET);
	if (check->quota == &check->own_quota) {
		writer_put(&value, check_key(check));
	} else {
		writer_put_text(&value, check->policy->name);
		writer_put_u8(&value, ':');
		writer_put(&value, check_values(check));
	}
	put_id(&id, writer_bytes(&value));
	ASSERT(!value.full && !id.full);
	const struct record record = {.id = writer_bytes(&id), .value = writer_bytes(&value)};
	records_put(operate->records, &record, on_done, operate);
}

/* ---- what others have reset ---- */

static void forget_terms(struct operate *operate, const struct policy *policy,
			 const struct terms *terms, struct bytes values)
{
	uint8_t memory[CHECK_KEY_MAX];
	struct writer key = writer_on(memory, sizeof memory);

	writer_put_text(&key, policy->name);
	writer_put_u8(&key, ':');
	writer_put_text(&key, terms->generation);
	writer_put_u8(&key, ':');
	writer_put(&key, values);
	if (!key.full)
		memory_store_forget(operate->memory, writer_bytes(&key));
}

void resets_take_record(struct operate *operate, const struct record *record)
{
	struct bytes key = bytes_skip(record->value, 1), values = key, name;

	store_forget_known(operate->store);
	if (operate->store == operate->memory || !bytes_next_item(&values, ':', &name))
		return;
	if (bytes_equal(name, IS_INLINE)) {
		memory_store_forget(operate->memory, key);
		return;
	}
	const struct policy *policy = policies_find(engine_policies(operate->engine), name);
	if (policy == NULL || values.data == NULL)
		return;
	forget_terms(operate, policy, &policy->terms, values);
	for (size_t i = 0; i < policy->override_count; i++)
		if (policy->overrides[i].has_own_balances)
			forget_terms(operate, policy, &policy->overrides[i].terms, values);
}
