#include "app/policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/clock.h"
#include "base/parse.h"

#define FILE_MAX_BYTES (16 << 20)

/* ---- one policy ---- */

/* The fields of a policy, as they stand in the file; NULL for what is absent. */
struct fields {
	const cJSON *algorithm, *capacity, *refill_rate, *limit, *window, *key;
};

static const cJSON **field_named(struct fields *fields, const char *name)
{
	const struct {
		const char *name;
		const cJSON **field;
	} all[] = {
		{"algorithm", &fields->algorithm},     {"capacity", &fields->capacity},
		{"refill_rate", &fields->refill_rate}, {"limit", &fields->limit},
		{"window", &fields->window},           {"key", &fields->key},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(name, all[i].name) == 0)
			return all[i].field;
	return NULL;
}

static struct quoted quoted_json(const cJSON *item)
{
	char *text = cJSON_PrintUnformatted(item);
	struct quoted q = quoted(bytes_from_text(text != NULL ? text : ""));

	if (cJSON_IsString(item))
		q = quoted(bytes_from_text(item->valuestring));
	cJSON_free(text);
	return q;
}

static bool collect_fields(const cJSON *policy, struct fields *fields, struct err *err)
{
	for (const cJSON *item = policy->child; item != NULL; item = item->next) {
		const cJSON **field = field_named(fields, item->string);
		if (field == NULL)
			return err_set(err,
				       "%s: unknown field; accepted are algorithm, capacity, "
				       "refill_rate, limit, window and key",
				       quoted_unless_plain(bytes_from_text(item->string)).text);
		if (*field != NULL)
			return err_set(err, "%s: stands there twice", item->string);
		*field = item;
	}
	return true;
}

/* The decimal that was written: the shortest that reads as the same number. */
static struct bytes number_text(const cJSON *item, char memory[32])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(memory, 32, "%.*g", digits, item->valuedouble);
		if (strtod(memory, NULL) == item->valuedouble)
			break;
	}
	return bytes_from_text(memory);
}

static bool read_whole(const cJSON *item, const char *name, int64_t *ret_number, struct err *err)
{
	if (item == NULL)
		return err_set(err, "%s: is missing", name);
	if (!cJSON_IsNumber(item) || item->valuedouble < 1 ||
	    item->valuedouble > (double)QUOTA_EXACT_MAX ||
	    item->valuedouble != (double)(int64_t)item->valuedouble)
		return err_set(err, "%s: %s is not a whole number from 1 to 2^53", name,
			       quoted_json(item).text);
	*ret_number = (int64_t)item->valuedouble;
	return true;
}

static bool read_refill_rate(const cJSON *item, struct ratio *ret_tokens_per_us, struct err *err)
{
	char memory[32];

	if (item == NULL)
		return err_set(err, "refill_rate: is missing");
	if ((cJSON_IsString(item) &&
	     refill_rate_parse(bytes_from_text(item->valuestring), ret_tokens_per_us)) ||
	    (cJSON_IsNumber(item) &&
	     refill_rate_parse(number_text(item, memory), ret_tokens_per_us)))
		return true;
	return err_set(err,
		       "refill_rate: %s is not a rate; accepted are tokens per second above 0, or "
		       "a ratio such as \"1000/1m\"",
		       quoted_json(item).text);
}

static bool read_seconds(const cJSON *item, int64_t *ret_us)
{
	struct ratio seconds;
	char memory[32];

	if (!parse_decimal(number_text(item, memory), &seconds) ||
	    !ratio_multiply(seconds, (struct ratio){US_PER_SECOND, 1}, &seconds) ||
	    seconds.den != 1)
		return false;
	*ret_us = seconds.num;
	return true;
}

static bool read_window(const cJSON *item, int64_t *ret_us, struct err *err)
{
	if (item == NULL)
		return err_set(err, "window: is missing");
	if ((cJSON_IsString(item) && parse_duration(bytes_from_text(item->valuestring), ret_us)) ||
	    (cJSON_IsNumber(item) && read_seconds(item, ret_us)))
		return true;
	return err_set(err,
		       "window: %s is not a duration; accepted are such as \"500ms\", \"1m\", "
		       "\"1d\", or a number of seconds",
		       quoted_json(item).text);
}

static bool refuse_field(const cJSON *item, enum algorithm algorithm, struct err *err)
{
	return item == NULL ||
	       err_set(err, "%s: is not a field of a %s", item->string, algorithm_name(algorithm));
}

static bool read_quota(const struct fields *fields, struct quota *quota, struct err *err)
{
	enum algorithm algorithm;
	struct ratio tokens_per_us;
	int64_t units, window_us;

	if (fields->algorithm == NULL)
		return err_set(err, "algorithm: is missing");
	if (!cJSON_IsString(fields->algorithm) ||
	    !algorithm_find(bytes_from_text(fields->algorithm->valuestring), &algorithm))
		return err_set(
			err,
			"algorithm: %s is unknown; accepted are token_bucket, sliding_window, "
			"sliding_window_counter and fixed_window",
			quoted_json(fields->algorithm).text);
	if (algorithm == TOKEN_BUCKET)
		return refuse_field(fields->limit, algorithm, err) &&
		       refuse_field(fields->window, algorithm, err) &&
		       read_whole(fields->capacity, "capacity", &units, err) &&
		       read_refill_rate(fields->refill_rate, &tokens_per_us, err) &&
		       quota_set_bucket(quota, units, tokens_per_us, err);
	return refuse_field(fields->capacity, algorithm, err) &&
	       refuse_field(fields->refill_rate, algorithm, err) &&
	       read_whole(fields->limit, "limit", &units, err) &&
	       read_window(fields->window, &window_us, err) &&
	       quota_set_window(quota, algorithm, units, window_us, err);
}

static bool add_key_attribute(struct policy *policy, const cJSON *item, struct err *err)
{
	if (!cJSON_IsString(item) || item->valuestring[0] == '\0')
		return err_set(err, "key: %s is not the name of an attribute",
			       quoted_json(item).text);
	struct bytes name = bytes_from_text(item->valuestring);
	if (attribute_name_is_reserved(name))
		return err_set(err, "key: %s is a reserved name", quoted(name).text);
	for (size_t i = 0; i < policy->key_count; i++)
		if (bytes_equal(policy->key[i], name))
			return err_set(err, "key: %s stands there twice", quoted(name).text);
	if (policy->key_count == POLICY_KEY_MAX)
		return err_set(err, "key: more than %d attributes", POLICY_KEY_MAX);
	policy->key[policy->key_count++] = name;
	return true;
}

static bool read_key(const cJSON *key, struct policy *policy, struct err *err)
{
	if (key == NULL)
		return err_set(err, "key: is missing; [] counts everything together");
	if (!cJSON_IsArray(key))
		return err_set(err, "key: %s is not a list of names of attributes",
			       quoted_json(key).text);
	for (const cJSON *item = key->child; item != NULL; item = item->next)
		if (!add_key_attribute(policy, item, err))
			return false;
	return true;
}

static bool read_policy(const cJSON *item, enum on_error on_error, struct policy *policy,
			struct err *err)
{
	struct fields fields = {0};

	*policy = (struct policy){
		.terms.on_error = on_error,
		.ipv4_prefix = POLICY_IPV4_PREFIX,
		.ipv6_prefix = POLICY_IPV6_PREFIX,
	};
	return collect_fields(item, &fields, err) && read_quota(&fields, &policy->terms.quota, err) &&
	       read_key(fields.key, policy, err);
}

/* ---- the file ---- */

static bool add_policy(struct policies *policies, const cJSON *item, enum on_error on_error,
		       struct err *err)
{
	struct bytes name = bytes_from_text(item->string);
	struct policy policy;

	if (policies_count(policies) == POLICIES_MAX)
		return err_set(err, "policies: more than %d", POLICIES_MAX);
	if (!policy_name_is_good(name))
		return err_set(
			err,
			"policies: %s is not a name; accepted are 1 to 64 of A-Z a-z 0-9 . _ "
			"-, not inline and not none",
			quoted(name).text);
	if (policies_find(policies, name) != NULL)
		return err_set(err, "policies.%s: stands there twice", item->string);
	if (!cJSON_IsObject(item))
		return err_set(err, "policies.%s: must be an object", item->string);
	if (!read_policy(item, on_error, &policy, err))
		return err_at(err, "policies.%s.", item->string);
	memcpy(policy.name, name.data, name.len);
	return policies_add(policies, &policy) || err_set(err, "out of memory");
}

/* The one field of the file; NULL when the file has another form. */
static const cJSON *find_policies(const cJSON *root, struct err *err)
{
	const cJSON *found = NULL;

	if (!cJSON_IsObject(root)) {
		(void)err_set(err, "must be an object with the field policies");
		return NULL;
	}
	for (const cJSON *item = root->child; item != NULL; item = item->next) {
		if (strcmp(item->string, "policies") != 0) {
			(void)err_set(err, "%s: unknown field; accepted is policies",
				      quoted_unless_plain(bytes_from_text(item->string)).text);
			return NULL;
		}
		if (found != NULL) {
			(void)err_set(err, "policies: stands there twice");
			return NULL;
		}
		found = item;
	}
	if (!cJSON_IsObject(found)) {
		(void)err_set(err, "policies: must be an object of policies by name");
		return NULL;
	}
	return found;
}

static bool read_policies(struct policies *policies, const cJSON *root, enum on_error on_error,
			  struct err *err)
{
	const cJSON *found = find_policies(root, err);

	if (found == NULL)
		return false;
	for (const cJSON *item = found->child; item != NULL; item = item->next)
		if (!add_policy(policies, item, on_error, err))
			return false;
	return true;
}

static void set_error_at(struct bytes json, const char *at, const char *what, struct err *err)
{
	int line = 1, column = 1;

	for (const char *c = (const char *)json.data; c < at && *c != '\0'; c++) {
		column = *c == '\n' ? 1 : column + 1;
		line += *c == '\n';
	}
	(void)err_set(err, "line %d, column %d: %s", line, column, what);
}

/*
 * The first decimal of so many digits that cJSON's double may have rounded it in silence; NULL when
 * there is none. Whole numbers are exact as far as any is accepted. Only for good JSON.
 */
static const char *find_rounded_decimal(struct bytes json)
{
	bool in_string = false, has_point = false;
	size_t digits = 0;

	for (size_t i = 0; i < json.len; i++) {
		char c = (char)json.data[i];
		if (c == '\\') {
			i++; /* in a string, where it escapes the next */
		} else if (c == '"') {
			in_string = !in_string;
		} else if (c == '.') {
			has_point = !in_string;
		} else if (in_string || c < '0' || c > '9') {
			digits = 0;
			has_point = false;
		} else {
			digits += digits > 0 || c != '0';
		}
		if (has_point && digits > DBL_DIG)
			return (const char *)json.data + i;
	}
	return NULL;
}

static bool is_exact(struct bytes json, struct err *err)
{
	const char *rounded = find_rounded_decimal(json);

	if (rounded != NULL)
		set_error_at(json, rounded,
			     "a decimal of more than 15 digits can't be kept exactly; write a rate "
			     "as a ratio, such as \"1000/1m\"",
			     err);
	return rounded == NULL;
}

/* A NUL byte, or one written as \u0000: a string would end there without a word. */
static bool has_nul(struct bytes json)
{
	if (memchr(json.data, '\0', json.len) != NULL)
		return true;
	while (json.len >= 6) {
		bool is_escape = json.data[0] == '\\';
		if (is_escape && memcmp(json.data + 1, "u0000", 5) == 0)
			return true;
		json = bytes_skip(json, is_escape ? 2 : 1);
	}
	return false;
}

/* `json` ends with a NUL that its length does not count. */
struct policies *policy_file_parse(struct bytes json, enum on_error on_error, struct err *err)
{
	const char *end = NULL;

	if (has_nul(json)) {
		(void)err_set(err, "a NUL character");
		return NULL;
	}
	errno = 0;
	cJSON *root = cJSON_ParseWithLengthOpts((const char *)json.data, json.len + 1, &end, true);
	if (root == NULL) {
		if (errno == ENOMEM) /* all that cJSON says is that it failed */
			(void)err_set(err, "out of memory");
		else
			set_error_at(json, end, "not JSON", err);
		return NULL;
	}
	struct policies *policies = policies_new(on_error);
	if (policies == NULL)
		(void)err_set(err, "out of memory");
	if (policies == NULL || !read_policies(policies, root, on_error, err) ||
	    !is_exact(json, err)) {
		policies_unref(policies);
		policies = NULL;
	}
	cJSON_Delete(root);
	return policies;
}

/* NULL, with errno set, when it can't be opened or is a pipe, which would be waited for. */
static FILE *open_file(const char *path)
{
	struct stat stat;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		return fdopen(fd, "r");
	int error = S_ISDIR(stat.st_mode) ? EISDIR : EINVAL;
	close(fd);
	errno = error;
	return NULL;
}

/* The whole file with a NUL behind it; NULL, with errno set, when it can't be read. */
static char *read_file(const char *path, size_t *ret_len)
{
	FILE *file = open_file(path);
	char *memory = file == NULL ? NULL : malloc(FILE_MAX_BYTES + 1);
	size_t len = memory == NULL ? 0 : fread(memory, 1, FILE_MAX_BYTES, file);
	int error = len == FILE_MAX_BYTES ? EFBIG : errno;
	bool is_whole = memory != NULL && feof(file) && !ferror(file);

	if (file != NULL)
		(void)fclose(file);
	if (!is_whole) {
		free(memory);
		errno = error;
		return NULL;
	}
	memory[len] = '\0';
	*ret_len = len;
	return memory;
}

struct policies *policy_file_load(const char *path, enum on_error on_error, struct err *err)
{
	size_t len;
	char *json = read_file(path, &len);

	if (json == NULL) {
		(void)err_set(err, "%s: %s", path, strerror(errno));
		return NULL;
	}
	struct policies *policies = policy_file_parse(bytes_from(json, len), on_error, err);
	if (policies == NULL)
		(void)err_at(err, "%s: ", path);
	free(json);
	return policies;
}
