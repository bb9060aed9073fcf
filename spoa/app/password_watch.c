#include "app/password_watch.h"

#include <stddef.h>

#include "app/file_watch.h"
#include "app/secret_file.h"
#include "base/log.h"
#include "store/store.h"

static void on_changed(void *owner)
{
	struct password_watch *watch = owner;
	char password[STORE_PASSWORD_MAX];
	struct err err;

	if (secret_file_read(watch->path, password, sizeof password, &err))
		store_set_password(watch->store, password);
	else
		log_event(LOG_WARN, "redis_password_unread", LOG_TEXT("reason", err.text),
			  LOG_TEXT("hint", "the password that was read last stays in force"));
}

void password_watch_init(struct password_watch *watch, struct ev_loop *loop, const char *path,
			 struct store *store)
{
	*watch = (struct password_watch){.path = path, .store = store};
	if (path != NULL)
		watch->watch = file_watch_new_other(loop, path, on_changed, watch);
}

void password_watch_release(struct password_watch *watch)
{
	file_watch_free(watch->watch);
	watch->watch = NULL;
}
