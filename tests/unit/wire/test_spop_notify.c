#include "wire/spop_notify.h"

#include "support/spop_frames.h"
#include "support/sweep.h"
#include "support/test.h"
#include "support/vector.h"
#include "wire/spop_frame.h"

#define PAYLOAD_IPV4 "0f'check-client-ip' 01 00 06 7f000001"
#define MOST_VARINT  "fff0fefefefefefefe0e"

/* What was found on the way, up to the end or to what can't be decoded. */
struct walk {
	unsigned messages;
	unsigned arguments;
	struct spop_message last_message;
	struct spop_argument last_argument;
};

static int next_message(struct bytes *from, struct bytes input, struct spop_message *ret_message)
{
	struct bytes before = *from;
	struct spop_message message;

	POISON(message);
	int found = spop_message_next(from, &message);
	assert_rest_of(*from, input);
	if (found <= 0) {
		assert_untouched(message);
		return found;
	}
	assert_int_equal(found, 1);
	assert_true(from->len < before.len);
	assert_view_of(message.name, before);
	assert_true(message.arguments_left <= 255);
	*ret_message = message;
	return 1;
}

static int next_argument(struct bytes *from, struct bytes input, struct spop_message *message,
			 struct spop_argument *ret_argument)
{
	struct bytes before = *from;
	unsigned left = message->arguments_left;
	struct spop_argument argument;

	POISON(argument);
	int found = spop_argument_next(from, message, &argument);
	assert_rest_of(*from, input);
	if (found <= 0) {
		assert_untouched(argument);
		assert_int_equal(message->arguments_left, left);
		return found;
	}
	assert_int_equal(found, 1);
	assert_int_equal(message->arguments_left, left - 1);
	assert_true(from->len < before.len);
	assert_view_of(argument.name, before);
	if (argument.data.type == SPOP_STR || argument.data.type == SPOP_BIN)
		assert_view_of(argument.data.bytes, before);
	*ret_argument = argument;
	return 1;
}

static int walk_arguments(struct bytes *from, struct bytes input, struct walk *walk)
{
	int found;

	for (;;) {
		found = next_argument(from, input, &walk->last_message, &walk->last_argument);
		if (found <= 0)
			return found;
		walk->arguments++;
	}
}

static int walk_payload(struct bytes input, void *context)
{
	struct walk *walk = context;
	struct bytes from = input;

	*walk = (struct walk){0};
	for (;;) {
		int found = next_message(&from, input, &walk->last_message);
		if (found < 0)
			return -1;
		if (found == 0)
			break;
		walk->messages++;
		if (walk_arguments(&from, input, walk) < 0)
			return -1;
	}
	assert_int_equal(from.len, 0);
	return 1;
}

static int walk_vector(const struct vector *v, struct walk *walk)
{
	return walk_payload(vector_bytes(v), walk);
}

static void assert_refused(const char *notation)
{
	struct vector v = vector_of(notation);
	struct walk walk;

	assert_int_equal(sweep_whole(vector_bytes(&v), walk_payload, &walk), -1);
}

static struct bytes payload_of(const struct vector *frame)
{
	struct bytes from = vector_bytes(frame);
	struct spop_frame found;
	enum spop_status status;

	assert_int_equal(spop_frame_next(&from, VECTOR_MAX, &found, &status), SPOP_FOUND_FRAME);
	return found.payload;
}

TEST(spop_message_next_reference_frame_is_walked)
{
	struct vector v = vector_of(FRAME_NOTIFY_IPV4);
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	struct walk walk;

	assert_int_equal(walk_payload(payload_of(&v), &walk), 1);

	assert_int_equal(walk.messages, 1);
	assert_bytes_text(walk.last_message.name, "check-client-ip");
	assert_int_equal(walk.arguments, 1);
	assert_int_equal(walk.last_argument.name.len, 0);
	assert_int_equal(walk.last_argument.data.type, SPOP_IPV4);
	assert_memory_equal(walk.last_argument.data.ipv4, loopback, sizeof loopback);
}

TEST(spop_message_next_empty_reference_frame_has_no_message)
{
	struct vector v = vector_of(FRAME_NOTIFY_EMPTY);
	struct walk walk;

	assert_int_equal(walk_payload(payload_of(&v), &walk), 1);

	assert_int_equal(walk.messages, 0);
}

TEST(spop_message_next_at_the_end_is_the_end_again)
{
	struct bytes payload = BYTES("");
	struct spop_message message;

	assert_int_equal(next_message(&payload, payload, &message), 0);

	assert_int_equal(next_message(&payload, payload, &message), 0);
}

/* The empty payload is a NOTIFY without messages, every other cut is refused. */
TEST(spop_message_next_truncated_is_refused)
{
	struct vector v = vector_of(PAYLOAD_IPV4);
	struct walk walk;

	struct sweep_counts cut = sweep_decoder(vector_bytes(&v), walk_payload, &walk);

	assert_int_equal(cut.taken, 1);
	assert_int_equal(cut.refused, v.len - 1);
}

TEST(spop_message_next_several_messages_are_walked_in_order)
{
	struct vector v = vector_of("01'a' 00  01'b' 01 03'src' 06 0a000001"
				    "01'c' 02 00 00 04'path' 08 01'/'");
	struct bytes from = vector_bytes(&v);
	struct spop_message a, b, c, none;
	struct spop_argument argument;

	assert_int_equal(next_message(&from, vector_bytes(&v), &a), 1);
	assert_bytes_text(a.name, "a");
	assert_int_equal(next_argument(&from, vector_bytes(&v), &a, &argument), 0);
	assert_int_equal(next_message(&from, vector_bytes(&v), &b), 1);
	assert_bytes_text(b.name, "b");
	assert_int_equal(next_argument(&from, vector_bytes(&v), &b, &argument), 1);
	assert_bytes_text(argument.name, "src");
	assert_int_equal(next_argument(&from, vector_bytes(&v), &b, &argument), 0);
	assert_int_equal(next_message(&from, vector_bytes(&v), &c), 1);
	assert_bytes_text(c.name, "c");
	assert_int_equal(next_argument(&from, vector_bytes(&v), &c, &argument), 1);
	assert_int_equal(argument.data.type, SPOP_NULL);
	assert_int_equal(next_argument(&from, vector_bytes(&v), &c, &argument), 1);
	assert_bytes_text(argument.data.bytes, "/");
	assert_int_equal(next_argument(&from, vector_bytes(&v), &c, &argument), 0);
	assert_int_equal(next_message(&from, vector_bytes(&v), &none), 0);
}

TEST(spop_message_next_several_truncated_are_taken_between_messages)
{
	struct vector v = vector_of("01'a' 00  01'b' 01 03'src' 06 0a000001"
				    "01'c' 02 00 00 04'path' 08 01'/'");
	struct walk walk;

	struct sweep_counts cut = sweep_decoder(vector_bytes(&v), walk_payload, &walk);

	assert_int_equal(cut.taken, 3);
	assert_int_equal(walk.messages, 3);
	assert_int_equal(walk.arguments, 3);
}

TEST(spop_message_next_empty_name_is_taken)
{
	struct vector v = vector_of("00 00");
	struct walk walk;

	assert_int_equal(walk_vector(&v, &walk), 1);

	assert_int_equal(walk.messages, 1);
	assert_int_equal(walk.last_message.name.len, 0);
}

TEST(spop_message_next_name_without_a_count_is_refused)
{
	assert_refused("05'check'");
	assert_refused("00");
}

TEST(spop_message_next_name_longer_than_the_payload_is_refused)
{
	assert_refused("06'check' 00 ");
	assert_refused(MOST_VARINT "'check' 00");
	assert_refused("f0f1fcfefefefefefe0e'check' 00");
	assert_refused("ffffffffffffffffffffff'check' 00");
}

TEST(spop_argument_next_255_announced_and_none_sent_is_refused)
{
	struct vector v = vector_of("05'check' ff");
	struct walk walk;

	assert_int_equal(sweep_whole(vector_bytes(&v), walk_payload, &walk), -1);

	assert_int_equal(walk.messages, 1);
	assert_int_equal(walk.arguments, 0);
	assert_int_equal(walk.last_message.arguments_left, 255);
}

TEST(spop_argument_next_255_announced_and_sent_are_walked)
{
	struct vector v = vector_of("05'check' ff");
	struct walk walk;

	vector_append(&v, "00 00", 255);

	struct sweep_counts cut = sweep_decoder(vector_bytes(&v), walk_payload, &walk);
	assert_int_equal(walk.arguments, 255);
	assert_int_equal(cut.taken, 1);
}

TEST(spop_argument_next_255_announced_and_254_sent_is_refused)
{
	struct vector v = vector_of("05'check' ff");
	struct walk walk;

	vector_append(&v, "00 00", 254);

	assert_int_equal(walk_vector(&v, &walk), -1);
	assert_int_equal(walk.arguments, 254);
	assert_int_equal(walk.last_message.arguments_left, 1);
}

TEST(spop_argument_next_every_type_is_walked)
{
	struct vector v = vector_of("01'm' 0b"
				    "01'a' 00   01'b' 11  01'c' 01  01'd' 02 07"
				    "01'e' 03 fff0fefe7e  01'f' 04 " MOST_VARINT
				    "01'g' 05 " MOST_VARINT "01'h' 06 7f000001"
				    "01'i' 07 00000000000000000000000000000001"
				    "01'j' 08 03'GET'  01'k' 09 02 0000");
	struct walk walk;

	struct sweep_counts cut = sweep_decoder(vector_bytes(&v), walk_payload, &walk);

	assert_int_equal(walk.arguments, 11);
	assert_int_equal(cut.taken, 1);
}

TEST(spop_argument_next_value_missing_is_refused)
{
	assert_refused("01'm' 01 01'a'");
	assert_refused("01'm' 01 00");
	assert_refused("01'm' 01 01'a' 06 7f0000");
}

TEST(spop_argument_next_reserved_type_is_refused)
{
	static const char *const cases[] = {
		"01'm' 01 01'a' 0a", "01'm' 01 01'a' 0b", "01'm' 01 01'a' 0c",
		"01'm' 01 01'a' 0d", "01'm' 01 01'a' 0e", "01'm' 01 01'a' 0f",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(cases[i]);
}

TEST(spop_argument_next_name_longer_than_the_payload_is_refused)
{
	assert_refused("01'm' 01 02'a'");
	assert_refused("01'm' 01 " MOST_VARINT "'a' 00");
	assert_refused("01'm' 01 f0f1fcfefefefefefe0e'a' 00");
}

TEST(spop_argument_next_more_sent_than_announced_is_the_next_message)
{
	struct vector v = vector_of("01'm' 01 01'a' 00  01'b' 00");
	struct walk walk;

	assert_int_equal(walk_vector(&v, &walk), 1);

	assert_int_equal(walk.messages, 2);
	assert_int_equal(walk.arguments, 1);
}

struct variable {
	enum spop_scope scope;
	struct spop_data data;
};

static void put_set_var(struct writer *w, const void *context)
{
	const struct variable *variable = context;

	spop_put_set_var(w, variable->scope, BYTES("deny"), variable->data);
}

static void put_unset_var(struct writer *w, const void *context)
{
	const struct variable *variable = context;

	spop_put_unset_var(w, variable->scope, BYTES("deny"));
}

TEST(spop_put_set_var_in_every_scope_is_an_action_of_three)
{
	static const char *const cases[] = {
		"01 03 00 04'deny' 03 01", "01 03 01 04'deny' 03 01", "01 03 02 04'deny' 03 01",
		"01 03 03 04'deny' 03 01", "01 03 04 04'deny' 03 01",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(cases[i]);
		struct variable variable = {(enum spop_scope)i, spop_uint32(1)};
		sweep_encoder(vector_bytes(&v), put_set_var, &variable);
	}
}

TEST(spop_put_unset_var_in_every_scope_is_an_action_of_two)
{
	static const char *const cases[] = {
		"02 02 00 04'deny'", "02 02 01 04'deny'", "02 02 02 04'deny'",
		"02 02 03 04'deny'", "02 02 04 04'deny'",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(cases[i]);
		struct variable variable = {.scope = (enum spop_scope)i};
		sweep_encoder(vector_bytes(&v), put_unset_var, &variable);
	}
}

TEST(spop_scope_numbers_are_those_of_the_protocol)
{
	assert_int_equal(SPOP_SCOPE_PROCESS, 0);
	assert_int_equal(SPOP_SCOPE_SESSION, 1);
	assert_int_equal(SPOP_SCOPE_TRANSACTION, 2);
	assert_int_equal(SPOP_SCOPE_REQUEST, 3);
	assert_int_equal(SPOP_SCOPE_RESPONSE, 4);
}

TEST(spop_put_set_var_values_of_every_type_are_put)
{
	static const struct {
		const char *notation;
		struct spop_data data;
	} cases[] = {
		{"01 03 02 04'deny' 00", {.type = SPOP_NULL}},
		{"01 03 02 04'deny' 11", {.type = SPOP_BOOL, .boolean = true}},
		{"01 03 02 04'deny' 01", {.type = SPOP_BOOL, .boolean = false}},
		{"01 03 02 04'deny' 04 fff0fefefefefefefe0e", {.type = SPOP_INT64, .number = -1}},
		{"01 03 02 04'deny' 05 f000", {.type = SPOP_UINT64, .natural = 240}},
		{"01 03 02 04'deny' 06 7f000001", {.type = SPOP_IPV4, .ipv4 = {127, 0, 0, 1}}},
		{"01 03 02 04'deny' 08 00", {.type = SPOP_STR}},
		{"01 03 02 04'deny' 08 02'ok'",
		 {.type = SPOP_STR, .bytes = {(const uint8_t *)"ok", 2}}},
		{"01 03 02 04'deny' 09 02'ok'",
		 {.type = SPOP_BIN, .bytes = {(const uint8_t *)"ok", 2}}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vector v = vector_of(cases[i].notation);
		struct variable variable = {SPOP_SCOPE_TRANSACTION, cases[i].data};
		sweep_encoder(vector_bytes(&v), put_set_var, &variable);
	}
}

static void put_ack_of_three(struct writer *w, const void *context)
{
	size_t begin = spop_frame_begin(w, SPOP_ACK, 240, 1);
	(void)context;

	spop_put_set_var(w, SPOP_SCOPE_TRANSACTION, BYTES("allowed"), spop_bool(true));
	spop_put_unset_var(w, SPOP_SCOPE_TRANSACTION, BYTES("policy"));
	spop_put_set_var(w, SPOP_SCOPE_SESSION, BYTES("limit"), spop_int64(-1));
	spop_frame_end(w, begin);
}

TEST(spop_put_set_var_several_in_an_ack_fit_or_are_full)
{
	struct vector v = vector_frame("67 00000001 f000 01"
				       "01 03 02 07'allowed' 11"
				       "02 02 02 06'policy'"
				       "01 03 01 05'limit' 04 " MOST_VARINT);

	sweep_encoder(vector_bytes(&v), put_ack_of_three, NULL);
}

/* An action that does not fit is left out, and the ACK is whole without it. */
TEST(spop_put_set_var_rewound_leaves_the_actions_before_it)
{
	struct vector v = vector_frame("67 00000001 01 01 01 03 02 07'allowed' 11");
	uint8_t memory[40];
	struct writer w = writer_on(memory, sizeof memory);

	size_t begin = spop_frame_begin(&w, SPOP_ACK, 1, 1);
	spop_put_set_var(&w, SPOP_SCOPE_TRANSACTION, BYTES("allowed"), spop_bool(true));
	size_t mark = writer_mark(&w);
	spop_put_set_var(&w, SPOP_SCOPE_TRANSACTION, BYTES("policy"),
			 spop_str(BYTES("a name that is too long")));
	assert_true(w.full);
	writer_rewind(&w, mark);
	spop_frame_end(&w, begin);

	assert_bytes_equal(writer_bytes(&w), vector_bytes(&v));
}
