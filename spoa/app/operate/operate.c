#include "app/operate/operate.h"

#include <stdlib.h>

#include "app/operate/balances.h"
#include "app/operate/exceptions.h"
#include "app/operate/policies_http.h"
#include "app/operate/top_now.h"
#include "net/http/http_ask.h"

const struct http_route operate_routes[] = {
	{
		.path = "/explain",
		.allow = "POST",
		.operations[METHOD_POST] = {ACCESS_PRIVATE, true, false, explain_answer, NULL},
	},
	{
		.path = "/top",
		.has_query = true,
		.allow = "GET, HEAD",
		.operations[METHOD_GET] = {ACCESS_PRIVATE, false, false, top_now_answer, NULL},
	},
	{
		.path = "/balances/",
		.is_prefix = true,
		.allow = "GET, HEAD, DELETE",
		.operations =
			{
				[METHOD_GET] = {ACCESS_PRIVATE, false, false, balances_show,
						balances_forget_exchange},
				[METHOD_DELETE] = {ACCESS_CHANGE, false, false, balances_reset,
						   balances_forget_exchange},
			},
	},
	{
		.path = "/exceptions",
		.allow = "GET, HEAD, PUT, DELETE",
		.operations =
			{
				[METHOD_GET] = {ACCESS_PRIVATE, false, false, exceptions_list,
						NULL},
				[METHOD_PUT] = {ACCESS_CHANGE, true, false, exceptions_set,
						exceptions_forget_exchange},
				[METHOD_DELETE] = {ACCESS_CHANGE, false, false, exceptions_delete,
						   exceptions_forget_exchange},
			},
	},
	{
		.path = "/exceptions/",
		.is_prefix = true,
		.allow = "PUT",
		.operations[METHOD_PUT] = {ACCESS_CHANGE, true, false, exceptions_set,
					   exceptions_forget_exchange},
	},
	{
		.path = "/policies",
		.allow = "GET, HEAD, PUT",
		.operations =
			{
				[METHOD_GET] = {ACCESS_PRIVATE, false, false, policies_get, NULL},
				[METHOD_PUT] = {ACCESS_CHANGE, true, true, policies_put,
						policies_forget_exchange},
			},
	},
	{
		.path = "/policies/history",
		.allow = "GET, HEAD",
		.operations[METHOD_GET] = {ACCESS_PRIVATE, false, false, policies_history, NULL},
	},
};
const size_t operate_route_count = ARRAY_SIZE(operate_routes);

struct operate *operate_new(const struct operate *operate)
{
	struct operate *copy = malloc(sizeof *copy);

	if (copy == NULL)
		return NULL;
	*copy = *operate;
	return copy;
}

void operate_send_json(struct http_exchange *exchange, char *text, size_t len)
{
	struct http_answer answer = {.status = 200};

	if (text != NULL)
		answer.large = stream_body_new(exchange->streams, text, len);
	if (answer.large == NULL) {
		http_answer_problem(exchange, 503, "out of memory");
		return;
	}
	http_ask_add_common_fields(&answer);
	http_answer_send(exchange, &answer);
}
