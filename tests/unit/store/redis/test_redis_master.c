/* Which server is the master: with the time in hand. */
#include "store/redis/redis_master.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "support/sweep.h"
#include "support/test.h"

#define SECOND INT64_C(1000000)
#define ROUND  (SECOND / 2) /* a question to each Sentinel */

static struct redis_master master;
static int64_t now_us;
static bool is_lost;

BEFORE_EACH
{
	now_us = 1000 * SECOND;
	is_lost = false;
	redis_master_init(&master, 3, now_us);
}

/* What a Sentinel says is written as "HOST EPOCH", with "!" when it is busy with a failover. */
static struct redis_named named_of(const char *text)
{
	struct redis_named named = {.is_failing_over = strchr(text, '!') != NULL};
	size_t len = strcspn(text, " ");

	memcpy(named.place.host, text, len);
	strcpy(named.place.port, "6379");
	named.epoch = strtoull(text + len, NULL, 10);
	return named;
}

static enum redis_master_change hear(size_t sentinel, const char *text)
{
	struct redis_named named = named_of(text);

	redis_master_hear(&master, sentinel, &named, now_us);
	return redis_master_decide(&master, is_lost, now_us);
}

static void assert_followed(const char *text)
{
	const struct redis_named *followed = redis_master_followed(&master);

	if (text == NULL) {
		assert_null(followed);
		return;
	}
	assert_non_null(followed);
	assert_string_equal(followed->place.host, named_of(text).place.host);
	assert_int_equal(followed->epoch, named_of(text).epoch);
}

/* A round: each of the three says this, NULL: nothing. Returns the greatest change. */
static enum redis_master_change say(const char *a, const char *b, const char *c)
{
	const char *const all[] = {a, b, c};
	enum redis_master_change change = REDIS_MASTER_SAME;

	now_us += ROUND;
	for (size_t i = 0; i < 3; i++) {
		if (all[i] == NULL)
			redis_master_miss(&master, i);
		enum redis_master_change one =
			all[i] != NULL ? hear(i, all[i])
				       : redis_master_decide(&master, is_lost, now_us);
		if (one > change)
			change = one;
	}
	return change;
}

/* The same for so many seconds, in which nobody moves. */
static void say_for(int seconds, const char *a, const char *b, const char *c)
{
	for (int i = 0; i < 2 * seconds; i++)
		assert_int_equal(say(a, b, c), REDIS_MASTER_SAME);
}

static void begin_with(const char *text)
{
	assert_int_equal(say(text, text, text), REDIS_MASTER_MOVED);
	assert_followed(text);
}

/* ---- the first decision ---- */

TEST(redis_master_first_a_majority_is_enough)
{
	assert_int_equal(hear(0, "m 5"), REDIS_MASTER_SAME);
	assert_int_equal(hear(2, "m 5"), REDIS_MASTER_MOVED);
	assert_followed("m 5");
}

/* Else an agent that has just started would count on a master that is none any more. */
TEST(redis_master_first_a_stale_sentinel_alone_is_not_believed_at_once)
{
	assert_int_equal(hear(0, "old 5"), REDIS_MASTER_SAME);
	assert_followed(NULL);
	assert_int_equal(hear(1, "new 6"), REDIS_MASTER_SAME);
	assert_int_equal(hear(2, "old 5"), REDIS_MASTER_MOVED);
	assert_followed("new 6");
}

TEST(redis_master_first_one_sentinel_counts_when_the_others_are_away)
{
	assert_int_equal(hear(0, "m 5"), REDIS_MASTER_SAME);
	redis_master_miss(&master, 1);
	assert_int_equal(redis_master_decide(&master, false, now_us), REDIS_MASTER_SAME);
	redis_master_forget(&master, 2);
	assert_int_equal(redis_master_decide(&master, false, now_us), REDIS_MASTER_MOVED);
}

TEST(redis_master_first_the_others_have_half_a_second)
{
	(void)hear(0, "m 5");
	now_us += REDIS_MASTER_FIRST_US - 1;
	assert_int_equal(redis_master_decide(&master, true, now_us), REDIS_MASTER_SAME);
	now_us += 1;
	assert_int_equal(redis_master_decide(&master, true, now_us), REDIS_MASTER_MOVED);
}

TEST(redis_master_first_nobody_answers)
{
	assert_int_equal(say(NULL, NULL, NULL), REDIS_MASTER_SAME);
	now_us += 100 * SECOND;
	assert_int_equal(redis_master_decide(&master, true, now_us), REDIS_MASTER_SAME);
	assert_followed(NULL);
	assert_int_equal(say(NULL, "m 0", NULL), REDIS_MASTER_MOVED);
	assert_followed("m 0");
}

/* A busy Sentinel names the old master by the new epoch. The others move the agent all the same. */
TEST(redis_master_first_a_busy_sentinel_is_the_last_choice)
{
	assert_int_equal(say("old 6!", NULL, NULL), REDIS_MASTER_MOVED);
	assert_followed("old 6");
	assert_int_equal(say("old 6!", "old 5", NULL), REDIS_MASTER_SAME);
	assert_int_equal(say("old 6!", "old 5", "new 6"), REDIS_MASTER_MOVED);
	assert_followed("new 6");
}

TEST(redis_master_first_a_busy_sentinel_does_not_stand_in_the_way)
{
	assert_int_equal(say("old 6!", "new 6", "old 5"), REDIS_MASTER_MOVED);
	assert_followed("new 6");
}

TEST(redis_master_first_one_sentinel_in_all)
{
	redis_master_init(&master, 1, now_us);
	assert_int_equal(hear(0, "m 5"), REDIS_MASTER_MOVED);
	assert_int_equal(hear(0, "n 6"), REDIS_MASTER_MOVED);
	assert_followed("n 6");
}

/* ---- failovers ---- */

TEST(redis_master_higher_epoch_is_followed_whoever_says_so)
{
	begin_with("m 5");
	assert_int_equal(say("m 5", "m 5", "n 6"), REDIS_MASTER_MOVED);
	assert_followed("n 6");
	say_for(100, "m 5", "m 5", "n 6");
}

/* The picture of redis_master.c. */
TEST(redis_master_failover_as_sentinels_tell_it)
{
	begin_with("m 5");
	assert_int_equal(say("m 5!", "m 5", "m 5"), REDIS_MASTER_SAME);
	assert_int_equal(say("m 6!", "m 5", "m 5"), REDIS_MASTER_SAME);
	assert_int_equal(say("m 6!", "n 6", "m 5"), REDIS_MASTER_MOVED);
	assert_int_equal(say("m 6!", "n 6", "n 6"), REDIS_MASTER_SAME);
	assert_int_equal(say("n 6", "n 6", "n 6"), REDIS_MASTER_SAME);
	assert_followed("n 6");
}

TEST(redis_master_higher_epoch_of_the_same_server_moves_nobody)
{
	begin_with("m 5");
	assert_int_equal(say("m 7", "m 5", "m 5"), REDIS_MASTER_SAME);
	assert_followed("m 7");
	assert_int_equal(say(NULL, "n 6", "n 6"), REDIS_MASTER_SAME);
	assert_followed("m 7");
}

/* Also when the followed server is lost: the old one would be asked alone, by this agent. */
TEST(redis_master_stale_sentinel_moves_nobody)
{
	begin_with("n 6");
	say_for(29, "m 5", NULL, NULL);
	is_lost = true;
	say_for(100, "m 5", NULL, NULL);
	say_for(100, "m 5", "n 6", "m 5");
	assert_followed("n 6");
}

TEST(redis_master_all_sentinels_away_goes_on_with_the_last)
{
	begin_with("m 5");
	is_lost = true;
	say_for(1000, NULL, NULL, NULL);
	assert_followed("m 5");
	assert_int_equal(say("n 6", NULL, NULL), REDIS_MASTER_MOVED);
}

/* ---- the same epoch ---- */

TEST(redis_master_equal_epoch_name_and_address_of_one_server_move_nobody)
{
	begin_with("192.0.2.1 5");
	say_for(10, "redis-0.example 5", "192.0.2.1 5", "192.0.2.1 5");
	say_for(10, "redis-0.example 5", NULL, NULL);
	say_for(1, "redis-0.example 5", "192.0.2.1 5", NULL);
	is_lost = true;
	say_for(10, "redis-0.example 5", "192.0.2.1 5", NULL);
	assert_followed("192.0.2.1 5");
}

TEST(redis_master_equal_epoch_a_majority_is_followed_once)
{
	begin_with("192.0.2.1 5");
	assert_int_equal(say("redis-0.example 5", "redis-0.example 5", "192.0.2.1 5"),
			 REDIS_MASTER_MOVED);
	say_for(10, "redis-0.example 5", "redis-0.example 5", "192.0.2.1 5");
	say_for(10, NULL, NULL, "192.0.2.1 5");
	assert_followed("redis-0.example 5");
}

/* The server has another address since it was started anew, and nobody failed over. */
TEST(redis_master_equal_epoch_is_followed_when_the_server_is_lost_and_nobody_names_it)
{
	begin_with("192.0.2.1 5");
	say_for(10, "192.0.2.2 5", NULL, NULL);
	is_lost = true;
	assert_int_equal(say("192.0.2.2 5", NULL, NULL), REDIS_MASTER_MOVED);
	assert_followed("192.0.2.2 5");
}

/* ---- back to a lower epoch ---- */

TEST(redis_master_reset_by_all_after_30_s)
{
	begin_with("m 5");
	is_lost = true;
	say_for(30, "n 0", "n 0", "n 0");
	assert_int_equal(say("n 0", "n 0", "n 0"), REDIS_MASTER_RESET);
	assert_followed("n 0");
	assert_int_equal(say("m 1", "n 0", "n 0"), REDIS_MASTER_MOVED);
}

TEST(redis_master_reset_by_a_majority)
{
	begin_with("m 5");
	is_lost = true;
	say_for(30, NULL, "n 1", "n 1");
	assert_int_equal(say(NULL, "n 1", "n 1"), REDIS_MASTER_RESET);
	assert_followed("n 1");
}

TEST(redis_master_reset_not_while_the_server_is_there)
{
	begin_with("m 5");
	say_for(100, "n 0", "n 0", "n 0");
	is_lost = true;
	assert_int_equal(say("n 0", "n 0", "n 0"), REDIS_MASTER_RESET);
}

TEST(redis_master_reset_not_by_a_minority)
{
	begin_with("m 5");
	is_lost = true;
	say_for(100, "n 0", NULL, NULL);
	redis_master_init(&master, 4, now_us);
	(void)say("m 5", "m 5", "m 5");
	assert_followed("m 5");
	say_for(100, "n 0", "n 0", NULL); /* two of four are no majority */
	assert_followed("m 5");
}

TEST(redis_master_reset_not_when_the_majority_does_not_agree)
{
	begin_with("m 5");
	is_lost = true;
	say_for(100, "n 0", "n 1", "o 1");
	assert_followed("m 5");
}

TEST(redis_master_reset_not_while_one_names_the_higher_epoch)
{
	begin_with("m 5");
	is_lost = true;
	say_for(40, "n 0", "n 0", "m 5");
	say_for(29, "n 0", "n 0", NULL); /* the last word of the third is not that old */
	assert_followed("m 5");
	say_for(1, "n 0", "n 0", "m 5!");
	say_for(29, "n 0", "n 0", NULL);
	now_us += ROUND; /* with the next half of a second it is 30 s */
	assert_int_equal(redis_master_decide(&master, is_lost, now_us), REDIS_MASTER_SAME);
	assert_int_equal(say("n 0", "n 0", NULL), REDIS_MASTER_RESET);
}

TEST(redis_master_reset_begins_anew_after_another_answer_or_a_gap)
{
	begin_with("m 5");
	is_lost = true;
	say_for(20, "n 0", "n 0", NULL);
	say_for(1, "o 0", "n 0", NULL);
	say_for(25, "n 0", "n 0", NULL);
	say_for(2, "n 0", NULL, NULL); /* the second is silent for longer than an answer counts */
	say_for(30, "n 0", "n 0", NULL);
	assert_int_equal(say("n 0", "n 0", NULL), REDIS_MASTER_RESET);
}

TEST(redis_master_reset_an_answer_that_is_lost_once_is_no_gap)
{
	begin_with("m 5");
	is_lost = true;
	for (int i = 0; i < 10; i++) {
		say_for(2, "n 0", "n 0", "n 0");
		say_for(1, NULL, "n 0", NULL);
	}
	assert_int_equal(say("n 0", "n 0", NULL), REDIS_MASTER_RESET);
}

/* The Sentinels were set up anew with the same master, whose name did not change. */
TEST(redis_master_reset_of_the_same_server_lets_a_failover_be_followed)
{
	begin_with("m 5");
	say_for(100, "m 0", "m 0", "m 0");
	assert_followed("m 5");
	is_lost = true;
	assert_int_equal(say("m 0", "m 0", "m 0"), REDIS_MASTER_RESET);
	assert_int_equal(say("n 1", "m 0", "m 0"), REDIS_MASTER_MOVED);
	assert_followed("n 1");
}

TEST(redis_master_reset_by_sentinels_that_do_not_know_the_master_is_none)
{
	begin_with("m 5");
	is_lost = true;
	for (int i = 0; i < 200; i++) {
		now_us += ROUND;
		for (size_t k = 0; k < 3; k++)
			redis_master_forget(&master, k);
		assert_int_equal(redis_master_decide(&master, true, now_us), REDIS_MASTER_SAME);
	}
	assert_followed("m 5");
}

/* ---- the reply ---- */

static char wire[8192];

static const char *reply_of(const char *const *words, size_t count)
{
	char *at = wire + sprintf(wire, "*%zu\r\n", count);

	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
	return wire;
}

/* 1: a master is named, 0: not, -1: the reply is not whole. */
static int read_wire(struct bytes input, struct redis_named *ret_named)
{
	struct redis_replies *replies = redis_replies_new();
	redisReader *reader = redisReaderCreateWithFunctions(NULL);
	void *object = NULL;
	int result = -1;

	assert_non_null(replies);
	redis_replies_collect(replies, reader);
	if (redisReaderFeed(reader, (const char *)input.data, input.len) == REDIS_OK &&
	    redisReaderGetReply(reader, &object) == REDIS_OK && object != NULL) {
		struct redis_reply reply = redis_replies_last(replies);
		result = redis_master_read(&reply, ret_named);
	}
	redisReaderFree(reader);
	redis_replies_free(replies);
	return result;
}

#define GOOD "name", "mymaster", "ip", "192.0.2.1", "port", "6380"

TEST(redis_master_read_takes_what_sentinels_say)
{
	static const struct {
		const char *words[12];
		const char *host;
		uint64_t epoch;
		bool is_failing_over;
	} cases[] = {
		{{GOOD, "flags", "master", "config-epoch", "7"}, "192.0.2.1", 7, false},
		{{"config-epoch", "9223372036854775807", "flags", "master", GOOD},
		 "192.0.2.1",
		 INT64_MAX,
		 false},
		{{GOOD, "config-epoch", "0", "flags", "s_down,master,failover_in_progress"},
		 "192.0.2.1",
		 0,
		 true},
		{{GOOD, "config-epoch", "1", "ip", "redis-0.example"}, "redis-0.example", 1, false},
		{{GOOD, "config-epoch", "1", "ip", "2001:db8::1"}, "2001:db8::1", 1, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct redis_named named;
		size_t count = 0;
		while (count < 12 && cases[i].words[count] != NULL)
			count++;
		const char *text = reply_of(cases[i].words, count);
		assert_int_equal(read_wire(bytes_from_text(text), &named), 1);
		assert_string_equal(named.place.host, cases[i].host);
		assert_string_equal(named.place.port, "6380");
		assert_int_equal(named.epoch, cases[i].epoch);
		assert_int_equal(named.is_failing_over, cases[i].is_failing_over);
	}
}

TEST(redis_master_read_refuses_rubbish)
{
	static const char *const words[][8] = {
		{GOOD},
		{"ip", "192.0.2.1", "config-epoch", "1"},
		{"port", "1", "config-epoch", "1"},
		{GOOD, "config-epoch", "-1"},
		{GOOD, "config-epoch", "9223372036854775808"},
		{GOOD, "config-epoch", ""},
		{"ip", "", "port", "1", "config-epoch", "1"},
		{"ip", "?", "port", "1", "config-epoch", "1"},
		{"ip", "a b", "port", "1", "config-epoch", "1"},
		{"ip", "::x", "port", "1", "config-epoch", "1"},
		{"ip", "h", "port", "0", "config-epoch", "1"},
		{"ip", "h", "port", "65536", "config-epoch", "1"},
		{"ip", "h", "port", "+1", "config-epoch", "1"},
		{"ip", "h", "port", "1", "config-epoch"},
	};
	static const char *const texts[] = {
		"+OK\r\n",
		":1\r\n",
		"$-1\r\n",
		"*0\r\n",
		"*-1\r\n",
		"-ERR x\r\n",
		"$1\r\nx\r\n",
		"*2\r\n*1\r\n$2\r\nip\r\n$1\r\nh\r\n",
		"*6\r\n$2\r\nip\r\n$1\r\nh\r\n$4\r\nport\r\n:1\r\n$12\r\nconfig-epoch\r\n:1\r\n",
	};
	struct redis_named named;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t count = 0;
		while (count < 8 && words[i][count] != NULL)
			count++;
		POISON(named);
		const char *text = reply_of(words[i], count);
		if (read_wire(bytes_from_text(text), &named) != 0)
			fail_msg("%s is taken", text);
		assert_untouched(named);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(read_wire(bytes_from_text(texts[i]), &named), 0);
}

TEST(redis_master_read_a_host_has_a_longest_name)
{
	static char host[REDIS_HOST_MAX + 1];
	const char *const words[] = {"ip", host, "port", "1", "config-epoch", "1"};
	struct redis_named named;

	memset(host, 'x', REDIS_HOST_MAX - 1);
	assert_int_equal(read_wire(bytes_from_text(reply_of(words, 6)), &named), 1);
	assert_string_equal(named.place.host, host);
	host[REDIS_HOST_MAX - 1] = 'x';
	assert_int_equal(read_wire(bytes_from_text(reply_of(words, 6)), &named), 0);
}

static int decode(struct bytes input, void *context)
{
	struct redis_named named;

	(void)context;
	POISON(named);
	int result = read_wire(input, &named);
	if (result != 1)
		assert_untouched(named);
	return result == 1 ? 1 : -1;
}

TEST(redis_master_read_stands_every_mutilation)
{
	const char *const words[] = {GOOD, "flags", "master", "config-epoch", "7"};
	static char text[1024];

	strcpy(text, reply_of(words, ARRAY_SIZE(words)));
	(void)sweep_decoder(bytes_from_text(text), decode, NULL);
}
