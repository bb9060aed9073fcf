#include "store/store_target.h"

#include <ev.h>

#include "base/clock.h"
#include "store/denials.h"
#include "store/lease_store.h"
#include "store/redis/redis_script.h"
#include "store/redis/redis_store.h"
#include "store/redis/redis_sweep.h"
#include "store/redis/redis_tls.h"

_Static_assert(STORE_PREFIX_MAX <= REDIS_PREFIX_MAX, "a prefix fits every kind of store");

bool store_target_parse(struct bytes url, struct store_target *ret_target, struct err *err)
{
	bool is_memory = bytes_equal(url, BYTES("memory:"));

	if (!is_memory && !redis_target_parse(url, &ret_target->redis, err))
		return false;
	ret_target->is_memory = is_memory;
	return true;
}

const char *store_target_text(const struct store_target *target)
{
	return target->is_memory ? "memory:" : target->redis.text;
}

bool store_target_has_password(const struct store_target *target)
{
	return !target->is_memory && *target->redis.password != '\0';
}

bool store_target_check(const struct store_target *target, struct err *err)
{
	return target->is_memory || !target->redis.is_tls ||
	       redis_tls_check(&target->redis.tls, err);
}

struct store *store_target_open(const struct store_target *target, struct ev_loop *loop,
				const struct store_config *config)
{
	struct store *store =
		target->is_memory ? NULL : redis_store_new(loop, &target->redis, config);

	if (store != NULL && config->deny_cache_us > 0)
		store = denials_new(store, config->deny_cache_us, clock_mono_us);
	/* A lease goes by the server's own clock. */
	if (store != NULL && !config->is_time_given && !target->is_memory)
		store = lease_store_new(loop, store, config->max_in_flight, clock_mono_us);
	return store;
}

bool store_target_can_delete(const struct store_target *target)
{
	return target->is_memory || target->redis.topology != REDIS_CLUSTER;
}

bool store_target_delete(const struct store_target *target, struct ev_loop *loop,
			 struct bytes prefix, struct err *err)
{
	struct redis_sweep *sweep;

	if (target->is_memory)
		return true;
	if (target->redis.topology == REDIS_CLUSTER)
		return err_set(err,
			       "keys of a cluster are not deleted here; they end by themselves");
	sweep = redis_sweep_new(loop, &target->redis, prefix);
	if (sweep == NULL)
		return err_set(err, "out of memory");
	while (redis_sweep_state(sweep) == SWEEP_RUNNING)
		ev_run(loop, EVRUN_ONCE);
	bool is_done = redis_sweep_state(sweep) == SWEEP_DONE;
	if (!is_done)
		(void)err_set(err, "%s", redis_sweep_why(sweep));
	redis_sweep_free(sweep);
	return is_done;
}
