#include "store/front_store.h"

#include "base/compiler.h"

static struct store *asked_of(const struct store *store)
{
	return CONTAINER_OF(store, const struct front_store, store)->asked;
}

static uint64_t connection(const struct store *store)
{
	return store_connection(asked_of(store));
}

static bool divides(const struct store *store, const struct store_op *op)
{
	return store_divides(asked_of(store), op);
}

static void catch_up(struct store *store)
{
	store_catch_up(asked_of(store));
}

static void expired(struct store *store, struct store_op *op, int64_t mono_us)
{
	store_expired(asked_of(store), op, mono_us);
}

static void settled(struct store *store, struct store_op *op, bool is_denied)
{
	store_settled(asked_of(store), op, is_denied);
}

static void set_password(struct store *store, const char *password)
{
	store_set_password(asked_of(store), password);
}

static void set_sentinel_password(struct store *store, const char *password)
{
	store_set_sentinel_password(asked_of(store), password);
}

static void reread_files(struct store *store)
{
	store_reread_files(asked_of(store));
}

static void count_agents(struct store *store, bool is_counting)
{
	store_count_agents(asked_of(store), is_counting);
}

void front_store_init(struct front_store *front, struct store *asked)
{
	front->asked = asked;
	front->store = (struct store){.connection = connection,
				      .divides = divides,
				      .catch_up = catch_up,
				      .expired = expired,
				      .settled = settled,
				      .set_password = set_password,
				      .set_sentinel_password = set_sentinel_password,
				      .reread_files = reread_files,
				      .count_agents = count_agents,
				      .records = asked->records};
}
