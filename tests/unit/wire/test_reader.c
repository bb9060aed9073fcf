#include "wire/reader.h"

#include "support/sweep.h"
#include "support/test.h"
#include "support/vector.h"

static int decode_u8(struct bytes input, void *context)
{
	struct bytes from = input;
	uint8_t *ret_value = context;
	uint8_t value;

	POISON(value);
	if (!read_u8(&from, &value)) {
		assert_untouched(value);
		assert_nothing_taken(from, input);
		return -1;
	}
	assert_rest_of(from, input);
	*ret_value = value;
	return 1;
}

static int decode_u32_be(struct bytes input, void *context)
{
	struct bytes from = input;
	uint32_t *ret_value = context;
	uint32_t value;

	POISON(value);
	if (!read_u32_be(&from, &value)) {
		assert_untouched(value);
		assert_nothing_taken(from, input);
		return -1;
	}
	assert_rest_of(from, input);
	*ret_value = value;
	return 1;
}

static int decode_varint(struct bytes input, void *context)
{
	struct bytes from = input;
	uint64_t *ret_value = context;
	uint64_t value;

	POISON(value);
	if (!read_varint(&from, &value)) {
		assert_untouched(value);
		assert_nothing_taken(from, input);
		return -1;
	}
	assert_rest_of(from, input);
	*ret_value = value;
	return 1;
}

static int decode_string(struct bytes input, void *context)
{
	struct bytes from = input;
	struct bytes *ret_string = context;
	struct bytes string;

	POISON(string);
	if (!read_string(&from, &string)) {
		assert_untouched(string);
		assert_nothing_taken(from, input);
		return -1;
	}
	assert_rest_of(from, input);
	assert_view_of(string, input);
	*ret_string = string;
	return 1;
}

static void assert_varint_refused(const char *notation)
{
	struct vector v = vector_of(notation);
	uint64_t value;

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_varint, &value), -1);
}

static void assert_string_refused(const char *notation)
{
	struct vector v = vector_of(notation);
	struct bytes string;

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_string, &string), -1);
}

TEST(read_u8_one_byte_is_taken)
{
	struct vector v = vector_of("fe");
	uint8_t value = 0;

	struct sweep_counts cut = sweep_decoder(vector_bytes(&v), decode_u8, &value);

	assert_int_equal(value, 0xfe);
	assert_int_equal(cut.refused, 1);
}

TEST(read_u32_be_four_bytes_are_taken_most_significant_first)
{
	struct vector v = vector_of("fedcba98");
	uint32_t value = 0;

	struct sweep_counts cut = sweep_decoder(vector_bytes(&v), decode_u32_be, &value);

	assert_int_equal(value, 0xfedcba98);
	assert_int_equal(cut.refused, 4);
}

TEST(read_bytes_all_that_is_there_is_taken)
{
	struct bytes from = BYTES("abc"), taken;

	assert_true(read_bytes(&from, 3, &taken));

	assert_bytes_text(taken, "abc");
	assert_int_equal(from.len, 0);
}

TEST(read_bytes_none_at_the_end_is_empty)
{
	struct bytes from = BYTES(""), taken;

	POISON(taken);
	assert_true(read_bytes(&from, 0, &taken));

	assert_int_equal(taken.len, 0);
}

TEST(read_bytes_more_than_there_is_takes_nothing)
{
	static const uint64_t lengths[] = {
		4,          255,
		UINT32_MAX, 1ULL << 32,
		1ULL << 63, UINT64_MAX - 3,
		UINT64_MAX, UINT64_C(0xfffffffffffff000),
	};
	struct bytes input = BYTES("abc");

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct bytes from = input, taken;
		POISON(taken);
		assert_false(read_bytes(&from, lengths[i], &taken));
		assert_untouched(taken);
		assert_nothing_taken(from, input);
	}
}

static const struct {
	uint64_t value;
	const char *notation;
} varints[] = {
	{0, "00"},
	{239, "ef"},
	{240, "f000"},
	{2287, "ff7f"},
	{2288, "f08000"},
	{264431, "ffff7f"},
	{264432, "f0808000"},
	{33818863, "ffffff7f"},
	{33818864, "f080808000"},
	{4294967295, "fff0fefe7e"},
	{INT64_MAX, "fff0fefefefefefefe06"},
	{UINT64_MAX, "fff0fefefefefefefe0e"},
	/* The length that made HAProxy read out of bounds until April 2026. */
	{UINT64_C(0xfffffffffffff000), "f0f1fcfefefefefefe0e"},
};

TEST(read_varint_known_values_are_decoded)
{
	for (size_t i = 0; i < ARRAY_SIZE(varints); i++) {
		struct vector v = vector_of(varints[i].notation);
		uint64_t value = ~varints[i].value;
		assert_int_equal(sweep_whole(vector_bytes(&v), decode_varint, &value), 1);
		assert_true(value == varints[i].value);
	}
}

TEST(read_varint_every_truncation_is_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(varints); i++) {
		struct vector v = vector_of(varints[i].notation);
		uint64_t value;
		struct sweep_counts cut = sweep_decoder(vector_bytes(&v), decode_varint, &value);
		assert_int_equal(cut.refused, v.len);
	}
}

TEST(read_varint_what_follows_stays)
{
	struct bytes from = BYTES("\xff\x7f\xff");
	uint64_t value;

	assert_true(read_varint(&from, &value));

	assert_true(bytes_equal(from, BYTES("\xff")));
}

TEST(read_varint_eleven_ff_bytes_are_refused)
{
	assert_varint_refused("ff ffffffffffffffffffff");
}

TEST(read_varint_ten_ff_bytes_are_refused)
{
	assert_varint_refused("ff ffffffffffffffffff");
}

TEST(read_varint_eleven_bytes_are_refused)
{
	assert_varint_refused("f0 808080808080808080 00");
}

TEST(read_varint_a_hundred_continuations_are_refused)
{
	struct vector v = vector_of("f0");
	uint64_t value;

	vector_append(&v, "80", 100);
	vector_append(&v, "00", 1);

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_varint, &value), -1);
}

TEST(read_varint_two_to_the_64_is_refused)
{
	assert_varint_refused("f0f1fefefefefefefe0e");
}

TEST(read_varint_a_tenth_byte_of_more_than_four_bits_is_refused)
{
	assert_varint_refused("f0 8080808080808080 10");
}

/* What the bytes say, in a type that nothing overflows: -1 when that is no varint. */
static int model_varint(struct bytes bytes, unsigned __int128 *ret_value)
{
	unsigned __int128 value = bytes.data[0];

	*ret_value = value;
	if (value < 240)
		return 1;
	for (unsigned i = 1; i < bytes.len && i < 10; i++) {
		value += (unsigned __int128)bytes.data[i] << (4 + 7 * (i - 1));
		*ret_value = value;
		if (bytes.data[i] < 128)
			return value <= UINT64_MAX ? 1 : -1;
	}
	return -1;
}

/* Nine bytes near their greatest and least, and every pair of last ones. */
TEST(read_varint_every_end_of_ten_bytes_agrees_with_128_bits)
{
	static const uint8_t middles[] = {0x80, 0xfd, 0xfe, 0xff};

	for (unsigned n = 0; n < ARRAY_SIZE(middles) * 16 * 65536; n++) {
		uint8_t data[10];
		memset(data, middles[n >> 20], sizeof data);
		data[0] = (uint8_t)(0xf0 | ((n >> 16) & 15));
		data[8] = (uint8_t)(n >> 8);
		data[9] = (uint8_t)n;
		struct bytes from = bytes_from(data, sizeof data);
		unsigned __int128 expected;
		uint64_t value = 0;

		int verdict = model_varint(from, &expected);

		assert_int_equal(read_varint(&from, &value) ? 1 : -1, verdict);
		if (verdict > 0)
			assert_true(value == expected);
	}
}

TEST(read_string_known_values_are_decoded)
{
	struct vector v = vector_of("06'normal'");
	struct bytes string;

	struct sweep_counts cut = sweep_decoder(vector_bytes(&v), decode_string, &string);

	struct bytes from = vector_bytes(&v);
	assert_true(read_string(&from, &string));
	assert_bytes_text(string, "normal");
	assert_int_equal(from.len, 0);
	assert_int_equal(cut.refused, 7);
}

TEST(read_string_empty_is_taken)
{
	struct vector v = vector_of("00");
	struct bytes string;

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_string, &string), 1);

	assert_int_equal(string.len, 0);
}

TEST(read_string_with_nul_bytes_is_whole)
{
	struct bytes from = BYTES("\x03"
				  "a\0b"),
		     string;

	assert_true(read_string(&from, &string));

	assert_true(bytes_equal(string, BYTES("a\0b")));
}

TEST(read_string_with_a_length_of_two_bytes_is_taken)
{
	struct vector v = vector_of("f000");
	struct bytes string;

	vector_append(&v, "'x'", 240);
	struct sweep_counts cut = sweep_decoder(vector_bytes(&v), decode_string, &string);

	assert_int_equal(cut.refused, v.len);
	struct bytes from = vector_bytes(&v);
	assert_true(read_string(&from, &string));
	assert_int_equal(string.len, 240);
}

TEST(read_string_one_byte_longer_than_the_input_is_refused)
{
	assert_string_refused("07'normal'");
}

TEST(read_string_of_two_to_the_64_less_1_is_refused)
{
	assert_string_refused("fff0fefefefefefefe0e'x'");
}

TEST(read_string_that_would_wrap_a_pointer_is_refused)
{
	assert_string_refused("f0f1fcfefefefefefe0e'x'");
}

TEST(read_string_of_eleven_ff_bytes_is_refused)
{
	assert_string_refused("ffffffffffffffffffffff'x'");
}
