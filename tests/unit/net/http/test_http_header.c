#include "net/http/http_header.h"

#include "support/test.h"

/* Fields as "Name: value", up to the first NULL. */
static struct http_header head_of(bool is_http_1_0, const char *const *fields)
{
	struct http_header head = {.is_http_1_0 = is_http_1_0};

	for (; *fields != NULL; fields++) {
		const char *colon = strchr(*fields, ':');
		struct bytes name = bytes_from(*fields, (size_t)(colon - *fields));
		bool is_good = http_header_add(&head, name, bytes_from_text(colon + 1));
		assert_int_equal(is_good, head.why == NULL);
	}
	return head;
}

#define HEAD(...) head_of(false, (const char *const[]){__VA_ARGS__, NULL})

TEST(http_header_add_good_fields_say_where_the_body_ends)
{
	struct http_header head;

	head = HEAD("Host: x", "Accept: */*", "X-Odd!#$%&'*+-.^_`|~09: \t ok \x80\xff");
	assert_null(head.why);
	assert_true(head.has_host);
	assert_false(head.has_length || head.is_chunked);

	head = HEAD("content-LENGTH: 0042");
	assert_null(head.why);
	assert_true(head.has_length);
	assert_int_equal(head.length, 42);

	head = HEAD("Transfer-Encoding: Chunked");
	assert_null(head.why);
	assert_true(head.is_chunked);
}

TEST(http_header_add_a_length_that_is_too_long_is_the_longest)
{
	struct http_header head;

	head = HEAD("Content-Length: 18446744073709551616");

	assert_null(head.why);
	assert_int_equal(head.length, UINT64_MAX);
}

TEST(http_header_add_what_may_be_read_in_two_ways_is_refused)
{
	static const char *const cases[][3] = {
		{"Host: a", "Host: a"},
		{"Content-Length: 5", "Content-Length: 5"},
		{"Content-Length: 5", "content-length: 6"},
		{"Content-Length: 5, 5"},
		{"Content-Length: 5 5"},
		{"Content-Length: +5"},
		{"Content-Length: -5"},
		{"Content-Length: 0x5"},
		{"Content-Length: 5.0"},
		{"Content-Length:"},
		{"Content-Length: x"},
		{"Content-Length: 5", "Transfer-Encoding: chunked"},
		{"Transfer-Encoding: chunked", "Content-Length: 5"},
		{"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"},
		{"Transfer-Encoding: gzip, chunked"},
		{"Transfer-Encoding: identity"},
		{"Transfer-Encoding: xchunked"},
		{"Transfer-Encoding: \"chunked\""},
		{"Transfer-Encoding:"},
		{"Transfer-Encoding: \x0b"
		 "chunked"},
		{": x"},
		{"Content-Length : 5"},
		{"A B: x"},
		{"A\tB: x"},
		{"A\x01: x"},
		{"A(: x"},
		{"A\xe9: x"},
		{"A: b\x01"},
		{"A: b\rc"},
		{"A: b\nc"},
		{"A: b\x7f"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_non_null(head_of(false, cases[i]).why);
}

TEST(http_header_add_a_nul_is_refused_in_name_and_value)
{
	struct http_header in_name = {0}, in_value = {0};

	assert_false(http_header_add(&in_name, BYTES("A\0"), BYTES("b")));
	assert_false(http_header_add(&in_value, BYTES("A"), BYTES("b\0c")));
}

TEST(http_header_add_chunks_are_not_in_http_1_0)
{
	assert_non_null(
		head_of(true, (const char *const[]){"Transfer-Encoding: chunked", NULL}).why);
}

TEST(http_header_add_the_first_fault_sticks)
{
	struct http_header head;

	head = HEAD("Host: a", "Host: b", "Content-Length: x", "Accept: y");

	assert_string_equal(head.why, "Host: stands there twice");
}
