#include "app/tls_watch.h"

#include <stddef.h>

#include "app/file_watch.h"
#include "store/store.h"

static void on_changed(void *owner)
{
	const struct tls_watch *watch = owner;

	store_reread_files(watch->store);
}

void tls_watch_init(struct tls_watch *watch, struct ev_loop *loop,
		    const struct redis_tls_files *files, struct store *store)
{
	const char *const paths[TLS_WATCH_FILES] = {files->ca_file, files->cert_file,
						    files->key_file};

	*watch = (struct tls_watch){.store = store};
	for (size_t i = 0; i < TLS_WATCH_FILES; i++)
		if (paths[i] != NULL)
			watch->watches[i] = file_watch_new_other(loop, paths[i], on_changed, watch);
}

void tls_watch_release(struct tls_watch *watch)
{
	for (size_t i = 0; i < TLS_WATCH_FILES; i++) {
		file_watch_free(watch->watches[i]);
		watch->watches[i] = NULL;
	}
}
