#include "net/http/http_clients.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http/http_bounds.h"
#include "support/test.h"

#define MANY (2 * HTTP_CONNECTIONS_MAX)

static struct http_clients clients;
static struct http_client all[MANY];

BEFORE_EACH
{
	http_clients_init(&clients);
}

/* A client of some address, whose socket is none: to be shut down does it no harm. */
static struct http_client *client(size_t index, uint16_t address)
{
	struct http_client *made = &all[index];

	memset(made, 0, sizeof *made);
	made->fd = -1;
	list_init(&made->link);
	made->has_address = true;
	memcpy(made->address, "\x20\x01\x0d\xb8", 4);
	made->address[4] = (uint8_t)(address >> 8);
	made->address[5] = (uint8_t)address;
	return made;
}

static bool admit(size_t index, uint16_t address, int64_t now_us)
{
	return http_clients_admit(&clients, client(index, address), now_us);
}

static void set_phase(size_t index, enum http_phase phase, int64_t now_us)
{
	http_client_set_phase(&clients, &all[index], phase, now_us);
}

/* ---- room ---- */

TEST(http_clients_admit_all_there_is_room_for)
{
	for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++)
		assert_true(admit(i, (uint16_t)i, (int64_t)i));

	assert_int_equal(clients.count, HTTP_CONNECTIONS_MAX);
	assert_int_equal(clients.evicted, 0);
}

TEST(http_clients_admit_above_it_the_oldest_leaves)
{
	for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++)
		assert_true(admit(i, (uint16_t)i, (int64_t)i));
	set_phase(0, HTTP_ASKING, 5000); /* no longer the oldest */

	assert_true(admit(HTTP_CONNECTIONS_MAX, 9999, 6000));

	assert_false(all[0].is_leaving);
	assert_true(all[1].is_leaving);
	assert_int_equal(clients.count, HTTP_CONNECTIONS_MAX);
	assert_int_equal(clients.evicted, 1);
	http_client_leave(&clients, &all[1]);
	assert_int_equal(clients.count, HTTP_CONNECTIONS_MAX);
}

TEST(http_clients_admit_nobody_leaves_whose_verdict_is_awaited)
{
	for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		assert_true(admit(i, (uint16_t)i, 0));
		set_phase(i, HTTP_WAITING, 0);
	}

	assert_false(http_clients_have_room(&clients));
	assert_false(admit(HTTP_CONNECTIONS_MAX, 9999, 1));
	http_client_leave(&clients, &all[HTTP_CONNECTIONS_MAX]);

	set_phase(7, HTTP_ANSWERING, 2);
	assert_true(http_clients_have_room(&clients));
	assert_true(admit(HTTP_CONNECTIONS_MAX, 9999, 3));
	assert_true(all[7].is_leaving);
}

TEST(http_clients_admit_a_crowd_pushes_out_its_own)
{
	assert_true(admit(0, 1, 0)); /* another address, and the oldest */
	for (size_t i = 1; i <= HTTP_ADDRESS_CONNECTIONS_MAX; i++)
		assert_true(admit(i, 2, (int64_t)i));

	assert_true(admit(HTTP_ADDRESS_CONNECTIONS_MAX + 1, 2, 9999));

	assert_false(all[0].is_leaving);
	assert_true(all[1].is_leaving);
	assert_int_equal(clients.count, HTTP_ADDRESS_CONNECTIONS_MAX + 1);
}

TEST(http_clients_admit_a_64_of_ipv6_is_one_address)
{
	for (size_t i = 0; i < HTTP_ADDRESS_CONNECTIONS_MAX; i++) {
		struct http_client *made = client(i, 3);
		made->address[15] = (uint8_t)i;
		assert_true(http_clients_admit(&clients, made, 0));
	}

	assert_true(admit(HTTP_ADDRESS_CONNECTIONS_MAX, 3, 1));

	assert_int_equal(clients.evicted, 1);
}

TEST(http_clients_admit_ipv4_addresses_differ_to_the_end)
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
	for (size_t i = 0; i < HTTP_ADDRESS_CONNECTIONS_MAX; i++) {
		struct http_client *made = client(i, 3);
		memcpy(made->address, mapped, sizeof mapped);
		made->address[15] = (uint8_t)i;
		assert_true(http_clients_admit(&clients, made, 0));
	}

	assert_true(admit(HTTP_ADDRESS_CONNECTIONS_MAX, 3, 1));

	assert_int_equal(clients.evicted, 0);
}

TEST(http_clients_admit_over_unix_sockets_nobody_has_an_address)
{
	for (size_t i = 0; i <= HTTP_ADDRESS_CONNECTIONS_MAX; i++) {
		struct http_client *made = client(i, 0);
		made->has_address = false;
		assert_true(http_clients_admit(&clients, made, 0));
	}

	assert_int_equal(clients.evicted, 0);
}

/* ---- time ---- */

TEST(http_clients_sweep_each_phase_has_its_time)
{
	static const struct {
		enum http_phase phase;
		int64_t limit_us;
	} cases[] = {
		{HTTP_IDLE, HTTP_IDLE_US},
		{HTTP_ASKING, HTTP_REQUEST_US},
		{HTTP_ANSWERING, HTTP_ANSWER_US},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(admit(i, 1, 0));
		set_phase(i, cases[i].phase, 1000);
		http_clients_sweep(&clients, 1000 + cases[i].limit_us - 1);
		assert_false(all[i].is_leaving);
		http_clients_sweep(&clients, 1000 + cases[i].limit_us);
		assert_true(all[i].is_leaving);
		http_client_leave(&clients, &all[i]);
	}

	assert_int_equal(clients.count, 0);
	assert_int_equal(clients.timeouts, 2); /* to be idle for long is none */
}

TEST(http_clients_sweep_who_waits_for_a_verdict_is_not_timed)
{
	assert_true(admit(0, 1, 0));
	set_phase(0, HTTP_WAITING, 0);

	http_clients_sweep(&clients, INT64_MAX);

	assert_false(all[0].is_leaving);
	assert_int_equal(clients.busy, 1);
}

TEST(http_clients_sweep_one_goes_and_others_stay)
{
	for (size_t i = 0; i < 4; i++)
		assert_true(admit(i, 1, 0));
	set_phase(1, HTTP_ASKING, 0);
	set_phase(3, HTTP_ASKING, HTTP_REQUEST_US / 2);

	http_clients_sweep(&clients, HTTP_REQUEST_US);

	assert_true(all[1].is_leaving);
	assert_false(all[0].is_leaving || all[2].is_leaving || all[3].is_leaving);
}

TEST(http_clients_end_idle_leaves_those_with_a_request)
{
	for (size_t i = 0; i < 4; i++)
		assert_true(admit(i, 1, 0));
	set_phase(1, HTTP_ASKING, 0);
	set_phase(2, HTTP_WAITING, 0);

	http_clients_end_idle(&clients);

	assert_true(all[0].is_leaving && all[3].is_leaving);
	assert_int_equal(clients.count, 2);
	assert_int_equal(clients.busy, 2);
}

TEST(http_client_leave_counts_each_once)
{
	assert_true(admit(0, 1, 0));
	assert_true(admit(1, 1, 0));
	set_phase(1, HTTP_ANSWERING, 0);

	http_client_leave(&clients, &all[1]);
	assert_int_equal(clients.busy, 0);
	http_clients_end_idle(&clients);
	set_phase(0, HTTP_ASKING, 5); /* after it was shown the door */
	http_client_leave(&clients, &all[0]);

	assert_int_equal(clients.count, 0);
	assert_int_equal(clients.busy, 0);
}

/* ---- who it is ---- */

TEST(http_client_init_over_a_unix_socket_is_local)
{
	struct http_client made;
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);

	http_client_init(&made, fds[0]);

	assert_true(made.is_local);
	assert_false(made.has_address);
	assert_false(http_client_is_unanswered(&made));
	close(fds[0]);
	close(fds[1]);
}

TEST(http_client_init_of_no_socket_is_not_local)
{
	struct http_client made;

	http_client_init(&made, -1);

	assert_false(made.is_local);
}
