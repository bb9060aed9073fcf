/*
 * The question's list has two parts, in this order:
 *
 *   columns      src, method, host, path, raw_path, query; absent until the fields are read
 *   parameters   `policy` and further attributes of /auth's own query, and one attribute for each
 *                `header=NAME`, which is absent until the fields are read
 *
 * A parameter whose name is that of a column, of a reserved name or of another parameter is
 * refused, so no name is there twice. `is_header` says which parameters get a visitor's field: no
 * other attribute ever does.
 */
#include "net/http/http_auth_map.h"

#include "base/parse.h"
#include "limit/reserved.h"
#include "net/http/http_map.h"
#include "net/http/http_path.h"

/* The names of fields. NULL: the proxy has none for it. */
struct auth_proxy {
	const char *name;
	const char *method; /* NULL: the method of the request itself */
	const char *host;   /* NULL: the host is in the URI */
	const char *uri;    /* NULL: it is the parameter `uri` */
	const char *client;
	bool is_list;         /* `client` is a list, to which each proxy adds an entry */
	bool is_auth_request; /* to nginx every status but 2xx, 401 and 403 is an error */
};

static const struct auth_proxy proxies[] = {
	{"traefik", "X-Forwarded-Method", "X-Forwarded-Host", "X-Forwarded-Uri", "X-Forwarded-For",
	 .is_list = true},
	{"caddy", "X-Forwarded-Method", "X-Forwarded-Host", "X-Forwarded-Uri", "X-Forwarded-For",
	 .is_list = true},
	{"nginx", "X-Original-Method", "X-Original-Host", "X-Original-URI", "X-Real-IP",
	 .is_auth_request = true},
	{"ingress-nginx", "X-Original-Method", NULL, "X-Original-URL", "X-Forwarded-For",
	 .is_list = true, .is_auth_request = true},
	{"envoy", NULL, "Host", NULL, "X-Forwarded-For", .is_list = true},
};

#define FROM_ACCEPTED "accepted are traefik, caddy, nginx, ingress-nginx and envoy"

enum column {
	COLUMN_SRC = 0,
	COLUMN_METHOD,
	COLUMN_HOST,
	COLUMN_PATH,
	COLUMN_RAW_PATH,
	COLUMN_QUERY,
	COLUMN_COUNT
};

static const struct bytes columns[COLUMN_COUNT] = {
	[COLUMN_SRC] = BYTES("src"),           [COLUMN_METHOD] = BYTES("method"),
	[COLUMN_HOST] = BYTES("host"),         [COLUMN_PATH] = BYTES("path"),
	[COLUMN_RAW_PATH] = BYTES("raw_path"), [COLUMN_QUERY] = BYTES("query"),
};

static void set_column(struct http_question *question, enum column column, struct bytes text)
{
	question->items[column].value = value_text(text);
}

/* ---- /auth's own query ---- */

static bool is_column(struct bytes name)
{
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		if (bytes_equal(columns[i], name))
			return true;
	return false;
}

/* Adds an attribute that is neither the proxy's word nor a reserved name; `policy` is one. */
static bool add_own(struct http_question *question, const char *place, struct bytes name,
		    struct value value, struct err *err)
{
	if (is_column(name))
		return http_question_refuse(err, place, name, "the proxy says this attribute");
	if (attribute_name_is_reserved(name))
		return http_question_refuse(err, place, name,
					    "of the reserved names /auth takes policy alone");
	return http_question_add(question, place, name, value, err);
}

static bool read_from(struct bytes text, struct auth_query *query, struct err *err)
{
	if (query->from != NULL)
		return err_set(err, "from: is given twice");
	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		if (bytes_equal(text, bytes_from_text(proxies[i].name)))
			query->from = &proxies[i];
	return query->from != NULL ||
	       err_set(err, "from: %s is unknown; " FROM_ACCEPTED, quoted(text).text);
}

static bool read_entry(struct bytes text, struct auth_query *query, struct err *err)
{
	if (query->entry != 0)
		return err_set(err, "xff: is given twice");
	return (parse_whole(text, HTTP_AUTH_FIELDS_MAX, &query->entry) && query->entry > 0) ||
	       err_set(err, "xff: %s is not a whole number from 1 to %d", quoted(text).text,
		       HTTP_AUTH_FIELDS_MAX);
}

static bool add_header(struct http_question *question, struct bytes field, struct auth_query *query,
		       struct err *err)
{
	struct bytes name;

	if (!http_is_token(field))
		return err_set(err, "header: %s is not the name of a header field",
			       quoted(field).text);
	const char *why = http_question_lower(question, field, &name);
	if (why != NULL)
		return http_question_refuse(err, "header=", field, why);
	if (!add_own(question, "header=", name, (struct value){.kind = VALUE_ABSENT}, err))
		return false;
	query->is_header[question->count - 1] = true;
	return true;
}

static bool add_policy(struct http_question *question, struct bytes value, struct auth_query *query,
		       struct err *err)
{
	query->names_policy = true;
	return http_question_add(question, "", BYTES("policy"), value_text(value), err);
}

static bool read_parameter(struct http_question *question, struct bytes pair,
			   struct auth_query *query, struct err *err)
{
	struct bytes name, value;

	if (!http_question_read_pair(question, pair, &name, &value, err))
		return false;
	if (bytes_equal(name, BYTES("from")))
		return read_from(value, query, err);
	if (bytes_equal(name, BYTES("deny_status")))
		return http_map_read_deny_status(value, &query->deny_status, err);
	if (bytes_equal(name, BYTES("xff")))
		return read_entry(value, query, err);
	if (bytes_equal(name, BYTES("header")))
		return add_header(question, value, query, err);
	if (bytes_equal(name, BYTES("policy")))
		return add_policy(question, value, query, err);
	if (bytes_equal(name, BYTES("uri")))
		return err_set(err, "uri: must be written uri=");
	return add_own(question, "", name, value_text(value), err);
}

/* What a single parameter does not show. */
static bool judge_query(const struct auth_query *query, struct err *err)
{
	const struct auth_proxy *from = query->from;

	if (from == NULL)
		return err_set(err, "from: is missing; " FROM_ACCEPTED);
	if (from->is_auth_request && query->deny_status == 429)
		return err_set(err,
			       "deny_status: with from=%s accepted are 401 and 403: nginx makes an "
			       "error of every other status",
			       from->name);
	if (!from->is_list && query->entry != 0)
		return err_set(err, "xff: with from=%s the client is in %s", from->name,
			       from->client);
	if (from->uri != NULL && query->uri.data != NULL)
		return err_set(err, "uri: with from=%s the URI is in %s", from->name, from->uri);
	return true;
}

bool http_auth_read_query(struct http_question *question, struct bytes text,
			  struct auth_query *ret_query, struct err *err)
{
	struct bytes rest = text, pair;

	*ret_query = (struct auth_query){0};
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		question->items[question->count++] =
			(struct attribute){columns[i], {.kind = VALUE_ABSENT}};
	while (bytes_next_item(&rest, '&', &pair)) {
		if (bytes_begin_with(pair, BYTES("uri="))) {
			/* What follows is the visitor's, and whole: `&` and `=` in it too. */
			size_t at = (size_t)(pair.data - text.data) + strlen("uri=");
			ret_query->uri = bytes_skip(text, at);
			break;
		}
		if (pair.len > 0 && !read_parameter(question, pair, ret_query, err))
			return false;
	}
	return judge_query(ret_query, err);
}

unsigned http_auth_denial(const struct auth_query *query)
{
	if (query->from->is_auth_request)
		return query->deny_status == 401 ? 401 : 403;
	return query->deny_status != 0 ? query->deny_status : 429;
}

/* ---- fields ---- */

/* The fields that the proxy writes; no data: the field is absent. */
struct said {
	struct bytes method, host, uri, client;
};

static bool refuse_field(struct err *err, const char *name, const char *why)
{
	return err_set(err, "%s: %s", name, why);
}

/* Keeps the value if the field has the wanted name. False when the field came before. */
static bool keep_field(const char *wanted, struct bytes name, struct bytes value,
		       struct bytes *kept, struct err *err)
{
	if (wanted == NULL || !bytes_equal_in_any_case(name, bytes_from_text(wanted)))
		return true;
	if (kept->data != NULL)
		return refuse_field(err, wanted, "the field comes twice");
	*kept = value;
	return true;
}

/* Gives the field's value to its `header=NAME`, if there is one. */
static bool keep_header(struct http_question *question, const struct auth_query *query,
			struct bytes name, struct bytes value, struct err *err)
{
	for (size_t i = COLUMN_COUNT; i < question->count; i++) {
		struct attribute *item = &question->items[i];
		if (!query->is_header[i] || !bytes_equal_in_any_case(item->name, name))
			continue;
		if (item->value.kind != VALUE_ABSENT)
			return http_question_refuse(err, "header=", item->name,
						    "the field comes twice");
		item->value = value_text(value);
	}
	return true;
}

static bool keep_fields(struct http_question *question, const struct http_head *head,
			const struct auth_query *query, struct said *said, struct err *err)
{
	const struct auth_proxy *from = query->from;
	struct bytes fields = head->fields, name, value;

	while (http_head_next_field(&fields, &name, &value))
		if (!keep_field(from->method, name, value, &said->method, err) ||
		    !keep_field(from->host, name, value, &said->host, err) ||
		    !keep_field(from->uri, name, value, &said->uri, err) ||
		    !keep_field(from->is_list ? NULL : from->client, name, value, &said->client,
				err) ||
		    !keep_header(question, query, name, value, err))
			return false;
	if (from->method == NULL)
		said->method = head->method_name;
	if (from->uri == NULL)
		said->uri = query->uri;
	return true;
}

/*
 * Of a policy that /auth names, a header that the client left out counts as the empty text: all
 * such requests share a balance.
 */
static void fill_headers(struct http_question *question, const struct auth_query *query)
{
	for (size_t i = COLUMN_COUNT; query->names_policy && i < question->count; i++)
		if (query->is_header[i] && question->items[i].value.kind == VALUE_ABSENT)
			question->items[i].value = value_text(BYTES(""));
}

/* ---- columns ---- */

static size_t count_entries(const struct http_head *head, const char *list)
{
	struct bytes fields = head->fields, name, value, entry;
	size_t count = 0;

	while (http_head_next_field(&fields, &name, &value))
		if (bytes_equal_in_any_case(name, bytes_from_text(list)))
			while (bytes_next_item(&value, ',', &entry))
				count++;
	return count;
}

/* The entry at `index`, from the left, of all lines of the list together; it is there. */
static struct bytes entry_at(const struct http_head *head, const char *list, size_t index)
{
	struct bytes fields = head->fields, name, value, entry = {0};

	while (http_head_next_field(&fields, &name, &value))
		if (bytes_equal_in_any_case(name, bytes_from_text(list)))
			while (bytes_next_item(&value, ',', &entry))
				if (index-- == 0)
					return bytes_trim(entry);
	return entry;
}

/* Counted from the right, because what stands on the left is the visitor's own. */
static bool find_entry(const struct http_head *head, const struct auth_query *query,
		       struct bytes *ret_entry, struct err *err)
{
	const char *list = query->from->client;
	size_t wanted = query->entry != 0 ? (size_t)query->entry : 1;
	size_t count = count_entries(head, list);

	if (count < wanted)
		return err_set(err, "%s: the entries are fewer than %zu", list, wanted);
	*ret_entry = entry_at(head, list, count - wanted);
	return true;
}

static bool set_client(struct http_question *question, const struct auth_proxy *from,
		       struct bytes client, struct err *err)
{
	const struct value text = value_text(client);
	const struct value address = attribute_canonical(columns[COLUMN_SRC], &text);

	if (client.data == NULL)
		return refuse_field(err, from->client, "the field is missing");
	if (!value_is_address(&address))
		return refuse_field(err, from->client, "the client is not an address");
	question->items[COLUMN_SRC].value = address;
	return true;
}

/* "https://example.com/login?next=/": the host and the rest. */
static bool split_url(struct bytes url, struct bytes *ret_host, struct bytes *ret_uri)
{
	struct bytes scheme, rest = url, host = {0};

	if (!bytes_next_item(&rest, ':', &scheme) || !bytes_begin_with(rest, BYTES("//")))
		return false;
	rest = bytes_skip(rest, 2);
	while (host.len < rest.len && rest.data[host.len] != '/')
		host.len++;
	*ret_host = bytes_from(rest.data, host.len);
	*ret_uri = bytes_skip(rest, host.len);
	return true;
}

static bool set_host(struct http_question *question, struct bytes host, struct err *err)
{
	struct writer w = http_question_writer(question);
	const char *why = http_host_put(&w, host);

	if (why != NULL)
		return err_set(err, "%s", why);
	set_column(question, COLUMN_HOST, writer_bytes(&w));
	http_question_keep(question, &w);
	return true;
}

static bool set_uri(struct http_question *question, struct bytes uri, struct err *err)
{
	struct http_target target = http_target_split(uri);
	struct writer w = http_question_writer(question);
	const char *why = http_path_put(&w, target.raw_path);

	if (why != NULL)
		return err_set(err, "%s", why);
	set_column(question, COLUMN_RAW_PATH, target.raw_path);
	set_column(question, COLUMN_QUERY, target.query);
	set_column(question, COLUMN_PATH, writer_bytes(&w));
	http_question_keep(question, &w);
	return true;
}

static bool judge_said(const struct auth_proxy *from, struct said *said, struct err *err)
{
	if (said->method.data == NULL)
		return refuse_field(err, from->method, "the field is missing");
	if (!http_is_token(said->method))
		return refuse_field(err, from->method, "the value is not a method");
	if (said->uri.data == NULL && from->uri == NULL)
		return err_set(err, "uri: the parameter is missing");
	if (said->uri.data == NULL)
		return refuse_field(err, from->uri, "the field is missing");
	if (from->host == NULL && !split_url(said->uri, &said->host, &said->uri))
		return refuse_field(err, from->uri, "the value is not a URL");
	if (said->host.data == NULL)
		return refuse_field(err, from->host, "the field is missing");
	return true;
}

bool http_auth_read_fields(struct http_question *question, const struct http_head *head,
			   const struct auth_query *query, struct err *err)
{
	const struct auth_proxy *from = query->from;
	struct said said = {0};

	if (!keep_fields(question, head, query, &said, err) || !judge_said(from, &said, err))
		return false;
	if (from->is_list && !find_entry(head, query, &said.client, err))
		return false;
	if (bytes_equal(said.method, BYTES("CONNECT")))
		said.uri = BYTES("*"); /* what it names is a host, and no path */
	if (!set_client(question, from, said.client, err) || !set_host(question, said.host, err) ||
	    !set_uri(question, said.uri, err))
		return false;
	set_column(question, COLUMN_METHOD, said.method);
	fill_headers(question, query);
	return true;
}
