/*
 * list_bench.c - what a list of addresses costs: the memory it takes, and the time of a look,
 * beside a find in a memory store of as many balances.
 *
 *     list-bench [ADDRESSES]      1000000 by default
 *
 * The list has networks of 8 lengths, as many of each: of IPv4 (/32, /30, /28, /26, /24, /23, /22,
 * /21), and then of IPv6 (/128, /120, /112, /104, /96, /88, /80, /72). Of the addresses that are
 * looked for, one in nine is in the list; a look in vain tries all lengths. The keys that are found
 * are those of a policy that counts by the address.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "limit/key_hash.h"
#include "limit/pattern_set.h"
#include "store/balances.h"

#define ADDRESSES_MAX 10000000
#define LENGTHS       8
#define QUESTIONS     65536
#define MEASURED_US   (US_PER_SECOND / 4)
#define MEASUREMENTS  7 /* the least is printed: disturbances only make a measurement longer */
#define KEY_MAX       64

static const unsigned lengths[2][LENGTHS] = {{32, 30, 28, 26, 24, 23, 22, 21},
					     {128, 120, 112, 104, 96, 88, 80, 72}};

struct bench {
	struct pattern_set *set;
	struct balances balances;
	struct value addresses[QUESTIONS];
	char keys[QUESTIONS][KEY_MAX];
	uint64_t found;
};

static struct value random_address(bool is_ipv6)
{
	struct value value = {.kind = is_ipv6 ? VALUE_IPV6 : VALUE_IPV4};

	randombytes_buf(is_ipv6 ? value.ipv6 : value.ipv4,
			is_ipv6 ? sizeof value.ipv6 : sizeof value.ipv4);
	return value;
}

/* ---- the list ---- */

static void make_list(struct bench *bench, size_t count, bool is_ipv6)
{
	bench->set = pattern_set_new();
	ASSERT(bench->set != NULL);
	for (size_t i = 0; i < count; i++) {
		struct value address = random_address(is_ipv6);
		if (i % (count / (QUESTIONS / 9) + 1) == 0) {
			size_t at = randombytes_uniform(QUESTIONS);
			bench->addresses[at] = address;
		}
		ASSERT(pattern_set_add_network(bench->set, &address,
					       lengths[is_ipv6][i % LENGTHS]));
	}
	ASSERT(pattern_set_build(bench->set));
}

static void look(struct bench *bench, size_t at)
{
	bench->found += pattern_set_fits(bench->set, &bench->addresses[at], BYTES(""));
}

/* ---- the memory store ---- */

static void put_key(char key[KEY_MAX], size_t number)
{
	snprintf(key, KEY_MAX, "per-ip:0123456789ab:10.%zu.%zu.%zu", number >> 16,
		 number >> 8 & 255, number & 255);
}

static void make_store(struct bench *bench, size_t count)
{
	char key[KEY_MAX];

	ASSERT(balances_init(&bench->balances, count * 2 * BALANCE_BYTES + (1 << 20)));
	for (size_t i = 0; i < count; i++) {
		put_key(key, i);
		(void)balances_remember(&bench->balances, key_hash_of_key(bytes_from_text(key)));
	}
	for (size_t i = 0; i < QUESTIONS; i++)
		put_key(bench->keys[i], randombytes_uniform((uint32_t)count));
}

static void find(struct bench *bench, size_t at)
{
	struct bytes key = bytes_from_text(bench->keys[at]);

	bench->found += balances_find(&bench->balances, key_hash_of_key(key)) != 0;
}

/* ---- measuring ---- */

/* Nanoseconds. */
static double measure_once(struct bench *bench, void (*ask)(struct bench *bench, size_t at))
{
	int64_t start_us = clock_mono_us(), passed_us;
	uint64_t asked = 0;

	do {
		for (size_t i = 0; i < 1024; i++)
			ask(bench, asked++ % QUESTIONS);
		passed_us = clock_mono_us() - start_us;
	} while (passed_us < MEASURED_US);
	return 1000 * (double)passed_us / (double)asked;
}

static double measure(struct bench *bench, void (*ask)(struct bench *bench, size_t at))
{
	double least = measure_once(bench, ask);

	for (int i = 1; i < MEASUREMENTS; i++) {
		double again = measure_once(bench, ask);
		least = again < least ? again : least;
	}
	return least;
}

static void run(struct bench *bench, size_t count, bool is_ipv6)
{
	for (size_t i = 0; i < QUESTIONS; i++)
		bench->addresses[i] = random_address(is_ipv6);
	make_list(bench, count, is_ipv6);
	double look_ns = measure(bench, look), find_ns = measure(bench, find);
	printf("%zu networks of IPv%d, of %d lengths: %.1f bytes each; a look %.0f ns, a find %.0f "
	       "ns: %.2f times\n",
	       count, is_ipv6 ? 6 : 4, LENGTHS,
	       (double)pattern_set_bytes(bench->set) / (double)count, look_ns, find_ns,
	       look_ns / find_ns);
	pattern_set_unref(bench->set);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	uint64_t count = 1000000;

	if (argc > 2 ||
	    (argc == 2 && (!parse_whole(bytes_from_text(argv[1]), ADDRESSES_MAX, &count) ||
			   count < QUESTIONS))) {
		fprintf(stderr, "usage: list-bench [ADDRESSES], from %d to %d\n", QUESTIONS,
			ADDRESSES_MAX);
		return 2;
	}
	if (sodium_init() < 0)
		return 1;
	make_store(&bench, count);
	run(&bench, count, false);
	run(&bench, count, true);
	balances_release(&bench.balances);
	return 0;
}
