/* A line is asked of the engine with balances in memory, counted, and answered in a file. */
#include "app/replay/replay_ask.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ev.h>
#include <sodium.h>

#include "app/policies/policy_file.h"
#include "support/test.h"

#define POLICIES                                                                             \
	"{\"policies\":{"                                                                    \
	"\"login\":{\"algorithm\":\"fixed_window\",\"limit\":2,\"window\":\"10s\",\"key\":"  \
	"[\"src\"],\"match\":{\"path\":\"/login\"}},"                                        \
	"\"all\":{\"algorithm\":\"token_bucket\",\"capacity\":3,\"refill_rate\":1,\"key\":[" \
	"\"user\"],\"shadow\":true}}}"

static struct options options;
static bool is_stopped;
static struct policies *policies;
static struct replay_engine *engine;
static struct replay_counts counts;
static struct replay_output *output;
static struct replay_asker *asker;

BEFORE_ALL
{
	char *none[] = {NULL};
	struct err err;
	bool help;

	assert_true(sodium_init() >= 0);
	assert_true(options_read(none, none, &options, &help, &err));
}

BEFORE_EACH
{
	struct problems problems;
	struct err err;

	is_stopped = false;
	policies = policy_file_parse(BYTES(POLICIES), ON_ERROR_ALLOW, &problems);
	asker = calloc(1, sizeof *asker);
	output = malloc(sizeof *output);
	assert_true(policies != NULL && asker != NULL && output != NULL);
	assert_true(replay_counts_init(&counts, policies, true));
	engine = replay_engine_new(
		&(struct replay_engine_config){
			.loop = ev_default_loop(EVFLAG_AUTO),
			.options = &options,
			.policies = policies,
			.is_stopped = &is_stopped,
			.answered = replay_ask_answered,
			.owner = asker,
		},
		&err);
	assert_non_null(engine);
	replay_output_init(output, ev_default_loop(EVFLAG_AUTO), memfd_create("answers", 0),
			   &is_stopped);
	asker->engine = engine;
	asker->output = output;
	asker->counts = &counts;
}

AFTER_EACH
{
	struct err err;

	assert_true(replay_engine_clean_up(engine, &err));
	replay_engine_free(engine);
	replay_counts_release(&counts);
	policies_unref(policies);
	close(output->fd);
	free(output);
	free(asker);
}

static enum replay_answer ask(const char *text, struct err *err)
{
	struct replay_line line;

	strcpy(err->text, "");
	if (!replay_line_read(bytes_from_text(text), &line, err))
		fail_msg("%s: %s", text, err->text);
	return replay_ask_line(asker, &line, err);
}

static void assert_answered(const char *text)
{
	struct err err;

	if (ask(text, &err) != REPLAY_ANSWERED)
		fail_msg("%s: %s", text, err.text);
}

/* The answers since the last call, in a memory that the next call takes. */
static const char *answers(void)
{
	static char memory[8192];
	struct err err;

	assert_true(replay_output_flush(output, &err));
	ssize_t len = pread(output->fd, memory, sizeof memory - 1, 0);
	assert_true(len >= 0);
	memory[len] = '\0';
	assert_int_equal(ftruncate(output->fd, 0), 0);
	assert_int_equal(lseek(output->fd, 0, SEEK_SET), 0);
	return memory;
}

static void assert_begins(const char *text, const char *begin)
{
	if (strncmp(text, begin, strlen(begin)) != 0)
		fail_msg("%s\ndoes not begin with %s", text, begin);
}

#define LOGIN(at) "{\"at_ms\":" at ",\"attributes\":{\"src\":\"192.0.2.1\",\"path\":\"/login\"}}"

TEST(replay_ask_line_answers_are_those_of_their_times)
{
	static const char *const at_ms[] = {"0", "1.5", "9999.999", "10000"};
	static const char *const begins[] = {
		"{\"at_ms\":0,\"allowed\":true,",
		"{\"at_ms\":1.5,\"allowed\":true,",
		"{\"at_ms\":9999.999,\"allowed\":false,",
		"{\"at_ms\":10000,\"allowed\":true,",
	};

	for (size_t i = 0; i < ARRAY_SIZE(at_ms); i++) {
		char line[256];
		snprintf(line, sizeof line, LOGIN("%s"), at_ms[i]);
		assert_answered(line);
		const char *text = answers();
		assert_begins(text, begins[i]);
		assert_string_equal(strchr(text, '\n'), "\n");
	}
}

TEST(replay_ask_line_each_verdict_is_counted)
{
	const struct replay_row *row = replay_counts_row(&counts, policies_at(policies, 0));

	assert_answered(LOGIN("0"));
	assert_answered(LOGIN("1000"));
	assert_answered(LOGIN("2000"));
	assert_answered("{\"at_ms\":500,\"policy\":\"all\",\"key\":\"ann\",\"cost\":4}");

	assert_int_equal(counts.requests, 4);
	assert_int_equal(counts.denied, 1);
	assert_int_equal(row->total.allowed, 2);
	assert_int_equal(row->total.denied, 1);
	row = replay_counts_row(&counts, policies_at(policies, 1));
	assert_int_equal(row->total.shadow_denied, 1);
	assert_int_equal(replay_engine_stats(engine).reasons[SOURCE_HTTP][REASON_LIMITED], 1);
	assert_int_equal(replay_engine_evicted(engine), 0);
}

TEST(replay_ask_line_what_is_wrong_is_told)
{
	struct err err;

	assert_int_equal(ask("{\"at_ms\":0,\"policy\":\"x\",\"key\":\"a\"}", &err),
			 REPLAY_UNKNOWN_POLICY);
	assert_non_null(strstr(err.text, "\"x\""));
	assert_int_equal(ask("{\"at_ms\":0,\"policy\":\"all\",\"key\":\"a\",\"cost\":-1}", &err),
			 REPLAY_INVALID);
	assert_non_null(strstr(err.text, "cost"));
	assert_int_equal(ask("{\"at_ms\":0,\"colour\":1}", &err), REPLAY_INVALID);
	assert_non_null(strstr(err.text, "colour"));

	assert_string_equal(answers(), "");
	assert_int_equal(counts.requests, 0);
}

TEST(replay_ask_line_a_batch_has_an_answer_for_each_check)
{
	assert_answered("{\"at_ms\":7,\"checks\":["
			"{\"policy\":\"all\",\"key\":\"a\",\"cost\":3},"
			"{\"policy\":\"x\",\"key\":\"a\"},"
			"{\"colour\":1},"
			"{\"policy\":\"login\",\"key\":\"a\",\"cost\":3}]}");
	const char *text = answers();

	assert_begins(text, "{\"at_ms\":7,\"results\":[{\"allowed\":true,");
	const char *unknown = strstr(text, "\"status\":404"), *bad = strstr(text, "\"status\":400");
	assert_true(unknown != NULL && bad != NULL && unknown < bad);
	assert_non_null(strstr(bad, "{\"allowed\":false,"));
	assert_string_equal(text + strlen(text) - 3, "]}\n");
	assert_int_equal(counts.requests, 2);
}

TEST(replay_ask_line_stopped_is_not_asked)
{
	struct err err;

	is_stopped = true;

	assert_int_equal(ask(LOGIN("0"), &err), REPLAY_STOPPED);
	assert_int_equal(counts.requests, 0);
	is_stopped = false;
}

/* Balances that found no place are forgotten and counted; the summary says so. */
TEST(replay_engine_evicted_counts_what_memory_had_no_room_for)
{
	char line[256];
	size_t limit = options.memory_limit;
	struct err err;

	options.memory_limit = 1 << 16;
	replay_engine_free(engine);
	engine = replay_engine_new(
		&(struct replay_engine_config){
			.loop = ev_default_loop(EVFLAG_AUTO),
			.options = &options,
			.policies = policies,
			.is_stopped = &is_stopped,
			.answered = replay_ask_answered,
			.owner = asker,
		},
		&err);
	options.memory_limit = limit;
	assert_non_null(engine);
	asker->engine = engine;
	for (int i = 0; i < 10000; i++) {
		snprintf(line, sizeof line, "{\"at_ms\":0,\"policy\":\"login\",\"key\":\"%d\"}", i);
		assert_answered(line);
	}

	assert_in_range(replay_engine_evicted(engine), 1, 9999);
	assert_int_equal(counts.requests, 10000);
}
