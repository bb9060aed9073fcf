#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"

#define TESTS_MAX     1024
#define TEST_NAME_MAX 160
#define TEST_SECONDS  300 /* what one test may take */

struct test_hooks test_hooks;

static struct test *first;
static struct test **last = &first;
static const void *running_row;
static char running_name[TEST_NAME_MAX];
static char names_of_rows[TESTS_MAX][TEST_NAME_MAX];

void test_add(struct test *test)
{
	*last = test;
	last = &test->next;
}

const void *test_row(void)
{
	return running_row;
}

static int run_hook(test_fn *hook, void **state)
{
	if (hook != NULL)
		hook(state);
	return 0;
}

/* Writes the name to `text`. cmocka does not copy a name, so the text that cmocka gets has to live
 * as long as the test. */
static const char *full_name(const struct test *test, char text[TEST_NAME_MAX])
{
	const char *row = test->row_name;

	snprintf(text, TEST_NAME_MAX, "%s%s%s", test->name, row != NULL ? ": " : "",
		 row != NULL ? row : "");
	return text;
}

static void write_out(const char *text)
{
	ssize_t written = write(STDOUT_FILENO, text, strlen(text));

	(void)written; /* what could be done about it? */
}

/* A test that hangs fails by its name, and so does the binary: nothing is known about its state. */
static void on_alarm(int signal)
{
	(void)signal;
	write_out("not ok 0 - ");
	write_out(running_name);
	write_out("\n# the test took longer than it may: see TEST_SECONDS\n");
	_exit(EXIT_FAILURE);
}

/* cmocka calls a setup with the initial state of its test. main has put the struct test there. */
static int before_each(void **state)
{
	const struct test *test = *state;

	*state = NULL;
	running_row = test->row;
	full_name(test, running_name);
	alarm(TEST_SECONDS);
	return run_hook(test->before != NULL ? test->before : test_hooks.before_each, state);
}

static int after_each(void **state)
{
	return run_hook(test_hooks.after_each, state);
}

static int before_all(void **state)
{
	return run_hook(test_hooks.before_all, state);
}

static int after_all(void **state)
{
	return run_hook(test_hooks.after_all, state);
}

int main(void)
{
	static struct CMUnitTest tests[TESTS_MAX];
	size_t count = 0;

	setvbuf(stdout, NULL, _IOLBF, 0); /* nothing that was said may be lost when a test hangs */
	signal(SIGALRM, on_alarm);
	for (struct test *test = first; test != NULL; test = test->next) {
		ASSERT(count < TESTS_MAX);
		tests[count] = (struct CMUnitTest){
			.name = full_name(test, names_of_rows[count]),
			.test_func = test->run,
			.setup_func = before_each,
			.teardown_func = after_each,
			.initial_state = test,
		};
		count++;
	}
	return _cmocka_run_group_tests("tests", tests, count, before_all, after_all);
}
