/* What a reload comes to, with a watch that tells of a change when the test says so. */
#include "app/reload.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/file_watch.h"
#include "app/load.h"
#include "base/clock.h"
#include "store/memory.h"
#include "support/test.h"

#define LIMIT "{\"algorithm\":\"fixed_window\",\"limit\":1,\"window\":\"1s\",\"key\":[\"src\"]}"
#define ONE   "{\"policies\":{\"a\":" LIMIT "}}"
#define TWO   "{\"policies\":{\"a\":" LIMIT ",\"b\":" LIMIT "}}"

/* ---- the watch ---- */

static struct {
	void (*changed)(void *owner); /* NULL: there is no watch */
	void *owner;
	unsigned catch_ups;
	unsigned asked_to_tell;
	size_t others;
	char last_other[64];
} watch;

struct file_watch *file_watch_new_policies(struct ev_loop *loop, const char *path,
					   void (*changed)(void *owner), void *owner)
{
	(void)loop, (void)path;
	watch.changed = changed;
	watch.owner = owner;
	return NULL;
}

void file_watch_catch_up(struct file_watch *unused)
{
	(void)unused;
	watch.catch_ups++;
}

void file_watch_hold(struct file_watch *unused, int64_t until_us)
{
	(void)unused, (void)until_us;
}

void file_watch_tell_in(struct file_watch *unused, double seconds)
{
	(void)unused, (void)seconds;
	watch.asked_to_tell++;
}

bool file_watch_set_others(struct file_watch *unused, const char *const *paths, size_t count)
{
	bool has_new = count > watch.others;

	(void)unused;
	watch.others = count;
	if (count > 0)
		snprintf(watch.last_other, sizeof watch.last_other, "%s", paths[count - 1]);
	return has_new;
}

void file_watch_free(struct file_watch *unused)
{
	(void)unused;
}

/* ---- an agent with a policy file ---- */

struct world {
	char path[32];
	struct ev_loop *loop;
	struct options options;
	struct store *memory;
	struct engine *engine;
	struct load_stats stats;
	struct reload reload;
};

static struct world *world;

static void write_policies(const char *text)
{
	FILE *file = fopen(world->path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

BEFORE_EACH
{
	struct problems problems;

	memset(&watch, 0, sizeof watch);
	world = calloc(1, sizeof *world);
	assert_non_null(world);
	snprintf(world->path, sizeof world->path, "/tmp/test_reload.XXXXXX");
	int file = mkstemp(world->path);
	assert_true(file >= 0);
	close(file);
	write_policies(ONE);
	world->options.policies = world->path;
	world->options.policies_watch = true;
	world->loop = ev_loop_new(EVFLAG_AUTO);
	world->memory = memory_store_new(MEMORY_LIMIT_MIN);
	struct policies *policies = load_policies(&world->options, &problems);
	if (policies == NULL)
		fail_msg("%s", problems.items[0].text);
	world->engine = engine_new(&(struct engine_config){.store = world->memory,
							   .local = world->memory,
							   .max_in_flight = 1,
							   .mono_us = clock_mono_us},
				   policies);
	policies_unref(policies);
	assert_true(world->loop != NULL && world->memory != NULL && world->engine != NULL);
}

AFTER_EACH
{
	ev_signal_stop(world->loop, &world->reload.on_signal);
	reload_release(&world->reload);
	engine_free(world->engine);
	store_free(world->memory);
	ev_loop_destroy(world->loop);
	unlink(world->path);
	free(world);
}

static void start(void)
{
	reload_init(&world->reload, &(struct reload_config){.loop = world->loop,
							    .options = &world->options,
							    .engine = world->engine,
							    .stats = &world->stats});
}

/* Until the thread has read the file and the loop has used it. */
static void await_end(void)
{
	while (world->reload.job != NULL || world->reload.has_sighup)
		ev_run(world->loop, EVRUN_ONCE);
}

static void tell_of_change(void)
{
	watch.changed(watch.owner);
	await_end();
}

static void change(const char *text)
{
	write_policies(text);
	tell_of_change();
}

static void send_sighup(void)
{
	raise(SIGHUP);
	ev_run(world->loop, EVRUN_ONCE);
	await_end();
}

#define assert_reloads(count_, errors_, last_failed_, policies_)                             \
	do {                                                                                 \
		assert_int_equal(world->stats.generation, count_);                           \
		assert_int_equal(world->stats.errors, errors_);                              \
		assert_int_equal(world->stats.last_failed, last_failed_);                    \
		assert_int_equal(policies_count(engine_policies(world->engine)), policies_); \
	} while (0)

TEST(reload_a_change_of_the_file_is_used)
{
	start();
	change(TWO);

	assert_reloads(1, 0, false, 2);
	assert_true(world->stats.loaded_us > 0);
}

TEST(reload_a_file_that_says_the_same_is_not_used_again)
{
	start();
	change(ONE);

	assert_reloads(0, 0, false, 1);
}

TEST(reload_a_file_with_an_error_changes_nothing)
{
	start();
	change("{");

	assert_reloads(0, 1, true, 1);
	assert_true(world->stats.last_error[0] != '\0');
}

TEST(reload_an_error_that_is_taken_back_is_a_reload)
{
	start();
	change("{");
	change(ONE);

	assert_reloads(1, 1, false, 1);
}

/* From now on nothing can be opened, or, with the limit that there was before, all can. */
static rlim_t limit_descriptors(rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static void await_retry(void)
{
	assert_true(ev_is_active(&world->reload.retry));
	while (ev_is_active(&world->reload.retry))
		ev_run(world->loop, EVRUN_ONCE);
	await_end();
}

TEST(reload_a_file_that_no_descriptor_is_left_for_is_read_again)
{
	start();
	write_policies(TWO);
	rlim_t before = limit_descriptors(0);
	tell_of_change();
	assert_reloads(0, 1, true, 1);
	await_retry();
	assert_reloads(0, 1, true, 1); /* is said and counted once */

	(void)limit_descriptors(before);
	await_retry();

	assert_reloads(1, 1, false, 2);
	assert_false(ev_is_active(&world->reload.retry));
}

TEST(reload_sighup_that_no_descriptor_is_left_for_is_tried_again)
{
	start();
	rlim_t before = limit_descriptors(0);
	send_sighup();
	send_sighup();
	assert_reloads(0, 2, true, 1); /* each SIGHUP has an answer */

	(void)limit_descriptors(before);
	await_retry();

	assert_reloads(1, 2, false, 1);
}

TEST(reload_a_change_before_the_retry_takes_its_place)
{
	start();
	rlim_t before = limit_descriptors(0);
	tell_of_change();
	(void)limit_descriptors(before);
	change(TWO);

	assert_reloads(1, 1, false, 2);
	assert_false(ev_is_active(&world->reload.retry));
}

TEST(reload_an_error_in_the_file_is_not_tried_again)
{
	start();
	change("{");

	assert_false(ev_is_active(&world->reload.retry));
}

TEST(reload_sighup_reloads_what_did_not_change_too)
{
	start();
	send_sighup();

	assert_reloads(1, 0, false, 1);
}

TEST(reload_sighup_takes_the_change_before_the_watch_tells_of_it)
{
	start();
	write_policies(TWO);
	send_sighup();

	assert_reloads(1, 0, false, 2);
	assert_int_equal(watch.catch_ups, 1);
}

TEST(reload_sighup_that_was_held_back_comes_in)
{
	sigset_t hup;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	assert_int_equal(sigprocmask(SIG_BLOCK, &hup, NULL), 0);
	start();
	send_sighup();

	assert_reloads(1, 0, false, 1);
}

TEST(reload_sighup_without_a_policy_file_changes_nothing)
{
	world->options.policies = NULL;
	start();
	send_sighup();

	assert_reloads(0, 0, false, 1);
	assert_null(watch.changed);
}

TEST(reload_the_file_is_not_watched_when_the_option_says_so)
{
	world->options.policies_watch = false;
	start();

	assert_null(watch.changed);
}

/* Also those of a file that was refused: one of them may be what is wrong. */
TEST(reload_the_list_files_are_watched_that_the_file_names)
{
	start();
	unsigned asked = watch.asked_to_tell;
	change("{\"block\":[{\"a\":\"@no-such-list\"}],\"policies\":{}}");

	assert_reloads(0, 1, true, 1);
	assert_int_equal(watch.others, 1);
	assert_non_null(strstr(watch.last_other, "/no-such-list"));
	assert_int_equal(watch.asked_to_tell, asked + 1);
	change("{");
	assert_int_equal(watch.others, 1);
	change(TWO);
	assert_int_equal(watch.others, 0);
	assert_int_equal(watch.asked_to_tell, asked + 1);
}
