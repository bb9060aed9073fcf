/* What every store must do, of the one that asks a real Redis. */
#include "stage.h"
#include "support/test.h"
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

BEFORE_ALL
{
	stage = stage_new(true);
}

AFTER_ALL
{
	stage_free(stage);
}

TEST_CONSTRUCTOR add_contract(void)
{
	static const struct store_under_test redis = {make_on_an_empty_redis, await};

	store_contract_add(&redis);
}
