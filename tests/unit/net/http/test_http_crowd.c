#include "net/http/http_crowd.h"

#include <netinet/in.h>
#include <string.h>

#include "net/http/http_bounds.h"
#include "support/test.h"

#define MAX         20
#define PER_ADDRESS 10

static struct http_crowd crowd;
static struct http_guest all[2 * MAX];
static unsigned evicted;

BEFORE_EACH
{
	evicted = 0;
	http_crowd_init(&crowd, MAX, PER_ADDRESS);
}

AFTER_EACH
{
	struct http_guest *guest;

	for (int phase = 0; phase < PHASE_COUNT; phase++)
		while ((guest = http_crowd_first(&crowd, (enum http_phase)phase)) != NULL)
			http_crowd_leave(&crowd, guest);
}

/* 2001:db8:ADDRESS::HOST */
static struct address v6(uint16_t address, uint8_t host)
{
	struct address made = {.len = sizeof(struct sockaddr_in6)};
	struct sockaddr_in6 *to = (struct sockaddr_in6 *)&made.socket;

	to->sin6_family = AF_INET6;
	memcpy(to->sin6_addr.s6_addr, "\x20\x01\x0d\xb8", 4);
	to->sin6_addr.s6_addr[4] = (uint8_t)(address >> 8);
	to->sin6_addr.s6_addr[5] = (uint8_t)address;
	to->sin6_addr.s6_addr[15] = host;
	return made;
}

static struct address v4(uint32_t address)
{
	struct address made = {.len = sizeof(struct sockaddr_in)};
	struct sockaddr_in *to = (struct sockaddr_in *)&made.socket;

	to->sin_family = AF_INET;
	to->sin_addr.s_addr = htonl(address);
	return made;
}

static struct address mapped(uint32_t address)
{
	struct address made = {.len = sizeof(struct sockaddr_in6)};
	struct sockaddr_in6 *to = (struct sockaddr_in6 *)&made.socket;

	to->sin6_family = AF_INET6;
	to->sin6_addr.s6_addr[10] = to->sin6_addr.s6_addr[11] = 0xff;
	address = htonl(address);
	memcpy(to->sin6_addr.s6_addr + 12, &address, sizeof address);
	return made;
}

static bool is_in(size_t index)
{
	return !list_is_empty(&all[index].link);
}

static void enter(size_t index, struct address peer, int64_t now_us)
{
	struct http_guest *victim;

	while ((victim = http_crowd_find_victim(&crowd, &peer)) != NULL) {
		http_crowd_leave(&crowd, victim);
		evicted++;
	}
	http_crowd_enter(&crowd, &all[index], &peer, now_us);
}

static void move(size_t index, enum http_phase phase, int64_t now_us)
{
	http_crowd_move(&crowd, &all[index], phase, now_us);
}

/* ---- room ---- */

TEST(http_crowd_find_victim_nobody_while_there_is_room)
{
	for (size_t i = 0; i < MAX; i++)
		enter(i, v6((uint16_t)i, 1), (int64_t)i);

	assert_int_equal(http_crowd_count(&crowd), MAX);
	assert_int_equal(evicted, 0);
}

TEST(http_crowd_find_victim_the_first_that_exists)
{
	for (size_t i = 0; i < MAX; i++)
		enter(i, v6((uint16_t)i, 1), (int64_t)i);
	move(3, PHASE_ANSWERING, 100);
	move(4, PHASE_ANSWERING, 101);
	move(7, PHASE_ASKING, 102);
	move(6, PHASE_ASKING, 103);
	move(0, PHASE_WAITING, 104);
	static const size_t order[] = {7, 6, 3, 4, 1, 2, 5};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		assert_true(is_in(order[i]));
		enter(MAX + i, v6(999, 1), 200);
		assert_false(is_in(order[i]));
		assert_int_equal(http_crowd_count(&crowd), MAX);
	}
	assert_int_equal(evicted, ARRAY_SIZE(order));
}

TEST(http_crowd_is_full_when_all_wait_for_verdicts)
{
	struct address newcomer = v6(999, 1);

	for (size_t i = 0; i < MAX; i++) {
		assert_false(http_crowd_is_full(&crowd));
		enter(i, v6((uint16_t)i, 1), 0);
		move(i, PHASE_WAITING, 0);
	}
	assert_true(http_crowd_is_full(&crowd));
	assert_null(http_crowd_find_victim(&crowd, &newcomer));

	move(7, PHASE_ANSWERING, 2);
	assert_false(http_crowd_is_full(&crowd));
	assert_ptr_equal(http_crowd_find_victim(&crowd, &newcomer), &all[7]);
	http_crowd_leave(&crowd, &all[8]);
	assert_null(http_crowd_find_victim(&crowd, &newcomer));
}

TEST(http_crowd_find_victim_an_address_pushes_out_its_own)
{
	enter(0, v6(1, 1), 0); /* another address, idle for longest */
	enter(1, v6(1, 1), 0);
	move(1, PHASE_ASKING, 0);
	for (size_t i = 2; i < 2 + PER_ADDRESS; i++)
		enter(i, v6(2, 1), (int64_t)i);
	assert_int_equal(evicted, 0);

	enter(2 + PER_ADDRESS, v6(2, 1), 9999);

	assert_true(is_in(0) && is_in(1));
	assert_false(is_in(2));
	assert_int_equal(http_crowd_count(&crowd), 2 + PER_ADDRESS);
}

TEST(http_crowd_find_victim_nobody_of_an_address_that_waits_altogether)
{
	struct address newcomer = v6(2, 1);

	enter(0, v6(1, 1), 0);
	for (size_t i = 1; i <= PER_ADDRESS; i++) {
		enter(i, v6(2, 1), 0);
		move(i, PHASE_WAITING, 0);
	}

	assert_null(http_crowd_find_victim(&crowd, &newcomer));
	move(5, PHASE_IDLE, 1);
	assert_ptr_equal(http_crowd_find_victim(&crowd, &newcomer), &all[5]);
}

TEST(http_crowd_find_victim_of_an_address_by_phase_and_then_by_time)
{
	static const size_t order[] = {6, 5, 4, 3, 1};

	for (size_t i = 0; i < PER_ADDRESS; i++)
		enter(i, v6(2, 1), 0);
	move(2, PHASE_WAITING, 1);
	move(3, PHASE_ANSWERING, 2);
	move(6, PHASE_ASKING, 3);
	move(5, PHASE_ASKING, 4);
	move(4, PHASE_ANSWERING, 5);
	move(3, PHASE_WAITING, 6);
	move(3, PHASE_ANSWERING, 7); /* it comes behind 4 now */
	move(0, PHASE_LEAVING, 8);
	enter(PER_ADDRESS, v6(2, 1), 9); /* in place of the one that leaves */
	assert_int_equal(evicted, 0);

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		assert_true(is_in(order[i]));
		enter(PER_ADDRESS + 1 + i, v6(2, 1), 10);
		assert_false(is_in(order[i]));
	}
	assert_int_equal(evicted, ARRAY_SIZE(order));
	assert_true(is_in(2));
}

TEST(http_crowd_find_victim_each_of_many_addresses_has_its_own_guests)
{
	enum { ADDRESSES = 4 * HTTP_CROWD_BUCKETS };
	static struct http_guest guests[ADDRESSES];

	http_crowd_init(&crowd, SIZE_MAX, 1);
	for (size_t i = 0; i < ADDRESSES; i++) {
		struct address peer = v4(0xc0a80000 + (uint32_t)i);
		assert_null(http_crowd_find_victim(&crowd, &peer));
		http_crowd_enter(&crowd, &guests[i], &peer, 0);
	}

	for (size_t i = 0; i < ADDRESSES; i++) {
		struct address peer = v4(0xc0a80000 + (uint32_t)i);
		assert_ptr_equal(http_crowd_find_victim(&crowd, &peer), &guests[i]);
		http_crowd_leave(&crowd, &guests[i]);
		assert_null(http_crowd_find_victim(&crowd, &peer));
	}
}

TEST(http_crowd_find_victim_a_64_of_ipv6_is_one_address)
{
	for (size_t i = 0; i <= PER_ADDRESS; i++)
		enter(i, v6(3, (uint8_t)i), 0);

	assert_int_equal(evicted, 1);
}

TEST(http_crowd_find_victim_ipv4_addresses_differ_to_the_end)
{
	for (size_t i = 0; i <= PER_ADDRESS; i++)
		enter(i, v4(0xc0000200 + (uint32_t)i), 0);

	assert_int_equal(evicted, 0);
}

TEST(http_crowd_find_victim_ipv4_is_the_same_by_either_family)
{
	for (size_t i = 0; i <= PER_ADDRESS; i++)
		enter(i, i % 2 == 0 ? v4(0xc0000201) : mapped(0xc0000201), 0);

	assert_int_equal(evicted, 1);
}

TEST(http_crowd_find_victim_loopback_and_unix_sockets_have_no_address)
{
	struct address un = {.socket = {.ss_family = AF_UNIX}};

	for (size_t i = 0; i < MAX; i++)
		enter(i, i % 3 == 0 ? un : i % 3 == 1 ? v4(0x7f000001) : mapped(0x7f000001), 0);

	assert_int_equal(evicted, 0);
	enter(MAX, un, 0);
	assert_int_equal(evicted, 1);
}

/* ---- moving ---- */

TEST(http_crowd_move_to_the_same_phase_changes_nothing)
{
	enter(0, v6(1, 1), 0);
	move(0, PHASE_ASKING, 5);
	move(0, PHASE_ASKING, 6);

	assert_int_equal(all[0].since_us, 5);
	assert_int_equal(crowd.counts[PHASE_ASKING], 1);
}

TEST(http_crowd_who_leaves_counts_no_more)
{
	enter(0, v6(1, 1), 0);
	enter(1, v6(1, 1), 0);
	move(0, PHASE_LEAVING, 5);
	assert_int_equal(http_crowd_count(&crowd), 1);

	http_crowd_leave(&crowd, &all[1]);
	http_crowd_leave(&crowd, &all[1]);
	move(1, PHASE_ASKING, 6); /* it is no guest any more */

	assert_int_equal(http_crowd_count(&crowd), 0);
	assert_int_equal(crowd.counts[PHASE_LEAVING], 1);
	assert_int_equal(crowd.counts[PHASE_ASKING], 0);
}

/* ---- time ---- */

TEST(http_crowd_find_late_each_phase_has_its_time)
{
	static const struct {
		enum http_phase phase;
		int64_t max_us;
	} cases[] = {
		{PHASE_IDLE, HTTP_IDLE_US},
		{PHASE_ASKING, HTTP_REQUEST_US},
		{PHASE_ANSWERING, HTTP_ANSWER_US},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enter(i, v6(1, 1), 1000);
		move(i, cases[i].phase, 1000);
		assert_null(http_crowd_find_late(&crowd, 1000 + cases[i].max_us - 1));
		assert_ptr_equal(http_crowd_find_late(&crowd, 1000 + cases[i].max_us), &all[i]);
		http_crowd_leave(&crowd, &all[i]);
	}
}

TEST(http_crowd_find_late_who_waits_for_a_verdict_is_not_timed)
{
	enter(0, v6(1, 1), 0);
	move(0, PHASE_WAITING, 0);

	assert_null(http_crowd_find_late(&crowd, INT64_MAX));
}

TEST(http_crowd_find_late_one_is_and_others_are_not)
{
	for (size_t i = 0; i < 4; i++)
		enter(i, v6(1, 1), 0);
	move(1, PHASE_ASKING, 0);
	move(3, PHASE_ASKING, HTTP_REQUEST_US / 2);

	assert_ptr_equal(http_crowd_find_late(&crowd, HTTP_REQUEST_US), &all[1]);
	http_crowd_leave(&crowd, &all[1]);
	assert_null(http_crowd_find_late(&crowd, HTTP_REQUEST_US));
}
