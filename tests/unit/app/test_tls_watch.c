#include "app/tls_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ev.h>

#include "base/compiler.h"
#include "store/store.h"
#include "support/test.h"

#define PATIENT_S 20

/* ---- a file, and a store that counts how often it reads it ---- */

struct world {
	char directory[40], path[64];
	struct redis_tls_files files;
	struct ev_loop *loop;
	struct store store;
	unsigned read;
	struct tls_watch watch;
};

static void reread_files(struct store *store)
{
	struct world *world = CONTAINER_OF(store, struct world, store);

	world->read++;
	ev_break(world->loop, EVBREAK_ALL);
}

static void write_file(const struct world *world, const char *text)
{
	FILE *file = fopen(world->path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

BEFORE_EACH
{
	struct world *world = calloc(1, sizeof *world);

	assert_non_null(world);
	snprintf(world->directory, sizeof world->directory, "/tmp/tls_watch.XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	snprintf(world->path, sizeof world->path, "%s/ca", world->directory);
	write_file(world, "first");
	world->files.ca_file = world->path;
	world->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(world->loop);
	world->store.reread_files = reread_files;
	tls_watch_note(&world->watch, &world->files);
	*state = world;
}

AFTER_EACH
{
	struct world *world = *state;

	tls_watch_release(&world->watch);
	ev_loop_destroy(world->loop);
	(void)unlink(world->path);
	assert_int_equal(rmdir(world->directory), 0);
	free(world);
}

static void on_time_out(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)timer, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void wait_until_read(struct world *world)
{
	struct ev_timer timer;

	ev_now_update(world->loop);
	ev_timer_init(&timer, on_time_out, PATIENT_S, 0);
	ev_timer_start(world->loop, &timer);
	ev_run(world->loop, 0);
	ev_timer_stop(world->loop, &timer);
}

static void watch(struct world *world)
{
	tls_watch_init(&world->watch, world->loop, &world->files, &world->store);
}

/* ---- tests ---- */

TEST(tls_watch_init_reads_a_file_that_has_changed_since_the_note)
{
	struct world *world = *state;

	write_file(world, "the second");
	watch(world);

	assert_int_equal(world->read, 1);
}

TEST(tls_watch_init_reads_a_file_that_came_since_the_note)
{
	struct world *world = *state;
	assert_int_equal(unlink(world->path), 0);
	tls_watch_note(&world->watch, &world->files);

	write_file(world, "first");
	watch(world);

	assert_int_equal(world->read, 1);
}

TEST(tls_watch_init_does_not_read_what_is_as_it_was)
{
	struct world *world = *state;

	watch(world);

	assert_int_equal(world->read, 0);
}

TEST(tls_watch_reads_again_after_a_failure_that_may_pass)
{
	struct world *world = *state;
	watch(world);

	bool is_first_new = tls_watch_take_result(&world->watch, true);
	wait_until_read(world);
	bool is_second_new = tls_watch_take_result(&world->watch, true);
	wait_until_read(world);
	bool is_success_new = tls_watch_take_result(&world->watch, false);

	assert_int_equal(world->read, 2);
	assert_true(is_first_new);
	assert_false(is_second_new);
	assert_true(is_success_new);
}
