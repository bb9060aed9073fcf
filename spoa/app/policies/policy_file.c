#include "app/policies/policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "app/policies/policy_fields.h"
#include "app/policies/policy_json.h"
#include "app/policies/policy_read.h"

#define FILE_MAX_BYTES (16 << 20)

/* ---- the JSON ---- */

static void add_policy(struct policies *policies, const struct policy_value *value,
		       enum on_error on_error)
{
	const struct problems *problems = value->place.problems;
	struct bytes name = bytes_from_text(value->json->string);
	size_t problems_before = problems->count;
	struct policy policy;

	if (policies_find(policies, name) != NULL) {
		(void)place_refuse(&value->place, "stands there twice");
		return;
	}
	if (!cJSON_IsObject(value->json)) {
		(void)place_refuse(&value->place, "must be an object, not %s",
				   policy_value_shown(value).text);
		return;
	}
	policy_read(value, on_error, &policy);
	if (problems->count > problems_before) {
		policy_drop(&policy);
		return;
	}
	memcpy(policy.name, name.data, name.len);
	if (!policies_add(policies, &policy))
		(void)place_refuse(&value->place, "out of memory");
}

static void read_policies(struct policies *policies, const struct policy_value *object,
			  enum on_error on_error)
{
	for (const cJSON *item = object->json->child; item != NULL; item = item->next) {
		struct policy_value value = {item, place_of_field(&object->place, item->string)};
		if (policies_count(policies) == POLICIES_MAX) {
			(void)place_refuse(&object->place, "more than %d", POLICIES_MAX);
			return;
		}
		if (policy_name_is_good(bytes_from_text(item->string)))
			add_policy(policies, &value, on_error);
		else
			(void)place_refuse(&object->place,
					   "%s is not a name; accepted are 1 to 64 of A-Z a-z 0-9 "
					   ". _ -, not inline and not none",
					   quoted(bytes_from_text(item->string)).text);
	}
}

/* The one field of the file; NULL when there is none. */
static const cJSON *find_policies(const cJSON *root, const struct place *policies)
{
	const cJSON *found = NULL;

	for (const cJSON *item = root->child; item != NULL; item = item->next) {
		if (strcmp(item->string, policies->name) != 0)
			policy_fields_refuse(policies->in, item->string, &policies->name, 1);
		else if (found != NULL)
			(void)place_refuse(policies, "stands there twice");
		else
			found = item;
	}
	return found;
}

static void read_root(struct policies *policies, const struct policy_value *root,
		      enum on_error on_error)
{
	if (!cJSON_IsObject(root->json)) {
		(void)place_refuse(&root->place,
				   "must be an object with the field policies, not %s",
				   policy_value_shown(root).text);
		return;
	}
	struct policy_value found = {NULL, place_of_field(&root->place, "policies")};
	found.json = find_policies(root->json, &found.place);
	if (found.json == NULL)
		(void)place_refuse(&found.place, "is missing");
	else if (!cJSON_IsObject(found.json))
		(void)place_refuse(&found.place, "must be an object of policies by name, not %s",
				   policy_value_shown(&found).text);
	else
		read_policies(policies, &found, on_error);
}

struct policies *policy_file_parse(struct bytes json, enum on_error on_error,
				   struct problems *ret_problems)
{
	struct policy_value root = {NULL, place_of_file(ret_problems)};
	struct policies *policies = policies_new(on_error);

	ret_problems->count = 0;
	if (policies == NULL)
		(void)place_refuse(&root.place, "out of memory");
	else
		root.json = policy_json_parse(json, &root.place);
	if (root.json != NULL)
		read_root(policies, &root, on_error);
	if (ret_problems->count == 0 && !policies_compile(policies))
		(void)place_refuse(&root.place, "out of memory");
	cJSON_Delete((cJSON *)root.json);
	if (ret_problems->count == 0)
		return policies;
	policies_unref(policies);
	return NULL;
}

/* ---- the file ---- */

/* NULL, with errno set, when it can't be opened or is a pipe, which would be waited for. */
static FILE *open_file(const char *path)
{
	struct stat stat = {.st_mode = 0};
	FILE *file = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		file = fdopen(fd, "r");
	else
		errno = S_ISDIR(stat.st_mode) ? EISDIR : EINVAL;
	if (file != NULL)
		return file;
	int error = errno;
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

struct policies *policy_file_load(const char *path, enum on_error on_error,
				  struct problems *ret_problems)
{
	struct place file = place_of_file(ret_problems);
	struct policies *policies = NULL;
	size_t len;
	char *json = read_file(path, &len);

	if (json != NULL) {
		policies = policy_file_parse(bytes_from(json, len), on_error, ret_problems);
	} else {
		ret_problems->count = 0;
		(void)place_refuse(&file, "%s", strerror(errno));
	}
	free(json);
	problems_name_file(ret_problems, path);
	return policies;
}
