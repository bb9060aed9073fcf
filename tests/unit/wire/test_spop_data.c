#include "wire/spop_data.h"

#include "support/sweep.h"
#include "support/test.h"
#include "support/vector.h"

#define MOST_VARINT "fff0fefefefefefefe0e"

static int decode_data(struct bytes input, void *context)
{
	struct bytes from = input;
	struct spop_data *ret_data = context;
	struct spop_data data;

	POISON(data);
	if (!spop_data_read(&from, &data)) {
		assert_untouched(data);
		assert_nothing_taken(from, input);
		return -1;
	}
	assert_rest_of(from, input);
	assert_true(data.type <= SPOP_BIN);
	if (data.type == SPOP_STR || data.type == SPOP_BIN)
		assert_view_of(data.bytes, input);
	*ret_data = data;
	return 1;
}

/* Of all of `v`, which stays where it is: views in the result live as long. */
static struct spop_data read_all(const struct vector *v)
{
	struct bytes from = vector_bytes(v);
	struct spop_data data;

	assert_true(spop_data_read(&from, &data));
	assert_int_equal(from.len, 0);
	return data;
}

static void assert_refused(const char *notation)
{
	struct vector v = vector_of(notation);
	struct spop_data data;

	assert_int_equal(sweep_whole(vector_bytes(&v), decode_data, &data), -1);
}

static void put_data(struct writer *w, const void *context)
{
	spop_data_put(w, context);
}

/* The value is encoded as `v`, with room for it and without. */
static void assert_put(const struct spop_data *data, const struct vector *v)
{
	sweep_encoder(vector_bytes(v), put_data, data);
}

/* No shorter part of it is taken for a value. */
static void assert_needs_all(const struct vector *v)
{
	struct spop_data data;
	struct sweep_counts cut = sweep_decoder(vector_bytes(v), decode_data, &data);

	assert_int_equal(cut.refused, v->len);
}

TEST(spop_data_null_is_its_type)
{
	struct vector v = vector_of("00");

	struct spop_data data = read_all(&v);

	assert_int_equal(data.type, SPOP_NULL);
	assert_put(&data, &v);
	assert_needs_all(&v);
}

TEST(spop_data_true_is_in_the_flags)
{
	struct vector v = vector_of("11");

	struct spop_data data = read_all(&v);

	assert_int_equal(data.type, SPOP_BOOL);
	assert_true(data.boolean);
	assert_put(&data, &v);
	assert_needs_all(&v);
}

TEST(spop_data_false_is_in_the_flags)
{
	struct vector v = vector_of("01");

	struct spop_data data = read_all(&v);

	assert_int_equal(data.type, SPOP_BOOL);
	assert_false(data.boolean);
	assert_put(&data, &v);
	assert_needs_all(&v);
}

TEST(spop_data_signed_and_32_bit_numbers_are_decoded_and_encoded)
{
	static const struct {
		const char *notation;
		enum spop_type type;
		int64_t number;
	} cases[] = {
		{"02 00", SPOP_INT32, 0},
		{"02 fff0fefe3e", SPOP_INT32, INT32_MAX},
		{"02 fbf0fefefefefefefe0e", SPOP_INT32, -5},
		{"02 f0f1fefebefefefefe0e", SPOP_INT32, INT32_MIN},
		{"03 01", SPOP_UINT32, 1},
		{"03 fcf006", SPOP_UINT32, 16380},
		{"03 fff0fefe7e", SPOP_UINT32, UINT32_MAX},
		{"04 00", SPOP_INT64, 0},
		{"04 f000", SPOP_INT64, 240},
		{"04 fff0fefefefefefefe06", SPOP_INT64, INT64_MAX},
		{"04 f0f0fefefefefefefe06", SPOP_INT64, INT64_MAX - 15},
		{"04 f0f1fefefefefefefe06", SPOP_INT64, INT64_MIN},
		{"04 " MOST_VARINT, SPOP_INT64, -1},
		{"04 f0d1dbe2f2fcfefefe0e", SPOP_INT64, INT64_C(-9000000000)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(cases[i].notation);
		struct spop_data data = read_all(&v);
		assert_int_equal(data.type, cases[i].type);
		assert_true(data.number == cases[i].number);
		assert_put(&data, &v);
		assert_needs_all(&v);
	}
}

TEST(spop_data_uint64_is_decoded_and_encoded_whole)
{
	static const struct {
		const char *notation;
		uint64_t natural;
	} cases[] = {
		{"05 00", 0},
		{"05 ef", 239},
		{"05 fff0fefefefefefefe06", INT64_MAX},
		{"05 " MOST_VARINT, UINT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(cases[i].notation);
		struct spop_data data = read_all(&v);
		assert_int_equal(data.type, SPOP_UINT64);
		assert_true(data.natural == cases[i].natural);
		assert_put(&data, &v);
		assert_needs_all(&v);
	}
}

TEST(spop_data_ipv4_is_four_bytes)
{
	struct vector v = vector_of("06 7f000001");
	static const uint8_t loopback[4] = {127, 0, 0, 1};

	struct spop_data data = read_all(&v);

	assert_int_equal(data.type, SPOP_IPV4);
	assert_memory_equal(data.ipv4, loopback, sizeof loopback);
	assert_put(&data, &v);
	assert_needs_all(&v);
}

TEST(spop_data_ipv6_is_sixteen_bytes)
{
	struct vector v = vector_of("07 20010db8000000000000000000000001");

	struct spop_data data = read_all(&v);

	assert_int_equal(data.type, SPOP_IPV6);
	assert_memory_equal(data.ipv6, v.data + 1, sizeof data.ipv6);
	assert_put(&data, &v);
	assert_needs_all(&v);
}

TEST(spop_data_string_is_a_view)
{
	struct vector v = vector_of("08 03'GET'");

	struct spop_data data = read_all(&v);

	assert_int_equal(data.type, SPOP_STR);
	assert_ptr_equal(data.bytes.data, v.data + 2);
	assert_bytes_text(data.bytes, "GET");
	assert_put(&data, &v);
	assert_needs_all(&v);
}

TEST(spop_data_empty_string_is_a_value)
{
	struct vector v = vector_of("08 00");

	struct spop_data data = read_all(&v);

	assert_int_equal(data.type, SPOP_STR);
	assert_int_equal(data.bytes.len, 0);
	assert_put(&data, &v);
	assert_needs_all(&v);
}

TEST(spop_data_binary_holds_any_bytes)
{
	struct vector v = vector_of("09 04 00ff0a00");

	struct spop_data data = read_all(&v);

	assert_int_equal(data.type, SPOP_BIN);
	assert_bytes_equal(data.bytes, BYTES("\x00\xff\n\x00"));
	assert_put(&data, &v);
	assert_needs_all(&v);
}

TEST(spop_data_string_of_240_bytes_has_a_length_of_two)
{
	struct vector v = vector_of("08 f000");

	vector_append(&v, "'x'", 240);
	struct spop_data data = read_all(&v);

	assert_int_equal(data.bytes.len, 240);
	assert_put(&data, &v);
	assert_needs_all(&v);
}

TEST(spop_data_read_reserved_types_are_refused)
{
	for (unsigned type = 0; type < 256; type++) {
		struct vector v = vector_of("00 00000000 00000000 00000000 00000000");
		struct spop_data data;
		v.data[0] = (uint8_t)type;
		int expected = (type & 15) > SPOP_BIN ? -1 : 1;
		assert_int_equal(sweep_whole(vector_bytes(&v), decode_data, &data), expected);
	}
}

TEST(spop_data_read_flags_of_other_types_are_ignored)
{
	struct vector v = vector_of("18 03'GET'");

	struct spop_data data = read_all(&v);

	assert_int_equal(data.type, SPOP_STR);
	assert_bytes_text(data.bytes, "GET");
}

/* HAProxy takes a string with any flag for a binary. */
TEST(spop_data_put_string_has_no_flags)
{
	uint8_t memory[8];
	struct writer w = writer_on(memory, sizeof memory);
	struct spop_data data = {.type = SPOP_STR, .bytes = BYTES("a")};

	spop_data_put(&w, &data);

	assert_bytes_equal(writer_bytes(&w), BYTES("\x08\x01"
						   "a"));
}

TEST(spop_data_read_numbers_of_eleven_ff_bytes_are_refused)
{
	assert_refused("02 ffffffffffffffffffffff");
	assert_refused("03 ffffffffffffffffffffff");
	assert_refused("04 ffffffffffffffffffffff");
	assert_refused("05 ffffffffffffffffffffff");
}

TEST(spop_data_read_lengths_of_two_to_the_64_less_1_are_refused)
{
	assert_refused("08 " MOST_VARINT "'x'");
	assert_refused("09 " MOST_VARINT "'x'");
}

TEST(spop_data_read_length_that_would_wrap_a_pointer_is_refused)
{
	assert_refused("08 f0f1fcfefefefefefe0e'x'");
	assert_refused("09 f0f1fcfefefefefefe0e'x'");
}

TEST(spop_data_read_what_follows_stays)
{
	struct bytes from = BYTES("\x11\x01");
	struct spop_data data;

	assert_true(spop_data_read(&from, &data));

	assert_true(bytes_equal(from, BYTES("\x01")));
}

TEST(spop_data_natural_integers_of_every_type_are_taken)
{
	static const struct {
		const char *notation;
		uint64_t expected;
	} cases[] = {
		{"02 07", 7},
		{"03 fff0fefe7e", UINT32_MAX},
		{"04 fff0fefefefefefefe06", INT64_MAX},
		{"05 " MOST_VARINT, UINT64_MAX},
		{"04 00", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(cases[i].notation);
		struct spop_data data = read_all(&v);
		uint64_t value;
		POISON(value);
		assert_true(spop_data_natural(&data, &value));
		assert_true(value == cases[i].expected);
	}
}

TEST(spop_data_natural_anything_else_is_refused)
{
	static const char *const cases[] = {
		"00",
		"01",
		"11",
		"02 fbf0fefefefefefefe0e", /* -5 */
		"04 fff0fefefefefefefe0e", /* -1 */
		"06 00000001",
		"07 00000000000000000000000000000001",
		"08 01'1'",
		"09 01 01",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(cases[i]);
		struct spop_data data = read_all(&v);
		uint64_t value;
		POISON(value);
		assert_false(spop_data_natural(&data, &value));
		assert_untouched(value);
	}
}

TEST(spop_data_makers_put_what_they_are_given)
{
	uint8_t memory[64];
	struct writer w = writer_on(memory, sizeof memory);
	struct spop_data made[] = {spop_bool(true), spop_bool(false), spop_uint32(UINT32_MAX),
				   spop_int64(-1), spop_str(BYTES("ok"))};
	struct vector v = vector_of("11 01 03 fff0fefe7e 04 " MOST_VARINT " 08 02'ok'");

	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		spop_data_put(&w, &made[i]);

	assert_false(w.full);
	assert_bytes_equal(writer_bytes(&w), vector_bytes(&v));
}

static void put_varint(struct writer *w, const void *context)
{
	spop_put_varint(w, *(const uint64_t *)context);
}

TEST(spop_put_varint_known_values_are_encoded)
{
	static const struct {
		uint64_t value;
		const char *notation;
	} cases[] = {
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
		{UINT64_MAX, MOST_VARINT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(cases[i].notation);
		sweep_encoder(vector_bytes(&v), put_varint, &cases[i].value);
	}
}

static void put_string(struct writer *w, const void *context)
{
	spop_put_string(w, *(const struct bytes *)context);
}

TEST(spop_put_string_is_its_length_and_its_bytes)
{
	struct vector v = vector_of("06'normal'");
	struct bytes string = BYTES("normal");

	sweep_encoder(vector_bytes(&v), put_string, &string);
}

TEST(spop_put_string_empty_is_one_byte)
{
	struct vector v = vector_of("00");
	struct bytes string = {NULL, 0};

	sweep_encoder(vector_bytes(&v), put_string, &string);
}

/* Around every power of two, where the number of groups changes. */
TEST(spop_data_uint64_around_powers_of_two_comes_back)
{
	for (unsigned n = 0; n < 64 * 64; n++) {
		uint64_t value = (UINT64_C(1) << (n / 64)) + n % 64 * 9 - 288;
		struct spop_data data = {.type = SPOP_UINT64, .natural = value}, again;
		uint8_t memory[11];
		struct writer w = writer_on(memory, sizeof memory);

		spop_data_put(&w, &data);

		struct bytes from = writer_bytes(&w);
		assert_false(w.full);
		assert_true(spop_data_read(&from, &again));
		assert_int_equal(from.len, 0);
		assert_true(again.natural == value);
	}
}
