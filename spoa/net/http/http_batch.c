#include "net/http/http_batch.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/writer.h"
#include "net/http/http_bounds.h"
#include "net/http/http_reply.h"

#define MEMORY_MIN 4096

struct http_batch {
	size_t count;
	size_t missing;
	bool is_lost; /* memory was short for a result */
	/* The results in the order in which they came, and where each of them is. */
	uint8_t *memory;
	size_t len, max;
	struct part {
		size_t begin, len;
	} parts[HTTP_CHECKS_MAX];
};

struct http_batch *http_batch_new(size_t count)
{
	struct http_batch *batch = calloc(1, sizeof *batch);

	ASSERT(count <= HTTP_CHECKS_MAX);
	if (batch == NULL)
		return NULL;
	batch->count = batch->missing = count;
	return batch;
}

void http_batch_free(struct http_batch *batch)
{
	if (batch == NULL)
		return;
	free(batch->memory);
	free(batch);
}

static bool reserve(struct http_batch *batch, size_t len)
{
	size_t max = batch->max > 0 ? batch->max : MEMORY_MIN;

	while (len > max - batch->len)
		max *= 2;
	if (max == batch->max)
		return true;
	uint8_t *memory = realloc(batch->memory, max);
	if (memory == NULL)
		return false;
	batch->memory = memory;
	batch->max = max;
	return true;
}

void http_batch_add(struct http_batch *batch, size_t index, struct bytes json)
{
	ASSERT(index < batch->count && batch->missing > 0);
	batch->missing--;
	if (!reserve(batch, json.len)) {
		batch->is_lost = true;
		return;
	}
	memcpy(batch->memory + batch->len, json.data, json.len);
	batch->parts[index] = (struct part){batch->len, json.len};
	batch->len += json.len;
}

void http_batch_add_problem(struct http_batch *batch, size_t index, unsigned status,
			    const char *detail)
{
	uint8_t memory[HTTP_PROBLEM_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	http_reply_put_problem(&w, status, detail);
	ASSERT(!w.full);
	http_batch_add(batch, index, writer_bytes(&w));
}

bool http_batch_is_complete(const struct http_batch *batch)
{
	return batch->missing == 0;
}

void *http_batch_join(const struct http_batch *batch, size_t *ret_len)
{
	size_t max = batch->len + batch->count + 32;
	void *memory = batch->is_lost ? NULL : malloc(max);

	if (memory == NULL)
		return NULL;
	struct writer w = writer_on(memory, max);
	writer_put_text(&w, "{\"results\":[");
	for (size_t i = 0; i < batch->count; i++) {
		const struct part *part = &batch->parts[i];
		if (i > 0)
			writer_put_u8(&w, ',');
		writer_put(&w, bytes_from(batch->memory + part->begin, part->len));
	}
	writer_put_text(&w, "]}");
	ASSERT(!w.full);
	*ret_len = w.len;
	return memory;
}
