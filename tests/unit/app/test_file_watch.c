#include "app/file_watch.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "support/test.h"

/* An upper bound for what takes a tenth of a second: the machine may be busy with other things. */
#define PATIENCE_S 20.0

struct world {
	char directory[64]; /* where each test works */
	struct ev_loop *loop;
	struct file_watch *watch;
	unsigned told;
};

BEFORE_EACH
{
	struct world *world = calloc(1, sizeof *world);

	assert_non_null(world);
	snprintf(world->directory, sizeof world->directory, "/tmp/test_file_watch.XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	assert_int_equal(chdir(world->directory), 0);
	world->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(world->loop);
	*state = world;
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *at)
{
	(void)found, (void)kind, (void)at;
	return remove(path);
}

AFTER_EACH
{
	struct world *world = *state;

	file_watch_free(world->watch);
	ev_loop_destroy(world->loop);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(nftw(world->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(world);
}

static void on_changed(void *owner)
{
	struct world *world = owner;

	world->told++;
	ev_break(world->loop, EVBREAK_ALL);
}

static void on_end(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)timer, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* Until it is told of a change or the time is over; whether it was. */
static bool is_told_within(struct world *world, double seconds)
{
	unsigned before = world->told;
	struct ev_timer end;

	ev_timer_init(&end, on_end, seconds, 0.0);
	ev_now_update(world->loop);
	ev_timer_start(world->loop, &end);
	ev_run(world->loop, 0);
	ev_timer_stop(world->loop, &end);
	return world->told > before;
}

static bool is_told(struct world *world)
{
	return is_told_within(world, PATIENCE_S);
}

/* There is no event to wait for. */
static bool is_silent(struct world *world)
{
	return !is_told_within(world, 4 * FILE_WATCH_SETTLE_S);
}

static void watch(struct world *world, const char *path)
{
	world->watch = file_watch_new_policies(world->loop, path, on_changed, world);
	assert_non_null(world->watch);
}

static void write_file(const char *path)
{
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(file >= 0);
	assert_int_equal(write(file, "{}", 2), 2);
	close(file);
}

static void make_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const char *target, const char *path)
{
	assert_int_equal(symlink(target, path), 0);
}

TEST(file_watch_a_missing_file_is_told_when_it_comes)
{
	struct world *world = *state;

	watch(world, "a/b/f");
	make_directory("a");
	make_directory("a/b");
	assert_true(is_silent(world));
	write_file("a/b/f");

	assert_true(is_told(world));
}

TEST(file_watch_a_file_that_goes_is_told_once)
{
	struct world *world = *state;

	make_directory("a");
	write_file("a/f");
	watch(world, "a/f");

	assert_int_equal(unlink("a/f"), 0);
	assert_true(is_told(world));
	assert_int_equal(rmdir("a"), 0);
	assert_true(is_silent(world));
}

TEST(file_watch_other_names_are_not_told)
{
	struct world *world = *state;

	write_file("f");
	watch(world, "f");
	write_file("g");
	write_file("ff");
	assert_int_equal(rename("g", "h"), 0);
	make_directory("F");

	assert_true(is_silent(world));
	write_file("f");
	assert_true(is_told(world));
}

TEST(file_watch_what_was_caught_up_with_is_not_told)
{
	struct world *world = *state;

	write_file("f");
	watch(world, "f");
	write_file("f");
	file_watch_catch_up(world->watch);

	assert_true(is_silent(world));
}

/* Touches the file again and again, more often than an event settles. */
static void on_touch(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)loop, (void)timer, (void)events;
	write_file("f");
}

TEST(file_watch_a_file_that_is_touched_all_the_time_is_told)
{
	struct world *world = *state;
	struct ev_timer touch;

	write_file("f");
	watch(world, "f");
	ev_timer_init(&touch, on_touch, 0.0, FILE_WATCH_SETTLE_S / 5);
	ev_timer_start(world->loop, &touch);
	ev_now_update(world->loop);
	double began = ev_now(world->loop);

	assert_true(is_told(world));
	assert_true(ev_now(world->loop) - began > FILE_WATCH_SETTLE_S);
	assert_true(is_told(world)); /* and again */
	ev_timer_stop(world->loop, &touch);
}

TEST(file_watch_what_happens_while_it_is_held_is_told_afterwards)
{
	struct world *world = *state;

	write_file("f");
	watch(world, "f");
	file_watch_hold(world->watch, FILE_WATCH_HELD);
	write_file("f");
	assert_true(is_silent(world));

	int64_t until_us = clock_mono_us() + 3 * (int64_t)(FILE_WATCH_SETTLE_S * US_PER_SECOND);
	file_watch_hold(world->watch, until_us);
	assert_true(is_told(world));

	assert_true(clock_mono_us() >= until_us);
	assert_true(is_silent(world)); /* once */
	write_file("f");
	assert_true(is_told(world));
}

TEST(file_watch_hold_without_a_change_tells_nothing)
{
	struct world *world = *state;

	write_file("f");
	watch(world, "f");
	file_watch_hold(world->watch, FILE_WATCH_HELD);
	file_watch_hold(world->watch, clock_mono_us());

	assert_true(is_silent(world));
	file_watch_hold(NULL, 0);
}

TEST(file_watch_a_file_is_told_when_it_is_closed)
{
	struct world *world = *state;

	write_file("f");
	watch(world, "f");
	int file = open("f", O_WRONLY | O_TRUNC);
	assert_int_equal(write(file, "{", 1), 1);
	assert_true(is_silent(world));
	assert_int_equal(write(file, "}", 1), 1);
	close(file);

	assert_true(is_told(world));
}

TEST(file_watch_the_end_of_a_chain_of_links_is_told)
{
	struct world *world = *state;
	char absolute[PATH_MAX];

	make_directory("far");
	make_directory("far/away");
	write_file("far/away/f");
	snprintf(absolute, sizeof absolute, "%s/far/./away/../back", world->directory);
	make_link("f", "far/away/last");
	make_link("away/last", "far/back");
	make_link(absolute, "first");
	watch(world, "first");

	write_file("far/away/f");

	assert_true(is_told(world));
}

/* At every link of the way, the way goes on along the new one. */
TEST(file_watch_a_link_that_is_swapped_is_told_and_followed)
{
	struct world *world = *state;

	make_directory("one");
	make_directory("two");
	write_file("one/f");
	write_file("two/f");
	make_link("one", "current");
	make_link("current/f", "f");
	watch(world, "f");

	make_link("two", "next");
	assert_int_equal(rename("next", "current"), 0);
	assert_true(is_told(world));
	write_file("one/f");
	assert_true(is_silent(world));
	write_file("two/f");
	assert_true(is_told(world));
}

TEST(file_watch_a_circle_of_links_ends)
{
	struct world *world = *state;

	make_link("b", "a");
	make_link("a", "b");
	watch(world, "a");

	assert_true(is_silent(world));
	assert_int_equal(unlink("b"), 0);
	write_file("b");
	assert_true(is_told(world));
}

TEST(file_watch_a_link_that_grows_its_way_ends)
{
	struct world *world = *state;
	char target[PATH_MAX] = "a";

	for (size_t i = 0; i < 1000; i++)
		strcat(target, "/x");
	make_link(target, "a");
	watch(world, "a");

	assert_true(is_silent(world));
}

TEST(file_watch_a_pipe_is_not_told)
{
	struct world *world = *state;

	assert_int_equal(mkfifo("f", 0600), 0);
	watch(world, "f");
	assert_int_equal(chmod("f", 0644), 0);

	assert_true(is_silent(world));
}

/* The file of another directory, as one that is mounted into a container alone. */
TEST(file_watch_a_file_is_seen_by_another_of_its_names)
{
	struct world *world = *state;

	write_file("f");
	make_directory("a");
	assert_int_equal(link("f", "a/f"), 0);
	watch(world, "a/f");

	write_file("f");

	assert_true(is_told(world));
}

TEST(file_watch_without_a_descriptor_watches_when_there_is_one)
{
	struct world *world = *state;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	watch(world, "file");
	file_watch_catch_up(world->watch);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	write_file("file");

	assert_true(is_told(world));
}

TEST(file_watch_set_others_tells_of_each)
{
	struct world *world = *state;
	static const char *const both[] = {"a", "b"};

	write_file("main");
	write_file("a");
	watch(world, "main");
	assert_true(file_watch_set_others(world->watch, both, 2));
	assert_false(file_watch_set_others(world->watch, both, 2));

	write_file("a");
	assert_true(is_told(world));
	write_file("b"); /* it did not exist before */
	assert_true(is_told(world));
	write_file("main");
	assert_true(is_told(world));
}

TEST(file_watch_set_others_forgets_those_before)
{
	struct world *world = *state;
	static const char *const one[] = {"a"}, *const other[] = {"b"};

	write_file("main");
	write_file("a");
	write_file("b");
	watch(world, "main");
	assert_true(file_watch_set_others(world->watch, one, 1));
	assert_true(file_watch_set_others(world->watch, other, 1));

	write_file("a");
	assert_true(is_silent(world));
	write_file("b");
	assert_true(is_told(world));
	assert_false(file_watch_set_others(world->watch, NULL, 0));
	write_file("b");
	assert_true(is_silent(world));
	write_file("main"); /* in the same directory, which is watched still */
	assert_true(is_told(world));
}
