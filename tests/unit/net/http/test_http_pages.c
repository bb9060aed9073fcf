#include "net/http/http_pages.h"

#include <stdlib.h>

#include <ev.h>

#include "base/clock.h"
#include "support/test.h"
#include "unit/net/loop_time.h"

/* A page that is never finished: each piece takes longer than a turn may. */
static unsigned pieces, ended;

static void *begin(const void *owner)
{
	(void)owner;
	return &pieces;
}

static bool write_some(void *writing, FILE *to)
{
	(void)writing;
	fputc('x', to);
	pieces++;
	loop_time_pass(0.001);
	return true;
}

static void end(void *writing)
{
	assert_ptr_equal(writing, &pieces);
	ended++;
}

static const struct http_page page = {.path = "/endless",
				      .content_type = "text/plain",
				      .begin = begin,
				      .write_some = write_some,
				      .end = end};

static struct ev_loop *loop;
static struct http_pages *pages;
static struct http_exchange exchange;

BEFORE_EACH
{
	pieces = 0;
	ended = 0;
	loop = ev_loop_new(EVFLAG_NOENV);
	pages = http_pages_new(loop, &page, 1, NULL, clock_mono_us);
	assert_non_null(pages);
	exchange = (struct http_exchange){.route = &page};
	list_init(&exchange.open);
	http_pages_answer(pages, &exchange);
}

AFTER_EACH
{
	http_pages_free(pages);
	ev_loop_destroy(loop);
}

TEST(http_pages_write_a_piece_a_turn)
{
	for (unsigned turn = 1; turn < 5; turn++) {
		assert_int_equal(pieces, turn);
		loop_turn(loop);
	}
	http_pages_forget(&exchange);
}

TEST(http_pages_stop_when_nobody_waits)
{
	http_pages_forget(&exchange);
	loop_turn(loop);
	loop_turn(loop);
	assert_int_equal(pieces, 1);
	assert_int_equal(ended, 1);
}

TEST(http_pages_go_on_for_who_comes_before_they_stop)
{
	http_pages_forget(&exchange);
	http_pages_answer(pages, &exchange);
	loop_turn(loop);
	assert_int_equal(pieces, 2);
	assert_int_equal(ended, 0);
	http_pages_forget(&exchange);
}

TEST(http_pages_free_what_is_half_written)
{
	http_pages_forget(&exchange);
	http_pages_free(pages);
	pages = NULL;
	assert_int_equal(ended, 1);
}
