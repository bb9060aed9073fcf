#include "net/spop/spop_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/store_error.h"
#include "support/sweep.h"
#include "support/test.h"
#include "wire/reader.h"
#include "wire/spop_frame.h"

#define SECOND INT64_C(1000000)
#define MANY   (INT64_C(1) << 52)

/* ---- arguments become attributes ---- */

static struct value value_of(struct spop_data data)
{
	struct spop_argument argument = {BYTES("name"), data};

	struct attribute attribute = spop_map_attribute(&argument);

	assert_bytes_text(attribute.name, "name");
	return attribute.value;
}

static const struct {
	const char *name;
	struct spop_data data;
	struct value expected;
} numbers[] = {
	{"null", {.type = SPOP_NULL}, {.kind = VALUE_ABSENT}},
	{"true", {.type = SPOP_BOOL, .boolean = true}, {.kind = VALUE_BOOL, .boolean = true}},
	{"false", {.type = SPOP_BOOL, .boolean = false}, {.kind = VALUE_BOOL, .boolean = false}},
	{"INT32 5", {.type = SPOP_INT32, .number = 5}, {.kind = VALUE_NATURAL, .natural = 5}},
	{"INT32 -5", {.type = SPOP_INT32, .number = -5}, {.kind = VALUE_NEGATIVE, .negative = -5}},
	{"INT64 0", {.type = SPOP_INT64, .number = 0}, {.kind = VALUE_NATURAL, .natural = 0}},
	{"INT64 least",
	 {.type = SPOP_INT64, .number = INT64_MIN},
	 {.kind = VALUE_NEGATIVE, .negative = INT64_MIN}},
	{"UINT32 greatest",
	 {.type = SPOP_UINT32, .natural = UINT32_MAX},
	 {.kind = VALUE_NATURAL, .natural = UINT32_MAX}},
	{"UINT64 greatest",
	 {.type = SPOP_UINT64, .natural = UINT64_MAX},
	 {.kind = VALUE_NATURAL, .natural = UINT64_MAX}},
};

TEST_ROWS(numbers)
{
	struct value value = value_of(row->data);

	assert_int_equal(value.kind, row->expected.kind);
	if (value.kind == VALUE_BOOL)
		assert_int_equal(value.boolean, row->expected.boolean);
	else if (value.kind != VALUE_ABSENT)
		assert_int_equal(value.natural, row->expected.natural);
}

TEST(spop_map_attribute_addresses_are_addresses)
{
	static const struct spop_data v4 = {.type = SPOP_IPV4, .ipv4 = {192, 0, 2, 1}};
	static const struct spop_data v6 = {.type = SPOP_IPV6, .ipv6 = {0x20, 1, [15] = 7}};

	assert_int_equal(value_of(v4).kind, VALUE_IPV4);
	assert_memory_equal(value_of(v4).ipv4, v4.ipv4, sizeof v4.ipv4);
	assert_int_equal(value_of(v6).kind, VALUE_IPV6);
	assert_memory_equal(value_of(v6).ipv6, v6.ipv6, sizeof v6.ipv6);
}

TEST(spop_map_attribute_strings_and_binaries_are_their_bytes)
{
	for (int type = SPOP_STR; type <= SPOP_BIN; type++) {
		struct value value = value_of(
			(struct spop_data){.type = (enum spop_type)type, .bytes = BYTES("a\0b")});
		assert_int_equal(value.kind, VALUE_TEXT);
		assert_bytes_equal(value.text, BYTES("a\0b"));
	}
}

/* ---- --spop-vars ---- */

static const struct {
	const char *name; /* the text */
	unsigned expected;
} variable_lists[] = {
	{"all", SPOP_VARS_ALL},
	{"none", 0},
	{"policy", SPOP_VAR_BIT(SPOP_VAR_POLICY)},
	{"limit", SPOP_VAR_BIT(SPOP_VAR_LIMIT)},
	{"remaining", SPOP_VAR_BIT(SPOP_VAR_REMAINING)},
	{"reset", SPOP_VAR_BIT(SPOP_VAR_RESET)},
	{"ratelimit", SPOP_VAR_BIT(SPOP_VAR_RATELIMIT)},
	{"ratelimit_policy", SPOP_VAR_BIT(SPOP_VAR_RATELIMIT_POLICY)},
	{"policy,reset", SPOP_VAR_BIT(SPOP_VAR_POLICY) | SPOP_VAR_BIT(SPOP_VAR_RESET)},
	{" reset , policy ", SPOP_VAR_BIT(SPOP_VAR_POLICY) | SPOP_VAR_BIT(SPOP_VAR_RESET)},
	{"reset,reset", SPOP_VAR_BIT(SPOP_VAR_RESET)},
	{"policy,limit,remaining,reset,ratelimit,ratelimit_policy", SPOP_VARS_ALL},
};

TEST_ROWS(variable_lists)
{
	unsigned vars = 0xa5a5;

	assert_true(spop_map_parse_vars(bytes_from_text(row->name), &vars));
	assert_int_equal(vars, row->expected);
}

static const struct {
	const char *name;
} bad_variable_lists[] = {
	{""},        {","},           {"policy,"},      {",policy"}, {"allowed"},
	{"reason"},  {"retry_after"}, {"policy limit"}, {"Policy"},  {"polic"},
	{"policyx"}, {"all,policy"},  {"none,"},        {"policy;"}, {"txn.rl.policy"},
};

TEST_ROWS(bad_variable_lists)
{
	unsigned vars = 0xa5a5;

	assert_false(spop_map_parse_vars(bytes_from_text(row->name), &vars));
	assert_int_equal(vars, 0xa5a5);
}

/* ---- a request of so many policies ---- */

struct scene {
	struct policy policies[REQUEST_CHECKS_MAX];
	struct check checks[REQUEST_CHECKS_MAX];
	struct request request;
};

static void set_scene(struct scene *scene, size_t count, size_t name_len)
{
	memset(scene, 0, sizeof *scene);
	scene->request.count = count;
	for (size_t i = 0; i < count; i++) {
		struct policy *policy = &scene->policies[i];
		struct check *check = &scene->checks[i];
		memset(policy->name, (int)('a' + i), name_len);
		policy->name_len = (uint8_t)name_len;
		policy->position = i;
		policy->terms.quota = (struct quota){
			.algorithm = FIXED_WINDOW, .limit = 10, .window_us = 60 * SECOND};
		check->policy = policy;
		check->terms = &policy->terms;
		check->quota = &policy->terms.quota;
		check->is_decided = true;
		check->outcome = (struct outcome){.allowed = true,
						  .remaining = 5,
						  .reset_us = 60 * SECOND,
						  .grows_us = 3 * SECOND};
		scene->request.checks[i] = check;
	}
}

/* The largest numbers that there can be. */
static void make_large(struct scene *scene)
{
	for (size_t i = 0; i < scene->request.count; i++) {
		scene->policies[i].terms.quota.limit = MANY;
		scene->policies[i].terms.quota.window_us = QUOTA_WINDOW_MAX_US;
		scene->checks[i].outcome = (struct outcome){.allowed = false,
							    .remaining = MANY - 1,
							    .retry_after_us = QUOTA_WINDOW_MAX_US,
							    .reset_us = QUOTA_WINDOW_MAX_US};
	}
}

/* "passed:REMAINING", "unused", "stopped:WAIT_US", "failed_allow" or "failed_deny". */
static void set_check(struct check *check, struct policy *policy, const char *word)
{
	char kind[16] = "";
	int64_t number = 0;

	assert_true(sscanf(word, "%15[a-z_]:%" SCNd64, kind, &number) >= 1);
	if (strcmp(kind, "passed") == 0) {
		check->outcome.remaining = number;
	} else if (strcmp(kind, "unused") == 0) {
		check->outcome = (struct outcome){.allowed = true, .remaining = 10};
	} else if (strcmp(kind, "stopped") == 0) {
		check->outcome.allowed = false;
		check->outcome.remaining = 0;
		check->outcome.retry_after_us = number;
	} else {
		check->error = STORE_TIMEOUT;
		check->is_decided = false;
		if (strcmp(kind, "failed_deny") == 0)
			policy->terms.on_error = ON_ERROR_DENY;
		else
			assert_string_equal(kind, "failed_allow");
	}
}

/* The checks by policies a, b and so on, with spaces between; or "invalid". */
static void set_scene_of(struct scene *scene, const char *notation)
{
	struct bytes rest = bytes_from_text(notation), item;
	char words[REQUEST_CHECKS_MAX][32];
	size_t count = 0;

	set_scene(scene, 0, 1);
	if (strcmp(notation, "invalid") == 0) {
		scene->request.is_invalid = true;
		return;
	}
	while (rest.len > 0 && bytes_next_item(&rest, ' ', &item)) {
		assert_true(count < REQUEST_CHECKS_MAX);
		snprintf(words[count++], sizeof words[0], "%.*s", (int)item.len,
			 (const char *)item.data);
	}
	set_scene(scene, count, 1);
	for (size_t k = 0; k < count; k++)
		set_check(&scene->checks[k], &scene->policies[k], words[k]);
}

/* ---- the ACK, and what HAProxy reads in it ---- */

struct ack {
	uint8_t data[SPOP_ACK_MAX];
	size_t len;
};

/* As a connection puts it. */
static void put_ack(struct ack *ack, const struct verdict *verdict, unsigned vars,
		    size_t max_frame_size, uint64_t id)
{
	size_t max = max_frame_size + SPOP_LENGTH_BYTES;
	struct writer w = writer_on(ack->data, max < SPOP_ACK_MAX ? max : SPOP_ACK_MAX);
	size_t begin = spop_frame_begin(&w, SPOP_ACK, id, id);

	spop_map_put_verdict(&w, verdict, vars);

	assert_false(w.full);
	spop_frame_end(&w, begin);
	ack->len = w.len;
}

static struct bytes payload_of(const struct ack *ack, size_t max_frame_size)
{
	struct bytes from = bytes_from(ack->data, ack->len);
	struct spop_frame frame;
	enum spop_status status;

	assert_int_equal(spop_frame_next(&from, max_frame_size, &frame, &status), SPOP_FOUND_FRAME);
	assert_int_equal(frame.type, SPOP_ACK);
	assert_int_equal(from.len, 0);
	return frame.payload;
}

struct action {
	bool is_set;
	struct bytes name;
	struct spop_data data;
};

static bool next_action(struct bytes *payload, struct action *action)
{
	uint8_t type, count, scope;

	if (payload->len == 0)
		return false;
	assert_true(read_u8(payload, &type));
	assert_true(read_u8(payload, &count));
	assert_true(read_u8(payload, &scope));
	assert_true(read_string(payload, &action->name));
	assert_in_range(type, 1, 2);
	assert_int_equal(scope, SPOP_SCOPE_TRANSACTION);
	action->is_set = type == 1;
	assert_int_equal(count, action->is_set ? 3 : 2);
	if (action->is_set)
		assert_true(spop_data_read(payload, &action->data));
	return true;
}

static bool find_action(struct bytes payload, const char *name, struct action *ret_action)
{
	bool found = false;
	struct action action;

	while (next_action(&payload, &action)) {
		if (!bytes_equal(action.name, bytes_from_text(name)))
			continue;
		assert_false(found); /* once */
		found = true;
		*ret_action = action;
	}
	return found;
}

static void put_action(struct writer *w, const struct action *action)
{
	if (w->len > 0)
		writer_put_u8(w, ' ');
	if (!action->is_set)
		writer_put_u8(w, '-');
	writer_put(w, action->name);
	if (!action->is_set)
		return;
	writer_put_u8(w, '=');
	switch ((int)action->data.type) {
	case SPOP_BOOL:
		writer_put_text(w, action->data.boolean ? "true" : "false");
		return;
	case SPOP_INT64:
		writer_put_decimal(w, action->data.number);
		return;
	case SPOP_STR:
		writer_put(w, action->data.bytes);
		return;
	}
	fail_msg("a variable of type %d", (int)action->data.type);
}

/* "name=value" for what is set and "-name" for what is unset, in order. */
static void assert_variables(const struct scene *scene, enum on_error on_error, unsigned vars,
			     const char *expected)
{
	struct verdict verdict = verdict_fold(&scene->request, on_error);
	char text[SPOP_ACK_MAX + 256];
	struct writer w = writer_on(text, sizeof text);
	struct action action;
	struct ack ack;

	put_ack(&ack, &verdict, vars, SPOP_ACK_MAX, 1);
	struct bytes payload = payload_of(&ack, SPOP_ACK_MAX);
	while (next_action(&payload, &action))
		put_action(&w, &action);

	assert_string_equal(writer_text(&w), expected);
}

#define ALL_UNSET "-policy -limit -remaining -reset -ratelimit -ratelimit_policy"

static const struct {
	const char *name, *checks;
	enum on_error flag;
	unsigned vars;
	const char *expected;
} verdicts[] = {
	{"none unsets all that has no value", "", ON_ERROR_ALLOW, SPOP_VARS_ALL,
	 "allowed=true reason=none degraded=false retry_after=0 retry_after_ms=0 " ALL_UNSET},
	{"invalid, allowed, unsets all that has no value", "invalid", ON_ERROR_ALLOW, SPOP_VARS_ALL,
	 "allowed=true reason=invalid degraded=false retry_after=0 retry_after_ms=0 " ALL_UNSET},
	{"invalid, denied, unsets all that has no value", "invalid", ON_ERROR_DENY, SPOP_VARS_ALL,
	 "allowed=false reason=invalid degraded=false retry_after=-1 retry_after_ms=-1 " ALL_UNSET},
	{"allowed sets all", "passed:5 passed:4", ON_ERROR_ALLOW, SPOP_VARS_ALL,
	 "allowed=true reason=ok degraded=false retry_after=0 retry_after_ms=0 "
	 "policy=b limit=10 remaining=4 reset=60 ratelimit=\"b\";r=4;t=3, \"a\";r=5;t=3 "
	 "ratelimit_policy=\"b\";q=10;w=60, \"a\";q=10;w=60"},
	{"limited sets all", "stopped:29400001", ON_ERROR_ALLOW, SPOP_VARS_ALL,
	 "allowed=false reason=limited degraded=false retry_after=30 retry_after_ms=29401 "
	 "policy=a limit=10 remaining=0 reset=60 ratelimit=\"a\";r=0;t=30 "
	 "ratelimit_policy=\"a\";q=10;w=60"},
	{"never is -1", "stopped:-1", ON_ERROR_ALLOW, SPOP_VARS_ALL,
	 "allowed=false reason=limited degraded=false retry_after=-1 retry_after_ms=-1 "
	 "policy=a limit=10 remaining=0 reset=60 ratelimit=\"a\";r=0 "
	 "ratelimit_policy=\"a\";q=10;w=60"},
	{"an error that allows has policy and limit only", "passed:5 failed_allow", ON_ERROR_ALLOW,
	 SPOP_VARS_ALL,
	 "allowed=true reason=error degraded=true retry_after=0 retry_after_ms=0 "
	 "policy=b limit=10 -remaining -reset -ratelimit -ratelimit_policy"},
	{"an error that denies has policy and limit only", "passed:5 failed_deny", ON_ERROR_ALLOW,
	 SPOP_VARS_ALL,
	 "allowed=false reason=error degraded=true retry_after=1 retry_after_ms=1000 "
	 "policy=b limit=10 -remaining -reset -ratelimit -ratelimit_policy"},
	{"nothing used resets in 0", "unused", ON_ERROR_ALLOW, SPOP_VARS_ALL,
	 "allowed=true reason=ok degraded=false retry_after=0 retry_after_ms=0 "
	 "policy=a limit=10 remaining=10 reset=0 ratelimit=\"a\";r=10 "
	 "ratelimit_policy=\"a\";q=10;w=60"},
	{"no optional variables", "passed:5", ON_ERROR_ALLOW, 0,
	 "allowed=true reason=ok degraded=false retry_after=0 retry_after_ms=0"},
	{"two optional variables", "passed:5", ON_ERROR_ALLOW,
	 SPOP_VAR_BIT(SPOP_VAR_POLICY) | SPOP_VAR_BIT(SPOP_VAR_RATELIMIT),
	 "allowed=true reason=ok degraded=false retry_after=0 retry_after_ms=0 "
	 "policy=a ratelimit=\"a\";r=5;t=3"},
	{"one optional variable is unset", "", ON_ERROR_ALLOW, SPOP_VAR_BIT(SPOP_VAR_RESET),
	 "allowed=true reason=none degraded=false retry_after=0 retry_after_ms=0 -reset"},
};

TEST_ROWS(verdicts)
{
	struct scene scene;

	set_scene_of(&scene, row->checks);

	assert_variables(&scene, row->flag, row->vars, row->expected);
}

/* Values that may not fit are put by other code than those that do. */
TEST(spop_map_put_verdict_is_the_same_with_little_room)
{
	struct scene scene;
	struct ack large, small;

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		set_scene_of(&scene, verdicts[i].checks);
		struct verdict verdict = verdict_fold(&scene.request, verdicts[i].flag);
		put_ack(&large, &verdict, verdicts[i].vars, SPOP_ACK_MAX, 1);
		put_ack(&small, &verdict, verdicts[i].vars, 330, 1);

		assert_int_equal(small.len, large.len);
		assert_memory_equal(small.data, large.data, large.len);
	}
}

/* ---- how large it gets ---- */

static const char *const variables[] = {
	"allowed", "reason",    "degraded", "retry_after", "retry_after_ms",   "policy",
	"limit",   "remaining", "reset",    "ratelimit",   "ratelimit_policy",
};

_Static_assert(ARRAY_SIZE(variables) == SPOP_VAR_COUNT, "a variable is not tested");

#define ALWAYS SPOP_VAR_FIRST_OPTIONAL

TEST(spop_map_put_verdict_variables_come_in_the_order_of_the_enum)
{
	struct scene scene;
	struct action action;
	struct ack ack;

	set_scene(&scene, 1, 1);
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);
	put_ack(&ack, &verdict, SPOP_VARS_ALL, SPOP_ACK_MAX, 1);
	struct bytes payload = payload_of(&ack, SPOP_ACK_MAX);

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		assert_true(next_action(&payload, &action));
		assert_bytes_text(action.name, variables[i]);
	}
	assert_int_equal(payload.len, 0);
}

TEST(spop_map_parse_vars_any_optional_variable_is_known_by_its_name)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		unsigned vars = 0;
		bool is_known = spop_map_parse_vars(bytes_from_text(variables[i]), &vars);
		assert_int_equal(is_known, i >= ALWAYS);
		assert_int_equal(vars, is_known ? SPOP_VAR_BIT(i) : 0);
	}
}

static size_t count_policies(struct bytes payload, const char *variable)
{
	struct action action;
	struct bytes item;
	size_t count = 0;

	assert_true(find_action(payload, variable, &action));
	if (!action.is_set)
		return 0;
	/* Whole items: a name in quotes, and parameters that end with a digit. */
	while (bytes_next_item(&action.data.bytes, ',', &item)) {
		item = bytes_trim(item);
		assert_true(item.len > 2 && item.data[0] == '"');
		assert_in_range(item.data[item.len - 1], '0', '9');
		count++;
	}
	return count;
}

TEST(spop_map_put_verdict_sixteen_long_names_stay_within_700_bytes)
{
	struct scene scene;
	struct ack ack;

	set_scene(&scene, REQUEST_CHECKS_MAX, POLICY_NAME_MAX);
	make_large(&scene);
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);
	put_ack(&ack, &verdict, SPOP_VARS_ALL, 65536, UINT64_MAX);
	struct bytes payload = payload_of(&ack, 65536);

	assert_true(ack.len <= SPOP_ACK_MAX);
	assert_int_equal(count_policies(payload, "ratelimit"), 2);
	assert_int_equal(count_policies(payload, "ratelimit_policy"), 2);
}

TEST(spop_map_put_verdict_short_names_all_fit)
{
	struct scene scene;
	struct ack ack;

	set_scene(&scene, REQUEST_CHECKS_MAX, 1);
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);
	put_ack(&ack, &verdict, SPOP_VARS_ALL, 65536, UINT64_MAX);
	struct bytes payload = payload_of(&ack, 65536);

	assert_int_equal(count_policies(payload, "ratelimit"), REQUEST_CHECKS_MAX);
	assert_int_equal(count_policies(payload, "ratelimit_policy"), REQUEST_CHECKS_MAX);
}

static void assert_has_variables(struct bytes payload, size_t first, size_t end)
{
	struct action action;

	for (size_t i = first; i < end; i++)
		if (!find_action(payload, variables[i], &action))
			fail_msg("%s is neither set nor unset", variables[i]);
}

/* Any number of policies, any length of their names, any max-frame-size. */
TEST(spop_map_put_verdict_any_size_is_kept_to)
{
	static const size_t sizes[] = {256, 257, 300, 400, 500, 600, 695, 696, 697, 65536};
	struct scene scene;
	struct ack ack;

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		for (size_t count = 0; count <= REQUEST_CHECKS_MAX; count++)
			for (size_t len = 1; len <= POLICY_NAME_MAX; len++) {
				set_scene(&scene, count, len);
				if (len % 2 == 0)
					make_large(&scene);
				struct verdict verdict =
					verdict_fold(&scene.request, ON_ERROR_ALLOW);
				put_ack(&ack, &verdict, SPOP_VARS_ALL, sizes[s], UINT64_MAX);
				struct bytes payload = payload_of(&ack, sizes[s]);

				assert_true(ack.len <= SPOP_ACK_MAX);
				assert_has_variables(payload, 0, ALWAYS);
			}
}

TEST(spop_map_put_verdict_from_400_bytes_every_variable_has_its_action)
{
	static const size_t sizes[] = {400, 500, 600, 65536};
	struct scene scene;
	struct ack ack;

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		for (size_t count = 0; count <= REQUEST_CHECKS_MAX; count++)
			for (size_t len = 1; len <= POLICY_NAME_MAX; len++) {
				set_scene(&scene, count, len);
				make_large(&scene);
				struct verdict verdict =
					verdict_fold(&scene.request, ON_ERROR_ALLOW);
				put_ack(&ack, &verdict, SPOP_VARS_ALL, sizes[s], UINT64_MAX);
				struct bytes payload = payload_of(&ack, sizes[s]);

				assert_has_variables(payload, 0, ARRAY_SIZE(variables));
				assert_int_equal(count_policies(payload, "ratelimit"),
						 count_policies(payload, "ratelimit_policy"));
			}
}

/*
 * docs/reference.md, section SPOP: variables that have no value are unset, so that a second group
 * in one transaction leaves nothing stale. That holds on the smallest connection too: a value that
 * does not fit is no value, and to unset all six takes less than to set them.
 */
TEST(spop_map_put_verdict_at_256_bytes_nothing_stale_is_left)
{
	struct scene scene;
	struct ack ack;

	for (size_t len = 1; len <= POLICY_NAME_MAX; len++)
		for (int large = 0; large < 2; large++) {
			set_scene(&scene, 1, len);
			if (large)
				make_large(&scene);
			struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);
			put_ack(&ack, &verdict, SPOP_VARS_ALL, SPOP_FRAME_LIMIT_MIN, UINT32_MAX);
			assert_has_variables(payload_of(&ack, SPOP_FRAME_LIMIT_MIN), 0,
					     ARRAY_SIZE(variables));
		}
}

TEST(spop_map_put_verdict_at_256_bytes_a_denial_is_whole)
{
	struct scene scene;
	struct action action;
	struct ack ack;

	set_scene(&scene, REQUEST_CHECKS_MAX, POLICY_NAME_MAX);
	make_large(&scene);
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);
	put_ack(&ack, &verdict, SPOP_VARS_ALL, SPOP_FRAME_LIMIT_MIN, UINT64_MAX);
	struct bytes payload = payload_of(&ack, SPOP_FRAME_LIMIT_MIN);

	assert_true(ack.len <= SPOP_FRAME_LIMIT_MIN + SPOP_LENGTH_BYTES);
	assert_true(find_action(payload, "allowed", &action));
	assert_true(action.is_set && !action.data.boolean);
	assert_true(find_action(payload, "retry_after_ms", &action));
	assert_int_equal(action.data.number, QUOTA_WINDOW_MAX_US / 1000);
}

static bool is_set_at(const struct verdict *verdict, const char *variable, unsigned vars,
		      size_t ack_len)
{
	struct action action;
	struct ack ack;

	put_ack(&ack, verdict, vars, ack_len - SPOP_LENGTH_BYTES, UINT32_MAX);
	assert_true(find_action(payload_of(&ack, ack_len), variable, &action));
	return action.is_set;
}

TEST(spop_map_put_verdict_a_value_that_leaves_just_enough_to_unset_the_others_is_set)
{
	unsigned vars = SPOP_VAR_BIT(SPOP_VAR_POLICY) | SPOP_VAR_BIT(SPOP_VAR_LIMIT) |
			SPOP_VAR_BIT(SPOP_VAR_REMAINING) | SPOP_VAR_BIT(SPOP_VAR_RESET);
	struct scene scene;
	struct ack ack;

	set_scene(&scene, 1, POLICY_NAME_MAX);
	scene.checks[0].error = STORE_TIMEOUT;
	scene.checks[0].is_decided = false;
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);
	put_ack(&ack, &verdict, vars, SPOP_ACK_MAX, UINT32_MAX);

	assert_true(is_set_at(&verdict, "limit", vars, ack.len));
	assert_false(is_set_at(&verdict, "limit", vars, ack.len - 1));
}

/* Three bytes are kept for the type and the length of each header, also of one under 240 bytes. */
TEST(spop_map_put_verdict_headers_that_just_fit_are_set)
{
	struct scene scene;
	struct ack ack;

	set_scene(&scene, 1, POLICY_NAME_MAX);
	struct verdict verdict = verdict_fold(&scene.request, ON_ERROR_ALLOW);
	put_ack(&ack, &verdict, SPOP_VARS_ALL, SPOP_ACK_MAX, UINT32_MAX);

	assert_true(is_set_at(&verdict, "ratelimit", SPOP_VARS_ALL, ack.len + 2));
	assert_true(is_set_at(&verdict, "ratelimit_policy", SPOP_VARS_ALL, ack.len + 2));
	assert_false(is_set_at(&verdict, "ratelimit", SPOP_VARS_ALL, ack.len - 1));
	assert_false(is_set_at(&verdict, "ratelimit_policy", SPOP_VARS_ALL, ack.len - 1));
}
