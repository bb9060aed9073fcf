/* policies_table.h and policies_json.h: the same policies, for people and for machines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "app/policies/policies_json.h"
#include "app/policies/policies_table.h"
#include "app/policies/policy_file.h"
#include "support/test.h"

#define BUCKET "\"algorithm\":\"token_bucket\",\"capacity\":100,\"refill_rate\":50"
#define WINDOW "\"algorithm\":\"fixed_window\",\"limit\":5,\"window\":\"1m\""

static char *shown(const char *json, bool (*put)(const struct policies *, FILE *))
{
	struct problems problems;
	struct policies *policies =
		policy_file_parse(bytes_from_text(json), ON_ERROR_ALLOW, &problems);
	char *text;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	if (policies == NULL)
		fail_msg("%s", problems.items[0].text);
	assert_true(put(policies, file));
	assert_int_equal(fclose(file), 0);
	policies_unref(policies);
	return text;
}

static bool put_table(const struct policies *policies, FILE *to)
{
	policies_table_put(policies, to);
	return true;
}

static void assert_table(const char *json, const char *expected)
{
	char *text = shown(json, put_table);

	assert_string_equal(text, expected);
	free(text);
}

TEST(policies_json_put_a_leased_bucket_is_as_it_is_written)
{
	char *text = shown("{\"policies\":{\"p\":{" BUCKET ",\"key\":[],\"lease\":\"100ms\"}}}",
			   policies_json_put);

	assert_non_null(strstr(text, "\"capacity\":100"));
	assert_non_null(strstr(text, "\"lease\":\"100ms\""));
	free(text);
}

TEST(policies_table_put_columns_stand_below_each_other)
{
	assert_table(
		"{\"policies\":{\"per-ip\":{" BUCKET ",\"key\":[\"src\"],\"cost\":\"bytes\"},"
		"\"tenant\":{" WINDOW ",\"key\":[],\"shadow\":true,\"on_error\":\"deny\","
		"\"overrides\":[{\"match\":{\"x\":\"y\"}}],"
		"\"match\":{\"m\":[\"GET\",\"HEAD\"],\"p\":\"/*\"}}}}",
		"POLICY  ALGORITHM     LIMIT      KEY    MATCH            COST   OVERRIDES  "
		"SHADOW  ON ERROR\n"
		"per-ip  token_bucket  100, 50/s  src    -                bytes  -          -   "
		"    allow\n"
		"tenant  fixed_window  5 per 1m   (all)  m=GET|HEAD p=/*  -      1          yes "
		"    deny\n");
}

TEST(policies_table_put_what_no_policy_has_is_left_out)
{
	assert_table("{\"policies\":{\"p\":{\"algorithm\":\"token_bucket\",\"capacity\":7,"
		     "\"refill_rate\":\"1000/1m\",\"key\":[\"a\",\"b\"]}}}",
		     "POLICY  ALGORITHM     LIMIT       KEY  ON ERROR\n"
		     "p       token_bucket  7, 1000/1m  a,b  allow\n");
	assert_table("{\"policies\":{}}", "");
}

TEST(policies_table_put_a_cost_is_a_number_or_a_name)
{
	assert_table("{\"policies\":{"
		     "\"a\":{" WINDOW ",\"key\":[],\"cost\":12},"
		     "\"b\":{" WINDOW ",\"key\":[],\"cost\":\"bytes\"}}}",
		     "POLICY  ALGORITHM     LIMIT     KEY    COST   ON ERROR\n"
		     "a       fixed_window  5 per 1m  (all)  12     allow\n"
		     "b       fixed_window  5 per 1m  (all)  bytes  allow\n");
}

TEST(policies_table_put_long_match_is_cut)
{
	char json[2000], path[1000];

	memset(path, 'x', sizeof path);
	snprintf(json, sizeof json,
		 "{\"policies\":{\"p\":{" WINDOW ",\"key\":[],\"match\":{\"path\":\"%.*s\"}}}}",
		 (int)sizeof path, path);
	char *text = shown(json, put_table);

	assert_non_null(strstr(text, "xxx...  allow\n"));
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
		assert_in_range(strlen(line), 90, 100);
	free(text);
}

/* A terminal obeys control characters. */
TEST(policies_table_put_is_printable_ascii)
{
	char *text = shown("{\"policies\":{\"p\":{" WINDOW ",\"key\":[\"\\u001b[31m\",\"\\u00e4\"],"
			   "\"match\":{\"\\n\":\"\\u009b\"},\"cost\":\"\\u0007\"}}}",
			   put_table);

	for (const char *c = text; *c != '\0'; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
	free(text);
}

/* What a balance is of is limit/policy's to say. */
static void blot_generations(char *text)
{
	static const char before[] = "\"generation\":\"";

	while ((text = strstr(text, before)) != NULL) {
		text += sizeof before - 1;
		assert_int_equal(strspn(text, "0123456789abcdef"), POLICY_GENERATION_MAX);
		memset(text, '0', POLICY_GENERATION_MAX);
	}
}

static void assert_json(const char *json, const char *expected)
{
	char *text = shown(json, policies_json_put);

	blot_generations(text);
	cJSON *got = cJSON_Parse(text), *wanted = cJSON_Parse(expected);
	assert_non_null(wanted);
	cJSON *policy = cJSON_GetArrayItem(cJSON_GetObjectItem(got, "policies"), 0);
	if (!cJSON_Compare(policy, wanted, true))
		fail_msg("%s", text);
	assert_string_equal(strchr(text, '\n'), "\n");
	cJSON_Delete(got);
	cJSON_Delete(wanted);
	free(text);
}

TEST(policies_json_put_fills_in_what_was_left_out)
{
	assert_json("{\"policies\":{\"p\":{" BUCKET ",\"key\":[\"src\"]}}}",
		    "{\"name\":\"p\",\"algorithm\":\"token_bucket\",\"capacity\":100,"
		    "\"refill_rate\":\"50\",\"shadow\":false,\"on_error\":\"allow\","
		    "\"generation\":\"000000000000\",\"key\":[\"src\"],\"match\":{},"
		    "\"overrides\":[],\"ipv4_prefix\":32,\"ipv6_prefix\":64}");
}

TEST(policies_json_put_lists)
{
	char *text = shown("{\"policies\":{},\"block\":[{\"src\":[\"::1\",\"10.0.0.0/8\"]}],"
			   "\"allow\":[{\"a\":\"b\",\"c\":\"d*\"},{\"e\":\"f\"}]}",
			   policies_json_put);

	assert_string_equal(text, "{\"allow\":[{\"a\":[\"b\"],\"c\":[\"d*\"]},{\"e\":[\"f\"]}],"
				  "\"block\":[{\"src\":[\"::1\",\"10.0.0.0/8\"]}],"
				  "\"policies\":[]}\n");
	free(text);
}

TEST(policies_json_put_overrides_have_all_their_terms)
{
	assert_json("{\"policies\":{\"p\":{" WINDOW ",\"key\":[\"\\u00e4\\\"\"],\"cost\":2,"
		    "\"ipv4_prefix\":24,\"shadow\":\"12.5%\",\"on_error\":\"local\",\"match\":{"
		    "\"a\\nb\":\"\\\\x*\"},"
		    "\"overrides\":[{\"match\":{\"x\":[\"1\",\"2\"]},\"window\":90,"
		    "\"cost\":\"bytes\",\"shadow\":true},"
		    "{\"match\":{\"x\":\"3\"},\"unlimited\":true},"
		    "{\"match\":{\"x\":\"4\"},\"blocked\":true}]}}}",
		    "{\"name\":\"p\",\"algorithm\":\"fixed_window\",\"limit\":5,\"window\":\"1m\","
		    "\"cost\":2,\"shadow\":\"12.5%\",\"on_error\":\"local\","
		    "\"generation\":\"000000000000\",\"key\":[\"\\u00e4\\\"\"],"
		    "\"match\":{\"a\\nb\":[\"\\\\x*\"]},\"overrides\":["
		    "{\"match\":{\"x\":[\"1\",\"2\"]},\"limit\":5,\"window\":\"90s\","
		    "\"cost\":\"bytes\",\"shadow\":true,\"on_error\":\"local\","
		    "\"generation\":\"000000000000\"},"
		    "{\"match\":{\"x\":[\"3\"]},\"unlimited\":true},"
		    "{\"match\":{\"x\":[\"4\"]},\"blocked\":true}],"
		    "\"ipv4_prefix\":24,\"ipv6_prefix\":64}");
}
