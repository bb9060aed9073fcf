#include "net/http/http_batch.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/http/http_bounds.h"
#include "support/sweep.h"
#include "support/test.h"

TEST(http_batch_join_puts_results_in_their_order)
{
	struct http_batch *batch = http_batch_new(3);
	size_t len;

	http_batch_add(batch, 2, BYTES("{\"c\":3}"));
	http_batch_add(batch, 0, BYTES("{\"a\":1}"));
	assert_false(http_batch_is_complete(batch));
	http_batch_add(batch, 1, BYTES("{\"b\":2}"));
	assert_true(http_batch_is_complete(batch));

	void *json = http_batch_join(batch, &len);
	assert_bytes_text(bytes_from(json, len), "{\"results\":[{\"a\":1},{\"b\":2},{\"c\":3}]}");
	free(json);
	http_batch_free(batch);
}

TEST(http_batch_add_large_results_fit)
{
	struct http_batch *batch = http_batch_new(HTTP_CHECKS_MAX);
	char result[5000];
	size_t len;

	for (size_t i = HTTP_CHECKS_MAX; i > 0; i--) {
		memset(result, (int)('0' + i % 10), sizeof result);
		http_batch_add(batch, i - 1, bytes_from(result, sizeof result));
	}

	char *json = http_batch_join(batch, &len);
	size_t begin = strlen("{\"results\":[");
	assert_int_equal(len, begin + HTTP_CHECKS_MAX * (sizeof result + 1) + 1);
	for (size_t i = 0; i < HTTP_CHECKS_MAX; i++)
		assert_int_equal(json[begin + i * (sizeof result + 1)], '0' + (i + 1) % 10);
	free(json);
	http_batch_free(batch);
}

TEST(http_batch_free_takes_null)
{
	http_batch_free(NULL);
}
