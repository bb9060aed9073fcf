#include "app/operate/explain.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http/http_reply.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/app/view/world.h"

static const char policies[] =
	"{\"policies\":{"
	"\"per-ip\":{\"algorithm\":\"token_bucket\",\"capacity\":5,\"refill_rate\":\"1/1h\","
	"\"key\":[\"src\"]},"
	"\"login\":{\"algorithm\":\"sliding_window\",\"limit\":3,\"window\":\"1m\",\"key\":["
	"\"src\"],"
	"\"match\":{\"path\":[\"/login\",\"/api/login/*\"]},\"on_error\":\"deny\"},"
	"\"quiet\":{\"algorithm\":\"sliding_window_counter\",\"limit\":2,\"window\":\"1m\","
	"\"key\":[\"src\"],\"shadow\":true},"
	"\"tenant\":{\"algorithm\":\"fixed_window\",\"limit\":4,\"window\":\"1d\",\"cost\":"
	"\"size\","
	"\"key\":[\"tenant\"],\"overrides\":[{\"match\":{\"tenant\":\"acme\"},\"limit\":9},"
	"{\"match\":{\"tenant\":\"in-*\"},\"unlimited\":true},"
	"{\"match\":{\"tenant\":\"bad\"},\"blocked\":true},"
	"{\"match\":{\"tenant\":\"dim\"},\"shadow\":true}]}}}";

static struct world world;

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

BEFORE_EACH
{
	world_init(&world, policies);
}

AFTER_EACH
{
	world_release(&world);
}

/* ---- why ---- */

#define ATTRIBUTES_MAX 4

struct asked {
	const char *names[ATTRIBUTES_MAX];
	const char *values[ATTRIBUTES_MAX];
};

static struct attributes attributes_of(const struct asked *asked, struct attribute *items)
{
	size_t count = 0;

	for (; count < ATTRIBUTES_MAX && asked->names[count] != NULL; count++)
		items[count] =
			(struct attribute){bytes_from_text(asked->names[count]),
					   value_text(bytes_from_text(asked->values[count]))};
	return (struct attributes){items, count};
}

static const struct {
	const char *name;
	struct asked asked;
	const char *policy, *why;
} reasons[] = {
	{"applies", {{"src"}, {"192.0.2.1"}}, "per-ip", ""},
	{"one of two texts",
	 {{"src", "path"}, {"192.0.2.1", "/x"}},
	 "login",
	 "match.path: \"/x\" is none of \"/login\", \"/api/login/*\""},
	{"an attribute of the match is absent",
	 {{"src"}, {"192.0.2.1"}},
	 "login",
	 "match.path: no attribute \"path\"; there is \"src\""},
	{"an attribute of the key is absent",
	 {{"src", "path"}, {"192.0.2.1", "/x"}},
	 "tenant",
	 "key: no attribute \"tenant\"; there are \"src\", \"path\""},
	{"nothing is there",
	 {{NULL}, {NULL}},
	 "per-ip",
	 "key: no attribute \"src\"; there is none"},
	{"reserved names are no attributes",
	 {{"cost"}, {"1"}},
	 "per-ip",
	 "key: no attribute \"src\"; there is none"},
	{"unlimited", {{"tenant"}, {"in-side"}}, "tenant", "overrides[1]: unlimited"},
	{"not named",
	 {{"policy", "key"}, {"per-ip, login", "x"}},
	 "tenant",
	 "policy: \"per-ip, login\" does not name this policy"},
	{"named", {{"policy", "key"}, {"per-ip, login", "x"}}, "login", ""},
};

TEST_ROWS(reasons)
{
	struct attribute items[ATTRIBUTES_MAX];
	const struct attributes attributes = attributes_of(&row->asked, items);
	struct inquiry *inquiry = world_submit(&world, &attributes, true);
	const struct request *request = engine_request(inquiry);
	uint8_t memory[EXPLAIN_WHY_MAX];
	struct writer why = writer_on(memory, sizeof memory);

	explain_put_why(&why, policies_find(request->policies, bytes_from_text(row->policy)),
			request, &attributes);

	assert_string_equal(writer_text(&why), row->why);
	engine_end(inquiry);
}

/* ---- explain and the verdict of the same request, with the time stopped ---- */

struct answer {
	char text[HTTP_VERDICT_MAX];
};

static struct answer answer_of(const struct inquiry *inquiry)
{
	struct answer answer;
	struct writer w = writer_on(answer.text, sizeof answer.text);

	http_reply_put_verdict(&w, engine_verdict(inquiry));
	(void)writer_text(&w);
	return answer;
}

static struct asked random_question(struct chance *chance)
{
	static const char *const sources[] = {"192.0.2.1", "192.0.2.2", "2001:db8::1"};
	static const char *const paths[] = {"/login", "/api/login/x", "/"};
	static const char *const tenants[] = {"acme", "in-side", "bad", "dim", "other"};
	static const char *const costs[] = {"0", "1", "2", "3", "99"};
	struct asked asked = {{NULL}, {NULL}};
	size_t count = 0;

	if (!chance_is_one_in(chance, 8)) {
		asked.names[count] = "src";
		asked.values[count++] = CHANCE_PICK(chance, sources);
	}
	if (chance_is_one_in(chance, 2)) {
		asked.names[count] = "path";
		asked.values[count++] = CHANCE_PICK(chance, paths);
	}
	if (chance_is_one_in(chance, 2)) {
		asked.names[count] = "tenant";
		asked.values[count++] = CHANCE_PICK(chance, tenants);
	}
	asked.names[count] = chance_is_one_in(chance, 2) ? "cost" : "size";
	asked.values[count] = CHANCE_PICK(chance, costs);
	return asked;
}

/* The balances are forgotten from time to time, or nothing would be left of any. */
TEST(explain_and_verdict_agree)
{
	struct chance chance = {.state = (uint64_t)environment_number("EXPLAIN_SEED", 17)};
	int64_t pairs = environment_number("EXPLAIN_PAIRS", 20000), denied = 0;

	for (int64_t i = 0; i < pairs; i++) {
		struct attribute items[ATTRIBUTES_MAX];
		struct asked asked = random_question(&chance);
		const struct attributes attributes = attributes_of(&asked, items);
		struct inquiry *look = world_submit(&world, &attributes, true);
		struct inquiry *real = world_submit(&world, &attributes, false);
		struct answer looked = answer_of(look), answered = answer_of(real);
		assert_string_equal(looked.text, answered.text);
		denied += !engine_verdict(real)->allowed;
		engine_end(look);
		engine_end(real);
		if (i % 20 == 19) {
			world_release(&world);
			world_init(&world, policies);
		}
	}
	assert_in_range(denied, pairs / 10, pairs * 9 / 10);
}

TEST(explain_counts_nothing)
{
	const struct asked asked = {{"src", "tenant", "size"}, {"192.0.2.1", "other", "none"}};
	struct attribute items[ATTRIBUTES_MAX];
	const struct attributes attributes = attributes_of(&asked, items);

	for (int i = 0; i < 9; i++)
		engine_end(world_submit(&world, &attributes, true));

	const struct policies *set = engine_policies(world.engine);
	for (size_t i = 0; i < policies_count(set); i++) {
		const struct tally *tally = policies_at(set, i)->tally;
		for (size_t k = 0; k < TALLY_RESULT_COUNT; k++)
			assert_int_equal(tally->checks[k], 0);
		assert_int_equal(tally->bad_costs + tally->keys_absent, 0);
		assert_null(tally->seen);
	}
	assert_int_equal(memory_store_stats(world.memory).balances, 0);
}

TEST(explain_put_names_terms_and_keys)
{
	const struct asked asked = {{"tenant"}, {"acme"}};
	struct attribute items[ATTRIBUTES_MAX];
	const struct attributes attributes = attributes_of(&asked, items);
	struct inquiry *look = world_submit(&world, &attributes, true);
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	assert_true(explain_put(to, engine_verdict(look), &attributes, BYTES("rl:"), NULL));
	fputc('}', to);
	assert_int_equal(fclose(to), 0);

	assert_non_null(strstr(text, "{\"policy\":\"tenant\",\"applies\":true,\"override\":0,"));
	assert_non_null(strstr(text, "\"limit\":9,\"remaining\":8,"));
	assert_non_null(strstr(text, "\"window\":\"1d\",\"key\":\"rl:tenant:"));
	assert_non_null(strstr(text, "],\"policies_left_out\":0}"));
	free(text);
	engine_end(look);
}
