#include "store/redis/redis_route.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/compiler.h"
#include "store/redis/redis_connection.h"
#include "store_world.h"
#include "support/test.h"

BEFORE_ALL
{
	world_prepare();
}

/* ---- the resolver, of which glibc answers for numeric names only ---- */

#define HOST "redis.example"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *addresses[LOOKUP_ADDRESSES_MAX + 3]; /* of HOST, up to a NULL */
	bool is_silent;
	unsigned asked;
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static struct addrinfo *last_of(struct addrinfo *list)
{
	while (list->ai_next != NULL)
		list = list->ai_next;
	return list;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret_list)
{
	getaddrinfo_fn *original = (getaddrinfo_fn *)dlsym(RTLD_NEXT, "getaddrinfo");
	struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct addrinfo *list = NULL;

	if (strcmp(host, HOST) != 0 || (hints->ai_flags & AI_NUMERICHOST) != 0)
		return original(host, service, hints, ret_list);
	pthread_mutex_lock(&resolver.lock);
	resolver.asked++;
	while (resolver.is_silent)
		pthread_cond_wait(&resolver.changed, &resolver.lock);
	for (size_t i = 0; resolver.addresses[i] != NULL; i++) {
		struct addrinfo *one;
		if (original(resolver.addresses[i], NULL, &numeric, &one) != 0)
			abort();
		if (list == NULL)
			list = one;
		else
			last_of(list)->ai_next = one;
	}
	pthread_mutex_unlock(&resolver.lock);
	*ret_list = list;
	return list == NULL ? EAI_NONAME : 0;
}

static void set_addresses(const char *first, const char *second, const char *third)
{
	const char *addresses[] = {first, second, third, NULL};

	pthread_mutex_lock(&resolver.lock);
	memcpy(resolver.addresses, addresses, sizeof addresses);
	pthread_mutex_unlock(&resolver.lock);
}

static void set_many_addresses(char addresses[][16], size_t count)
{
	pthread_mutex_lock(&resolver.lock);
	for (size_t i = 0; i < count; i++) {
		snprintf(addresses[i], sizeof addresses[i], "127.0.1.%u", (uint8_t)i);
		resolver.addresses[i] = addresses[i];
	}
	resolver.addresses[count] = NULL;
	pthread_mutex_unlock(&resolver.lock);
}

static void set_silent(bool is_silent)
{
	pthread_mutex_lock(&resolver.lock);
	resolver.is_silent = is_silent;
	pthread_cond_broadcast(&resolver.changed);
	pthread_mutex_unlock(&resolver.lock);
}

static unsigned times_asked(void)
{
	pthread_mutex_lock(&resolver.lock);
	unsigned asked = resolver.asked;
	pthread_mutex_unlock(&resolver.lock);
	return asked;
}

/* ---- a store at HOST, whose server listens on 127.0.0.1 ---- */

static struct world *world_at_host(void)
{
	struct world *world = world_open(true);
	char url[64] = "redis://" HOST;
	struct err err;

	resolver.asked = 0;
	strcat(url, strrchr(fake_redis_url(world->fake), ':'));
	assert_true(redis_target_parse(bytes_from_text(url), &world->target, &err));
	connect_store(world, usual);
	return world;
}

static size_t connections(const struct world *world)
{
	return fake_redis_counts(world->fake)->connections;
}

/* On 127.0.0.2 and 127.0.0.3 nobody listens. */
TEST(address_that_refuses_is_passed_over)
{
	set_addresses("127.0.0.2", "127.0.0.3", "127.0.0.1");
	struct world *world = world_at_host();

	await_up(world);

	assert_int_equal(world->change_count, 0); /* no pause lay between */
	assert_int_equal(times_asked(), 1);
	world_close(world);
}

TEST(addresses_that_all_refuse_are_told_and_asked_for_again)
{
	set_addresses("127.0.0.2", "127.0.0.3", NULL);
	struct world *world = world_at_host();

	assert_int_equal(await_change(world, 1)->error, STORE_CONNECTION);
	assert_string_equal(world->changes[0].why, "Connection refused");
	set_addresses("127.0.0.1", NULL, NULL);
	await_up(world);

	assert_true(times_asked() >= 2);
	world_close(world);
}

static void on_connected(void *owner)
{
	(void)owner;
}

static void on_failed(void *owner, enum store_error error, struct bytes why)
{
	(void)owner, (void)error, (void)why;
}

static void on_looked_up(void *owner)
{
	*(bool *)owner = true;
}

TEST(address_that_worked_is_the_first_of_the_next_round)
{
	struct world *world = world_open(true);
	struct redis_connection *connection =
		redis_connection_new(world->loop, &(struct redis_connection_config){
							  .connected = on_connected,
							  .failed = on_failed,
						  });
	bool is_looked_up = false;
	struct redis_route route = {.loop = world->loop,
				    .host = HOST,
				    .port = "9",
				    .looked_up = on_looked_up,
				    .owner = &is_looked_up};
	static const char *const rounds[][3] = {
		{"127.0.0.1", "127.0.0.2", "127.0.0.3"},
		{"127.0.0.3", "127.0.0.1", "127.0.0.2"},
	};

	set_addresses("127.0.0.1", "127.0.0.2", "127.0.0.3");
	for (size_t round = 0; round < ARRAY_SIZE(rounds); round++) {
		is_looked_up = false;
		assert_false(redis_route_begin(&route));
		AWAIT(world, is_looked_up);
		for (size_t i = 0; i < 3; i++) {
			assert_true(redis_route_has_next(&route));
			redis_route_open_next(&route, connection);
			redis_connection_close(connection);
			assert_string_equal(route.opened, rounds[round][i]);
		}
		assert_false(redis_route_has_next(&route));
		redis_route_set_good(&route);
		assert_false(redis_route_has_next(&route));
	}

	redis_route_release(&route);
	redis_connection_free(connection);
	world_close(world);
}

/* The list of addresses has room for 16; what stands behind it is the count of them. */
TEST(addresses_above_the_most_are_left_out)
{
	static const size_t counts[] = {LOOKUP_ADDRESSES_MAX - 1, LOOKUP_ADDRESSES_MAX,
					LOOKUP_ADDRESSES_MAX + 1, LOOKUP_ADDRESSES_MAX + 2};
	struct world *world = world_open(true);
	char addresses[LOOKUP_ADDRESSES_MAX + 2][16];

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		bool is_looked_up = false;
		struct redis_route route = {.loop = world->loop,
					    .host = HOST,
					    .port = "9",
					    .looked_up = on_looked_up,
					    .owner = &is_looked_up};
		size_t expected =
			counts[i] < LOOKUP_ADDRESSES_MAX ? counts[i] : LOOKUP_ADDRESSES_MAX;
		set_many_addresses(addresses, counts[i]);
		assert_false(redis_route_begin(&route));
		AWAIT(world, is_looked_up);

		assert_int_equal(route.found.count, expected);
		for (size_t k = 0; k < expected; k++)
			assert_string_equal(route.found.addresses[k], addresses[k]);
		redis_route_release(&route);
	}
	world_close(world);
}

TEST(resolver_that_is_silent_is_told)
{
	set_addresses("127.0.0.1", NULL, NULL);
	set_silent(true);
	struct world *world = world_at_host();

	assert_int_equal(await_change(world, 1)->error, STORE_CONNECTION);
	assert_string_equal(world->changes[0].why, "no answer from the resolver in time");
	assert_int_equal(times_asked(), 1);
	set_silent(false);
	await_up(world);

	assert_int_equal(times_asked(), 1); /* one look-up, however often it was waited for */
	world_close(world);
}

/* The addresses of before are as good as any. */
TEST(resolver_that_has_become_silent_keeps_nobody_away)
{
	set_addresses("127.0.0.2", "127.0.0.1", NULL);
	struct world *world = world_at_host();
	await_up(world);
	set_silent(true);

	for (size_t i = 2; i < 5; i++) {
		fake_redis_hang_up(world->fake);
		AWAIT(world, connections(world) == i);
		await_up(world);
	}

	assert_int_equal(times_asked(), 2);
	set_silent(false);
	world_close(world);
}

TEST(resolver_that_knows_the_name_no_more_keeps_nobody_away)
{
	set_addresses("127.0.0.1", NULL, NULL);
	struct world *world = world_at_host();
	await_up(world);
	set_addresses(NULL, NULL, NULL);

	fake_redis_hang_up(world->fake);
	AWAIT(world, connections(world) == 2);
	await_up(world);

	world_close(world);
}
