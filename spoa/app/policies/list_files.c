#include "app/policies/list_files.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/policies/text_file.h"
#include "base/grow.h"
#include "limit/conditions.h"

void list_files_init(struct list_files *files, const char *policy_file)
{
	*files = (struct list_files){.policy_file = policy_file};
}

void list_files_forget_lines(struct list_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		pattern_set_unref(files->items[i].lines);
		files->items[i].lines = NULL;
	}
}

void list_files_release(struct list_files *files)
{
	list_files_forget_lines(files);
	for (size_t i = 0; i < files->count; i++)
		free(files->items[i].path);
	free(files->items);
	list_files_init(files, NULL);
}

/* ---- lines ---- */

struct reading {
	const struct place *place;
	const char *shown; /* the file's name, in quotes */
	struct pattern_set *set;
	size_t line;
	size_t lines; /* that are patterns */
};

/* Without a comment, and without spaces at both ends. */
static struct bytes strip_line(struct bytes line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] == '#' &&
		    (i == 0 || line.data[i - 1] == ' ' || line.data[i - 1] == '\t')) {
			line.len = i;
			break;
		}
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return bytes_trim(line);
}

static bool refuse_line(const struct reading *reading, const char *why)
{
	return place_refuse(reading->place, "%s: line %zu: %s", reading->shown, reading->line, why);
}

static bool add_line(struct reading *reading, struct bytes text)
{
	unsigned prefix;
	struct value network = network_read(text, BYTES(""), &prefix);
	bool is_added;

	pattern_set_at_line(reading->set, (uint32_t)reading->line);
	if (network.kind != VALUE_ABSENT)
		is_added = pattern_set_add_network(reading->set, &network, prefix);
	else if (text_is_written_as_network(text))
		return refuse_line(reading,
				   "no network; accepted are 0 to 32 bits of an IPv4 address, 0 to "
				   "128 of an IPv6 address (96 to 128 of ::ffff:...)");
	else if (memchr(text.data, '\0', text.len) != NULL)
		return refuse_line(reading, "a NUL character");
	else
		is_added = pattern_set_add_text(reading->set, text);
	return is_added || refuse_line(reading, "out of memory");
}

/* False when the rest of the file is not to be read. */
static bool read_line(struct reading *reading, struct bytes line)
{
	struct bytes text = strip_line(line);

	reading->line++;
	if (text.len == 0)
		return true;
	if (reading->lines++ == LIST_LINES_MAX)
		return refuse_line(reading, "more than 1000000 lines");
	(void)add_line(reading, text);
	return pattern_set_slow_count(reading->set) <= LIST_SLOW_MAX ||
	       refuse_line(reading, "more than 1000 lines with another * than one at the end");
}

static void read_lines(struct reading *reading, struct bytes text)
{
	struct bytes line;

	if (bytes_begin_with(text, BYTES("\xef\xbb\xbf")))
		text = bytes_skip(text, 3);
	while (bytes_next_item(&text, '\n', &line))
		if (!read_line(reading, line))
			return;
}

/* ---- files ---- */

static const char *text_of_error(int error)
{
	return error == EINVAL ? "it is no regular file" : strerror(error);
}

static uint64_t fingerprint_of(struct bytes text)
{
	static const uint8_t key[crypto_shorthash_KEYBYTES];
	uint64_t fingerprint;

	crypto_shorthash((uint8_t *)&fingerprint, text.data, text.len, key);
	return fingerprint;
}

/* NULL when something was refused. */
static struct pattern_set *make_set(const struct place *place, const char *shown, struct bytes text)
{
	size_t problems_before = place->problems->count;
	struct reading reading = {.place = place, .shown = shown, .set = pattern_set_new()};

	if (reading.set == NULL) {
		(void)place_refuse(place, "%s: out of memory", shown);
		return NULL;
	}
	read_lines(&reading, text);
	if (place->problems->count == problems_before && !pattern_set_build(reading.set))
		(void)place_refuse(place, "%s: out of memory", shown);
	if (place->problems->count == problems_before)
		return reading.set;
	pattern_set_unref(reading.set);
	return NULL;
}

/* What stat() tells of a file that was written or replaced. */
static uint64_t state_of(const char *path)
{
	struct stat stat_of;

	if (stat(path, &stat_of) != 0)
		return 0;
	const int64_t told[] = {
		(int64_t)stat_of.st_dev,          (int64_t)stat_of.st_ino,
		(int64_t)stat_of.st_size,         (int64_t)stat_of.st_mtim.tv_sec,
		(int64_t)stat_of.st_mtim.tv_nsec,
	};
	return fingerprint_of(bytes_from((const uint8_t *)told, sizeof told)) | 1;
}

static void read_file(struct list_file *file, const struct place *place, const char *shown)
{
	uint64_t state = state_of(file->path); /* before: a write meanwhile is a change */
	size_t len;
	char *text = text_file_read(file->path, LIST_FILE_MAX_BYTES, &len);

	if (text == NULL) {
		int error = errno;
		if (error == EMFILE || error == ENFILE)
			place->problems->lacks_descriptors = true;
		(void)place_refuse(place, "%s: %s", shown, text_of_error(error));
		return;
	}
	file->fingerprint = fingerprint_of(bytes_from(text, len));
	file->lines = make_set(place, shown, bytes_from(text, len));
	if (file->lines != NULL)
		pattern_set_set_source(file->lines, state);
	free(text);
}

static bool leads_upwards(struct bytes name)
{
	struct bytes part;

	while (bytes_next_item(&name, '/', &part))
		if (bytes_equal(part, BYTES("..")))
			return true;
	return false;
}

/* NULL, or why the name is refused. */
static const char *find_fault_of_name(const struct list_files *files, struct bytes name)
{
	if (files->policy_file == NULL)
		return "list files are accepted only in the file of --policies";
	if (name.len == 0)
		return "the name of a file is missing; the text @ is written \"@@\"";
	if (name.data[0] == '/')
		return "the name of a list file is relative to the policy file";
	if (leads_upwards(name))
		return "\"..\" is not accepted in the name of a list file";
	return NULL;
}

/* For the caller to free; NULL when memory is short or the path is too long. */
static char *make_path(const char *policy_file, struct bytes name)
{
	const char *slash = strrchr(policy_file, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - policy_file) + 1;
	char *path = len + name.len >= PATH_MAX ? NULL : malloc(len + name.len + 1);

	if (path == NULL)
		return NULL;
	memcpy(path, policy_file, len);
	memcpy(path + len, name.data, name.len);
	path[len + name.len] = '\0';
	return path;
}

uint64_t list_files_state(const char *policy_file, struct bytes name)
{
	char *path = make_path(policy_file, name);
	uint64_t state = path == NULL ? 0 : state_of(path);

	free(path);
	return state;
}

static struct list_file *find_path(const struct list_files *files, const char *path)
{
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->items[i].path, path) == 0)
			return &files->items[i];
	return NULL;
}

/* The path is taken over. NULL when memory is short. */
static struct list_file *add_path(struct list_files *files, char *path)
{
	struct list_file *larger = grow_by_one(files->items, files->count, sizeof *files->items);

	if (larger == NULL) {
		free(path);
		return NULL;
	}
	files->items = larger;
	larger[files->count] = (struct list_file){.path = path};
	return &larger[files->count++];
}

static const struct list_file *find_or_read(struct list_files *files, const struct place *place,
					    struct bytes name, const char *shown)
{
	char *path = make_path(files->policy_file, name);
	struct list_file *file = path == NULL ? NULL : find_path(files, path);

	if (file != NULL) {
		free(path);
		return file;
	}
	if (files->count == LIST_FILES_MAX) {
		free(path);
		(void)place_refuse(place, "%s: more than %d list files", shown, LIST_FILES_MAX);
		return NULL;
	}
	if (path != NULL)
		file = add_path(files, path);
	if (file == NULL)
		(void)place_refuse(place, "%s: the path is too long, or out of memory", shown);
	else
		read_file(file, place, shown);
	return file;
}

const struct list_file *list_files_find(struct list_files *files, const struct place *place,
					struct bytes value)
{
	struct quoted shown = quoted(value);
	struct bytes name = bytes_skip(value, 1);
	const char *fault = find_fault_of_name(files, name);

	if (fault != NULL) {
		(void)place_refuse(place, "%s: %s", shown.text, fault);
		return NULL;
	}
	const struct list_file *file = find_or_read(files, place, name, shown.text);
	return file == NULL || file->lines == NULL ? NULL : file;
}
