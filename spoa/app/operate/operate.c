#include "app/operate/operate.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/operate/balances.h"
#include "app/operate/exceptions.h"
#include "app/operate/policies_http.h"
#include "app/operate/top_now.h"
#include "base/writer.h"
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

void operate_put_warnings(const struct operate *operate, FILE *to)
{
	char texts[STORE_WARNINGS_MAX][STORE_WARNING_MAX];
	size_t count = store_warnings_texts(operate->warnings,
					    operate_stats_have_records(operate->stats), texts);
	char memory[2 * STORE_WARNING_MAX];

	for (size_t i = 0; i < count; i++) {
		struct writer w = writer_on(memory, sizeof memory);
		writer_put_json_string(&w, bytes_from_text(texts[i]));
		fputs(i == 0 ? ",\"warnings\":[" : ",", to);
		(void)fwrite(w.data, 1, w.len, to);
	}
	if (count > 0)
		fputc(']', to);
}

void operate_send_json(struct http_exchange *exchange, struct memory_file *file)
{
	struct http_answer answer = {.status = 200};
	char *text = memory_file_end(file);

	if (text != NULL)
		answer.large = stream_body_new(exchange->streams, text, file->len);
	if (answer.large == NULL) {
		http_answer_problem(exchange, 503, "out of memory");
		return;
	}
	http_ask_add_common_fields(&answer);
	http_answer_send(exchange, &answer);
}
