#include "net/http/http_auth_map.h"

#include <stdio.h>
#include <stdlib.h>

#include "net/http/http_bounds.h"
#include "support/guarded.h"
#include "support/test.h"

static struct guarded *guarded;
static struct http_question *question;

BEFORE_ALL
{
	guarded = guarded_new(HTTP_AUTH_LINE_MAX + HTTP_AUTH_FIELDS_MAX);
	question = malloc(sizeof *question);
	assert_non_null(question);
}

AFTER_ALL
{
	guarded_free(guarded);
	free(question);
}

/* ---- what was understood, in a notation ---- */

static void put_attribute(struct writer *w, const struct attribute *attribute)
{
	char memory[VALUE_SHORT_TEXT_MAX];

	if (attribute->value.kind == VALUE_ABSENT)
		return;
	if (w->len > 0)
		writer_put_u8(w, ' ');
	writer_put(w, attribute->name);
	writer_put_u8(w, '=');
	if (attribute->value.kind == VALUE_TEXT)
		writer_put_u8(w, '\'');
	writer_put(w, value_to_text(&attribute->value, memory));
	if (attribute->value.kind == VALUE_TEXT)
		writer_put_u8(w, '\'');
}

/*
 * Attributes that are there, as `src=192.0.2.1 method='GET'`, addresses without quotes; or the
 * status of the refusal and its reason.
 */
static const char *result_of(const char *request)
{
	static char result[2048];
	struct writer w = writer_on(result, sizeof result);
	struct http_head head = {0};
	struct auth_query query;
	struct err err;

	struct bytes input = guarded_copy(guarded, bytes_from_text(request));
	if (http_head_read(&head, input) != HTTP_HEAD_DONE)
		fail_msg("%s: %s", request, head.why);
	http_question_clear(question);
	if (!http_auth_read_query(question, head.query, &query, &err)) {
		snprintf(result, sizeof result, "400 %s", err.text);
		return result;
	}
	if (!http_auth_read_fields(question, &head, &query, &err)) {
		snprintf(result, sizeof result, "%u %s", http_auth_denial(&query), err.text);
		return result;
	}
	for (size_t i = 0; i < question->count; i++)
		put_attribute(&w, &question->items[i]);
	return writer_text(&w);
}

#define LINE(query) "GET /auth?" query " HTTP/1.1\r\nHost: agent\r\n"
#define END         "\r\n"

/* What each proxy says of `POST /Login/?a=b` to Example.com:8443 from 192.0.2.1. */
#define FORWARDED                                \
	"X-Forwarded-Method: POST\r\n"           \
	"X-Forwarded-Host: Example.com:8443\r\n" \
	"X-Forwarded-Uri: /Login/?a=b\r\n"       \
	"X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n"
#define ORIGINAL                                \
	"X-Original-Method: POST\r\n"           \
	"X-Original-Host: Example.com:8443\r\n" \
	"X-Original-URI: /Login/?a=b\r\n"       \
	"X-Real-IP: 192.0.2.1\r\n"
#define INGRESS                                                   \
	"X-Original-Method: POST\r\n"                             \
	"X-Original-URL: https://Example.com:8443/Login/?a=b\r\n" \
	"X-Forwarded-For: 192.0.2.1\r\n"
#define ENVOY(uri)                                                                 \
	"POST /auth?from=envoy&uri=" uri " HTTP/1.1\r\nHost: Example.com:8443\r\n" \
	"X-Forwarded-For: 192.0.2.1\r\n\r\n"
#define VISITOR                                                         \
	"src=192.0.2.1 method='POST' host='example.com' path='/Login' " \
	"raw_path='/Login/' query='a=b'"

static const struct {
	const char *name;
	const char *request;
	const char *expected;
} requests[] = {
	/* Each proxy, and the fields of the others beside its own. */
	{"traefik", LINE("from=traefik") FORWARDED END, VISITOR},
	{"caddy", LINE("from=caddy") FORWARDED END, VISITOR},
	{"nginx", LINE("from=nginx") ORIGINAL END, VISITOR},
	{"ingress-nginx", LINE("from=ingress-nginx") INGRESS END, VISITOR},
	{"envoy", ENVOY("/Login/?a=b"), VISITOR},
	{"names in another case",
	 LINE("from=nginx") "x-original-method: POST\r\nX-ORIGINAL-HOST: Example.com\r\n"
			    "x-original-uri: /Login/?a=b\r\nx-real-ip: 192.0.2.1\r\n\r\n",
	 VISITOR},
	{"others' fields at traefik",
	 LINE("from=traefik") FORWARDED "X-Original-URI: /x\r\nX-Original-URL: http://x/x\r\n"
					"X-Original-Method: GET\r\nX-Real-IP: 198.51.100.1\r\n"
					"X-Original-Host: x\r\nX-Attr-Cost: 0\r\nCookie: a\r\n\r\n",
	 VISITOR},
	{"others' fields at nginx", LINE("from=nginx") ORIGINAL FORWARDED END, VISITOR},
	{"others' fields at envoy",
	 "POST /auth?from=envoy&uri=/Login/?a=b HTTP/1.1\r\nHost: Example.com\r\n"
	 "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Uri: /x\r\nX-Forwarded-Method: GET\r\n"
	 "X-Forwarded-Host: x\r\nX-Original-URI: /y\r\n\r\n",
	 VISITOR},

	/* A column that is missing, or comes twice. */
	{"no method",
	 LINE("from=traefik") "X-Forwarded-Host: a\r\nX-Forwarded-Uri: /\r\n"
			      "X-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "429 X-Forwarded-Method: the field is missing"},
	{"no host",
	 LINE("from=caddy") "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\n"
			    "X-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "429 X-Forwarded-Host: the field is missing"},
	{"no URI",
	 LINE("from=nginx") "X-Original-Method: GET\r\nX-Original-Host: a\r\n"
			    "X-Real-IP: 192.0.2.1\r\n\r\n",
	 "403 X-Original-URI: the field is missing"},
	{"no client",
	 LINE("from=nginx") "X-Original-Method: GET\r\nX-Original-Host: a\r\n"
			    "X-Original-URI: /\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "403 X-Real-IP: the field is missing"},
	{"no URL",
	 LINE("from=ingress-nginx&deny_status=401") "X-Original-Method: GET\r\nX-Original-URI: "
						    "/\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "401 X-Original-URL: the field is missing"},
	{"no entry",
	 LINE("from=traefik&deny_status=403") "X-Forwarded-Method: GET\r\nX-Forwarded-Host: "
					      "a\r\nX-Forwarded-Uri: /\r\n"
					      "X-Real-IP: 192.0.2.1\r\n\r\n",
	 "403 X-Forwarded-For: the entries are fewer than 1"},
	{"no uri", LINE("from=envoy") "X-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "429 uri: the parameter is missing"},
	{"HTTP/1.0 without Host at envoy",
	 "GET /auth?from=envoy&uri=/ HTTP/1.0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "429 Host: the field is missing"},
	{"a method twice", LINE("from=traefik") FORWARDED "X-Forwarded-Method: GET\r\n\r\n",
	 "429 X-Forwarded-Method: the field comes twice"},
	{"a host twice", LINE("from=traefik") FORWARDED "x-forwarded-host: Example.com\r\n\r\n",
	 "429 X-Forwarded-Host: the field comes twice"},
	{"a URI twice", LINE("from=nginx") ORIGINAL "X-Original-URI:\r\n\r\n",
	 "403 X-Original-URI: the field comes twice"},
	{"a client twice", LINE("from=nginx") ORIGINAL "X-Real-IP: 192.0.2.1\r\n\r\n",
	 "403 X-Real-IP: the field comes twice"},

	/* Values that are none. */
	{"an empty method",
	 LINE("from=traefik") "X-Forwarded-Method:\r\nX-Forwarded-Host: a\r\n"
			      "X-Forwarded-Uri: /\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "429 X-Forwarded-Method: the value is not a method"},
	{"two methods",
	 LINE("from=traefik") "X-Forwarded-Method: GET, POST\r\n"
			      "X-Forwarded-Host: a\r\nX-Forwarded-Uri: /\r\nX-Forwarded-For: "
			      "192.0.2.1\r\n\r\n",
	 "429 X-Forwarded-Method: the value is not a method"},
	{"a broken host",
	 LINE("from=traefik") "X-Forwarded-Method: GET\r\nX-Forwarded-Host: a,b\r\n"
			      "X-Forwarded-Uri: /\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "429 the host is neither a name nor an address"},
	{"dots in the path", ENVOY("/a/..;/b"), "429 the path has a segment . or .."},
	{"a broken escape", ENVOY("/%zz"), "429 the path has a % without two hexadecimal digits"},
	{"no address at nginx",
	 LINE("from=nginx") "X-Original-Method: GET\r\nX-Original-Host: a\r\nX-Original-URI: "
			    "/\r\nX-Real-IP: unix:\r\n\r\n",
	 "403 X-Real-IP: the client is not an address"},
	{"no URL at ingress-nginx",
	 LINE("from=ingress-nginx") "X-Original-Method: GET\r\nX-Original-URL: "
				    "/x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "403 X-Original-URL: the value is not a URL"},
	{"a URL of another host",
	 LINE("from=ingress-nginx") "X-Original-Method: GET\r\nX-Original-URL: http://a?@b/x\r\n"
				    "X-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "403 the host is neither a name nor an address"},
	{"a URL with a user",
	 LINE("from=ingress-nginx") "X-Original-Method: GET\r\nX-Original-URL: http://u@b/x\r\n"
				    "X-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "403 the host is neither a name nor an address"},
	{"a URL without a host",
	 LINE("from=ingress-nginx") "X-Original-Method: G-T\r\nX-Original-URL: "
				    "https:///x?http://y/\r\n"
				    "X-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "src=192.0.2.1 method='G-T' host='' path='/x' raw_path='/x' query='http://y/'"},
	{"an empty host",
	 LINE("from=traefik") "X-Forwarded-Method: GET\r\nX-Forwarded-Host:\r\n"
			      "X-Forwarded-Uri: *\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "src=192.0.2.1 method='GET' host='' path='/' raw_path='/' query=''"},

	/* uri= */
	{"uri: all that follows", ENVOY("/a?uri=/b&from=nginx&policy=x&%zz"),
	 "src=192.0.2.1 method='POST' host='example.com' path='/a' raw_path='/a' "
	 "query='uri=/b&from=nginx&policy=x&%zz'"},
	{"uri: empty", ENVOY(""),
	 "src=192.0.2.1 method='POST' host='example.com' path='/' raw_path='/' query=''"},
	{"uri: as it stands", ENVOY("/a+b%2520?c%20d+e"),
	 "src=192.0.2.1 method='POST' host='example.com' path='/a+b%20' raw_path='/a+b%2520' "
	 "query='c%20d+e'"},
	{"uri: bytes", ENVOY("/\xff?\xfe"),
	 "src=192.0.2.1 method='POST' host='example.com' path='/\xff' raw_path='/\xff' "
	 "query='\xfe'"},
	{"uri: of another proxy", LINE("from=traefik&uri=/") FORWARDED END,
	 "400 uri: with from=traefik the URI is in X-Forwarded-Uri"},
	{"uri: without =", LINE("from=envoy&uri") END, "400 uri: must be written uri="},
	{"uri: escaped", LINE("from=envoy&%75ri=/") END, "400 uri: must be written uri="},
	{"uri: before from", LINE("uri=/&from=envoy") END,
	 "400 from: is missing; accepted are traefik, caddy, nginx, ingress-nginx and envoy"},

	{"a CONNECT has no path",
	 LINE("from=traefik") "X-Forwarded-Method: CONNECT\r\nX-Forwarded-Host: a\r\n"
			      "X-Forwarded-Uri: a:443\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
	 "src=192.0.2.1 method='CONNECT' host='a' path='/' raw_path='/' query=''"},

	/* xff= */
	{"xff: 2", LINE("from=traefik&xff=2") FORWARDED END,
	 "src=203.0.113.9 method='POST' host='example.com' path='/Login' raw_path='/Login/' "
	 "query='a=b'"},
	{"xff: 3", LINE("from=traefik&xff=3") FORWARDED END,
	 "429 X-Forwarded-For: the entries are fewer than 3"},
	{"xff: over lines",
	 LINE("from=traefik&xff=4") "X-Forwarded-For: x, [2001:DB8::1]:443\r\n" FORWARDED
				    "X-Forwarded-For:10.0.0.1\r\n\r\n",
	 "src=2001:db8::1 method='POST' host='example.com' path='/Login' raw_path='/Login/' "
	 "query='a=b'"},
	{"xff: the last line counts",
	 LINE("from=traefik") FORWARDED "X-Forwarded-For: ,10.0.0.1\r\n\r\n",
	 "src=10.0.0.1 method='POST' host='example.com' path='/Login' raw_path='/Login/' "
	 "query='a=b'"},
	{"xff: an empty entry", LINE("from=traefik") FORWARDED "X-Forwarded-For:\r\n\r\n",
	 "429 X-Forwarded-For: the client is not an address"},
	{"xff: no address", LINE("from=traefik") FORWARDED "X-Forwarded-For: unknown\r\n\r\n",
	 "429 X-Forwarded-For: the client is not an address"},
	{"xff: a port", LINE("from=traefik") FORWARDED "X-Forwarded-For: 10.0.0.1:4711\r\n\r\n",
	 "src=10.0.0.1 method='POST' host='example.com' path='/Login' raw_path='/Login/' "
	 "query='a=b'"},
	{"xff: 0", LINE("from=traefik&xff=0") FORWARDED END,
	 "400 xff: \"0\" is not a whole number from 1 to 32770"},
	{"xff: a huge number", LINE("from=traefik&xff=18446744073709551616") FORWARDED END,
	 "400 xff: \"18446744073709551616\" is not a whole number from 1 to 32770"},
	{"xff: twice", LINE("from=traefik&xff=1&xff=1") FORWARDED END, "400 xff: is given twice"},
	{"xff: at nginx", LINE("from=nginx&xff=1") ORIGINAL END,
	 "400 xff: with from=nginx the client is in X-Real-IP"},

	/* Attributes and policies of /auth's own query. */
	{"an attribute", LINE("from=nginx&tenant=a%20b+c") ORIGINAL END, VISITOR " tenant='a b c'"},
	{"a policy", LINE("from=nginx&policy=login,per-ip") ORIGINAL END,
	 VISITOR " policy='login,per-ip'"},
	{"an attribute twice", LINE("from=nginx&a=1&a=2") ORIGINAL END, "400 a: is given twice"},
	{"a policy twice", LINE("from=nginx&policy=1&policy=2") ORIGINAL END,
	 "400 policy: is given twice"},
	{"an attribute that is bad", LINE("from=nginx&a=%ff") ORIGINAL END, "400 a: invalid UTF-8"},
	{"a column", LINE("from=nginx&src=192.0.2.7") ORIGINAL END,
	 "400 src: the proxy says this attribute"},
	{"a column, escaped", LINE("from=nginx&%71uery=x") ORIGINAL END,
	 "400 query: the proxy says this attribute"},
	{"a key", LINE("from=nginx&key=x") ORIGINAL END,
	 "400 key: of the reserved names /auth takes policy alone"},
	{"a cost", LINE("from=nginx&cost=0") ORIGINAL END,
	 "400 cost: of the reserved names /auth takes policy alone"},
	{"an algorithm", LINE("from=nginx&algorithm=token_bucket") ORIGINAL END,
	 "400 algorithm: of the reserved names /auth takes policy alone"},
	{"a window", LINE("from=nginx&window=1m") ORIGINAL END,
	 "400 window: of the reserved names /auth takes policy alone"},

	/* from= and deny_status= */
	{"no from", LINE("policy=x") ORIGINAL END,
	 "400 from: is missing; accepted are traefik, caddy, nginx, ingress-nginx and envoy"},
	{"from of nobody", LINE("from=Nginx") ORIGINAL END,
	 "400 from: \"Nginx\" is unknown; accepted are traefik, caddy, nginx, ingress-nginx and "
	 "envoy"},
	{"from twice", LINE("from=nginx&from=nginx") ORIGINAL END, "400 from: is given twice"},
	{"deny_status of nginx", LINE("from=nginx&deny_status=429") ORIGINAL END,
	 "400 deny_status: with from=nginx accepted are 401 and 403: nginx makes an error of every "
	 "other status"},
	{"deny_status of another kind", LINE("from=caddy&deny_status=503") FORWARDED END,
	 "400 deny_status: \"503\" is not accepted; accepted are 401, 403 and 429"},
	{"deny_status of ingress-nginx", LINE("from=ingress-nginx&deny_status=403") INGRESS END,
	 VISITOR},

	/* header= */
	{"header", LINE("from=nginx&header=X-Api-Key") ORIGINAL "x-api-KEY:  a\xff b \r\n\r\n",
	 VISITOR " x-api-key='a\xff b'"},
	{"header: two of them", LINE("from=nginx&header=b&header=A") ORIGINAL "A: 1\r\nB:\r\n\r\n",
	 VISITOR " b='' a='1'"},
	{"header: left out", LINE("from=nginx&header=A") ORIGINAL END, VISITOR},
	{"header: left out, with a policy",
	 LINE("from=nginx&header=A&policy=p&header=b") ORIGINAL "B: 1\r\n\r\n",
	 VISITOR " a='' policy='p' b='1'"},
	{"header: sent twice", LINE("from=nginx&header=A") ORIGINAL "A: 1\r\na: 1\r\n\r\n",
	 "403 header=a: the field comes twice"},
	{"header: named twice", LINE("from=nginx&header=A&header=a") ORIGINAL END,
	 "400 header=a: is given twice"},
	{"header: an attribute too", LINE("from=nginx&a=1&header=A") ORIGINAL END,
	 "400 header=a: is given twice"},
	{"header: an attribute behind it", LINE("from=nginx&header=A&a=1") ORIGINAL END,
	 "400 a: is given twice"},
	{"header: a column", LINE("from=nginx&header=Host") ORIGINAL END,
	 "400 header=host: the proxy says this attribute"},
	{"header: a reserved name", LINE("from=nginx&header=Cost") ORIGINAL END,
	 "400 header=cost: of the reserved names /auth takes policy alone"},
	{"header: policy", LINE("from=nginx&header=Policy") ORIGINAL END,
	 "400 header=policy: of the reserved names /auth takes policy alone"},
	{"header: no name", LINE("from=nginx&header=") ORIGINAL END,
	 "400 header: \"\" is not the name of a header field"},
	{"header: no token", LINE("from=nginx&header=a:b") ORIGINAL END,
	 "400 header: \"a:b\" is not the name of a header field"},
	{"a field of an attribute's name", LINE("from=nginx&a=1") ORIGINAL "a: 2\r\n\r\n",
	 VISITOR " a='1'"},
};

TEST_ROWS(requests)
{
	assert_string_equal(result_of(row->request), row->expected);
}

TEST(http_auth_read_query_of_255_attributes_has_no_room_for_more)
{
	char text[4096];
	struct auth_query query;
	struct err err;
	int len = snprintf(text, sizeof text, "from=nginx");

	for (int i = 6; i < HTTP_ATTRIBUTES_MAX; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, "&a%d=%d", i, i);
	http_question_clear(question);
	assert_true(http_auth_read_query(question, bytes_from(text, (size_t)len), &query, &err));
	len += snprintf(text + len, sizeof text - (size_t)len, "&header=b");
	http_question_clear(question);
	assert_false(http_auth_read_query(question, bytes_from(text, (size_t)len), &query, &err));
	assert_string_equal(err.text, "header=b: more than 255 attributes");
}

TEST(http_auth_read_query_that_is_cut_off_names_the_proxy)
{
	struct auth_query query;
	struct err err;

	http_question_clear(question);
	assert_false(http_auth_read_query(question, BYTES("from=caddy&deny_status=401&a=%4"),
					  &query, &err));
	assert_int_equal(http_auth_denial(&query), 401);
}
