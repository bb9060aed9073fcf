#include "app/view/pages.h"

#include "app/view/json_writer.h"
#include "app/view/metrics.h"
#include "app/view/openapi.h"
#include "app/view/status.h"
#include "app/view/status_page.h"
#include "app/view/top.h"
#include "base/compiler.h"

static void put_store(struct json *json, const struct agent_view *view)
{
	struct store_description store = store_describe(view->store);

	json_begin(json, "store", '{');
	json_put_text(json, "kind", store.kind);
	json_put_text(json, "state", store.is_up ? "up" : "down");
	if (!store.is_up)
		json_put_text(json, "reason", store.why);
	json_end(json, '}');
}

void health_write(const void *view, FILE *to)
{
	struct json json = json_on(to);

	json_begin(&json, NULL, '{');
	json_put_text(&json, "status", "ok");
	put_store(&json, view);
	json_end(&json, '}');
}

/* Policies there are from the start on: it fails without them. */
unsigned ready_status(const void *view)
{
	return ((const struct agent_view *)view)->is_draining ? 503 : 200;
}

void ready_write(const void *view, FILE *to)
{
	struct json json = json_on(to);

	json_begin(&json, NULL, '{');
	json_put_text(&json, "status", ready_status(view) == 200 ? "ready" : "draining");
	json_end(&json, '}');
}

const struct http_page pages[] = {
	{
		.path = "/health",
		.content_type = "application/json",
		.access = HTTP_PUBLIC,
		.write = health_write,
	},
	{
		.path = "/ready",
		.content_type = "application/json",
		.access = HTTP_PUBLIC,
		.status = ready_status,
		.write = ready_write,
	},
	{
		.path = "/openapi.json",
		.content_type = "application/json",
		.access = HTTP_PUBLIC,
		.write = openapi_write,
	},
	{
		.path = "/metrics",
		.content_type = METRICS_CONTENT_TYPE,
		.access = HTTP_TOKEN,
		.is_admin = true,
		.write = metrics_write,
	},
	{
		.path = "/",
		.content_type = "text/html; charset=utf-8",
		.access = HTTP_PUBLIC,
		.is_admin = true,
		.write = status_page_write,
		.headers = status_page_headers,
	},
	{
		.path = "/status",
		.content_type = "application/json",
		.access = HTTP_PRIVATE,
		.is_admin = true,
		.write = status_write,
	},
	{
		.path = "/top",
		.content_type = "application/json",
		.access = HTTP_PRIVATE,
		.is_admin = true,
		.write = top_write,
	},
};
const size_t page_count = ARRAY_SIZE(pages);
