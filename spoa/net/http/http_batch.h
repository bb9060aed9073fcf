/*
 * http_batch.h - collects the results of a batch, in any order, and joins them to one JSON object.
 */
#ifndef NET_HTTP_BATCH_H
#define NET_HTTP_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct http_batch;

/* For `count` results, at most HTTP_CHECKS_MAX. NULL when memory is short. */
struct http_batch *http_batch_new(size_t count);
void http_batch_free(struct http_batch *batch);

/* Sets the result of the check at `index`, once. `json` is copied. */
void http_batch_add(struct http_batch *batch, size_t index, struct bytes json);
/* The same with a problem as the result. */
void http_batch_add_problem(struct http_batch *batch, size_t index, unsigned status,
			    const char *detail);
bool http_batch_is_complete(const struct http_batch *batch);
/* {"results":[...]} in memory from malloc, which the caller frees. NULL when memory was short. */
void *http_batch_join(const struct http_batch *batch, size_t *ret_len);

#endif
