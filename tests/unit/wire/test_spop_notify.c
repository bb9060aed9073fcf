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

static const struct {
	const char *name, *payload;
} refused_payloads[] = {
	{"message without a count", "05'check'"},
	{"empty name without a count", "00"},
	{"name longer than the payload", "06'check' 00 "},
	{"name of 2^64 - 1 bytes", MOST_VARINT "'check' 00"},
	{"name of nearly 2^64 bytes", "f0f1fcfefefefefefe0e'check' 00"},
	{"name of more than 64 bits", "ffffffffffffffffffffff'check' 00"},
	{"argument without a value", "01'm' 01 01'a'"},
	{"argument without a name and a value", "01'm' 01 00"},
	{"argument with a part of its value", "01'm' 01 01'a' 06 7f0000"},
	{"reserved type 10", "01'm' 01 01'a' 0a"},
	{"reserved type 11", "01'm' 01 01'a' 0b"},
	{"reserved type 12", "01'm' 01 01'a' 0c"},
	{"reserved type 13", "01'm' 01 01'a' 0d"},
	{"reserved type 14", "01'm' 01 01'a' 0e"},
	{"reserved type 15", "01'm' 01 01'a' 0f"},
	{"argument's name longer than the payload", "01'm' 01 02'a'"},
	{"argument's name of 2^64 - 1 bytes", "01'm' 01 " MOST_VARINT "'a' 00"},
	{"argument's name of nearly 2^64 bytes", "01'm' 01 f0f1fcfefefefefefe0e'a' 00"},
};

TEST_ROWS(refused_payloads)
{
	struct vector v = vector_of(row->payload);
	struct walk walk;

	assert_int_equal(sweep_whole(vector_bytes(&v), walk_payload, &walk), -1);
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

TEST(spop_scope_numbers_are_those_of_the_protocol)
{
	assert_int_equal(SPOP_SCOPE_PROCESS, 0);
	assert_int_equal(SPOP_SCOPE_SESSION, 1);
	assert_int_equal(SPOP_SCOPE_TRANSACTION, 2);
	assert_int_equal(SPOP_SCOPE_REQUEST, 3);
	assert_int_equal(SPOP_SCOPE_RESPONSE, 4);
}

#define SET      "01 03 02 04'deny' "
#define ONE      .type = SPOP_UINT32, .natural = 1
#define IN_TXN   put_set_var, SPOP_SCOPE_TRANSACTION
#define TEXT(ok) .bytes = {(const uint8_t *)(ok), 2}

static const struct {
	const char *name, *action;
	sweep_put_fn put;
	enum spop_scope scope;
	struct spop_data data;
} actions[] = {
	{"set, process", "01 03 00 04'deny' 03 01", put_set_var, SPOP_SCOPE_PROCESS, {ONE}},
	{"set, session", "01 03 01 04'deny' 03 01", put_set_var, SPOP_SCOPE_SESSION, {ONE}},
	{"set, transaction", "01 03 02 04'deny' 03 01", IN_TXN, {ONE}},
	{"set, request", "01 03 03 04'deny' 03 01", put_set_var, SPOP_SCOPE_REQUEST, {ONE}},
	{"set, response", "01 03 04 04'deny' 03 01", put_set_var, SPOP_SCOPE_RESPONSE, {ONE}},

	{"unset, process", "02 02 00 04'deny'", put_unset_var, SPOP_SCOPE_PROCESS, {0}},
	{"unset, session", "02 02 01 04'deny'", put_unset_var, SPOP_SCOPE_SESSION, {0}},
	{"unset, transaction", "02 02 02 04'deny'", put_unset_var, SPOP_SCOPE_TRANSACTION, {0}},
	{"unset, request", "02 02 03 04'deny'", put_unset_var, SPOP_SCOPE_REQUEST, {0}},
	{"unset, response", "02 02 04 04'deny'", put_unset_var, SPOP_SCOPE_RESPONSE, {0}},

	{"set null", SET "00", IN_TXN, {.type = SPOP_NULL}},
	{"set true", SET "11", IN_TXN, {.type = SPOP_BOOL, .boolean = true}},
	{"set false", SET "01", IN_TXN, {.type = SPOP_BOOL, .boolean = false}},
	{"set INT64", SET "04 fff0fefefefefefefe0e", IN_TXN, {.type = SPOP_INT64, .number = -1}},
	{"set UINT64", SET "05 f000", IN_TXN, {.type = SPOP_UINT64, .natural = 240}},
	{"set IPv4", SET "06 7f000001", IN_TXN, {.type = SPOP_IPV4, .ipv4 = {127, 0, 0, 1}}},
	{"set empty string", SET "08 00", IN_TXN, {.type = SPOP_STR}},
	{"set string", SET "08 02'ok'", IN_TXN, {.type = SPOP_STR, TEXT("ok")}},
	{"set binary", SET "09 02'ok'", IN_TXN, {.type = SPOP_BIN, TEXT("ok")}},
};

TEST_ROWS(actions)
{
	struct vector v = vector_of(row->action);
	struct variable variable = {row->scope, row->data};

	sweep_encoder(vector_bytes(&v), row->put, &variable);
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
