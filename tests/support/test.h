/*
 * test.h - tests that register themselves.
 *
 * A test file includes this header, which brings cmocka and what cmocka wants included before it,
 * and consists of TESTs. The main function is in test.c: it runs all tests of the binary in the
 * order in which they stand in the file.
 *
 *     BEFORE_EACH
 *     {
 *             ring = ring_new(4);
 *     }
 *
 *     TEST(ring_full_drops_the_oldest)
 *     {
 *             assert_int_equal(ring_add(ring, 5), 1);
 *     }
 *
 * The hooks belong to all tests of the binary, wherever they stand, and there is at most one of
 * each. In each body `state` is cmocka's `void **`.
 *
 * Cases that differ in data only are rows of a table, whose first member is a `name`. Each row is
 * a test of its own, which runs between the hooks like any other, and a failure shows its name
 * behind the name of the table. In the body `row` points to the row:
 *
 *     static const struct {
 *             const char *name;
 *             int from, expected;
 *     } squares[] = {
 *             {"of zero", 0, 0},
 *             {"of a negative number", -3, 9},
 *     };
 *
 *     TEST_ROWS(squares)
 *     {
 *             assert_int_equal(square(row->from), row->expected);
 *     }
 *
 * Where the input itself is the best name, the body reads it from row->name.
 */
#ifndef SUPPORT_TEST_H
#define SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef void test_fn(void **state);

struct test {
	const char *name;
	test_fn *run;
	test_fn *before;      /* NULL: the BEFORE_EACH of the binary */
	const char *row_name; /* NULL: the test is not a row of a table */
	const void *row;
	struct test *next;
};

struct test_hooks {
	test_fn *before_each, *after_each, *before_all, *after_all; /* NULL: nothing to do */
};

extern struct test_hooks test_hooks;

/* Appends the test to those that main runs. The struct stays the caller's and must live that long.
 */
void test_add(struct test *test);

/* The row of the test that runs now. */
const void *test_row(void);

#define TEST_CONSTRUCTOR __attribute__((constructor)) static void
#define TEST_STATE       __attribute__((unused)) void **state

#define TEST(name) TEST_BEFORE(name, NULL)

/* A test with a `before_each` of its own: a test_fn that is defined above it. */
#define TEST_BEFORE(test_name, before_hook)                                                    \
	static void test_##test_name(TEST_STATE);                                              \
	TEST_CONSTRUCTOR add_##test_name(void)                                                 \
	{                                                                                      \
		static struct test test = {                                                    \
			.name = #test_name, .run = test_##test_name, .before = (before_hook)}; \
		test_add(&test);                                                               \
	}                                                                                      \
	static void test_##test_name(TEST_STATE)

#define TEST_ROWS(table)                                                          \
	static void test_row_of_##table(const __typeof__((table)[0]) *row);       \
	static void test_##table(TEST_STATE)                                      \
	{                                                                         \
		test_row_of_##table(test_row());                                  \
	}                                                                         \
	TEST_CONSTRUCTOR add_##table(void)                                        \
	{                                                                         \
		static struct test tests[sizeof(table) / sizeof((table)[0])];     \
		for (size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++) { \
			tests[i] = (struct test){.name = #table,                  \
						 .run = test_##table,             \
						 .row_name = (table)[i].name,     \
						 .row = &(table)[i]};             \
			test_add(&tests[i]);                                      \
		}                                                                 \
	}                                                                         \
	static void test_row_of_##table(const __typeof__((table)[0]) *row)

#define TEST_HOOK(when)                        \
	static void test_##when(TEST_STATE);   \
	TEST_CONSTRUCTOR set_##when(void)      \
	{                                      \
		test_hooks.when = test_##when; \
	}                                      \
	static void test_##when(TEST_STATE)

#define BEFORE_EACH TEST_HOOK(before_each)
#define AFTER_EACH  TEST_HOOK(after_each)
#define BEFORE_ALL  TEST_HOOK(before_all)
#define AFTER_ALL   TEST_HOOK(after_all)

#endif
