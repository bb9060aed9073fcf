#include "app/operate/token_watch.h"

#include <string.h>

#include "app/file_watch.h"
#include "app/operate/token_file.h"
#include "base/log.h"

static bool are_same(const struct http_tokens *a, const struct http_tokens *b)
{
	bool is_same = a->count == b->count;

	for (size_t i = 0; i < a->count && is_same; i++)
		is_same = strcmp(a->items[i].name, b->items[i].name) == 0 &&
			  memcmp(a->items[i].hash, b->items[i].hash, HTTP_TOKEN_HASH) == 0;
	return is_same;
}

static void take_tokens(const struct token_watch *watch, const struct http_tokens *tokens)
{
	if (are_same(watch->tokens, tokens))
		return;
	*watch->tokens = *tokens;
	if (!watch->is_admins)
		log_event(LOG_INFO, "http_token_read", LOG_TEXT("file", watch->path));
	else if (tokens->count > 0)
		log_event(LOG_INFO, "admin_tokens_read", LOG_TEXT("file", watch->path),
			  LOG_INT("tokens", tokens->count));
	else
		log_event(LOG_WARN, "admin_tokens_none", LOG_TEXT("file", watch->path),
			  LOG_TEXT("hint", "the file has no token, so no token opens the pages or "
					   "changes anything"));
}

static void log_unread(const struct token_watch *watch, const char *why, bool may_pass)
{
	const char *hint = may_pass ? "what was read last stays in force; the agent tries again "
				      "every second"
				    : "what was read last stays in force";

	if (watch->is_admins)
		log_event(LOG_WARN, "admin_tokens_unread", LOG_TEXT("reason", why),
			  LOG_TEXT("hint", hint));
	else
		log_event(LOG_WARN, "http_token_unread", LOG_TEXT("reason", why),
			  LOG_TEXT("hint", hint));
}

static void on_changed(void *owner)
{
	struct token_watch *watch = owner;
	struct http_tokens tokens = {0};
	bool may_pass, was_tried_again = watch->is_tried_again;
	struct err err;

	bool is_read =
		(watch->is_admins ? token_file_read_admins_again : token_file_read_asker_again)(
			watch->path, &tokens, &may_pass, &err);
	watch->is_tried_again = may_pass;
	if (may_pass)
		file_watch_tell_in(watch->watch, FILE_WATCH_RETRY_S);
	if (is_read)
		take_tokens(watch, &tokens);
	else if (!(may_pass && was_tried_again))
		log_unread(watch, err.text, may_pass);
}

void token_watch_init(struct token_watch *watch, struct ev_loop *loop, const char *path,
		      bool is_admins, struct http_tokens *tokens)
{
	*watch = (struct token_watch){.path = path, .is_admins = is_admins, .tokens = tokens};
	if (path != NULL)
		watch->watch = file_watch_new_other(loop, path, on_changed, watch);
	/* The file may have changed since the options were read. */
	file_watch_tell_in(watch->watch, 0);
}

void token_watch_release(struct token_watch *watch)
{
	file_watch_free(watch->watch);
	watch->watch = NULL;
}
