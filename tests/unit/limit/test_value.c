#include "limit/value.h"

#include "samples.h"
#include "support/guarded.h"
#include "support/sweep.h"
#include "support/test.h"

static void assert_text_of(struct value value, const char *expected)
{
	char memory[VALUE_SHORT_TEXT_MAX];
	struct value canonical = value_canonical(&value);

	struct bytes got = value_to_text(&canonical, memory);

	if (!bytes_equal(got, bytes_from_text(expected)))
		fail_msg("%.*s in place of %s", (int)got.len, (const char *)got.data, expected);
}

static struct value address_value(const char *text)
{
	return address("", text).value;
}

static struct value string_value(const char *text)
{
	return value_text(bytes_from_text(text));
}

/* ---- addresses, as addresses and as text ---- */

static const struct {
	const char *given;
	const char *expected;
} addresses[] = {
	{"0.0.0.0", "0.0.0.0"},
	{"192.0.2.1", "192.0.2.1"},
	{"255.255.255.255", "255.255.255.255"},
	{"::", "::"},
	{"0:0:0:0:0:0:0:0", "::"},
	{"::1", "::1"},
	{"1::", "1::"},
	/* RFC 5952, section 4.1: no leading zeros */
	{"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
	/* 4.2.1: as short as can be */
	{"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
	/* 4.2.2: one group of zeros stays */
	{"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
	{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
	/* 4.2.3: the longest run, of equal ones the first */
	{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
	{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
	{"0:0:1:0:0:0:0:0", "0:0:1::"},
	{"1:0:0:0:0:0:0:0", "1::"},
	{"0:0:0:0:0:0:1:0", "::0.1.0.0"},
	/* 4.3: lower case */
	{"2001:DB8:ABCD:EF01:2345:6789:aBcD:EF", "2001:db8:abcd:ef01:2345:6789:abcd:ef"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
	/* mapped: the IPv4 address */
	{"::ffff:192.0.2.1", "192.0.2.1"},
	{"::FFFF:c000:0201", "192.0.2.1"},
	{"0:0:0:0:0:ffff:0:0", "0.0.0.0"},
	{"0000:0000:0000:0000:0000:ffff:255.255.255.255", "255.255.255.255"},
	/* nearly mapped */
	{"::fffe:192.0.2.1", "::fffe:c000:201"},
	{"::ffff:0:192.0.2.1", "::ffff:0:c000:201"},
	{"1::ffff:192.0.2.1", "1::ffff:c000:201"},
};

TEST(value_to_text_address_is_rfc_5952)
{
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_text_of(address_value(addresses[i].given), addresses[i].expected);
}

TEST(value_to_text_text_of_an_address_is_rfc_5952)
{
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_text_of(string_value(addresses[i].given), addresses[i].expected);
}

TEST(value_canonical_text_of_an_address_is_the_address)
{
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct value as_text = string_value(addresses[i].given);
		struct value as_address = address_value(addresses[i].given);

		struct value a = value_canonical(&as_text);
		struct value b = value_canonical(&as_address);

		assert_int_equal(a.kind, b.kind);
		assert_memory_equal(a.ipv6, b.ipv6, a.kind == VALUE_IPV4 ? 4 : 16);
	}
}

TEST(value_canonical_canonical_value_stays)
{
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct value value = string_value(addresses[i].given);
		struct value once = value_canonical(&value);

		struct value twice = value_canonical(&once);

		assert_int_equal(once.kind, twice.kind);
		assert_memory_equal(once.ipv6, twice.ipv6, once.kind == VALUE_IPV4 ? 4 : 16);
	}
}

/* ---- ports and zones ---- */

static const struct {
	const char *name;   /* the text of `src` */
	const char *source; /* what it is there */
	const char *other;  /* what it is in any other attribute */
} sources[] = {
	{"203.0.113.9:4711", "203.0.113.9", "203.0.113.9:4711"},
	{"203.0.113.9:0", "203.0.113.9", "203.0.113.9:0"},
	{"203.0.113.9:65535", "203.0.113.9", "203.0.113.9:65535"},
	{"[2001:DB8::1]:443", "2001:db8::1", "[2001:DB8::1]:443"},
	{"[2001:db8::1]", "2001:db8::1", "[2001:db8::1]"},
	{"[::ffff:192.0.2.1]:80", "192.0.2.1", "[::ffff:192.0.2.1]:80"},
	{"[1111:2222:3333:4444:5555:6666:123.123.123.123]:12345",
	 "1111:2222:3333:4444:5555:6666:7b7b:7b7b",
	 "[1111:2222:3333:4444:5555:6666:123.123.123.123]:12345"},
	{"fe80::1%eth0", "fe80::1", "fe80::1%eth0"},
	{"fe80::1%1:2%3", "fe80::1", "fe80::1%1:2%3"},
	{"::ffff:192.0.2.1%lo", "192.0.2.1", "::ffff:192.0.2.1%lo"},
	{"[fe80::1%eth0]:443", "fe80::1", "[fe80::1%eth0]:443"},
	{"203.0.113.9", "203.0.113.9", "203.0.113.9"},
	{"2001:DB8::1", "2001:db8::1", "2001:db8::1"},
	{"2001:db8::1:443", "2001:db8::1:443", "2001:db8::1:443"},
	/* what is none of these */
	{"203.0.113.9:", "203.0.113.9:", "203.0.113.9:"},
	{"203.0.113.9:65536", "203.0.113.9:65536", "203.0.113.9:65536"},
	{"203.0.113.9:1:2", "203.0.113.9:1:2", "203.0.113.9:1:2"},
	{"203.0.113.9: 1", "203.0.113.9: 1", "203.0.113.9: 1"},
	{"203.0.113.9%eth0", "203.0.113.9%eth0", "203.0.113.9%eth0"},
	{"[203.0.113.9]:80", "[203.0.113.9]:80", "[203.0.113.9]:80"},
	{"203.0.113:80", "203.0.113:80", "203.0.113:80"},
	{"::ffff:192.0.2.1:80", "::ffff:192.0.2.1:80", "::ffff:192.0.2.1:80"},
	{"1:2:3:4:5:6:7:8:443", "1:2:3:4:5:6:7:8:443", "1:2:3:4:5:6:7:8:443"},
	{"fe80::1%", "fe80::1%", "fe80::1%"},
	{"%eth0", "%eth0", "%eth0"},
	{"[fe80::1]%eth0", "[fe80::1]%eth0", "[fe80::1]%eth0"},
	{"[::1]:443]", "[::1]:443]", "[::1]:443]"},
	{"[::1", "[::1", "[::1"},
	{"[]:80", "[]:80", "[]:80"},
	{"[", "[", "["},
	{"]", "]", "]"},
	{":80", ":80", ":80"},
	{"", "", ""},
	{"host:80", "host:80", "host:80"},
};

TEST_ROWS(sources)
{
	char memory[VALUE_SHORT_TEXT_MAX];
	struct guarded *guarded = guarded_new(128);
	struct value value = value_text(guarded_copy(guarded, bytes_from_text(row->name)));
	struct value source = attribute_canonical(BYTES("src"), &value);
	struct value other = attribute_canonical(BYTES("server"), &value);

	assert_bytes_text(value_to_text(&source, memory), row->source);
	assert_bytes_text(value_to_text(&other, memory), row->other);
	guarded_free(guarded);
}

/* ---- text that only looks like an address ---- */

TEST(value_canonical_text_that_is_no_address_stays)
{
	static const char *const texts[] = {
		"",
		"a",
		":",
		":::",
		".",
		"1",
		"1.2",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.4/32",
		"1.2.3.4:80",
		"0x1.2.3.4",
		"[::1]",
		"::1%eth0",
		"fe80::1%1",
		"::1/128",
		"12345::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1::2::3",
		"::ffff:1.2.3",
		"::ffff:1.2.3.4.5",
		"g::1",
		"deadbeef",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct value value = string_value(texts[i]);

		struct value canonical = value_canonical(&value);

		if (canonical.kind != VALUE_TEXT)
			fail_msg("\"%s\" became an address", texts[i]);
		assert_bytes_text(canonical.text, texts[i]);
	}
}

TEST(value_canonical_address_with_a_nul_stays_text)
{
	struct value value = value_text(BYTES("192.0.2.1\0"));

	struct value canonical = value_canonical(&value);

	assert_int_equal(canonical.kind, VALUE_TEXT);
	assert_int_equal(canonical.text.len, 10);
}

TEST(value_canonical_text_is_not_read_behind_its_end)
{
	struct guarded *memory = guarded_new(64);

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct bytes given = bytes_from_text(addresses[i].given);
		assert_text_of(value_text(guarded_copy(memory, given)), addresses[i].expected);
	}

	guarded_free(memory);
}

TEST(value_canonical_empty_text_may_have_no_memory)
{
	struct value value = value_text(bytes_from(NULL, 0));

	struct value canonical = value_canonical(&value);

	assert_int_equal(canonical.kind, VALUE_TEXT);
	assert_int_equal(canonical.text.len, 0);
}

/* ---- the other kinds ---- */

TEST(value_to_text_integer_is_decimal)
{
	assert_text_of(value_integer(0), "0");
	assert_text_of(value_integer(-1), "-1");
	assert_text_of(value_integer(INT64_MAX), "9223372036854775807");
	assert_text_of(value_integer(INT64_MIN), "-9223372036854775808");
	assert_text_of(natural("", UINT64_MAX).value, "18446744073709551615");
}

TEST(value_to_text_boolean_is_a_word)
{
	assert_text_of(boolean("", true).value, "true");
	assert_text_of(boolean("", false).value, "false");
}

TEST(value_to_text_text_is_its_bytes)
{
	struct value value = value_text(BYTES("a\0\xff|b"));
	char memory[VALUE_SHORT_TEXT_MAX];

	struct value canonical = value_canonical(&value);

	assert_bytes_equal(value_to_text(&canonical, memory), BYTES("a\0\xff|b"));
}

TEST(value_integer_negative_is_told_from_natural)
{
	assert_int_equal(value_integer(-1).kind, VALUE_NEGATIVE);
	assert_int_equal(value_integer(0).kind, VALUE_NATURAL);
}

/* ---- prefixes ---- */

TEST(value_cut_address_clears_behind_the_prefix)
{
	static const struct {
		const char *given;
		unsigned ipv4_prefix, ipv6_prefix;
		const char *expected;
	} cases[] = {
		{"255.255.255.255", 32, 0, "255.255.255.255"},
		{"255.255.255.255", 31, 0, "255.255.255.254"},
		{"255.255.255.255", 25, 0, "255.255.255.128"},
		{"255.255.255.255", 24, 0, "255.255.255.0"},
		{"255.255.255.255", 23, 0, "255.255.254.0"},
		{"255.255.255.255", 9, 0, "255.128.0.0"},
		{"255.255.255.255", 8, 0, "255.0.0.0"},
		{"255.255.255.255", 1, 0, "128.0.0.0"},
		{"255.255.255.255", 0, 128, "0.0.0.0"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 128,
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 127,
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 65, "ffff:ffff:ffff:ffff:8000::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 64, "ffff:ffff:ffff:ffff::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 63, "ffff:ffff:ffff:fffe::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 56, "ffff:ffff:ffff:ff00::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 1, "8000::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 32, 0, "::"},
		/* A mapped one is cut by the IPv4 prefix. */
		{"::ffff:192.0.2.255", 24, 64, "192.0.2.0"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct value given = address_value(cases[i].given);
		struct value value = value_canonical(&given);

		value_cut_address(&value, cases[i].ipv4_prefix, cases[i].ipv6_prefix);

		assert_text_of(value, cases[i].expected);
	}
}

TEST(value_cut_address_other_values_stay)
{
	struct value given = string_value("1.2.3.x");
	struct value whole = value_integer(-1);

	value_cut_address(&given, 0, 0);
	value_cut_address(&whole, 0, 0);

	assert_text_of(given, "1.2.3.x");
	assert_text_of(whole, "-1");
}

/* ---- attributes ---- */

TEST(attributes_find_repeated_name_the_last_counts)
{
	struct attributes attributes = ATTRIBUTES(text("a", "1"), text("b", "2"), text("a", "3"));

	const struct value *found = attributes_find(&attributes, BYTES("a"));

	assert_ptr_equal(found, &attributes.items[2].value);
}

TEST(attributes_find_null_is_absent)
{
	struct attributes attributes = ATTRIBUTES(absent("a"), text("b", "2"));

	assert_null(attributes_find(&attributes, BYTES("a")));
}

TEST(attributes_find_null_last_hides_the_first)
{
	struct attributes attributes = ATTRIBUTES(text("a", "1"), absent("a"));

	assert_null(attributes_find(&attributes, BYTES("a")));
}

TEST(attributes_find_value_after_null_counts)
{
	struct attributes attributes = ATTRIBUTES(absent("a"), text("a", ""));

	assert_ptr_equal(attributes_find(&attributes, BYTES("a")), &attributes.items[1].value);
}

TEST(attributes_find_part_of_a_name_is_another_name)
{
	struct attributes attributes = ATTRIBUTES(text("path", "1"), text("Path", "2"));

	assert_null(attributes_find(&attributes, BYTES("pat")));
	assert_null(attributes_find(&attributes, BYTES("paths")));
	assert_null(attributes_find(&attributes, BYTES("")));
	assert_ptr_equal(attributes_find(&attributes, BYTES("path")), &attributes.items[0].value);
}

TEST(attributes_find_none_is_null)
{
	struct attributes attributes = {NULL, 0};

	assert_null(attributes_find(&attributes, BYTES("a")));
}
