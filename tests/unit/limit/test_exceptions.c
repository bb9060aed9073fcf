#include "limit/exceptions.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit/request.h"
#include "request_checks.h"
#include "samples.h"
#include "support/chance.h"
#include "support/test.h"

#define NOW_MS    UINT64_C(1700000000000)
#define NAMES_MAX 4

static struct exceptions *exceptions;
static const struct policies *policies;
static uint64_t clock_ms;

static uint64_t now_ms(void *owner)
{
	(void)owner;
	return clock_ms;
}

/* ---- exceptions in a short notation ---- */

struct made {
	struct exception exception;
	struct exception_name names[NAMES_MAX];
	struct bytes key[NAMES_MAX];
};

/* "src=10.0.0.0/8&user=x"; the names are sorted by whoever writes them. */
static void set_names(struct made *made, const char *text)
{
	struct bytes rest = bytes_from_text(text), item, name;

	while (rest.len > 0 && bytes_next_item(&rest, '&', &item)) {
		(void)bytes_next_item(&item, '=', &name);
		made->names[made->exception.count++] = (struct exception_name){name, item};
	}
	made->exception.names = made->names;
}

static struct made *make(struct made *made, const char *id, enum exception_kind kind,
			 const char *policy, const char *names)
{
	static uint64_t changed_ms = 1;
	const struct policy *found = policies_find(policies, bytes_from_text(policy));

	*made = (struct made){.exception = {.kind = kind,
					    .policy = bytes_from_text(policy),
					    .units = kind == EXCEPTION_RAISE ? 50 : 0,
					    .changed_ms = changed_ms++,
					    .text = BYTES("text")}};
	snprintf(made->exception.id, sizeof made->exception.id, "%s", id);
	set_names(made, names);
	if (found != NULL) {
		made->exception.algorithm = found->terms.quota.algorithm;
		made->exception.key = found->key;
		made->exception.key_count = found->key_count;
	}
	return made;
}

static void put(const char *id, enum exception_kind kind, const char *policy, const char *names)
{
	struct made made;

	assert_true(exceptions_put(exceptions, &make(&made, id, kind, policy, names)->exception,
				   policies));
}

static void put_until(const char *id, const char *names, uint64_t until_ms)
{
	struct made made;

	make(&made, id, EXCEPTION_BLOCK, "", names)->exception.until_ms = until_ms;
	assert_true(exceptions_put(exceptions, &made.exception, policies));
}

static bool have_room(const char *names, struct err *err)
{
	struct made made;

	return exceptions_have_room(exceptions,
				    &make(&made, "x", EXCEPTION_BLOCK, "", names)->exception, err);
}

/* ---- requests ---- */

static struct request ask(const char *message)
{
	struct request request = request_on(policies_ref(policies));

	request.exceptions = exceptions;
	add_message(&request, message);
	return request;
}

static void assert_found(const char *message, const char *id)
{
	struct request request = ask(message);

	assert_string_equal(request.exception.id, id);
	request_clear(&request);
}

BEFORE_EACH
{
	assert_true(sodium_init() >= 0);
	open_slots();
	clock_ms = NOW_MS;
	exceptions = exceptions_new(now_ms, NULL);
	assert_non_null(exceptions);
	struct policies *set = policies_new(ON_ERROR_ALLOW);
	struct policy ip = policy_of("ip:src"), pair = policy_of("pair:src,user");
	assert_true(policies_add(set, &ip));
	assert_true(policies_add(set, &pair));
	assert_true(policies_compile(set));
	policies = set;
}

AFTER_EACH
{
	exceptions_free(exceptions);
	policies_unref(policies);
	close_slots();
}

/* ---- without a policy ---- */

TEST(search_finds_text_and_networks)
{
	put("text", EXCEPTION_BLOCK, "", "user=x");
	put("net4", EXCEPTION_BLOCK, "", "src=10.0.0.0/8");
	put("net6", EXCEPTION_BLOCK, "", "src=2001:db8::/32");

	assert_found("user=x", "text");
	assert_found("user=y", "");
	assert_found("src=10.255.0.1&path=/", "net4");
	assert_found("src=::ffff:10.255.0.1", "net4");
	assert_found("src:ip=10.1.1.1", "net4");
	assert_found("src=11.0.0.1", "");
	assert_found("src=2001:db8:5::1", "net6");
	assert_found("src=10.0.0.0/8", "");
}

TEST(search_wants_all_names_and_numbers_are_their_text)
{
	put("both", EXCEPTION_BLOCK, "", "a=5&b=true");

	assert_found("a=5", "");
	assert_found("a:int=5&b:bool=true&c=x", "both");
	assert_found("a=5&b=True", "");
	assert_found("a:null&b=true", "");
}

TEST(search_more_names_come_first_then_longer_networks_then_the_newer)
{
	put("first", EXCEPTION_BLOCK, "", "user=x");
	put("wide", EXCEPTION_BLOCK, "", "src=10.0.0.0/8");
	put("long", EXCEPTION_BLOCK, "", "src=10.1.0.0/16");
	put("more", EXCEPTION_BLOCK, "", "src=10.0.0.0/8&user=x");

	assert_found("src=10.1.1.1", "long");
	assert_found("src=10.1.1.1&user=y", "long");
	assert_found("src=10.1.1.1&user=x", "more");
	exceptions_remove(exceptions, BYTES("more"));
	assert_found("src=10.1.1.1&user=x", "first"); /* no network is wider than a text */
	put("single", EXCEPTION_BLOCK, "", "src=10.1.1.1");
	assert_found("src=10.1.1.1&user=x", "single");
	put("first", EXCEPTION_BLOCK, "", "user=x");
	assert_found("src=10.1.1.1&user=x", "first");
}

TEST(search_an_exception_holds_for_all_messages_of_a_frame)
{
	put("wide", EXCEPTION_BLOCK, "", "src=10.0.0.0/8");
	put("one", EXCEPTION_ALLOW, "", "src=10.1.1.1");
	struct request request = ask("src=192.0.2.1");
	assert_valid_checks(&request, "ip:192.0.2.1");

	add_message(&request, "src=10.1.1.2");
	assert_valid_checks(&request, "blocked:");
	add_message(&request, "src=10.1.1.1");
	assert_valid_checks(&request, "");
	add_message(&request, "src=10.1.1.2");
	add_message(&request, "src=192.0.2.1&user=x");

	assert_valid_checks(&request, "");
	assert_string_equal(request.exception.id, "one");
	request_clear(&request);
}

TEST(search_a_given_key_stands_for_the_attribute_of_a_named_policy)
{
	put("block", EXCEPTION_BLOCK, "", "src=10.0.0.0/8");

	assert_found("policy=ip&key=10.1.1.1", "block");
	assert_found("policy=pair&key=10.1.1.1", "");
	assert_found("algorithm=fixed_window&limit=5&window=1m&key=10.1.1.1", "");
	assert_found("algorithm=fixed_window&limit=5&window=1m&key=x&src=10.1.1.1", "block");
}

TEST(search_what_has_ended_is_not_found)
{
	put("wide", EXCEPTION_ALLOW, "", "src=10.0.0.0/8");
	put_until("short", "src=10.1.1.1", NOW_MS + 500);
	assert_found("src=10.1.1.1", "short");

	struct request request = ask("src=10.1.1.1");
	assert_int_equal(request.checks[0]->outcome.retry_after_us, 500000);
	assert_int_equal(request.checks[0]->outcome.reset_us, 500000);
	request_clear(&request);
	clock_ms = NOW_MS + 499;
	assert_found("src=10.1.1.1", "short");
	clock_ms = NOW_MS + 500;

	assert_found("src=10.1.1.1", "wide");
}

TEST(search_a_value_that_is_too_long_for_any_exception_is_none)
{
	static char message[9000];

	put("a", EXCEPTION_BLOCK, "", "user=x");
	memset(message, 'x', sizeof message - 1);
	memcpy(message, "user=", 5);

	assert_found(message, "");
}

/* ---- of a policy ---- */

TEST(find_is_by_the_values_that_the_policy_counts_by)
{
	put("block", EXCEPTION_BLOCK, "ip", "src=2001:db8::1");
	put("allow", EXCEPTION_ALLOW, "pair", "src=10.1.1.1&user=x");
	put("key", EXCEPTION_ALLOW, "pair", "key=x");

	struct request request = ask("src=2001:db8:0:0:5::5");
	assert_true(request.checks[0]->terms->is_blocked);
	assert_string_equal(request.checks[0]->exception, "block");
	assert_int_equal(request.checks[0]->outcome.retry_after_us, -1);
	request_clear(&request);
	request = ask("src=10.1.1.1&user=x");
	assert_valid_checks(&request, "ip:10.1.1.1");
	request_clear(&request);
	request = ask("policy=ip,pair&key=x");
	assert_valid_checks(&request, "ip:x");
	request_clear(&request);
}

TEST(find_other_numbers_keep_the_balance)
{
	struct request before = ask("src=10.1.1.1");
	put("raise", EXCEPTION_RAISE, "ip", "src=10.1.1.1");
	struct request after = ask("src=10.1.1.1");

	assert_int_equal(before.checks[0]->quota->limit, 10);
	assert_int_equal(after.checks[0]->quota->limit, 50);
	assert_true(bytes_equal(check_key(before.checks[0]), check_key(after.checks[0])));
	exceptions_remove(exceptions, BYTES("raise"));
	assert_int_equal(after.checks[0]->quota->limit, 50); /* a check keeps its own terms */
	request_clear(&after);
	request_clear(&before);
}

TEST(find_of_an_inline_policy_is_by_its_numbers_too)
{
	put("raise", EXCEPTION_RAISE, "inline", "algorithm=fixed_window&key=x&limit=5&window=1m");

	struct request request = ask("algorithm=fixed_window&limit=5&window=1m&key=x");
	assert_int_equal(request.checks[0]->quota->limit, 50);
	request_clear(&request);
	request = ask("algorithm=fixed_window&limit=6&window=1m&key=x");
	assert_int_equal(request.checks[0]->quota->limit, 6);
	request_clear(&request);
}

TEST(bind_to_other_policies_makes_void_what_does_not_fit)
{
	put("ip", EXCEPTION_BLOCK, "ip", "src=10.1.1.1");
	put("none", EXCEPTION_BLOCK, "", "user=x");
	assert_false(exceptions_is_void(exceptions, 0) || exceptions_is_void(exceptions, 1));

	struct policies *others = policies_new(ON_ERROR_ALLOW);
	struct policy ip = policy_of("ip:src,user");
	assert_true(policies_add(others, &ip));
	exceptions_bind(exceptions, others);
	assert_true(exceptions_is_void(exceptions, 0));
	assert_false(exceptions_is_void(exceptions, 1));
	exceptions_bind(exceptions, policies);

	assert_false(exceptions_is_void(exceptions, 0));
	policies_unref(others);
}

TEST(bind_to_another_algorithm_makes_void)
{
	put("ip", EXCEPTION_BLOCK, "ip", "src=10.1.1.1");

	struct policies *others = policies_new(ON_ERROR_ALLOW);
	struct policy ip = policy_of("ip:src");
	ip.terms.quota.algorithm = SLIDING_WINDOW;
	assert_true(policies_add(others, &ip));
	exceptions_bind(exceptions, others);

	assert_true(exceptions_is_void(exceptions, 0));
	policies_unref(others);
}

/* ---- other policies in pieces ---- */

/* In which `ip` counts by more, so that its exceptions are void. */
static const struct policies *make_others(void)
{
	struct policies *others = policies_new(ON_ERROR_ALLOW);
	struct policy ip = policy_of("ip:src,user"), pair = policy_of("pair:src,user");

	assert_true(policies_add(others, &ip));
	assert_true(policies_add(others, &pair));
	assert_true(policies_compile(others));
	return others;
}

static void assert_voids(bool ip_is_void)
{
	for (size_t i = 0; i < exceptions_count(exceptions); i++) {
		bool is_ip = bytes_equal(exceptions_at(exceptions, i)->policy, BYTES("ip"));
		assert_int_equal(exceptions_is_void(exceptions, i), is_ip && ip_is_void);
	}
}

/* The exception of `pair` for 10.0.0.N and the user `x`, as a request finds it. */
static void assert_pair_is(const struct policies *set, unsigned n, bool is_there)
{
	struct request request = request_on(policies_ref(set));
	char message[64], id[16];

	request.exceptions = exceptions;
	snprintf(message, sizeof message, "src=10.0.0.%u&user=x", n);
	snprintf(id, sizeof id, "p%02u", n);
	add_message(&request, message);
	assert_int_equal(request.count, 2);
	assert_string_equal(request.checks[1]->exception, is_there ? id : "");
	request_clear(&request);
}

static void change_of_policy(struct chance *chance, bool *pairs)
{
	unsigned n = (unsigned)chance_between(chance, 0, 19);
	bool is_pair = chance_is_one_in(chance, 2);
	char id[16], names[64];

	snprintf(id, sizeof id, "%s%02u", is_pair ? "p" : "i", n);
	snprintf(names, sizeof names, "src=10.0.0.%u%s", n, is_pair ? "&user=x" : "");
	bool is_put = !chance_is_one_in(chance, 3);
	if (is_put)
		put(id, EXCEPTION_RAISE, is_pair ? "pair" : "ip", names);
	else
		exceptions_remove(exceptions, bytes_from_text(id));
	if (is_pair)
		pairs[n] = is_put;
}

TEST(prepare_in_pieces_while_exceptions_change)
{
	const struct policies *sets[2] = {policies, make_others()};
	struct chance chance = {.state = 11};
	bool pairs[20] = {false};
	unsigned in_use = 0;

	put("text", EXCEPTION_BLOCK, "", "user=y");
	for (int round = 0; round < 300; round++) {
		bool is_more = true;
		while (is_more) {
			is_more = exceptions_prepare(exceptions, sets[!in_use]);
			/* A change is checked against the policies in use, by which it is made. */
			if (in_use == 0)
				change_of_policy(&chance, pairs);
			assert_voids(in_use == 1);
			is_more = is_more && !chance_is_one_in(&chance, 10);
		}
		exceptions_bind(exceptions, sets[!in_use]);
		in_use = !in_use;
		assert_voids(in_use == 1);
		for (unsigned n = 0; n < 20; n++)
			assert_pair_is(sets[in_use], n, pairs[n]);
		while (exceptions_tidy(exceptions))
			if (in_use == 0)
				change_of_policy(&chance, pairs);
	}
	assert_found("user=y", "text");
	policies_unref(sets[1]);
}

/* Of the items a call takes four. One that comes in front of them moves the others. */
TEST(tidy_goes_through_the_items_that_have_moved_too)
{
	const struct policies *others = make_others();
	unsigned calls = 1;

	for (unsigned n = 0; n < 8; n++) {
		char id[16], names[32];
		snprintf(id, sizeof id, "i%02u", n);
		snprintf(names, sizeof names, "src=10.0.0.%u", n);
		put(id, EXCEPTION_BLOCK, "ip", names);
	}
	exceptions_bind(exceptions, others);
	put("first", EXCEPTION_BLOCK, "", "user=y");
	while (exceptions_tidy(exceptions))
		calls++;

	assert_int_equal(calls, 3);
	policies_unref(others);
}

/* ---- bounds ---- */

TEST(have_room_for_so_many_sets_of_names)
{
	char names[32], id[16];
	struct err err;

	for (int i = 0; i < EXCEPTION_SETS_MAX; i++) {
		snprintf(names, sizeof names, "n%d=x", i);
		snprintf(id, sizeof id, "%d", i);
		assert_true(have_room(names, &err));
		put(id, EXCEPTION_BLOCK, "", names);
	}

	assert_false(have_room("more=x", &err));
	assert_true(have_room("n0=y", &err));
	exceptions_remove(exceptions, BYTES("3"));
	assert_true(have_room("more=x", &err));
}

TEST(have_room_for_so_many_lengths_of_networks)
{
	char names[32], id[16];
	struct err err;

	for (int i = 0; i < EXCEPTION_NETWORKS_MAX; i++) {
		snprintf(names, sizeof names, "src=10.0.0.0/%d", 8 + i);
		snprintf(id, sizeof id, "%02d", i);
		assert_true(have_room(names, &err));
		put(id, EXCEPTION_BLOCK, "", names);
	}

	assert_false(have_room("src=10.0.0.1", &err));
	assert_false(have_room("src=2001:db8::/32", &err));
	assert_true(have_room("src=11.0.0.0/8", &err));
	assert_true(have_room("src=text", &err));
	exceptions_remove(exceptions, BYTES("05"));
	assert_true(have_room("src=2001:db8::/32", &err));
}

/* Two agents may have accepted more together than each may alone. */
TEST(put_above_the_bounds_is_found_all_the_same)
{
	char names[32], id[16];

	for (int i = 0; i < 2 * EXCEPTION_SETS_MAX; i++) {
		snprintf(names, sizeof names, "n%d=x", i);
		snprintf(id, sizeof id, "%d", i);
		put(id, EXCEPTION_BLOCK, "", names);
	}

	assert_found("n15=x", "15");
}

/* ---- many, and against a look at each of them ---- */

static const char *const sources[] = {"10.0.0.0/8",    "10.1.0.0/16", "10.1.1.0/24",
				      "10.1.1.1",      "10.1.1.2",    "10.2.0.1",
				      "2001:db8::/32", "2001:db8::1", "x"};
static const char *const asked_sources[] = {"10.1.1.1",    "10.1.1.2", "10.2.0.1", "10.9.9.9",
					    "2001:db8::1", "x",        "11.0.0.1"};
static const char *const users[] = {"a", "b", "c"};

static bool holds(const struct exception_name *name, const char *asked)
{
	unsigned prefix;
	struct value network = network_read(name->text, name->name, &prefix);
	struct value value = value_text(bytes_from_text(asked));

	value = value_canonical(&value);
	if (!value_is_address(&network) || value.kind != network.kind)
		return bytes_equal(name->text, bytes_from_text(asked));
	value_cut_address(&value, prefix, prefix);
	return memcmp(&value.ipv4, &network.ipv4, value.kind == VALUE_IPV4 ? 4 : 16) == 0;
}

static bool fits(const struct exception *exception, const char *source, const char *user)
{
	for (size_t i = 0; i < exception->count; i++) {
		bool is_source = bytes_equal(exception->names[i].name, BYTES("src"));
		if (!holds(&exception->names[i], is_source ? source : user))
			return false;
	}
	return exception->until_ms == 0 || exception->until_ms > clock_ms;
}

static const char *find_slowly(const char *source, const char *user)
{
	struct exception_hit best, hit;
	const char *found = "";

	for (size_t i = 0; i < exceptions_count(exceptions); i++) {
		const struct exception *exception = exceptions_at(exceptions, i);
		if (exception->policy.len > 0 || !fits(exception, source, user))
			continue;
		hit = exceptions_hit(exceptions, exception);
		if (*found != '\0' && !exception_hit_overrules(&hit, &best))
			continue;
		best = hit;
		found = exception->id;
	}
	return found;
}

static void change_one(struct chance *chance)
{
	char id[16], names[64];

	snprintf(id, sizeof id, "%u", (unsigned)chance_between(chance, 0, 19));
	if (chance_is_one_in(chance, 3)) {
		exceptions_remove(exceptions, bytes_from_text(id));
		return;
	}
	const char *source = CHANCE_PICK(chance, sources), *user = CHANCE_PICK(chance, users);
	switch (chance_between(chance, 0, 2)) {
	case 0:
		snprintf(names, sizeof names, "src=%s", source);
		break;
	case 1:
		snprintf(names, sizeof names, "user=%s", user);
		break;
	default:
		snprintf(names, sizeof names, "src=%s&user=%s", source, user);
	}
	put_until(id, names, chance_is_one_in(chance, 4) ? clock_ms + 3 : 0);
}

TEST(search_agrees_with_a_look_at_each_exception)
{
	struct chance chance = {.state = 5};
	char message[64];
	size_t found = 0;

	for (int i = 0; i < 20000; i++) {
		change_one(&chance);
		clock_ms += chance_is_one_in(&chance, 5);
		const char *source = CHANCE_PICK(&chance, asked_sources);
		const char *user = CHANCE_PICK(&chance, users);
		const char *expected = find_slowly(source, user);
		snprintf(message, sizeof message, "src=%s&user=%s", source, user);
		assert_found(message, expected);
		found += *expected != '\0';
	}
	assert_in_range(found, 2000, 19000);
}

TEST(put_a_hundred_thousand_and_remove_them)
{
	char id[16], names[32];

	for (unsigned i = 0; i < 100000; i++) {
		snprintf(id, sizeof id, "%08x", i * 2654435761U);
		snprintf(names, sizeof names, "src=10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		put(id, EXCEPTION_BLOCK, i % 2 == 0 ? "" : "ip", names);
	}
	assert_int_equal(exceptions_count(exceptions), 100000);
	assert_found("src=10.1.2.4", "618248c4");
	exceptions_bind(exceptions, policies);
	assert_found("src=10.1.2.4", "618248c4");
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(id, sizeof id, "%08x", i * 2654435761U);
		exceptions_remove(exceptions, bytes_from_text(id));
	}

	assert_int_equal(exceptions_count(exceptions), 0);
	assert_false(exceptions_are_of_policies(exceptions));
}
