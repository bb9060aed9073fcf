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
	test_fn *before; /* NULL: the BEFORE_EACH of the binary */
	struct test *next;
};

struct test_hooks {
	test_fn *before_each, *after_each, *before_all, *after_all; /* NULL: nothing to do */
};

extern struct test_hooks test_hooks;

/* Appends the test, which stays the caller's, to those that main runs. */
void test_add(struct test *test);

#define TEST_CONSTRUCTOR __attribute__((constructor)) static void
#define TEST_STATE       __attribute__((unused)) void **state

#define TEST(name) TEST_BEFORE(name, NULL)

/* A test with a `before_each` of its own: a test_fn that is defined above it. */
#define TEST_BEFORE(name, before)                                             \
	static void test_##name(TEST_STATE);                                  \
	TEST_CONSTRUCTOR add_##name(void)                                     \
	{                                                                     \
		static struct test test = {#name, test_##name, before, NULL}; \
		test_add(&test);                                              \
	}                                                                     \
	static void test_##name(TEST_STATE)

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
