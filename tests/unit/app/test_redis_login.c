#include "app/redis_login.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/test.h"

#define SECRET "hunter2"

/* ---- a directory with a password file ---- */

struct place {
	char directory[32];
	char path[64];
};

static struct place place_new(void)
{
	struct place place = {.directory = "/tmp/redis_login.XXXXXX"};

	assert_non_null(mkdtemp(place.directory));
	snprintf(place.path, sizeof place.path, "%s/password", place.directory);
	return place;
}

static void place_write(const struct place *place, const char *content, size_t len)
{
	FILE *file = fopen(place->path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void place_remove(const struct place *place)
{
	(void)unlink(place->path);
	assert_int_equal(rmdir(place->directory), 0);
}

/* ---- what is asked ---- */

static struct redis_target target_of(const char *url)
{
	struct redis_target target;
	struct err err;

	assert_true(redis_target_parse(bytes_from_text(url), &target, &err));
	return target;
}

static struct redis_target apply_good(const char *url, struct redis_login login)
{
	struct redis_target target = target_of(url);
	struct err err;

	if (!redis_login_apply(&login, &target, &err))
		fail_msg("%s", err.text);
	return target;
}

static struct err apply_bad(const char *url, struct redis_login login)
{
	struct redis_target target = target_of(url);
	struct err err = {""};

	assert_false(redis_login_apply(&login, &target, &err));
	assert_null(strstr(err.text, SECRET));
	for (const char *c = err.text; *c != '\0'; c++)
		assert_in_range(*c, ' ', '~');
	return err;
}

static void assert_says(const struct err *err, const char *text)
{
	if (strstr(err->text, text) == NULL)
		fail_msg("\"%s\" does not say %s", err->text, text);
}

static struct redis_target apply_file(const char *content, size_t len)
{
	struct place place = place_new();

	place_write(&place, content, len);
	struct redis_target target =
		apply_good("redis://h", (struct redis_login){.password_file = place.path});
	place_remove(&place);
	return target;
}

static struct err refuse_file(const char *content, size_t len)
{
	struct place place = place_new();

	place_write(&place, content, len);
	struct err err = apply_bad("redis://h", (struct redis_login){.password_file = place.path});
	assert_says(&err, "RATELIMIT_REDIS_PASSWORD_FILE: ");
	place_remove(&place);
	return err;
}

/* ---- applying ---- */

TEST(redis_login_apply_nothing_leaves_the_url)
{
	struct redis_target target = apply_good("redis://a:b@h/1", (struct redis_login){0});

	assert_string_equal(target.user, "a");
	assert_string_equal(target.password, "b");
}

TEST(redis_login_apply_completes_the_target)
{
	static const struct {
		const char *url;
		struct redis_login login;
		const char *user, *password;
	} cases[] = {
		{"redis://h", {.password = "b"}, "", "b"},
		{"redis://h", {.user = "a", .password = "b"}, "a", "b"},
		{"redis://a@h", {.password = "b"}, "a", "b"},
		{"redis://:b@h", {.user = "a"}, "a", "b"},
		{"redis+unix:///x", {.user = "a", .password = "b"}, "a", "b"},
		/* As they stand: nothing is unescaped. */
		{"redis://h", {.user = "%41@:/", .password = "%42 \n\xff"}, "%41@:/", "%42 \n\xff"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct redis_target target = apply_good(cases[i].url, cases[i].login);
		assert_string_equal(target.user, cases[i].user);
		assert_string_equal(target.password, cases[i].password);
	}
}

TEST(redis_login_apply_given_twice_is_refused)
{
	static const struct {
		const char *url;
		struct redis_login login;
		const char *says;
	} cases[] = {
		{"redis://a:b@h", {.user = "a"}, "RATELIMIT_REDIS_USER: "},
		{"redis://a:hunter2@h", {.password = "hunter2"}, "RATELIMIT_REDIS_PASSWORD: "},
		{"redis://:hunter2@h", {.password = "b"}, "RATELIMIT_REDIS_PASSWORD: "},
		{"redis://h",
		 {.password = "hunter2", .password_file = "/nowhere"},
		 "RATELIMIT_REDIS_PASSWORD_FILE"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = apply_bad(cases[i].url, cases[i].login);
		assert_says(&err, cases[i].says);
		assert_says(&err, "accepted is one of them");
	}
}

TEST(redis_login_apply_url_and_file_both_with_a_password_are_refused)
{
	struct place place = place_new();

	place_write(&place, "b", 1);
	struct err err = apply_bad("redis://:" SECRET "@h",
				   (struct redis_login){.password_file = place.path});

	assert_says(&err, "RATELIMIT_REDIS_PASSWORD_FILE: ");
	assert_says(&err, "accepted is one of them");
	place_remove(&place);
}

TEST(redis_login_apply_user_without_password_is_refused)
{
	struct err from_url = apply_bad("redis://a@h", (struct redis_login){0});
	struct err from_environment = apply_bad("redis://h", (struct redis_login){.user = "a"});

	assert_says(&from_url, "RATELIMIT_REDIS_PASSWORD: not set");
	assert_says(&from_environment, "RATELIMIT_REDIS_PASSWORD: not set");
	assert_says(&from_url, "RATELIMIT_REDIS_PASSWORD_FILE");
}

TEST(redis_login_apply_longest_values_fit_and_one_byte_more_does_not)
{
	char longest[REDIS_PASSWORD_MAX + 1];

	memset(longest, 'x', sizeof longest);
	longest[REDIS_PASSWORD_MAX - 1] = '\0';
	(void)apply_good("redis://h", (struct redis_login){.password = longest});
	longest[REDIS_PASSWORD_MAX - 1] = 'x';
	longest[REDIS_PASSWORD_MAX] = '\0';
	struct err password = apply_bad("redis://h", (struct redis_login){.password = longest});
	assert_says(&password, "RATELIMIT_REDIS_PASSWORD: longer than 1023 bytes");

	longest[REDIS_USER_MAX - 1] = '\0';
	(void)apply_good("redis://h", (struct redis_login){.user = longest, .password = "b"});
	longest[REDIS_USER_MAX - 1] = 'x';
	longest[REDIS_USER_MAX] = '\0';
	struct err user =
		apply_bad("redis://h", (struct redis_login){.user = longest, .password = SECRET});
	assert_says(&user, "RATELIMIT_REDIS_USER: longer than 127 bytes");
}

/* ---- the file ---- */

TEST(redis_login_apply_file_gives_its_first_line)
{
	static const char *const contents[] = {
		SECRET,
		SECRET "\n",
		SECRET "\r\n",
		SECRET "\nsecond\n",
		SECRET "\r\nsecond\r\n",
		SECRET "\n\n",
		SECRET "\r",
	};

	for (size_t i = 0; i < ARRAY_SIZE(contents); i++)
		assert_string_equal(apply_file(contents[i], strlen(contents[i])).password, SECRET);
	/* Spaces are part of a password. */
	assert_string_equal(apply_file(" a b \n", 6).password, " a b ");
}

TEST(redis_login_apply_file_without_a_first_line_is_refused)
{
	struct err empty = refuse_file("", 0);
	struct err line_feed = refuse_file("\n" SECRET, 8);
	struct err carriage_return = refuse_file("\r\n" SECRET, 9);

	assert_says(&empty, "it is empty");
	assert_says(&line_feed, "its first line is empty");
	assert_says(&carriage_return, "its first line is empty");
}

TEST(redis_login_apply_file_with_a_nul_is_refused)
{
	struct err begins = refuse_file("\0" SECRET, 8);
	struct err ends = refuse_file("x\0\n", 3);

	assert_says(&begins, "a NUL character");
	assert_says(&ends, "a NUL character");
	assert_string_equal(apply_file(SECRET "\n\0", 9).password, SECRET);
}

TEST(redis_login_apply_file_that_is_not_there_is_refused)
{
	struct place place = place_new();

	struct err missing =
		apply_bad("redis://h", (struct redis_login){.password_file = place.path});
	struct err directory =
		apply_bad("redis://h", (struct redis_login){.password_file = place.directory});

	assert_says(&missing, "RATELIMIT_REDIS_PASSWORD_FILE: ");
	assert_says(&missing, place.path);
	assert_says(&missing, "No such file or directory");
	assert_says(&directory, "Is a directory");
	place_remove(&place);
}

/* With each of the ends that a line may have: 1023 bytes are the most. */
TEST(redis_login_apply_file_longest_line_fits_and_one_byte_more_does_not)
{
	static const char *const ends[] = {"", "\n", "\r\n", "\nsecond\n"};
	char content[2 * REDIS_PASSWORD_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t max = REDIS_PASSWORD_MAX - 1;
		memset(content, 'x', sizeof content);
		strcpy(content + max, ends[i]);
		assert_int_equal(strlen(apply_file(content, strlen(content)).password), max);
		for (size_t len = max + 1; len < max + 5; len++) {
			memset(content, 'x', sizeof content);
			strcpy(content + len, ends[i]);
			struct err err = refuse_file(content, strlen(content));
			assert_says(&err, "longer than 1023 bytes");
		}
	}
	memset(content, 'x', sizeof content);
	struct err err = refuse_file(content, sizeof content);
	assert_says(&err, "longer than 1023 bytes");
}
