#include "support/test.h"

#include <stdio.h>

#include "base/compiler.h"

#define TESTS_MAX 256

struct test_hooks test_hooks;

static struct test *first;
static struct test **last = &first;

void test_add(struct test *test)
{
	*last = test;
	last = &test->next;
}

static int run_hook(test_fn *hook, void **state)
{
	if (hook != NULL)
		hook(state);
	return 0;
}

/* cmocka gives a setup the initial state of its test: there the test says which it is. */
static int before_each(void **state)
{
	const struct test *test = *state;

	*state = NULL;
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
	struct CMUnitTest tests[TESTS_MAX];
	size_t count = 0;

	for (struct test *test = first; test != NULL; test = test->next) {
		ASSERT(count < TESTS_MAX);
		tests[count++] = (struct CMUnitTest){
			.name = test->name,
			.test_func = test->run,
			.setup_func = before_each,
			.teardown_func = after_each,
			.initial_state = test,
		};
	}
	return _cmocka_run_group_tests("tests", tests, count, before_all, after_all);
}
