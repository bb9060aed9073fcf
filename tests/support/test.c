#include "support/test.h"

#include <stdio.h>

#include "base/compiler.h"

#define TESTS_MAX     1024
#define TEST_NAME_MAX 160

struct test_hooks test_hooks;

static struct test *first;
static struct test **last = &first;
static const void *running_row;
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

/* cmocka calls a setup with the initial state of its test. main has put the struct test there. */
static int before_each(void **state)
{
	const struct test *test = *state;

	*state = NULL;
	running_row = test->row;
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

/* cmocka does not copy the name, so `text` has to live as long as the test. */
static const char *full_name(const struct test *test, char text[TEST_NAME_MAX])
{
	if (test->row_name == NULL)
		return test->name;
	snprintf(text, TEST_NAME_MAX, "%s: %s", test->name, test->row_name);
	return text;
}

int main(void)
{
	static struct CMUnitTest tests[TESTS_MAX];
	size_t count = 0;

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
