/* Requests that two policy files decide otherwise. */
#include "app/replay/replay_changes.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "app/policies/policy_file.h"
#include "support/test.h"

#define POLICY(name) \
	"\"" name "\":{\"algorithm\":\"fixed_window\",\"limit\":1,\"window\":\"1h\",\"key\":[]}"

static struct policies *first, *second;
static struct replay_changes changes;

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

BEFORE_EACH
{
	struct problems problems;

	first = policy_file_parse(BYTES("{\"policies\":{" POLICY("both") "," POLICY("old") "}}"),
				  ON_ERROR_ALLOW, &problems);
	second = policy_file_parse(BYTES("{\"policies\":{" POLICY("new") "," POLICY("both") "}}"),
				   ON_ERROR_ALLOW, &problems);
	assert_true(first != NULL && second != NULL);
	assert_true(replay_changes_init(&changes, first, second));
}

AFTER_EACH
{
	replay_changes_release(&changes);
	policies_unref(first);
	policies_unref(second);
}

/* "both- old+": what each policy says to the key; a policy that is not named was not asked. */
static struct replay_decisions decisions_of(const struct policies *policies, const char *text,
					    const char *key)
{
	struct replay_decisions decisions = {.allowed = true};
	struct bytes rest = bytes_from_text(text), word;

	while (rest.len > 0 && bytes_next_item(&rest, ' ', &word)) {
		struct replay_decision *decision = &decisions.items[decisions.count++];
		struct bytes name = bytes_from(word.data, word.len - 1);
		decision->policy = bytes_equal(name, BYTES("inline"))
					   ? policies_inline(policies)
					   : policies_find(policies, name);
		assert_non_null(decision->policy);
		decision->is_denied = word.data[word.len - 1] == '-';
		decision->key_len = strlen(key);
		memcpy(decision->key, key, decision->key_len);
		decisions.allowed &= !decision->is_denied;
	}
	return decisions;
}

static void add(const char *in_first, const char *in_second, const char *key)
{
	const struct replay_decisions a = decisions_of(first, in_first, key);
	const struct replay_decisions b = decisions_of(second, in_second, key);

	assert_true(replay_changes_add(&changes, &a, &b));
}

static const struct replay_change *find_row(const char *name)
{
	for (size_t i = 0; i < changes.row_count; i++) {
		const struct replay_change *row = &changes.rows[i];
		const struct policy *policy = row->first != NULL ? row->first : row->second;
		if (strcmp(policy->name, name) == 0)
			return row;
	}
	fail_msg("%s", name);
	return NULL;
}

TEST(replay_changes_init_pairs_policies_by_name)
{
	assert_int_equal(changes.row_count, 5);
	assert_int_equal(changes.first_count, 4);
	assert_ptr_equal(find_row("both")->second, policies_at(second, 1));
	assert_null(find_row("old")->second);
	assert_null(find_row("new")->first);
	assert_ptr_equal(find_row("inline")->second, policies_inline(second));
	assert_ptr_equal(find_row("blocked")->second, policies_blocked(second));
	assert_ptr_equal(replay_changes_of(&changes, policies_at(first, 1)), find_row("old"));
	assert_ptr_equal(replay_changes_of(&changes, policies_inline(first)), find_row("inline"));
	assert_ptr_equal(replay_changes_of(&changes, policies_blocked(first)), find_row("blocked"));
}

TEST(replay_changes_add_counts_what_one_file_denies_alone)
{
	static const struct {
		const char *in_first, *in_second, *policy;
		uint64_t by_first, by_second; /* of the policy */
		uint64_t requests_by_first, requests_by_second;
	} cases[] = {
		{"both+ old+", "both+ new+", "both", 0, 0, 0, 0},
		{"both- old+", "both- new+", "both", 0, 0, 0, 0},
		{"both-", "both+", "both", 1, 0, 1, 0},
		{"both+", "both-", "both", 0, 1, 0, 1},
		{"both-", "", "both", 1, 0, 1, 0},
		{"", "both-", "both", 0, 1, 0, 1},
		{"old-", "", "old", 1, 0, 1, 0},
		{"", "new-", "new", 0, 1, 0, 1},
		{"both-", "both+ new-", "both", 1, 0, 0, 0},
		{"both-", "both+ new-", "new", 0, 1, 0, 0},
		{"inline-", "inline+", "inline", 1, 0, 1, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		replay_changes_release(&changes);
		assert_true(replay_changes_init(&changes, first, second));
		add(cases[i].in_first, cases[i].in_second, "k");
		const struct replay_change *row = find_row(cases[i].policy);
		if (row->by_first.count != cases[i].by_first ||
		    row->by_second.count != cases[i].by_second ||
		    changes.denied_by_first != cases[i].requests_by_first ||
		    changes.denied_by_second != cases[i].requests_by_second)
			fail_msg("row %zu", i);
	}
}

TEST(replay_changes_add_keeps_the_keys_that_change_most)
{
	const struct top_key *keys[TOP_KEYS_MAX];

	for (size_t i = 0; i < 5; i++)
		add("both+", "both-", "often");
	add("both+", "both-", "once");
	add("both-", "both+", "other");

	assert_int_equal(top_keys_sorted(find_row("both")->by_second.keys, keys), 2);
	assert_int_equal(keys[0]->count, 5);
	assert_memory_equal(keys[0]->text, "often", 5);
	assert_int_equal(top_keys_sorted(find_row("both")->by_first.keys, keys), 1);
	assert_int_equal(changes.second_denied, 6);
}
