#include "app/password_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ev.h>

#include "app/file_watch.h"
#include "base/compiler.h"
#include "store/store.h"
#include "support/test.h"

#define SHORT_S   (3 * FILE_WATCH_SETTLE_S)
#define PATIENT_S 20

/* ---- a password file, and a store that notes what it is told ---- */

struct world {
	char directory[40], path[64], other[64];
	struct ev_loop *loop;
	struct store store;
	char password[STORE_PASSWORD_MAX]; /* that the store was told last */
	struct password_watch watch;
};

static void set_password(struct store *store, const char *password)
{
	struct world *world = CONTAINER_OF(store, struct world, store);

	snprintf(world->password, sizeof world->password, "%s", password);
	ev_break(world->loop, EVBREAK_ALL);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

BEFORE_EACH
{
	struct world *world = calloc(1, sizeof *world);

	assert_non_null(world);
	snprintf(world->directory, sizeof world->directory, "/tmp/password_watch.XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	snprintf(world->path, sizeof world->path, "%s/password", world->directory);
	snprintf(world->other, sizeof world->other, "%s/other", world->directory);
	world->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(world->loop);
	world->store.set_password = set_password;
	*state = world;
}

AFTER_EACH
{
	struct world *world = *state;

	password_watch_release(&world->watch);
	ev_loop_destroy(world->loop);
	(void)unlink(world->path);
	(void)unlink(world->other);
	assert_int_equal(rmdir(world->directory), 0);
	free(world);
}

static void on_time_out(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)timer, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* What the store is told within that time; empty when nothing. */
static const char *told_within(struct world *world, double seconds)
{
	struct ev_timer timer;

	*world->password = '\0';
	ev_now_update(world->loop);
	ev_timer_init(&timer, on_time_out, seconds, 0);
	ev_timer_start(world->loop, &timer);
	ev_run(world->loop, 0);
	ev_timer_stop(world->loop, &timer);
	return world->password;
}

static void watch(struct world *world)
{
	password_watch_init(&world->watch, world->loop, world->path, &world->store,
			    store_set_password);
}

/* ---- tests ---- */

TEST(password_watch_tells_what_changed_before_the_watch)
{
	struct world *world = *state;
	write_file(world->path, "changed\n");

	watch(world);

	assert_string_equal(told_within(world, PATIENT_S), "changed");
}

TEST(password_watch_reads_again_when_there_is_a_descriptor)
{
	struct world *world = *state;
	struct rlimit limit;
	write_file(world->path, "first\n");
	write_file(world->other, "second\n");
	watch(world);
	assert_string_equal(told_within(world, PATIENT_S), "first");

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(rename(world->other, world->path), 0);
	const char *without = told_within(world, SHORT_S);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

	assert_string_equal(without, "");
	assert_string_equal(told_within(world, PATIENT_S), "second");
}

/* The start reads a pipe. The watch may not wait for its writer, and has nothing new to read. */
TEST(password_watch_does_not_wait_for_a_pipe)
{
	struct world *world = *state;
	assert_int_equal(mkfifo(world->path, 0600), 0);

	watch(world);

	assert_string_equal(told_within(world, SHORT_S), "");
}
