#include "net/http/http_visit.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/writer.h"
#include "net/http/http_bounds.h"
#include "net/http/http_layout.h"

#define RAW_MAX 4096

static struct http_visit *visit_of(const struct http_exchange *exchange)
{
	return CONTAINER_OF(exchange, struct http_visit, exchange);
}

/* ---- answers ---- */

/* NULL when memory is short. */
static struct MHD_Response *response_of(const struct http_answer *answer, bool is_last)
{
	enum MHD_ResponseMemoryMode mode =
		answer->heap != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_MUST_COPY;
	void *body = answer->heap != NULL ? answer->heap : (void *)(uintptr_t)answer->body.data;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(answer->body.len, body, mode);
	enum MHD_Result result = MHD_YES;

	if (response == NULL) {
		free(answer->heap);
		return NULL;
	}
	for (size_t i = 0; i < answer->field_count && result == MHD_YES; i++)
		result = MHD_add_response_header(response, answer->fields[i].name,
						 answer->fields[i].value);
	if (result == MHD_YES && is_last)
		result = MHD_add_response_header(response, "Connection", "close");
	if (result == MHD_YES)
		return response;
	MHD_destroy_response(response);
	return NULL;
}

static void answer_past(struct http_visit *visit, const struct http_answer *answer)
{
	uint8_t memory[RAW_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	http_answer_put(&w, answer, MHD_get_reason_phrase_for(answer->status));
	free(answer->heap);
	if (!w.full)
		(void)send(visit->client.fd, w.data, w.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void http_port_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
	struct http_visit *visit = visit_of(exchange);

	ASSERT(visit->is_told && visit->status == 0);
	visit->status = answer->status;
	if (visit->step == HTTP_PAST) {
		answer_past(visit, answer);
		return;
	}
	visit->response = response_of(answer, visit->is_last || visit->visits->is_closing);
	if (!visit->is_suspended)
		return;
	visit->is_suspended = false;
	MHD_resume_connection(visit->connection);
	visit->visits->resumed(visit->visits);
}

/* MHD_NO, which closes the connection, when there was no memory for it. */
static enum MHD_Result send_answer(struct http_visit *visit)
{
	struct MHD_Response *response = visit->response;

	if (response == NULL)
		return MHD_NO;
	visit->response = NULL;
	http_client_set_phase(&visit->visits->clients, &visit->client, HTTP_ANSWERING,
			      visit->visits->now_us);
	enum MHD_Result result = MHD_queue_response(visit->connection, visit->status, response);
	MHD_destroy_response(response);
	return result;
}

/* ---- the header ---- */

/* Once it is whole, and until the request is over. */
static size_t header_size(const struct http_visit *visit)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(visit->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info == NULL ? 0 : info->header_size;
}

struct fields {
	struct http_header *head;
	struct http_layout layout;
};

static bool take_field(void *context, struct bytes name, struct bytes value)
{
	struct fields *fields = context;
	const char *begin = (const char *)name.data, *end = (const char *)value.data + value.len;

	http_layout_expect(&fields->layout, begin, (size_t)(end - begin), "\r\n");
	return http_header_add(fields->head, name, value);
}

/* What may stand in a target; what is above ASCII is looked at where it is decoded. */
static bool is_target(struct bytes target)
{
	for (size_t i = 0; i < target.len; i++)
		if (target.data[i] <= ' ' || target.data[i] == 0x7f)
			return false;
	return target.len > 0;
}

static const char *why_header_is_bad(struct http_visit *visit, const char *url, const char *method,
				     const char *version)
{
	struct fields fields = {.head = &visit->head};
	struct http_layout *layout = &fields.layout;
	struct bytes target = bytes_from(visit->text.data, visit->text.target_len);

	visit->head.is_http_1_0 = strcmp(version, "HTTP/1.0") == 0;
	http_layout_begin(layout, &visit->memory, method);
	http_layout_expect(layout, method, strlen(method), " ");
	http_layout_expect(layout, url, target.len, " ");
	http_layout_expect(layout, version, strlen(version), "\r\n");
	http_exchange_fields(&visit->exchange, take_field, &fields);
	if (visit->head.why != NULL)
		return visit->head.why;
	if (!visit->head.has_host && !visit->head.is_http_1_0)
		return "Host: is missing";
	if (!is_target(target))
		return "the request line has characters that are not allowed";
	if (visit->visits->is_lax &&
	    !http_layout_ends_at(layout, method + header_size(visit) - strlen("\r\n")))
		return "the header has a NUL, or a line that does not end, or is not one";
	return NULL;
}

/* ---- a request, step by step ---- */

/*
 * The target is copied, and the library then told that the query is empty: it would cut that up
 * for nobody, in memory that headers need, and before 1.0 forgets to stop when that is short.
 */
void *http_visit_on_first_line(void *owner, const char *target, struct MHD_Connection *connection)
{
	struct http_visits *visits = owner;
	struct http_visit *visit =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
			->socket_context;
	char *mark = target == NULL ? NULL : strchr((char *)(uintptr_t)target, '?');

	visit->step = HTTP_HEAD_NEXT;
	visit->head = (struct http_header){0};
	visit->has_target = http_text_set_target(&visit->text, target == NULL ? "" : target);
	if (mark != NULL)
		mark[1] = '\0';
	/* One that was seen to begin before has its time already. */
	if (visit->client.phase == HTTP_IDLE)
		http_client_set_phase(&visits->clients, &visit->client, HTTP_ASKING,
				      visits->now_us);
	return visit;
}

static enum http_method method_of(const char *method)
{
	if (strcmp(method, "GET") == 0)
		return HTTP_GET;
	if (strcmp(method, "HEAD") == 0)
		return HTTP_HEAD;
	return strcmp(method, "POST") == 0 ? HTTP_POST : HTTP_OTHER;
}

static void set_views(struct http_visit *visit)
{
	struct http_exchange *exchange = &visit->exchange;

	http_text_split_target(&visit->text, &exchange->path, &exchange->query);
	exchange->body = http_text_body(&visit->text);
}

/* It is answered inside. */
static void refuse(struct http_visit *visit, unsigned status, const char *why)
{
	const struct http_handler *handler = &visit->visits->handler;

	visit->is_told = true;
	visit->is_cut = true;
	set_views(visit);
	handler->refused(handler->owner, &visit->exchange, status, why);
}

#define BODY_TOO_LARGE "the body is larger than 64 KiB"

static enum MHD_Result take_header(struct http_visit *visit, const char *url, const char *method,
				   const char *version)
{
	const struct http_header *head = &visit->head;
	const char *why = why_header_is_bad(visit, url, method, version);

	visit->step = HTTP_BODY_NEXT;
	visit->exchange.method = method_of(method);
	if (!visit->has_target)
		refuse(visit, 503, "out of memory");
	else if (why != NULL)
		refuse(visit, 400, why);
	else if (header_size(visit) > HTTP_HEADER_MAX)
		refuse(visit, 431, "the header is larger than 12 KiB");
	else if (head->has_length && head->length > HTTP_BODY_MAX)
		refuse(visit, 413, BODY_TOO_LARGE);
	else
		return MHD_YES;
	return send_answer(visit);
}

void http_visit_refuse_past(struct http_visit *visit, unsigned status, const char *why)
{
	visit->step = HTTP_PAST;
	refuse(visit, status, why);
}

static void refuse_header(struct http_visit *visit)
{
	struct fields fields = {.head = &visit->head};

	http_exchange_fields(&visit->exchange, take_field, &fields);
	if (visit->head.why != NULL)
		http_visit_refuse_past(visit, 400, visit->head.why);
	else if (visit->head.length > HTTP_BODY_MAX)
		http_visit_refuse_past(visit, 413, BODY_TOO_LARGE);
	else
		http_visit_refuse_past(visit, 400, "the header is not good");
	(void)shutdown(visit->client.fd, SHUT_WR);
}

/*
 * Before 1.0 the library, when it refuses a header that is whole, puts two headers before its
 * answer. It logs that before it does, and there is one visit only whose header it has and has not
 * shown: that one gets our answer, and the library finds that it can't send its own.
 */
void http_visits_take_complaint(struct http_visits *visits)
{
	struct list *timed = &visits->clients.timed;

	for (struct list *link = timed->next; link != timed; link = link->next) {
		struct http_client *client = CONTAINER_OF(link, struct http_client, link);
		struct http_visit *visit = CONTAINER_OF(client, struct http_visit, client);
		if (visit->step != HTTP_HEAD_NEXT || header_size(visit) == 0)
			continue;
		refuse_header(visit);
		return;
	}
}

static enum MHD_Result take_piece(struct http_visit *visit, const char *data, size_t *len)
{
	if (*len > HTTP_BODY_MAX - http_text_body(&visit->text).len) {
		http_visit_refuse_past(visit, 413, BODY_TOO_LARGE);
		return MHD_NO;
	}
	if (!http_text_add_body(&visit->text, bytes_from(data, *len))) {
		http_visit_refuse_past(visit, 503, "out of memory");
		return MHD_NO;
	}
	*len = 0;
	return MHD_YES;
}

/*
 * Trailers have the faults that the header is looked through for, and before 1.0 the chunks do:
 * what comes behind them may not be what the client takes for a request.
 */
static bool is_end_doubtful(const struct http_visit *visit)
{
	return visit->head.is_chunked &&
	       (visit->visits->is_lax ||
		MHD_get_connection_values_n(visit->connection, MHD_FOOTER_KIND, NULL, NULL) > 0);
}

static enum MHD_Result take_request(struct http_visit *visit)
{
	struct http_visits *visits = visit->visits;

	visit->step = HTTP_ASKED;
	visit->is_told = true;
	visit->is_last = is_end_doubtful(visit);
	set_views(visit);
	http_client_set_phase(&visits->clients, &visit->client, HTTP_WAITING, visits->now_us);
	visits->handler.requested(visits->handler.owner, &visit->exchange);
	if (visit->status != 0)
		return send_answer(visit);
	visit->is_suspended = true;
	MHD_suspend_connection(visit->connection);
	return MHD_YES;
}

enum MHD_Result http_visit_on_request(void *visits, struct MHD_Connection *connection,
				      const char *url, const char *method, const char *version,
				      const char *data, size_t *len, void **request)
{
	struct http_visit *visit = *request;

	(void)visits, (void)connection;
	switch (visit->step) {
	case HTTP_HEAD_NEXT:
		return take_header(visit, url, method, version);
	case HTTP_BODY_NEXT:
		return *len > 0 ? take_piece(visit, data, len) : take_request(visit);
	case HTTP_ASKED: /* it was resumed */
		return send_answer(visit);
	case HTTP_REST:
	case HTTP_PAST:
		break;
	}
	return MHD_NO;
}

/* How many bytes the request had; of a chunked body nobody knows how it was written. */
static void count_taken(struct http_visit *visit)
{
	if (visit->head.is_chunked)
		http_client_took_all(&visit->client);
	else
		visit->client.taken += header_size(visit) + http_text_body(&visit->text).len;
}

static void end_request(struct http_visit *visit)
{
	struct http_visits *visits = visit->visits;

	if (visit->is_told)
		visits->handler.ended(visits->handler.owner, &visit->exchange);
	if (visit->response != NULL)
		MHD_destroy_response(visit->response);
	visit->response = NULL;
	visit->status = 0;
	visit->is_told = false;
	visit->step = HTTP_REST;
	http_text_clear(&visit->text);
}

void http_visit_on_completed(void *owner, struct MHD_Connection *connection, void **request,
			     enum MHD_RequestTerminationCode code)
{
	struct http_visits *visits = owner;
	struct http_visit *visit = *request;

	(void)connection, (void)code;
	if (visit == NULL)
		return;
	count_taken(visit);
	end_request(visit);
	http_client_set_phase(&visits->clients, &visit->client, HTTP_IDLE, visits->now_us);
}

/* ---- the visit ---- */

struct http_visit *http_visit_new(struct http_visits *visits, int fd, unsigned door)
{
	struct http_visit *visit = malloc(sizeof *visit);

	if (visit == NULL)
		return NULL;
	*visit = (struct http_visit){.visits = visits};
	http_client_init(&visit->client, fd);
	http_text_init(&visit->text);
	list_init(&visit->exchange.open);
	visit->exchange.door = door;
	visit->exchange.is_local = visit->client.is_local;
	return visit;
}

void http_visit_free(struct http_visit *visit)
{
	end_request(visit);
	http_client_leave(&visit->visits->clients, &visit->client);
	free(visit);
}

bool http_visit_is_unanswered(const struct http_visit *visit)
{
	return visit->step == HTTP_REST && visit->client.taken == 0 && !visit->client.is_leaving &&
	       http_client_is_unanswered(&visit->client);
}

/* ---- header fields ---- */

bool http_exchange_field(const struct http_exchange *exchange, const char *name,
			 struct bytes *ret_value)
{
	const char *value = NULL;
	size_t len = 0;

	if (MHD_lookup_connection_value_n(visit_of(exchange)->connection, MHD_HEADER_KIND, name,
					  strlen(name), &value, &len) != MHD_YES ||
	    value == NULL)
		return false;
	*ret_value = bytes_from(value, len);
	return true;
}

struct walk {
	bool (*take)(void *context, struct bytes name, struct bytes value);
	void *context;
};

static enum MHD_Result walk(void *context, enum MHD_ValueKind kind, const char *name,
			    size_t name_len, const char *value, size_t value_len)
{
	const struct walk *walking = context;
	struct bytes bytes = value == NULL ? BYTES("") : bytes_from(value, value_len);

	(void)kind;
	return walking->take(walking->context, bytes_from(name, name_len), bytes) ? MHD_YES
										  : MHD_NO;
}

void http_exchange_fields(const struct http_exchange *exchange,
			  bool (*take)(void *context, struct bytes name, struct bytes value),
			  void *context)
{
	struct walk walking = {take, context};

	(void)MHD_get_connection_values_n(visit_of(exchange)->connection, MHD_HEADER_KIND, walk,
					  &walking);
}
