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

/* The agent has policies before it listens, so only a drain makes it not ready. */
unsigned ready_status(const void *view)
{
	return ((const struct agent_view *)view)->is_draining ? 503 : 200;
}

bool ready_write(const void *view, FILE *to)
{
	struct json_tree tree;
	struct json_node page = json_tree_root(&tree);

	json_add_text(page, "status", ready_status(view) == 200 ? "ready" : "draining");
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
