#include "limit/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "samples.h"
#include "support/sweep.h"
#include "support/test.h"

#define PAIRS      400000
#define VALUES_MAX 4
#define TEXT_MAX   160

/* ---- what a key looks like ---- */

static struct check check_of(const struct policies *policies, const char *name)
{
	const struct policy *policy = policies_find(policies, bytes_from_text(name));

	assert_non_null(policy);
	return (struct check){
		.policy = policy, .terms = &policy->terms, .quota = &policy->terms.quota};
}

static void assert_key(struct check *check, const char *format)
{
	char expected[CHECK_KEY_MAX + 1];

	snprintf(expected, sizeof expected, format, check->policy->terms.generation);
	assert_bytes_text(check_key(check), expected);
}

static void set_text_key(struct check *check, struct bytes text)
{
	struct value value = value_text(text);

	check_set_key(check, &value, 1, false);
}

TEST(check_set_key_one_value_is_its_text)
{
	struct policies *policies = POLICIES("login:src");
	struct check check = check_of(policies, "login");
	struct value value = address("", "192.0.2.1").value;

	check_set_key(&check, &value, 1, false);

	assert_key(&check, "login:%s:192.0.2.1");
	policies_unref(policies);
}

TEST(check_set_key_several_values_are_separated)
{
	struct policies *policies = POLICIES("tenant:a,b,c");
	struct check check = check_of(policies, "tenant");
	struct value values[] = {value_text(BYTES("x")), value_text(BYTES("")), value_integer(-7)};

	check_set_key(&check, values, ARRAY_SIZE(values), false);

	assert_key(&check, "tenant:%s:x||-7");
	policies_unref(policies);
}

TEST(check_set_key_no_value_is_nothing)
{
	struct policies *policies = POLICIES("all:");
	struct check check = check_of(policies, "all");

	check_set_key(&check, NULL, 0, false);

	assert_key(&check, "all:%s:");
	policies_unref(policies);
}

TEST(check_set_key_explicit_is_marked)
{
	struct policies *policies = POLICIES("all:");
	struct check check = check_of(policies, "all");
	struct value value = value_text(BYTES("x"));

	check_set_key(&check, &value, 1, true);

	assert_key(&check, "all:%s:=x");
	policies_unref(policies);
}

TEST(check_set_key_what_has_a_meaning_is_escaped)
{
	struct policies *policies = POLICIES("login:src");
	struct check check = check_of(policies, "login");

	set_text_key(&check, BYTES("a|b=c#d%e{f}g h\n\0\x7f\xff\"\\"));

	assert_key(&check, "login:%s:a%%7cb%%3dc%%23d%%25e%%7bf%%7dg%%20h%%0a%%00%%7f%%ff%%22%%5c");
	policies_unref(policies);
}

TEST(check_set_key_plain_signs_stand_as_they_are)
{
	struct policies *policies = POLICIES("login:src");
	struct check check = check_of(policies, "login");

	set_text_key(&check, BYTES("azAZ09-._~:/@+,;!$&'()*?"));

	assert_key(&check, "login:%s:azAZ09-._~:/@+,;!$&'()*?");
	policies_unref(policies);
}

TEST(check_set_key_inline_is_named_by_its_numbers)
{
	static const struct {
		struct quota quota;
		const char *expected;
	} cases[] = {
		{{.algorithm = TOKEN_BUCKET, .limit = 10, .refill_tokens = 1, .refill_us = 2000000},
		 "inline:1t10,1/2000000:x"},
		{{.algorithm = SLIDING_WINDOW, .limit = 5, .window_us = 60000000},
		 "inline:1s5,60000000:x"},
		{{.algorithm = SLIDING_WINDOW_COUNTER, .limit = 5, .window_us = 60000000},
		 "inline:1c5,60000000:x"},
		{{.algorithm = FIXED_WINDOW, .limit = 5, .window_us = 60000000},
		 "inline:1f5,60000000:x"},
	};
	struct policies *policies = POLICIES("login:src");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct check check = {.policy = policies_inline(policies),
				      .terms = &policies_inline(policies)->terms,
				      .own_quota = cases[i].quota};
		check.quota = &check.own_quota;
		set_text_key(&check, BYTES("x"));
		assert_bytes_text(check_key(&check), cases[i].expected);
	}
	policies_unref(policies);
}

TEST(check_set_key_largest_inline_numbers_fit)
{
	struct policies *policies = POLICIES("login:src");
	struct check check = {.policy = policies_inline(policies),
			      .terms = &policies_inline(policies)->terms,
			      .own_quota = {.algorithm = TOKEN_BUCKET,
					    .limit = INT64_MAX,
					    .refill_tokens = INT64_MAX,
					    .refill_us = INT64_MAX}};
	char longest[CHECK_VALUES_MAX];

	check.quota = &check.own_quota;
	memset(longest, 'x', sizeof longest);
	set_text_key(&check, bytes_from(longest, sizeof longest));

	assert_true(check.key_len <= sizeof check.key);
	policies_unref(policies);
}

TEST(check_set_key_longer_than_fits_is_hashed)
{
	struct policies *policies = POLICIES("login:src");
	struct check check = check_of(policies, "login");
	size_t start = strlen("login:123456789012:");
	char longest[CHECK_VALUES_MAX + 1];

	memset(longest, 'x', sizeof longest);
	set_text_key(&check, bytes_from(longest, CHECK_VALUES_MAX));
	assert_int_equal(check.key_len, start + CHECK_VALUES_MAX);
	assert_int_equal(check.key[start], 'x');
	set_text_key(&check, bytes_from(longest, CHECK_VALUES_MAX + 1));

	/* SHA-256 of "|", 00 00 00 81, and 129 times x: other agents must come to the same. */
	assert_key(&check,
		   "login:%s:#f01921ccc31733e851bba34917272d978c84010973c8c0e2d0b1d0ef763dce27");
	policies_unref(policies);
}

TEST(check_set_key_with_hash_keys_shows_no_value)
{
	struct policies *policies = POLICIES("login:src,path");

	policies_hash_keys(policies);
	struct check check = check_of(policies, "login");
	struct value values[] = {address("", "192.0.2.1").value, value_text(BYTES("/"))};
	check_set_key(&check, values, ARRAY_SIZE(values), false);

	/* SHA-256 of "|", 00 00 00 09, "192.0.2.1", 00 00 00 01, "/". */
	assert_key(&check,
		   "login:%s:#90e742dedbbe708a15baa2a519823285a06d06bbe4fef70167b90c90033b6da2");
	policies_unref(policies);
}

TEST(check_set_key_with_hash_keys_inline_ones_too)
{
	struct policies *policies = POLICIES("login:src");
	struct check check = {.policy = policies_inline(policies),
			      .terms = &policies_inline(policies)->terms,
			      .own_quota = {.limit = 5, .refill_tokens = 1, .refill_us = 1}};

	policies_hash_keys(policies);
	check.quota = &check.own_quota;
	set_text_key(&check, BYTES("x"));

	assert_int_equal(check_values(&check).len, 1 + 64);
	assert_int_equal(check_values(&check).data[0], '#');
	policies_unref(policies);
}

/* ---- the hash tag ---- */

/* One policy "NAME:ATTRIBUTES", whose hash tag is the attribute at that place, from 1. */
static struct policies *tagged(const char *notation, size_t hash_tag)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of(notation);

	assert_non_null(policies);
	policy.hash_tag = hash_tag;
	assert_true(policies_add(policies, &policy));
	return policies;
}

TEST(check_set_key_hash_tag_stands_in_braces)
{
	struct policies *policies = tagged("login:path,src,user", 2);
	struct check check = check_of(policies, "login");
	struct value values[] = {value_text(BYTES("/{x}")), address("", "192.0.2.1").value,
				 value_text(BYTES("y"))};

	check_set_key(&check, values, ARRAY_SIZE(values), false);

	assert_key(&check, "login:%s:/%%7bx%%7d|{192.0.2.1}|y");
	policies_unref(policies);
}

TEST(check_set_key_hash_tag_is_escaped)
{
	struct policies *policies = tagged("login:src", 1);
	struct check check = check_of(policies, "login");

	set_text_key(&check, BYTES("a}{b"));

	assert_key(&check, "login:%s:{a%%7d%%7bb}");
	policies_unref(policies);
}

/* What the braces have in them, which decides the slot. */
static struct bytes tag_of(const struct check *check)
{
	struct bytes key = check_key(check);
	const uint8_t *open = memchr(key.data, '{', key.len);
	const uint8_t *close = memchr(key.data, '}', key.len);

	assert_non_null(open);
	assert_non_null(close);
	return bytes_from(open + 1, (size_t)(close - open - 1));
}

/* Empty braces would be no tag; and the rest of a key must not decide how its tag is written. */
TEST(check_set_key_hash_tag_that_is_empty_or_long_is_hashed_alone)
{
	char longest[CHECK_TAG_MAX + 1];
	struct policies *alone = tagged("a:src", 1), *both = tagged("b:path,src", 2);
	struct check check = check_of(alone, "a"), other = check_of(both, "b");

	memset(longest, 'x', sizeof longest);
	for (size_t len = 0; len <= sizeof longest; len++) {
		struct value values[] = {value_text(bytes_from(longest, sizeof longest)),
					 value_text(bytes_from(longest, len))};
		bool is_hashed = len == 0 || len == sizeof longest;
		check_set_key(&check, values + 1, 1, false);
		check_set_key(&other, values, ARRAY_SIZE(values), false);
		assert_int_equal(tag_of(&check).len, is_hashed ? 65 : len);
		assert_int_equal(tag_of(&check).data[0], is_hashed ? '#' : 'x');
		assert_true(bytes_equal(tag_of(&check), tag_of(&other)));
	}
	policies_unref(alone);
	policies_unref(both);
}

TEST(check_set_key_hash_tag_stays_when_the_values_are_hashed)
{
	struct policies *policies = tagged("login:path,src", 2);
	struct check check = check_of(policies, "login");
	char longest[CHECK_VALUES_MAX];
	struct value values[] = {value_text(bytes_from(longest, sizeof longest)),
				 value_text(BYTES("x"))};

	memset(longest, 'x', sizeof longest);
	check_set_key(&check, values, ARRAY_SIZE(values), false);

	assert_true(bytes_begin_with(check_values(&check), BYTES("{x}#")));
	assert_int_equal(check_values(&check).len, 3 + 65);
	policies_unref(policies);
}

TEST(check_set_key_hash_tag_with_hash_keys_is_hashed_alone)
{
	struct policies *policies = tagged("login:src,path", 1);

	policies_hash_keys(policies);
	struct check check = check_of(policies, "login");
	struct value values[] = {value_text(BYTES("192.0.2.1")), value_text(BYTES("/"))};
	check_set_key(&check, values, ARRAY_SIZE(values), false);

	/* SHA-256 of "|", 00 00 00 09, "192.0.2.1"; and as without a tag, of both values. */
	assert_key(&check,
		   "login:%s:{#a218b57a43ade2649e00b26130bb51a0d167f6da29287c57126bf9f6b8628632}"
		   "#90e742dedbbe708a15baa2a519823285a06d06bbe4fef70167b90c90033b6da2");
	policies_unref(policies);
}

TEST(check_set_key_hash_tag_is_not_of_a_key_that_stands_for_several_values)
{
	struct policies *policies = tagged("login:src,path", 1);
	struct check check = check_of(policies, "login");
	struct value value = value_text(BYTES("x"));

	check_set_key(&check, &value, 1, true);

	assert_key(&check, "login:%s:=x");
	policies_unref(policies);
}

/* The values are longest when a tag and all of them are hashed. */
TEST(check_is_to_be_in_shadow_longest_name_and_values_fit)
{
	static const char name[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct policies *policies = tagged(
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef:src,path", 1);
	struct terms terms = {.shadow_share = SHADOW_SHARE_ALL - 1};

	policies_hash_keys(policies);
	struct check check = check_of(policies, name);
	struct value values[] = {value_text(BYTES("192.0.2.1")), value_text(BYTES("/"))};
	check_set_key(&check, values, ARRAY_SIZE(values), false);
	check.terms = &terms;

	assert_int_equal(check_values(&check).len, 2 + 65 + 65);
	assert_true(check_is_to_be_in_shadow(&check));
	policies_unref(policies);
}

TEST(check_set_key_longest_name_fits)
{
	static const char name[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct policies *policies =
		POLICIES("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef:a");
	struct check check = check_of(policies, name);
	char longest[CHECK_VALUES_MAX];

	memset(longest, 'x', sizeof longest);
	set_text_key(&check, bytes_from(longest, sizeof longest));

	assert_int_equal(check.key_len,
			 POLICY_NAME_MAX + 1 + POLICY_GENERATION_MAX + 1 + CHECK_VALUES_MAX);
	policies_unref(policies);
}

/* ---- two checks share a key if and only if they are about the same ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % bound;
}

/* A check in the making: whose it is, and the values that it counts by. */
struct draft {
	size_t owner;
	bool is_explicit;
	size_t count;
	struct draft_value {
		bool is_typed; /* typed_value(which), and not the text */
		uint32_t which;
		size_t len;
		uint8_t text[TEXT_MAX];
	} values[VALUES_MAX];
};

/*
 * Names that begin with one another, and of one name several generations: other attributes and
 * prefixes, and overrides with balances of their own. One without has the balances of the policy.
 */
static const struct owner {
	const char *notation;
	unsigned ipv4_prefix, ipv6_prefix;
	const char *override; /* its match; NULL: the policy itself */
	int64_t window_us;    /* of the override; 0: it changes no number */
} owners[] = {
	{"p:a", 32, 64, NULL, 0},
	{"p:b", 32, 64, NULL, 0},
	{"p:a,b", 32, 64, NULL, 0},
	{"p:a,b,c", 32, 64, NULL, 0},
	{"p:", 32, 64, NULL, 0},
	{"p-:a", 32, 64, NULL, 0},
	{"pp:a", 32, 64, NULL, 0},
	{"pp:a,b", 32, 64, NULL, 0},
	{"p.0:a", 32, 64, NULL, 0},
	{"inline-:a", 32, 64, NULL, 0},
	{"Inline:a", 32, 64, NULL, 0},
	{"none-:a,b", 32, 64, NULL, 0},
	{"q:a,b,c", 32, 64, NULL, 0},
	{"q:", 32, 64, NULL, 0},
	{"p:a", 32, 63, NULL, 0},
	{"p:a", 31, 64, NULL, 0},
	{"p:a", 0, 0, NULL, 0},
	{"p:a,override,a,x", 32, 64, NULL, 0},
	{"p:a", 32, 64, "a=x", 0}, /* as the first */
	{"p:", 32, 64, "a=x", 0},  /* as the fifth */
	{"p:a", 32, 64, "", 60000000},
	{"p:a", 32, 64, "a=x", 60000000},
	{"p:a", 32, 64, "a=x", 60000001},
	{"p:a", 32, 63, "a=x", 60000000},
	{"p:a", 32, 64, "b=x", 60000000},
	{"p:a", 32, 64, "a=x|", 60000000},
	{"p:a", 32, 64, "a=x;b=y", 60000000},
	{"p:a", 32, 64, "a=x||b|y", 60000000},
	{"p:a,b", 32, 64, "a=x", 60000000},
	{"p:", 32, 64, "a=x", 60000000},
	{"pp:a", 32, 64, "a=x", 60000000},
};
#define OWNERS ARRAY_SIZE(owners)

/* And inline policies whose numbers read alike. */
static const struct quota quotas[] = {
	{.algorithm = TOKEN_BUCKET, .limit = 1, .refill_tokens = 11, .refill_us = 1},
	{.algorithm = TOKEN_BUCKET, .limit = 1, .refill_tokens = 1, .refill_us = 11},
	{.algorithm = TOKEN_BUCKET, .limit = 11, .refill_tokens = 1, .refill_us = 1},
	{.algorithm = TOKEN_BUCKET, .limit = 1, .refill_tokens = 1, .refill_us = 1},
	{.algorithm = SLIDING_WINDOW, .limit = 1, .window_us = 1111},
	{.algorithm = SLIDING_WINDOW, .limit = 11, .window_us = 1111},
	{.algorithm = SLIDING_WINDOW, .limit = 1, .window_us = 11111},
	{.algorithm = SLIDING_WINDOW_COUNTER, .limit = 1, .window_us = 1111},
	{.algorithm = FIXED_WINDOW, .limit = 1, .window_us = 1111},
};
#define INLINES ARRAY_SIZE(quotas)

static const char hostile[] = "|%=#:{}\0a2c7";
static const char *const words[] = {
	"",
	"192.0.2.1",
	"::ffff:192.0.2.1",
	"2001:DB8::1",
	"2001:db8::1",
	"true",
	"false",
	"-1",
	"-5",
	"0",
	"1",
	"5",
	"192.0.2.2",
	"2001:db8::2",
	"2001:db8:0:1::1",
	"%7c",
	"%257c",
	"=",
	"==",
	"|",
	"#",
	"%",
	"p:a",
	"#e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
};

static void draft_text(struct draft_value *value)
{
	static const uint32_t lengths[] = {0,  1,  1,   2,   2,   3,   4,   41,  42,      43,
					   63, 64, 125, 126, 127, 128, 129, 130, TEXT_MAX};

	if (random_below(4) == 0) {
		const char *word = words[random_below(ARRAY_SIZE(words))];
		value->len = strlen(word);
		memcpy(value->text, word, value->len);
		return;
	}
	/* Few different bytes, so that equal texts and prefixes come up. */
	uint32_t alphabet = 1 + random_below(sizeof hostile - 1);
	value->len = lengths[random_below(ARRAY_SIZE(lengths))];
	for (size_t i = 0; i < value->len; i++)
		value->text[i] = (uint8_t)hostile[random_below(alphabet)];
	if (value->len > 0 && random_below(8) == 0)
		value->text[random_below((uint32_t)value->len)] = (uint8_t)random_below(256);
}

#define TYPED_VALUES 13

/* Of each type, values that some of `words` mean too. */
static struct value typed_value(uint32_t which)
{
	static const struct value typed[] = {
		{.kind = VALUE_NATURAL, .natural = 0},
		{.kind = VALUE_NATURAL, .natural = 1},
		{.kind = VALUE_NATURAL, .natural = 5},
		{.kind = VALUE_NEGATIVE, .negative = -1},
		{.kind = VALUE_NEGATIVE, .negative = -5},
		{.kind = VALUE_BOOL, .boolean = false},
		{.kind = VALUE_BOOL, .boolean = true},
		{.kind = VALUE_IPV4, .ipv4 = {192, 0, 2, 1}},
		{.kind = VALUE_IPV4, .ipv4 = {192, 0, 2, 2}},
		{.kind = VALUE_IPV6, .ipv6 = {0x20, 1, 0xd, 0xb8, [15] = 1}},
		{.kind = VALUE_IPV6, .ipv6 = {0x20, 1, 0xd, 0xb8, [15] = 2}},
		{.kind = VALUE_IPV6, .ipv6 = {0x20, 1, 0xd, 0xb8, [7] = 1, [15] = 1}},
		{.kind = VALUE_IPV6, .ipv6 = {[10] = 0xff, 0xff, 192, 0, 2, 1}},
	};

	_Static_assert(ARRAY_SIZE(typed) == TYPED_VALUES, "each is compared with each");
	return typed[which % TYPED_VALUES];
}

static void draft_value(struct draft_value *value)
{
	draft_text(value);
	value->is_typed = random_below(4) == 0;
	value->which = random_below(256);
}

static void draft_shape(struct draft *draft)
{
	draft->is_explicit = false;
	draft->count = 1;
	if (draft->owner >= OWNERS)
		return;
	struct policy policy = policy_of(owners[draft->owner].notation);
	draft->is_explicit = policy.key_count != 1 && random_below(3) == 0;
	if (!draft->is_explicit)
		draft->count = policy.key_count;
}

static void draft_new(struct draft *draft)
{
	memset(draft, 0, sizeof *draft);
	draft->owner = random_below(OWNERS + INLINES);
	draft_shape(draft);
	for (size_t i = 0; i < VALUES_MAX; i++)
		draft_value(&draft->values[i]);
}

/* Moves the border between two values, with what may be taken for a separator. */
static void draft_shift(struct draft *draft)
{
	struct draft_value *left = &draft->values[0], *right = &draft->values[1];

	if (left->len == 0 || right->len == TEXT_MAX)
		return;
	memmove(right->text + 1, right->text, right->len++);
	right->text[0] = left->text[--left->len];
}

static void draft_edit(struct draft *draft)
{
	struct draft_value *value = &draft->values[random_below(VALUES_MAX)];

	switch (random_below(8)) {
	case 0:
		draft->owner = random_below(OWNERS + INLINES);
		draft_shape(draft);
		break;
	case 1:
		draft_shape(draft);
		break;
	case 2:
		draft_value(value);
		break;
	case 3:
		draft_shift(draft);
		break;
	case 4:
		value->len -= value->len > 0;
		break;
	case 5:
		if (value->len < TEXT_MAX)
			value->text[value->len++] =
				(uint8_t)hostile[random_below(sizeof hostile - 1)];
		break;
	case 6:
		if (value->len > 0)
			value->text[random_below((uint32_t)value->len)] =
				(uint8_t)hostile[random_below(sizeof hostile - 1)];
		break;
	}
}

/* As request_key_values makes it, by the prefixes of the policy. */
static struct value value_of(const struct draft_value *draft, const struct policy *policy)
{
	struct value value = draft->is_typed ? typed_value(draft->which)
					     : value_text(bytes_from(draft->text, draft->len));

	value = value_canonical(&value);
	value_cut_address(&value, policy->ipv4_prefix, policy->ipv6_prefix);
	return value;
}

static bool are_equal_values(const struct draft_value *a, const struct draft_value *b,
			     const struct policy *policy)
{
	char memory[2][VALUE_SHORT_TEXT_MAX];
	struct value left = value_of(a, policy), right = value_of(b, policy);

	return bytes_equal(value_to_text(&left, memory[0]), value_to_text(&right, memory[1]));
}

static size_t owner_of_balances(size_t owner)
{
	if (owner >= OWNERS || owners[owner].override == NULL || owners[owner].window_us > 0)
		return owner;
	return strcmp(owners[owner].notation, "p:a") == 0 ? 0 : 4;
}

/* `policy` is that of `a`, and so of `b` if they have one owner. */
static bool are_the_same(const struct draft *a, const struct draft *b, const struct policy *policy)
{
	if (owner_of_balances(a->owner) != owner_of_balances(b->owner) ||
	    a->is_explicit != b->is_explicit || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!are_equal_values(&a->values[i], &b->values[i], policy))
			return false;
	return true;
}

static struct policies *set_of(const struct owner *owner, bool hash_keys)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of(owner->notation);

	policy.ipv4_prefix = owner->ipv4_prefix;
	policy.ipv6_prefix = owner->ipv6_prefix;
	if (owner->override != NULL) {
		struct terms *terms = add_override(&policy, owner->override);
		if (owner->window_us > 0)
			terms->quota.window_us = owner->window_us;
		policy.overrides[0].has_own_balances = owner->window_us > 0;
	}
	add_policy(policies, &policy);
	if (hash_keys)
		policies_hash_keys(policies);
	return policies;
}

/* One set a policy, as one that was reloaded has the same name in another set. */
static void set_key(struct check *check, struct policies *const *sets, const struct draft *draft)
{
	struct value values[VALUES_MAX];

	if (draft->owner < OWNERS) {
		check->policy = policies_at(sets[draft->owner], 0);
		check->terms = owners[draft->owner].override != NULL
				       ? &check->policy->overrides[0].terms
				       : &check->policy->terms;
		check->quota = &check->terms->quota;
	} else {
		check->policy = policies_inline(sets[0]);
		check->own_quota = quotas[draft->owner - OWNERS];
		check->quota = &check->own_quota;
	}
	for (size_t i = 0; i < draft->count; i++)
		values[i] = value_of(&draft->values[i], check->policy);
	check_set_key(check, values, draft->count, draft->is_explicit);
}

static void assert_printable(const struct check *check)
{
	assert_true(check->key_len > 0 && check->key_len <= sizeof check->key);
	for (size_t i = 0; i < check->key_len; i++)
		if (check->key[i] <= ' ' || check->key[i] > '~' || check->key[i] == '{' ||
		    check->key[i] == '}')
			fail_msg("byte %02x in a key", (unsigned)(uint8_t)check->key[i]);
}

static void assert_hash_is_of_key(const struct check *check)
{
	struct key_hash hash = key_hash_of_key(check_key(check));

	assert_int_equal(hash.low, check->hash.low);
	assert_int_equal(hash.high, check->hash.high);
}

static void assert_alike(const struct check *a, const struct check *b, bool expected)
{
	bool are_hashes_equal = a->hash.low == b->hash.low && a->hash.high == b->hash.high;

	if (bytes_equal(check_key(a), check_key(b)) == expected && are_hashes_equal == expected)
		return;
	fail_msg("%.*s and %.*s must %sbe equal", (int)a->key_len, a->key, (int)b->key_len, b->key,
		 expected ? "" : "not ");
}

/* The random pairs go on from walk to walk: each has pairs of its own. */
static void compare_random_pairs(bool hash_keys)
{
	struct policies *sets[OWNERS];
	struct draft drafts[2];
	struct check checks[2];
	size_t same = 0;

	for (size_t i = 0; i < OWNERS; i++)
		sets[i] = set_of(&owners[i], hash_keys);
	for (size_t i = 0; i < PAIRS; i++) {
		draft_new(&drafts[0]);
		drafts[1] = drafts[0];
		if (random_below(8) == 0)
			draft_new(&drafts[1]);
		for (uint32_t edits = random_below(4); edits > 0; edits--)
			draft_edit(&drafts[1]);
		set_key(&checks[0], sets, &drafts[0]);
		set_key(&checks[1], sets, &drafts[1]);
		bool are_same = are_the_same(&drafts[0], &drafts[1], checks[0].policy);

		assert_printable(&checks[0]);
		assert_printable(&checks[1]);
		assert_hash_is_of_key(&checks[0]);
		assert_alike(&checks[0], &checks[1], are_same);
		same += are_same;
	}

	/* The pairs are worth something: many of both sorts. */
	assert_in_range(same, PAIRS / 5, PAIRS * 4 / 5);
	for (size_t i = 0; i < OWNERS; i++)
		policies_unref(sets[i]);
}

TEST(check_set_key_is_equal_if_and_only_if_the_question_is)
{
	compare_random_pairs(false);
}

TEST(check_set_key_with_hash_keys_is_equal_if_and_only_if_the_question_is)
{
	compare_random_pairs(true);
}

/* Each value of each type beside each other one, and beside each word. */
static void compare_all_values(struct policies *const *sets, size_t owner)
{
	struct draft all[64] = {{0}};
	struct check checks[2];
	size_t count = 0;

	for (uint32_t i = 0; i < TYPED_VALUES; i++)
		all[count++].values[0] = (struct draft_value){.is_typed = true, .which = i};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct draft_value *value = &all[count++].values[0];
		value->len = strlen(words[i]);
		memcpy(value->text, words[i], value->len);
	}
	assert_true(count <= ARRAY_SIZE(all));
	for (size_t i = 0; i < count; i++) {
		all[i].owner = owner;
		all[i].count = 1;
	}
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			set_key(&checks[0], sets, &all[i]);
			set_key(&checks[1], sets, &all[j]);
			assert_alike(&checks[0], &checks[1],
				     are_the_same(&all[i], &all[j], checks[0].policy));
		}
	}
}

TEST(check_set_key_of_all_pairs_of_types_is_equal_if_and_only_if_their_texts_are)
{
	struct policies *sets[OWNERS];

	for (int hashed = 0; hashed < 2; hashed++) {
		for (size_t i = 0; i < OWNERS; i++)
			sets[i] = set_of(&owners[i], hashed != 0);
		for (size_t i = 0; i < OWNERS; i++)
			if (policies_at(sets[i], 0)->key_count == 1)
				compare_all_values(sets, i);
		compare_all_values(sets, OWNERS); /* inline */
		for (size_t i = 0; i < OWNERS; i++)
			policies_unref(sets[i]);
	}
}
