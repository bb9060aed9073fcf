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
	bool may_pass, was_tried_again = watch->is_tried_again;

	bool is_read =
		secret_file_read_again(watch->path, password, sizeof password, &may_pass, &err);
	watch->is_tried_again = may_pass;
	if (may_pass)
		file_watch_tell_in(watch->watch, FILE_WATCH_RETRY_S);
	if (is_read)
		watch->set(watch->store, password);
	else if (!(may_pass && was_tried_again))
		log_event(LOG_WARN, "redis_password_unread", LOG_TEXT("reason", err.text),
			  LOG_TEXT("hint", may_pass ? "the password that was read last stays in "
						      "force; the agent tries again every second"
						    : "the password that was read last stays in "
						      "force"));
}

void password_watch_init(struct password_watch *watch, struct ev_loop *loop, const char *path,
			 struct store *store, password_set_fn *set)
{
	*watch = (struct password_watch){.path = path, .store = store, .set = set};
	if (path != NULL)
		watch->watch = file_watch_new_other(loop, path, on_changed, watch);
	/* The file may have changed since the options were read. The store knows an old password
	 * when it is told one. */
	file_watch_tell_in(watch->watch, 0);
}

void password_watch_release(struct password_watch *watch)
{
	file_watch_free(watch->watch);
	watch->watch = NULL;
}
