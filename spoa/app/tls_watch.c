#include "app/tls_watch.h"

#include <stddef.h>

#include "app/file_watch.h"
#include "store/store.h"

struct tls_paths {
	const char *items[TLS_WATCH_FILES]; /* NULL: no such file */
};

static struct tls_paths tls_paths(const struct redis_tls_files *files)
{
	return (struct tls_paths){{files->ca_file, files->cert_file, files->key_file}};
}

static void on_changed(void *owner)
{
	const struct tls_watch *watch = owner;

	store_reread_files(watch->store);
}

static struct stat look_at_file(const char *path)
{
	struct stat found;

	return path != NULL && stat(path, &found) == 0 ? found : (struct stat){0};
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void tls_watch_note(struct tls_watch *watch, const struct redis_tls_files *files)
{
	struct tls_paths paths = tls_paths(files);

	for (size_t i = 0; i < TLS_WATCH_FILES; i++)
		watch->noted[i] = look_at_file(paths.items[i]);
}

void tls_watch_init(struct tls_watch *watch, struct ev_loop *loop,
		    const struct redis_tls_files *files, struct store *store)
{
	struct tls_paths paths = tls_paths(files);
	bool has_changed = false;

	watch->store = store;
	for (size_t i = 0; i < TLS_WATCH_FILES; i++) {
		if (paths.items[i] == NULL)
			continue;
		watch->watches[i] = file_watch_new_other(loop, paths.items[i], on_changed, watch);
		struct stat now = look_at_file(paths.items[i]);
		has_changed = has_changed || !is_same_file(&now, &watch->noted[i]);
	}
	if (has_changed)
		store_reread_files(store);
}

/* One watch is enough, because all files are read together. */
static void tell_in_a_second(const struct tls_watch *watch)
{
	for (size_t i = 0; i < TLS_WATCH_FILES; i++) {
		if (watch->watches[i] == NULL)
			continue;
		file_watch_tell_in(watch->watches[i], FILE_WATCH_RETRY_S);
		return;
	}
}

bool tls_watch_take_result(struct tls_watch *watch, bool may_pass)
{
	bool is_new = !(may_pass && watch->is_tried_again);

	watch->is_tried_again = may_pass;
	if (may_pass)
		tell_in_a_second(watch);
	return is_new;
}

void tls_watch_release(struct tls_watch *watch)
{
	for (size_t i = 0; i < TLS_WATCH_FILES; i++) {
		file_watch_free(watch->watches[i]);
		watch->watches[i] = NULL;
	}
}
