/* What every store must do, of the one that asks a real Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stage.h"
#include "unit/store/contract.h"

static struct stage *stage;

static struct store *make_on_an_empty_redis(void)
{
	(void)redis_server_ask_number(stage_server(stage), "FLUSHALL");
	return stage_open_store(stage);
}

static void await(struct store *store, struct store_op *op)
{
	(void)store;
	while (op->answered != NULL)
		stage_turn(stage);
}

int main(void)
{
	const struct store_under_test redis = {.make = make_on_an_empty_redis, .await = await};

	stage = stage_new(true);
	int failed = run_store_contract("Redis store", &redis);
	stage_free(stage);
	return failed;
}
