#include "app/view/pages.h"

#include "app/view/json_tree.h"
#include "app/view/metrics.h"
#include "app/view/static_pages.h"
#include "app/view/status.h"
#include "app/view/top.h"
#include "base/compiler.h"

static size_t count_sentinels_up(const struct store_description *store)
{
	size_t count = 0;

	for (size_t i = 0; i < store->sentinel_count; i++)
		count += *store->sentinels[i].why == '\0';
	return count;
}

/* Everybody sees it, so it has counts in place of addresses. */
static void add_store_health(struct json_node page, const struct agent_view *view)
{
	struct json_node in = json_add_object(page, "store");
	struct store_description store = store_describe(view->store);

	json_add_text(in, "kind", store.kind);
	json_add_text(in, "state", store_state_text(&store));
	if (!store.is_up)
		json_add_text(in, "reason", store.why);
	if (store.master == NULL)
		return;
	json_add_bool(in, "master_named", *store.master != '\0');
	json_add_unsigned(in, "sentinels", store.sentinel_count);
	json_add_unsigned(in, "sentinels_up", count_sentinels_up(&store));
}

bool health_write(const void *view, FILE *to)
{
	struct json_tree tree;
	struct json_node page = json_tree_root(&tree);

	json_add_text(page, "status", "ok");
	add_store_health(page, view);
	return json_tree_write(&tree, to);
}

/*
 * The agent has the policies of a file before it listens. Those of --policies store: it may not
 * have before the store has answered.
 */
unsigned ready_status(const void *view)
{
	const struct agent_view *agent = view;

	return agent->is_draining || agent->load.lacks_policies ? 503 : 200;
}

static const char *ready_text(const struct agent_view *view)
{
	if (view->is_draining)
		return "draining";
	return view->load.lacks_policies ? "without policies" : "ready";
}

bool ready_write(const void *view, FILE *to)
{
	struct json_tree tree;
	struct json_node page = json_tree_root(&tree);

	json_add_text(page, "status", ready_text(view));
	return json_tree_write(&tree, to);
}

const struct http_page pages[] = {
	{
		.path = "/health",
		.content_type = "application/json",
		.access = ACCESS_PUBLIC,
		.write = health_write,
	},
	{
		.path = "/ready",
		.content_type = "application/json",
		.access = ACCESS_PUBLIC,
		.status = ready_status,
		.write = ready_write,
	},
	{
		.path = "/openapi.json",
		.content_type = "application/json",
		.access = ACCESS_PUBLIC,
		.write = openapi_write,
	},
	{
		.path = "/metrics",
		.content_type = METRICS_CONTENT_TYPE,
		.access = ACCESS_TOKEN,
		.is_admin = true,
		.begin = metrics_begin,
		.write_some = metrics_write_some,
		.end = metrics_end,
	},
	{
		.path = "/",
		.content_type = "text/html; charset=utf-8",
		.access = ACCESS_PUBLIC,
		.is_admin = true,
		.write = status_page_write,
		.headers = status_page_headers,
	},
	{
		.path = "/status",
		.content_type = "application/json",
		.access = ACCESS_PRIVATE,
		.is_admin = true,
		.write = status_write,
	},
	{
		.path = "/top",
		.content_type = "application/json",
		.access = ACCESS_PRIVATE,
		.is_admin = true,
		.write = top_write,
	},
};
const size_t page_count = ARRAY_SIZE(pages);
