#include "load_message.h"

#include "wire/reader.h"
#include "wire/spop_data.h"
#include "wire/spop_frame.h"

#define FIRST_ADDRESS  UINT32_C(0x0a000000) /* 10.0.0.0 */
#define FRAME_OVERHEAD 32                   /* LENGTH, type, flags and two varints: 29 */
#define SET_VAR        1
#define UNSET_VAR      2

/* ---- the question ---- */

static void put_argument(struct writer *w, struct bytes name, struct spop_data data)
{
	spop_put_string(w, name);
	spop_data_put(w, &data);
}

bool load_question_init(struct load_question *question, const struct load_options *options,
			struct err *err)
{
	struct writer w = writer_on(question->memory, sizeof question->memory - FRAME_OVERHEAD);

	spop_put_string(&w, bytes_from_text(options->message));
	writer_put_u8(&w, (uint8_t)(options->argument_count + (options->keys > 0)));
	for (size_t i = 0; i < options->argument_count; i++)
		put_argument(&w, options->arguments[i].name, spop_str(options->arguments[i].value));
	if (options->keys > 0)
		put_argument(&w, bytes_from_text(options->key),
			     (struct spop_data){.type = SPOP_IPV4});
	if (w.full)
		return err_set(err, "--message, --key and --arg: together too long; accepted are "
				    "about 4000 bytes");
	question->len = w.len;
	question->address_at = options->keys > 0 ? w.len - 4 : 0;
	question->keys = options->keys;
	question->random = UINT64_C(0x9e3779b97f4a7c15);
	question->fill_next = options->fill ? 0 : options->keys;
	return true;
}

/* xorshift64*: https://www.jstatsoft.org/article/view/v008i14 and its multiplied output. */
static uint32_t random_below(struct load_question *question, uint64_t limit)
{
	uint64_t x = question->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	question->random = x;
	return (uint32_t)(((x * UINT64_C(0x2545f4914f6cdd1d)) >> 32) * limit >> 32);
}

bool load_question_is_filling(const struct load_question *question)
{
	return question->fill_next < question->keys;
}

static void write_address(struct load_question *question)
{
	uint32_t address = FIRST_ADDRESS;

	if (load_question_is_filling(question))
		address += (uint32_t)question->fill_next++;
	else
		address += random_below(question, question->keys);
	for (size_t i = 0; i < 4; i++)
		question->memory[question->address_at + i] = (uint8_t)(address >> (24 - 8 * i));
}

size_t load_question_size(const struct load_question *question)
{
	return question->len + FRAME_OVERHEAD;
}

void load_question_put(struct load_question *question, struct writer *w, uint64_t stream_id)
{
	size_t begin = spop_frame_begin(w, SPOP_NOTIFY, stream_id, 1);

	if (question->address_at > 0)
		write_address(question);
	writer_put(w, bytes_from(question->memory, question->len));
	spop_frame_end(w, begin);
}

/* ---- the answer ---- */

static bool is_true(const struct spop_data *data)
{
	uint64_t number;

	if (data->type == SPOP_BOOL)
		return data->boolean;
	return spop_data_natural(data, &number) && number > 0;
}

static void take_variable(struct load_answer *answer, struct bytes name,
			  const struct spop_data *data)
{
	if (bytes_equal(name, BYTES("allowed"))) {
		answer->has_allowed = data->type != SPOP_NULL;
		answer->is_allowed = is_true(data);
	} else if (bytes_equal(name, BYTES("degraded"))) {
		answer->is_degraded = is_true(data);
	} else if (bytes_equal(name, BYTES("reason"))) {
		answer->is_error =
			data->type == SPOP_STR && bytes_equal(data->bytes, BYTES("error"));
	}
}

/* SPOE.txt 3.4: type, number of arguments, scope, name, and the value if it is set-var. */
static bool take_action(struct bytes *payload, struct load_answer *answer)
{
	uint8_t type, count, scope;
	struct bytes name;
	struct spop_data data;

	if (!read_u8(payload, &type) || !read_u8(payload, &count) || !read_u8(payload, &scope) ||
	    !read_string(payload, &name))
		return false;
	if (type == UNSET_VAR)
		return count == 2;
	if (type != SET_VAR || count != 3 || !spop_data_read(payload, &data))
		return false;
	take_variable(answer, name, &data);
	return true;
}

bool load_answer_read(struct bytes payload, struct load_answer *ret_answer)
{
	struct load_answer answer = {0};

	if (payload.len == 0)
		return false; /* HAProxy 3.1.0 waits for its timeout then */
	while (payload.len > 0)
		if (!take_action(&payload, &answer))
			return false;
	*ret_answer = answer;
	return true;
}
