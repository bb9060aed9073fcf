/*
 * Explain and the verdict of the same request, with the time stopped: over policies with overrides
 * and shares in shadow, lists, and exceptions that change all the time.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/operate/explain.h"
#include "base/json_reader.h"
#include "net/http/http_reply.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/app/view/world.h"

#define NOW_US    INT64_C(1700000000000000)
#define NAMES_MAX 3
#define ASKED_MAX 6

static const char *const files[] = {
	"{\"policies\":{"
	"\"per-ip\":{\"algorithm\":\"token_bucket\",\"capacity\":5,\"refill_rate\":\"1/1h\","
	"\"key\":[\"src\"]},"
	"\"login\":{\"algorithm\":\"sliding_window\",\"limit\":3,\"window\":\"1m\",\"key\":["
	"\"src\",\"tenant\"],\"match\":{\"path\":\"/login\"},\"on_error\":\"deny\"},"
	"\"tenant\":{\"algorithm\":\"fixed_window\",\"limit\":4,\"window\":\"1d\",\"key\":"
	"[\"tenant\"],\"overrides\":[{\"match\":{\"tenant\":\"acme\"},\"limit\":9},"
	"{\"match\":{\"tenant\":\"in-*\"},\"unlimited\":true},"
	"{\"match\":{\"tenant\":\"bad\"},\"blocked\":true},"
	"{\"match\":{\"tenant\":\"dim\"},\"shadow\":true}]}}}",

	"{\"allow\":[{\"src\":\"192.0.2.1\",\"path\":\"/\"}],"
	"\"block\":[{\"src\":\"192.0.2.2\",\"path\":\"/\"},{\"tenant\":\"bad\"}],\"policies\":{"
	"\"per-ip\":{\"algorithm\":\"sliding_window_counter\",\"limit\":5,\"window\":\"1h\","
	"\"key\":[\"src\"],\"shadow\":\"50%\"},"
	"\"tenant\":{\"algorithm\":\"fixed_window\",\"limit\":4,\"window\":\"1d\",\"key\":"
	"[\"tenant\"],\"shadow\":true}}}",
};

static const char *const sources[] = {"192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1"};
static const char *const networks[] = {"192.0.2.1", "192.0.2.0/24", "198.51.0.0/16",
				       "2001:db8::/32"};
static const char *const paths[] = {"/login", "/"};
static const char *const tenants[] = {"acme", "in-side", "bad", "dim", "other"};
static const char *const policies[] = {"per-ip", "login", "tenant"};

static struct world world;

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

/* ---- exceptions ---- */

/* Of no policy: some of the names, sorted. */
static size_t choose_names(struct chance *chance, struct exception_name *names)
{
	unsigned chosen = (unsigned)chance_between(chance, 1, 7);
	size_t count = 0;

	if (chosen & 1)
		names[count++] = (struct exception_name){
			BYTES("path"), bytes_from_text(CHANCE_PICK(chance, paths))};
	if (chosen & 2)
		names[count++] = (struct exception_name){
			BYTES("src"), bytes_from_text(CHANCE_PICK(chance, networks))};
	if (chosen & 4)
		names[count++] = (struct exception_name){
			BYTES("tenant"), bytes_from_text(CHANCE_PICK(chance, tenants))};
	return count;
}

static size_t choose_key(struct chance *chance, const struct policy *policy,
			 struct exception_name *names)
{
	for (size_t i = 0; i < policy->key_count; i++) {
		bool is_source = bytes_equal(policy->key[i], BYTES("src"));
		names[i].name = policy->key[i];
		names[i].text = bytes_from_text(is_source ? CHANCE_PICK(chance, sources)
							  : CHANCE_PICK(chance, tenants));
	}
	return policy->key_count;
}

static void set_exception(struct chance *chance, uint64_t changed_ms)
{
	const struct policies *set = engine_policies(world.engine);
	const char *name = CHANCE_PICK(chance, policies);
	const struct policy *policy =
		chance_is_one_in(chance, 3) ? NULL : policies_find(set, bytes_from_text(name));
	struct exception_name names[NAMES_MAX];
	struct exception exception = {
		.kind = (enum exception_kind)chance_between(chance, 0, policy == NULL ? 1 : 2),
		.names = names,
		.changed_ms = changed_ms,
		.until_ms = chance_is_one_in(chance, 3) ? NOW_US / 1000 + 60000 : 0,
		.text = BYTES("{\"policy\":null}"),
	};

	snprintf(exception.id, sizeof exception.id, "%016x",
		 (unsigned)chance_between(chance, 0, 15));
	if (policy == NULL) {
		exception.count = choose_names(chance, names);
	} else {
		exception.policy = bytes_from_text(policy->name);
		exception.algorithm = policy->terms.quota.algorithm;
		exception.key = policy->key;
		exception.key_count = policy->key_count;
		exception.units = exception.kind == EXCEPTION_RAISE ? 7 : 0;
		exception.count = choose_key(chance, policy, names);
	}
	assert_true(exceptions_put(world.exceptions, &exception, set));
}

static void change_exceptions(struct chance *chance, uint64_t changed_ms)
{
	char id[EXCEPTION_ID_MAX + 1];

	snprintf(id, sizeof id, "%016x", (unsigned)chance_between(chance, 0, 15));
	if (chance_is_one_in(chance, 3))
		exceptions_remove(world.exceptions, bytes_from_text(id));
	else
		set_exception(chance, changed_ms);
}

/* ---- requests ---- */

struct asked {
	struct attribute items[ASKED_MAX];
	size_t count;
};

static void add(struct asked *asked, const char *name, const char *value)
{
	asked->items[asked->count++] =
		(struct attribute){bytes_from_text(name), value_text(bytes_from_text(value))};
}

static struct asked random_question(struct chance *chance)
{
	static const char *const costs[] = {"0", "1", "2", "3", "99"};
	struct asked asked = {.count = 0};

	if (chance_is_one_in(chance, 6)) {
		add(&asked, "policy", chance_is_one_in(chance, 2) ? "per-ip" : "tenant,per-ip");
		add(&asked, "key",
		    chance_is_one_in(chance, 2) ? CHANCE_PICK(chance, sources)
						: CHANCE_PICK(chance, tenants));
	} else if (chance_is_one_in(chance, 12)) {
		add(&asked, "algorithm", "fixed_window");
		add(&asked, "limit", "3");
		add(&asked, "window", "1h");
		add(&asked, "key", CHANCE_PICK(chance, tenants));
		return asked;
	}
	if (!chance_is_one_in(chance, 8))
		add(&asked, "src", CHANCE_PICK(chance, sources));
	if (chance_is_one_in(chance, 2))
		add(&asked, "path", CHANCE_PICK(chance, paths));
	if (chance_is_one_in(chance, 2))
		add(&asked, "tenant", CHANCE_PICK(chance, tenants));
	add(&asked, "cost", CHANCE_PICK(chance, costs));
	return asked;
}

/* ---- what they say ---- */

static struct json_value field_of(struct json_value object, const char *name)
{
	struct json_value field, value;

	while (object.kind == JSON_OBJECT && json_next_field(&object, &field, &value))
		if (bytes_equal(field.text, bytes_from_text(name)))
			return value;
	return (struct json_value){.kind = JSON_NULL};
}

static const struct check *find_check(const struct request *request, struct bytes policy)
{
	for (size_t i = 0; i < request->count; i++)
		if (bytes_equal(policy, bytes_from_text(request->checks[i]->policy->name)))
			return request->checks[i];
	return NULL;
}

static void assert_id(struct json_value exception, const char *id)
{
	struct bytes found = field_of(exception, "id").text;

	assert_true(bytes_equal(found, bytes_from_text(id)) || (found.len == 0 && *id == '\0'));
}

/* Each policy applies if and only if the request was checked by it, and by the same exception. */
static void assert_policy(struct json_value policy, const struct request *real)
{
	bool applies = field_of(policy, "applies").kind == JSON_TRUE;
	const struct check *check = find_check(real, field_of(policy, "policy").text);
	char limit[24];

	assert_int_equal(applies, check != NULL);
	if (!applies) {
		assert_true(field_of(policy, "why").text.len > 0);
		return;
	}
	snprintf(limit, sizeof limit, "%lld", (long long)check_limit(check));
	assert_true(bytes_equal(field_of(policy, "limit").text, bytes_from_text(limit)));
	assert_int_equal(field_of(policy, "shadow").kind == JSON_TRUE, check->is_shadow);
	assert_int_equal(field_of(policy, "allowed").kind == JSON_TRUE, check->outcome.allowed);
	assert_id(field_of(policy, "exception"), check->exception);
}

static void assert_explained(const struct verdict *look, const struct attributes *attributes,
			     const struct verdict *real)
{
	uint8_t memory[HTTP_VERDICT_MAX];
	struct writer verdict = writer_on(memory, sizeof memory);
	struct json_value root, list, policy;
	struct err err;
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	assert_true(explain_put(to, look, attributes, BYTES("rl:"), NULL));
	fputc('}', to);
	assert_int_equal(fclose(to), 0);
	assert_true(json_read(bytes_from(text, len), &root, &err));
	http_reply_put_verdict(&verdict, real);
	struct bytes shown = field_of(root, "verdict").text; /* without its braces */
	assert_true(bytes_equal(shown, bytes_from(verdict.data + 1, verdict.len - 2)));
	assert_id(field_of(root, "exception"), real->request->exception.id);
	list = field_of(root, "policies");
	while (json_next_item(&list, &policy))
		assert_policy(policy, real->request);
	free(text);
}

static void explain_pairs(const char *file, int64_t pairs)
{
	struct chance chance = {.state = (uint64_t)environment_number("EXPLAIN_SEED", 23)};
	int64_t denied = 0, excepted = 0;

	world_init(&world, file);
	for (int64_t i = 0; i < pairs; i++) {
		if (chance_is_one_in(&chance, 4))
			change_exceptions(&chance, (uint64_t)i);
		struct asked asked = random_question(&chance);
		const struct attributes attributes = {asked.items, asked.count};
		struct inquiry *look = world_submit(&world, &attributes, true);
		struct inquiry *real = world_submit(&world, &attributes, false);
		assert_explained(engine_verdict(look), &attributes, engine_verdict(real));
		denied += !engine_verdict(real)->allowed;
		excepted += engine_request(real)->exception.id[0] != '\0';
		engine_end(look);
		engine_end(real);
		if (i % 50 == 49) { /* or nothing would be left of any balance */
			world_release(&world);
			world_init(&world, file);
		}
	}
	world_release(&world);
	assert_in_range(denied, pairs / 20, pairs * 9 / 10);
	assert_in_range(excepted, pairs / 20, pairs * 9 / 10);
}

TEST(explain_and_verdict_agree_with_overrides)
{
	explain_pairs(files[0], environment_number("EXPLAIN_PAIRS", 50000));
}

TEST(explain_and_verdict_agree_with_lists_and_shadow)
{
	explain_pairs(files[1], environment_number("EXPLAIN_PAIRS", 50000));
}
