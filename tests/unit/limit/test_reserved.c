#include "limit/reserved.h"

#include "samples.h"
#include "support/sweep.h"
#include "support/test.h"

#define ONES_64      "1111111111111111111111111111111111111111111111111111111111111111"
#define DAY_US       INT64_C(86400000000)
#define MICROSECONDS INT64_C(1000000)

static struct reserved read_good(struct attributes attributes)
{
	struct reserved reserved;
	const char *why = NULL;

	if (!reserved_read(&attributes, &reserved, &why))
		fail_msg("invalid: %s", why);
	return reserved;
}

static const char *read_bad(struct attributes attributes)
{
	struct reserved reserved;
	const char *why = NULL;

	POISON(reserved);
	assert_false(reserved_read(&attributes, &reserved, &why));
	assert_untouched(reserved);
	assert_non_null(why);
	return why;
}

/* ---- each argument alone: its types and its values ---- */

static const struct value NONE = {.kind = VALUE_ABSENT};

static struct value text_value(const char *value)
{
	return text("", value).value;
}

/* How a value stands in a message of its own that would be valid without it. */
static bool is_taken(const char *argument, struct value value)
{
	bool is_bucket = strcmp(argument, "capacity") == 0 || strcmp(argument, "refill_rate") == 0;
	struct attribute items[] = {
		text("algorithm", is_bucket ? "token_bucket" : "fixed_window"),
		text("key", "x"),
		text(is_bucket ? "capacity" : "limit", "1"),
		text(is_bucket ? "refill_rate" : "window", "1"),
		{bytes_from_text(argument), value},
	};
	struct attributes attributes = {items, ARRAY_SIZE(items)};
	struct reserved reserved;
	const char *why = NULL;

	bool taken = reserved_read(&attributes, &reserved, &why);

	if (!taken && strstr(why, argument) == NULL)
		fail_msg("\"%s\" does not name %s", why, argument);
	return taken;
}

static void assert_all(const char *argument, const struct value *values, size_t count,
		       bool expected)
{
	char memory[VALUE_SHORT_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		struct bytes form = value_to_text(&values[i], memory);
		if (is_taken(argument, values[i]) != expected)
			fail_msg("%s %.*s of kind %d is %s", argument, (int)form.len,
				 (const char *)form.data, (int)values[i].kind,
				 expected ? "refused" : "taken");
	}
}

#define assert_takes(argument, ...)                               \
	assert_all(argument, (const struct value[]){__VA_ARGS__}, \
		   sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value), true)
#define assert_refuses(argument, ...)                             \
	assert_all(argument, (const struct value[]){__VA_ARGS__}, \
		   sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value), false)

#define NATURAL(n) ((struct value){.kind = VALUE_NATURAL, .natural = (n)})
#define TRUE       ((struct value){.kind = VALUE_BOOL, .boolean = true})
#define IPV4       ((struct value){.kind = VALUE_IPV4, .ipv4 = {0, 0, 0, 1}})
#define IPV6       ((struct value){.kind = VALUE_IPV6, .ipv6 = {[15] = 1}})

TEST(reserved_read_cost_is_a_whole_number_from_0)
{
	assert_takes("cost", NATURAL(0), NATURAL(1), NATURAL(INT64_MAX), text_value("0"),
		     text_value("007"), text_value("9223372036854775807"), NONE);
	assert_refuses("cost", value_integer(-1), value_integer(INT64_MIN),
		       NATURAL((uint64_t)INT64_MAX + 1), NATURAL(UINT64_MAX),
		       text_value("9223372036854775808"), text_value("18446744073709551616"),
		       text_value(ONES_64), text_value(""), text_value("-1"), text_value("+1"),
		       text_value("1.5"), text_value("1.0"), text_value("1e3"), text_value(" 1"),
		       text_value("1 "), text_value("0x1"), text_value("one"),
		       value_text(BYTES("1\0")), value_text(BYTES("\xff")), TRUE, IPV4, IPV6);
}

TEST(reserved_read_limit_is_a_whole_number_from_1)
{
	assert_takes("limit", NATURAL(1), NATURAL(1000000), text_value("1"),
		     NATURAL(UINT64_C(999999999999999)), text_value("999999999999999"),
		     text_value("010"));
	assert_refuses("limit", NATURAL(0), value_integer(-1), NATURAL(UINT64_MAX),
		       NATURAL(UINT64_C(1000000000000000)), text_value("1000000000000000"),
		       NATURAL(UINT64_C(1) << 52), NATURAL(INT64_MAX), text_value("0"),
		       text_value("-1"), text_value(""), text_value("1.5"), text_value("1e3"),
		       text_value(" 1"), text_value(ONES_64), TRUE, IPV4, IPV6);
}

TEST(reserved_read_capacity_is_a_whole_number_from_1)
{
	assert_takes("capacity", NATURAL(1), NATURAL(1000000), text_value("1"));
	assert_refuses("capacity", NATURAL(0), value_integer(-1), NATURAL(UINT64_MAX),
		       NATURAL(UINT64_C(1000000000000000)), NATURAL(INT64_MAX), text_value("0"),
		       text_value("-1"), text_value(""), text_value("1.5"), text_value("1e3"),
		       text_value(ONES_64), TRUE, IPV4, IPV6);
}

TEST(reserved_read_refill_rate_is_a_decimal_or_a_ratio)
{
	assert_takes("refill_rate", NATURAL(1), NATURAL(1000000), text_value("50"),
		     text_value("0.5"), text_value("1e3"), text_value("2.5e-3"),
		     text_value("1000/1m"), text_value("1/3s"), text_value("0.1/1d"),
		     text_value("1/1ms"));
	assert_refuses("refill_rate", NATURAL(0), value_integer(-1), NATURAL(UINT64_MAX),
		       text_value("0"), text_value("0.0"), text_value("-0.5"), text_value(""),
		       text_value("."), text_value(".5"), text_value("5."), text_value("1/"),
		       text_value("/1s"), text_value("1/0s"), text_value("1/s"), text_value("1/3"),
		       text_value("1/1s/1s"), text_value("1 /1s"), text_value("inf"),
		       text_value("nan"), text_value("1e99"), text_value(ONES_64), TRUE, IPV4,
		       IPV6);
}

TEST(reserved_read_window_is_a_duration_or_seconds)
{
	assert_takes("window", NATURAL(1), NATURAL(3650 * UINT64_C(86400)), text_value("60"),
		     text_value("0.5"), text_value("0.001"), text_value("1ms"), text_value("1.5s"),
		     text_value("1m"), text_value("1h"), text_value("3650d"));
	assert_refuses("window", NATURAL(0), value_integer(-1), NATURAL(3650 * UINT64_C(86400) + 1),
		       NATURAL(UINT64_MAX), text_value("0"), text_value("0s"), text_value("0.0001"),
		       text_value("0.5ms"), text_value("3651d"), text_value("-1s"),
		       text_value("1x"), text_value("1S"), text_value("1 s"), text_value("s"),
		       text_value(""), text_value("1m30s"), text_value("1us"),
		       text_value("0.0000001"), text_value(ONES_64), text_value(ONES_64 "d"), TRUE,
		       IPV4, IPV6);
}

TEST(reserved_read_algorithm_is_one_of_four)
{
	assert_takes("algorithm", text_value("fixed_window"), text_value("sliding_window"),
		     text_value("sliding_window_counter"));
	assert_refuses("algorithm", text_value("token_bucket_"), text_value("Fixed_window"),
		       text_value("fixed_windo"), text_value("fixed_window "), text_value(""),
		       value_text(BYTES("fixed_window\0")), NATURAL(1), value_integer(-1), TRUE,
		       IPV4, IPV6);
}

TEST(reserved_read_policy_is_a_string)
{
	struct value others[] = {NATURAL(1), value_integer(-1), TRUE, IPV4, IPV6};

	assert_true(read_good(ATTRIBUTES(text("policy", "login"))).has_policy);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct attribute policy = {BYTES("policy"), others[i]};
		assert_string_equal(read_bad(ATTRIBUTES(policy)), "policy is not a string");
	}
}

TEST(reserved_read_key_may_be_of_any_kind)
{
	assert_takes("key", text_value(""), text_value("x"), value_text(BYTES("\0\xff")),
		     NATURAL(0), value_integer(-1), TRUE, IPV4, IPV6);
}

/* A mistake is to be seen at the first request, not at the first that depends on it. */
TEST(reserved_read_wrong_number_that_nobody_needs_is_invalid)
{
	static const char *const names[] = {"cost", "capacity", "refill_rate", "limit", "window"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)read_bad(ATTRIBUTES(text(names[i], "x")));
		(void)read_bad(ATTRIBUTES(text(names[i], "x"), text("policy", "p")));
		if (i > 0) /* only a cost may be 0 */
			(void)read_bad(ATTRIBUTES(text(names[i], "0"), text("policy", "p")));
		(void)read_good(ATTRIBUTES(text(names[i], "1")));
		(void)read_good(ATTRIBUTES(text(names[i], "1"), text("policy", "p")));
	}
}

/* ---- what they come to ---- */

TEST(reserved_read_nothing_is_the_defaults)
{
	struct reserved reserved = read_good((struct attributes){NULL, 0});

	assert_false(reserved.has_policy);
	assert_false(reserved.has_algorithm);
	assert_null(reserved.key);
	assert_int_equal(reserved.cost, 1);
}

TEST(reserved_read_cost_is_read)
{
	assert_int_equal(read_good(ATTRIBUTES(number("cost", 0))).cost, 0);
	assert_int_equal(read_good(ATTRIBUTES(text("cost", "12"))).cost, 12);
	assert_int_equal(read_good(ATTRIBUTES(number("cost", INT64_MAX))).cost, INT64_MAX);
}

TEST(reserved_read_null_is_absent)
{
	struct reserved reserved = read_good(ATTRIBUTES(
		absent("policy"), absent("key"), absent("cost"), absent("algorithm"),
		absent("limit"), absent("window"), absent("capacity"), absent("refill_rate")));

	assert_false(reserved.has_policy);
	assert_false(reserved.has_algorithm);
	assert_null(reserved.key);
	assert_int_equal(reserved.cost, 1);
}

TEST(reserved_read_repeated_the_last_counts)
{
	assert_int_equal(read_good(ATTRIBUTES(number("cost", 2), number("cost", 3))).cost, 3);
	assert_int_equal(read_good(ATTRIBUTES(text("cost", "x"), number("cost", 3))).cost, 3);
	assert_int_equal(read_good(ATTRIBUTES(number("cost", 2), absent("cost"))).cost, 1);
	(void)read_bad(ATTRIBUTES(number("cost", 2), text("cost", "x")));
}

TEST(reserved_read_empty_policy_is_a_value)
{
	struct reserved reserved = read_good(ATTRIBUTES(text("policy", "")));

	assert_true(reserved.has_policy);
	assert_int_equal(reserved.policy.len, 0);
}

TEST(reserved_read_empty_key_is_a_value)
{
	struct reserved reserved = read_good(ATTRIBUTES(text("policy", "p"), text("key", "")));

	assert_non_null(reserved.key);
}

TEST(reserved_read_inline_bucket_has_its_numbers)
{
	static const struct {
		const char *rate;
		int64_t tokens, us;
	} cases[] = {
		{"1", 1, MICROSECONDS},
		{"50", 1, 20000},
		{"0.5", 1, 2 * MICROSECONDS},
		{"1/2s", 1, 2 * MICROSECONDS},
		{"1000/1m", 1, 60000},
		{"1/3s", 1, 3 * MICROSECONDS},
		{"2e6", 2, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reserved reserved = read_good(
			ATTRIBUTES(text("algorithm", "token_bucket"), text("key", "x"),
				   number("capacity", 10), text("refill_rate", cases[i].rate)));
		assert_true(reserved.has_algorithm);
		assert_int_equal(reserved.quota.algorithm, TOKEN_BUCKET);
		assert_int_equal(reserved.quota.limit, 10);
		assert_int_equal(reserved.quota.refill_tokens, cases[i].tokens);
		assert_int_equal(reserved.quota.refill_us, cases[i].us);
	}
}

TEST(reserved_read_inline_window_has_its_numbers)
{
	static const struct {
		const char *window;
		int64_t us;
	} cases[] = {
		{"1ms", 1000},       {"0.001", 1000},      {"1.5s", 1500000},
		{"60", 60000000},    {"1m", 60000000},     {"1h", 60 * INT64_C(60000000)},
		{"1d", DAY_US},      {"0.5d", DAY_US / 2}, {"3650d", 3650 * DAY_US},
		{"1e3", 1000000000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reserved reserved =
			read_good(ATTRIBUTES(text("algorithm", "sliding_window"), text("key", "x"),
					     text("limit", "5"), text("window", cases[i].window)));
		assert_int_equal(reserved.quota.algorithm, SLIDING_WINDOW);
		assert_int_equal(reserved.quota.limit, 5);
		assert_int_equal(reserved.quota.window_us, cases[i].us);
	}
}

TEST(reserved_read_window_as_a_number_is_seconds)
{
	struct reserved reserved =
		read_good(ATTRIBUTES(text("algorithm", "fixed_window"), text("key", "x"),
				     number("limit", 5), number("window", 60)));

	assert_int_equal(reserved.quota.window_us, 60000000);
}

/* ---- together ---- */

TEST(reserved_read_policy_together_with_algorithm_is_invalid)
{
	(void)read_bad(ATTRIBUTES(text("policy", "p"), text("key", "x"),
				  text("algorithm", "fixed_window"), number("limit", 1),
				  number("window", 1)));
}

TEST(reserved_read_key_alone_is_invalid)
{
	(void)read_bad(ATTRIBUTES(text("key", "x")));
	(void)read_bad(ATTRIBUTES(text("key", "")));
	(void)read_bad(ATTRIBUTES(text("key", "x"), absent("policy"), absent("algorithm")));
}

TEST(reserved_read_inline_without_key_is_invalid)
{
	(void)read_bad(ATTRIBUTES(text("algorithm", "fixed_window"), number("limit", 1),
				  number("window", 1)));
	(void)read_bad(ATTRIBUTES(text("algorithm", "fixed_window"), number("limit", 1),
				  number("window", 1), absent("key")));
}

TEST(reserved_read_inline_without_a_number_is_invalid)
{
	(void)read_bad(ATTRIBUTES(text("algorithm", "token_bucket"), text("key", "x")));
	(void)read_bad(ATTRIBUTES(text("algorithm", "token_bucket"), text("key", "x"),
				  number("capacity", 1)));
	(void)read_bad(ATTRIBUTES(text("algorithm", "token_bucket"), text("key", "x"),
				  number("refill_rate", 1)));
	(void)read_bad(ATTRIBUTES(text("algorithm", "token_bucket"), text("key", "x"),
				  number("limit", 1), number("window", 1)));
	(void)read_bad(ATTRIBUTES(text("algorithm", "fixed_window"), text("key", "x"),
				  number("limit", 1)));
	(void)read_bad(ATTRIBUTES(text("algorithm", "fixed_window"), text("key", "x"),
				  number("window", 1)));
	(void)read_bad(ATTRIBUTES(text("algorithm", "fixed_window"), text("key", "x"),
				  number("capacity", 1), number("refill_rate", 1)));
}

TEST(reserved_read_inline_beyond_what_is_kept_exactly_is_invalid)
{
	(void)read_bad(ATTRIBUTES(text("algorithm", "token_bucket"), text("key", "x"),
				  number("capacity", INT64_C(1) << 40), text("refill_rate", "1")));
	(void)read_bad(ATTRIBUTES(text("algorithm", "sliding_window"), text("key", "x"),
				  number("limit", 1000001), number("window", 1)));
	(void)read_good(ATTRIBUTES(text("algorithm", "sliding_window"), text("key", "x"),
				   number("limit", 1000000), number("window", 1)));
}

TEST(reserved_read_other_names_mean_nothing)
{
	struct reserved reserved = read_good(
		ATTRIBUTES(text("Key", "x"), text("keys", "x"), text("kez", "x"), text("cosT", "x"),
			   text("limits", "x"), text("limiT", "x"), text("windoW", "x"),
			   text("policz", "x"), text("capacitz", "x"), text("algorithn", "x"),
			   text("refill-rate", "x"), text("", "x")));

	assert_null(reserved.key);
	assert_int_equal(reserved.cost, 1);
}

/* ---- numbers that are good and can't be kept exactly ---- */

static const struct {
	const char *name, *capacity, *refill_rate;
	bool is_inexact; /* else another mistake is told */
} inexact_buckets[] = {
	{"together", "1000000000", "0.1", true},
	{"a ratio", "1000000000", "1/1d", true},
	{"too many digits", "1", "0.12345678901234567", true},
	{"too small", "1", "5e-324", true},
	{"too large", "1", "1e400", true},
	{"a ratio that is too small", "1", "1/1e90d", true},
	{"no rate", "1", "fast", false},
	{"a rate of 0", "1", "0.0", false},
	{"half a ratio", "1", "1/", false},
	{"two ratios", "1", "1/1s/1s", false},
	{"a capacity of 16 digits", "1000000000000000", "1e400", false},
};

TEST_ROWS(inexact_buckets)
{
	struct reserved reserved;
	const char *why = NULL;

	assert_false(reserved_read(&ATTRIBUTES(text("algorithm", "token_bucket"), text("key", "k"),
					       text("capacity", row->capacity),
					       text("refill_rate", row->refill_rate)),
				   &reserved, &why));
	assert_int_equal(why == reserved_inexact, row->is_inexact);
}

TEST(reserved_read_numbers_of_windows_that_can_not_be_kept_are_told_apart)
{
	struct reserved reserved;
	const char *why = NULL;

	assert_false(reserved_read(&ATTRIBUTES(text("algorithm", "sliding_window_counter"),
					       text("key", "k"), text("limit", "4503599628"),
					       text("window", "1s")),
				   &reserved, &why));
	assert_ptr_equal(why, reserved_inexact);
	assert_false(
		reserved_read(&ATTRIBUTES(text("algorithm", "sliding_window"), text("key", "k"),
					  text("limit", "1000001"), text("window", "1s")),
			      &reserved, &why));
	assert_string_equal(why, "limit is too large");
}
