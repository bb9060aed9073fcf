#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "engines.h"
#include "store/memory.h"
#include "support/test.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

/* ---- what happened, in words that stand in the order in which it happened ---- */

#define NOTES_MAX 4096

struct trace {
	char text[NOTES_MAX];
	size_t len;
};

static PRINTF_LIKE(2, 3) void note(struct trace *trace, const char *format, ...)
{
	va_list arguments;

	if (trace->len > 0)
		trace->text[trace->len++] = ' ';
	va_start(arguments, format);
	int len = vsnprintf(trace->text + trace->len, NOTES_MAX - trace->len, format, arguments);
	va_end(arguments);
	assert_true(len >= 0 && (size_t)len + 1 < NOTES_MAX - trace->len);
	trace->len += (size_t)len;
}

/* ---- a store that answers as the test says: at once, late, wrongly, never ---- */

enum behaviour {
	ANSWERS_AT_ONCE = 0,
	FAILS_AT_ONCE,
	WAITS,
	KNOWS, /* of the first check that it is denied: nobody is asked about the others */
};

#define ASKED_MAX 64

struct fake_store {
	struct store store;
	enum behaviour behaviour;
	struct store_op *asked[ASKED_MAX];
	size_t asked_count;
	size_t forgotten; /* how often it was told to forget what it knows */
	struct trace *trace;
};

static void allow_all(struct store_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		op->checks[i]->outcome = (struct outcome){.allowed = true, .remaining = 7};
		op->checks[i]->is_decided = true;
		op->checks[i]->error = STORE_OK;
	}
}

/* "[ab|c!]": asked are a and b, and c, which is in shadow; "!": the request is denied already. */
static void note_asked(struct trace *trace, const struct store_op *op)
{
	char names[2 * POLICY_NAME_MAX] = "";
	size_t len = 0;

	for (size_t i = 0; i < op->count; i++) {
		if (i + op->shadow == op->count)
			names[len++] = '|';
		names[len++] = op->checks[i]->policy->name[0];
	}
	note(trace, "[%s%s]", names, op->is_denied ? "!" : "");
}

static bool fake_answer_known(struct store *store, struct store_op *op)
{
	struct fake_store *fake = CONTAINER_OF(store, struct fake_store, store);

	if (fake->behaviour != KNOWS)
		return false;
	op->checks[0]->outcome = (struct outcome){.allowed = false, .retry_after_us = 1000};
	op->checks[0]->is_decided = true;
	for (size_t i = 1; i < op->count; i++)
		op->checks[i]->is_skipped = true;
	note(fake->trace, "known");
	return true;
}

static void fake_forget_known(struct store *store)
{
	CONTAINER_OF(store, struct fake_store, store)->forgotten++;
}

static enum store_state fake_ask(struct store *store, struct store_op *op)
{
	struct fake_store *fake = CONTAINER_OF(store, struct fake_store, store);

	if (fake_answer_known(store, op))
		return STORE_DONE;
	fake->asked[fake->asked_count++ % ASKED_MAX] = op;
	note_asked(fake->trace, op);
	switch (fake->behaviour) {
	case ANSWERS_AT_ONCE:
		allow_all(op);
		return STORE_DONE;
	case FAILS_AT_ONCE:
		store_op_fail(op, STORE_CONNECTION);
		return STORE_DONE;
	case WAITS:
	case KNOWS:
		break;
	}
	return STORE_PENDING;
}

/* Counts among the ops that the store did not answer yet; the others are gone. */
static size_t count_late(const struct fake_store *fake)
{
	size_t count = 0;

	for (size_t i = 0; i < ASKED_MAX; i++)
		count += fake->asked[i] != NULL && fake->asked[i]->is_late;
	return count;
}

/* "late@TIME:COUNT": the store was told, and by then so many were marked as late. */
static void fake_expired(struct store *store, struct store_op *op, int64_t time_us)
{
	struct fake_store *fake = CONTAINER_OF(store, struct fake_store, store);

	assert_true(op->is_late);
	note(fake->trace, "late@%" PRId64 ":%zu", time_us - MONO_US, count_late(fake));
}

/* "settled:allow" or "settled:deny": so the request was decided at its deadline. */
static void fake_settled(struct store *store, struct store_op *op, bool is_denied)
{
	struct fake_store *fake = CONTAINER_OF(store, struct fake_store, store);

	assert_true(op->is_late);
	note(fake->trace, "settled:%s", is_denied ? "deny" : "allow");
}

static void answer(struct fake_store *fake, size_t index)
{
	struct store_op *op = fake->asked[index];

	fake->asked[index] = NULL;
	allow_all(op);
	op->answered(op);
}

static void answer_error(struct fake_store *fake, size_t index, enum store_error error)
{
	struct store_op *op = fake->asked[index];

	fake->asked[index] = NULL;
	store_op_fail(op, error);
	op->answered(op);
}

/*
 * A letter for each check of the op: (p)ass, (d)eny, (e)rror, or (w)ait: there is no answer yet,
 * and so the op stays pending.
 */
static void answer_each(struct fake_store *fake, size_t index, const char *answers)
{
	struct store_op *op = fake->asked[index];

	assert_int_equal(strlen(answers), op->count);
	for (size_t i = 0; i < op->count; i++) {
		struct check *check = op->checks[i];
		if (answers[i] == 'w')
			continue;
		check->is_decided = answers[i] != 'e';
		check->error = answers[i] == 'e' ? STORE_OTHER : STORE_OK;
		check->outcome = answers[i] == 'p'
					 ? (struct outcome){.allowed = true, .remaining = 7}
					 : (struct outcome){.retry_after_us = 1000};
	}
	if (strchr(answers, 'w') != NULL)
		return;
	fake->asked[index] = NULL;
	op->answered(op);
}

/* ---- an engine on it, and someone who asks ---- */

struct world {
	struct fake_store fake;
	struct store *local;
	struct engine *engine;
	struct list open;
	size_t done_count;
	struct verdict last;
	char last_policy[POLICY_NAME_MAX + 1];
	struct trace trace;
};

/* Two an hour, by src. */
static struct policy policy_of(const char *name, enum on_error on_error)
{
	struct policy policy = {.terms.on_error = on_error, .ipv4_prefix = 32, .ipv6_prefix = 64};
	struct err err;

	strcpy(policy.name, name);
	assert_true(quota_set_window(&policy.terms.quota, FIXED_WINDOW, 2, 3600000000, &err));
	policy.key[policy.key_count++] = BYTES("src");
	return policy;
}

static void add_policy(struct policies *policies, const char *name, struct terms terms)
{
	struct policy policy = policy_of(name, terms.on_error);

	policy.terms.is_shadow = terms.is_shadow;
	policy.terms.is_blocked = terms.is_blocked;
	assert_true(policies_add(policies, &policy));
}

static struct policies *policies_of(const char *name, enum on_error on_error)
{
	struct policies *policies = policies_new(on_error);

	add_policy(policies, name, (struct terms){.on_error = on_error});
	return policies;
}

static int64_t mono_us(void)
{
	return MONO_US;
}

static struct world *world_new(enum behaviour behaviour, enum on_error on_error,
			       size_t max_in_flight)
{
	struct world *world = calloc(1, sizeof *world);
	struct policies *policies = policies_of("first", on_error);

	world->fake.trace = &world->trace;
	world->fake.store.ask = fake_ask;
	world->fake.store.answer_known = fake_answer_known;
	world->fake.store.forget_known = fake_forget_known;
	world->fake.store.expired = fake_expired;
	world->fake.behaviour = behaviour;
	world->local = memory_store_new(MEMORY_LIMIT_MIN);
	list_init(&world->open);
	world->engine = engine_on(
		(struct engine_config){
			.store = &world->fake.store,
			.local = world->local,
			.on_error = on_error,
			.max_in_flight = max_in_flight,
			.mono_us = mono_us,
		},
		policies);
	return world;
}

static void world_free(struct world *world)
{
	engine_free(world->engine);
	store_free(world->local);
	free(world);
}

/* "allow/REASON/LEAD" or "deny/REASON/LEAD/RETRY_AFTER", and "/degraded". */
static void note_verdict(struct trace *trace, const char *how, uint64_t id,
			 const struct verdict *verdict)
{
	const char *lead = verdict->lead != NULL ? verdict->lead->policy->name : "";
	char retry_after[32] = "";

	if (!verdict->allowed || verdict->retry_after_us != 0)
		snprintf(retry_after, sizeof retry_after, "/%" PRId64, verdict->retry_after_us);
	note(trace, "%" PRIu64 "%s%s/%s/%s%s%s", id, how, verdict->allowed ? "allow" : "deny",
	     reason_text(verdict->reason), lead, retry_after, verdict->degraded ? "/degraded" : "");
}

static void on_done(const struct asker *asker, const struct verdict *verdict)
{
	struct world *world = asker->owner;

	world->done_count++;
	world->last = *verdict;
	strcpy(world->last_policy, verdict->lead != NULL ? verdict->lead->policy->name : "");
	note_verdict(&world->trace, ">", asker->tag[0], verdict);
}

/* Asks by src; the verdict of a DONE is in world->last. */
static enum engine_state ask_at(struct world *world, uint64_t id, const char *src, int64_t mono_us)
{
	struct inquiry *inquiry = engine_begin(world->engine);
	struct attribute attribute = {BYTES("src"), value_text(bytes_from_text(src))};
	struct asker asker = {.done = on_done, .open = &world->open, .owner = world, .tag = {id}};

	engine_add(inquiry, &(struct attributes){&attribute, 1});
	enum engine_state state = engine_submit(inquiry, &asker, NOW_US, mono_us);
	if (state == ENGINE_DONE) {
		world->last = *engine_verdict(inquiry);
		note_verdict(&world->trace, "=", id, engine_verdict(inquiry));
		engine_end(inquiry);
	} else {
		note(&world->trace, "%" PRIu64 "?", id);
	}
	return state;
}

static enum engine_state ask(struct world *world)
{
	return ask_at(world, 1, "192.0.2.1", MONO_US);
}

/* ---- scripts: what is done to an engine, and what comes of it ---- */

static const struct {
	const char *name;
	struct terms terms;
} all_terms[] = {
	{"limits", {.on_error = ON_ERROR_ALLOW}},
	{"denies", {.on_error = ON_ERROR_DENY}},
	{"local", {.on_error = ON_ERROR_LOCAL}},
	{"blocks", {.is_blocked = true}},
	{"shadow", {.is_shadow = true}},
	{"denies_shadow", {.on_error = ON_ERROR_DENY, .is_shadow = true}},
	{"local_shadow", {.on_error = ON_ERROR_LOCAL, .is_shadow = true}},
	{"blocks_shadow", {.is_blocked = true, .is_shadow = true}},
};

static struct terms find_terms(struct bytes name)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_terms); i++)
		if (bytes_equal(name, bytes_from_text(all_terms[i].name)))
			return all_terms[i].terms;
	fail_msg("no terms are called \"%.*s\"", (int)name.len, (const char *)name.data);
	return (struct terms){0};
}

/* Policies a, b and so on of these terms, with spaces between, take the place of those before. */
static void set_terms(struct world *world, const char *names)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct bytes rest = bytes_from_text(names), item;
	char name[] = "a";

	for (; bytes_next_item(&rest, ' ', &item); name[0]++)
		add_policy(policies, name, find_terms(item));
	engine_set_policies(world->engine, policies);
	policies_unref(policies);
}

/* How much the local store has left for b, which counts there, in shadow. */
static int64_t remaining_locally(struct world *world)
{
	world->fake.behaviour = FAILS_AT_ONCE;
	set_terms(world, "limits local_shadow");
	struct inquiry *inquiry = engine_begin(world->engine);
	struct attribute items[] = {{BYTES("src"), value_text(BYTES("192.0.2.1"))},
				    {BYTES("cost"), value_integer(0)}};
	struct asker asker = {.done = on_done, .open = &world->open, .owner = world};
	engine_add(inquiry, &(struct attributes){items, 2});
	assert_int_equal(engine_submit(inquiry, &asker, NOW_US, MONO_US), ENGINE_DONE);
	assert_int_equal(engine_request(inquiry)->checks[1]->error, STORE_CONNECTION);
	assert_true(engine_request(inquiry)->checks[1]->is_decided);
	int64_t remaining = engine_request(inquiry)->checks[1]->outcome.remaining;
	engine_end(inquiry);
	return remaining;
}

static void note_count(struct trace *trace, const char *name, uint64_t count)
{
	if (count > 0)
		note(trace, "%s:%" PRIu64, name, count);
}

/* "a{", the counters of policy a that are not 0, "}", and the next policy. */
static void note_tallies(struct world *world)
{
	const struct policies *policies = engine_policies(world->engine);

	for (size_t i = 0; i < policies_count(policies); i++) {
		const struct tally *tally = policies_at(policies, i)->tally;
		note(&world->trace, "%s{", policies_at(policies, i)->name);
		note_count(&world->trace, "allowed", tally->checks[TALLY_ALLOWED]);
		note_count(&world->trace, "denied", tally->checks[TALLY_DENIED]);
		note_count(&world->trace, "shadow_denied", tally->checks[TALLY_SHADOW_DENIED]);
		note_count(&world->trace, "error", tally->checks[TALLY_ERROR]);
		note_count(&world->trace, "skipped", tally->checks[TALLY_SKIPPED]);
		note_count(&world->trace, "leads_allowed", tally->requests_allowed[SOURCE_SPOP]);
		note_count(&world->trace, "leads_blocked", tally->requests_blocked[SOURCE_SPOP]);
		note(&world->trace, "}");
	}
}

static void abandon(struct world *world)
{
	engine_abandon(&world->open);
	assert_true(list_is_empty(&world->open));
}

/*
 * The steps of a script. Times are in us after MONO_US; a check that is asked at 0 is late at 2000.
 *
 *     ask ID TIME         Asks for 192.0.2.1. "[POLICIES]" is noted when the store is asked, then
 *                         "ID=VERDICT", or "ID?", and "ID>VERDICT" when the answer comes later.
 *     answer OP           The store allows all checks of its op 0, 1 and so on.
 *     answer OP LETTERS   The store answers each check by a letter: see answer_each.
 *     fail OP             The store answers with an error.
 *     expire TIME         The loop calls engine_expire.
 *     abandon             The connection of those who wait is gone.
 *     store answers       From here on the store answers at once.
 *     store knows         From here on the store knows that the first check is denied.
 *     store deaf          The store has no function to be told of late checks.
 *     store of many       The store asks several servers, and is told how late requests end.
 *     next                Notes when engine_expire wants to be called next.
 *     flight              Notes how many checks are in flight.
 *     local               Notes how many balances are in the local store.
 *     left                Notes what is left of b there: see remaining_locally.
 *     tallies             Notes the counters of all policies: see note_tallies.
 */
static void play_step(struct world *world, const char *step)
{
	char word[16] = "", letters[17] = "";
	unsigned number = 0;
	int64_t time_us = 0;

	sscanf(step, "%15s", word);
	sscanf(step, "%*s %u %16[pdew]", &number, letters);
	sscanf(step, "%*s %*u %" SCNd64, &time_us);
	if (strcmp(word, "ask") == 0)
		(void)ask_at(world, number, "192.0.2.1", MONO_US + time_us);
	else if (strcmp(word, "answer") == 0 && letters[0] != '\0')
		answer_each(&world->fake, number, letters);
	else if (strcmp(word, "answer") == 0)
		answer(&world->fake, number);
	else if (strcmp(word, "fail") == 0)
		answer_error(&world->fake, number, STORE_CONNECTION);
	else if (strcmp(word, "expire") == 0)
		engine_expire(world->engine, MONO_US + number);
	else if (strcmp(word, "abandon") == 0)
		abandon(world);
	else if (strcmp(step, "store answers") == 0)
		world->fake.behaviour = ANSWERS_AT_ONCE;
	else if (strcmp(step, "store knows") == 0)
		world->fake.behaviour = KNOWS;
	else if (strcmp(step, "store deaf") == 0)
		world->fake.store.expired = NULL;
	else if (strcmp(step, "store of many") == 0)
		world->fake.store.settled = fake_settled;
	else if (strcmp(word, "next") == 0)
		note(&world->trace, "next@%" PRId64,
		     engine_next_us(world->engine) < 0 ? -1
						       : engine_next_us(world->engine) - MONO_US);
	else if (strcmp(word, "flight") == 0)
		note(&world->trace, "flight:%zu", engine_stats(world->engine).in_flight);
	else if (strcmp(word, "local") == 0)
		note(&world->trace, "local:%zu", memory_store_stats(world->local).balances);
	else if (strcmp(word, "left") == 0)
		note(&world->trace, "left:%" PRId64, remaining_locally(world));
	else if (strcmp(word, "tallies") == 0)
		note_tallies(world);
	else
		fail_msg("\"%s\" is no step of a script", step);
}

/* Steps stand between commas. */
static void play(struct world *world, const char *script)
{
	struct bytes rest = bytes_from_text(script), step;
	char text[64];

	while (bytes_next_item(&rest, ',', &step)) {
		step = bytes_trim(step);
		snprintf(text, sizeof text, "%.*s", (int)step.len, (const char *)step.data);
		play_step(world, text);
	}
}

static const struct {
	const char *name;
	enum behaviour store;
	const char *terms;
	const char *script, *trace;
} scripts[] = {
	{"a store that answers at once", ANSWERS_AT_ONCE, "limits", "ask 1, next",
	 "[a] 1=allow/ok/a next@-1"},
	{"a store that answers later, once", WAITS, "denies",
	 "ask 77, next, answer 0, next, expire 20000", "[a] 77? next@2000 77>allow/ok/a next@-1"},
	{"answers in any order find their asker", WAITS, "denies",
	 "ask 0, ask 1, ask 2, answer 2, answer 0, answer 1",
	 "[a] 0? [a] 1? [a] 2? 2>allow/ok/a 0>allow/ok/a 1>allow/ok/a"},
	{"a store that fails later", WAITS, "denies", "ask 1, fail 0",
	 "[a] 1? 1>deny/error/a/1000000/degraded"},
	{"who is gone is not called", WAITS, "limits",
	 "ask 1, ask 2, ask 3, abandon, answer 0, expire 2000, fail 1, answer 2",
	 "[a] 1? [a] 2? [a] 3? late@2000:1 late@2000:2"},

	{"nothing expires before the deadline", WAITS, "limits",
	 "ask 1, expire 1999, next, answer 0", "[a] 1? next@2000 1>allow/ok/a"},
	{"at the deadline on_error allows", WAITS, "limits", "ask 1, expire 2000, next, answer 0",
	 "[a] 1? late@2000:1 1>allow/error/a/degraded next@-1"},
	{"at the deadline on_error denies", WAITS, "denies", "ask 1, expire 2000, next, answer 0",
	 "[a] 1? late@2000:1 1>deny/error/a/1000000/degraded next@-1"},
	{"at the deadline on_error counts locally", WAITS, "local",
	 "ask 1, expire 2000, next, answer 0", "[a] 1? late@2000:1 1>allow/ok/a/degraded next@-1"},
	{"at the deadline what is blocked stays so", WAITS, "limits blocks",
	 "ask 1, expire 2000, flight, answer 0, flight",
	 "[a!] 1? late@2000:1 1>deny/blocked/b/-1/degraded flight:2 flight:0"},
	{"the store is told once of each that is late", WAITS, "limits",
	 "ask 0, ask 1, ask 2 1, expire 1999, expire 2000, expire 2000, expire 20000, answer 0, "
	 "answer 1, answer 2",
	 "[a] 0? [a] 1? [a] 2? late@2000:1 0>allow/error/a/degraded late@2000:2 "
	 "1>allow/error/a/degraded late@20000:3 2>allow/error/a/degraded"},
	{"the store is not told of what it answered", WAITS, "limits",
	 "ask 0, ask 1, ask 2, answer 1, fail 2, expire 2000, answer 0",
	 "[a] 0? [a] 1? [a] 2? 1>allow/ok/a 2>allow/error/a/degraded late@2000:1 "
	 "0>allow/error/a/degraded"},
	{"the store is not told of what never waited", FAILS_AT_ONCE, "limits",
	 "ask 1, store answers, ask 2, expire 20000",
	 "[a] 1=allow/error/a/degraded [a] 2=allow/ok/a"},
	{"the store is told of what was abandoned", WAITS, "limits",
	 "ask 1, abandon, expire 2000, answer 0", "[a] 1? late@2000:1"},
	{"a store that can't be told is not told", WAITS, "limits",
	 "store deaf, ask 1, expire 2000, answer 0", "[a] 1? 1>allow/error/a/degraded"},
	{"at the deadline what was answered counts", WAITS, "limits denies limits",
	 "store of many, ask 1, answer 0 wpp, expire 2000, tallies, answer 0",
	 "[abc] 1? late@2000:1 1>allow/error/a/degraded settled:allow "
	 "a{ error:1 leads_allowed:1 } b{ allowed:1 } c{ allowed:1 }"},
	{"at the deadline a denial that was answered denies", WAITS, "limits limits",
	 "store of many, ask 1, answer 0 wd, expire 2000, answer 0",
	 "[ab] 1? late@2000:1 1>deny/limited/b/1000/degraded settled:deny"},
	{"at the deadline on_error denies what was not answered", WAITS, "limits denies",
	 "store of many, ask 1, answer 0 pw, expire 2000, answer 0",
	 "[ab] 1? late@2000:1 1>deny/error/b/1000000/degraded settled:deny"},
	{"at the deadline on_error local decides what was not answered", WAITS, "local limits",
	 "store of many, ask 1, answer 0 wp, expire 2000, answer 0",
	 "[ab] 1? late@2000:1 1>allow/ok/a/degraded settled:allow"},
	{"at the deadline an error that was answered stays", WAITS, "denies limits",
	 "store of many, ask 1, answer 0 ew, expire 2000, answer 0",
	 "[ab] 1? late@2000:1 1>deny/error/a/1000000/degraded settled:deny"},
	{"what was abandoned is not settled", WAITS, "limits",
	 "store of many, ask 1, abandon, expire 2000, answer 0", "[a] 1? late@2000:1"},

	{"on_error local counts in the local store", FAILS_AT_ONCE, "local", "ask 1, ask 2, ask 3",
	 "[a] 1=allow/ok/a/degraded [a] 2=allow/ok/a/degraded "
	 "[a] 3=deny/limited/a/2800000000/degraded"},
	{"on_error local does not charge what on_error denies", FAILS_AT_ONCE,
	 "local local_shadow denies", "ask 1, ask 2, ask 3, tallies, left",
	 "[ac|b] 1=deny/error/c/1000000/degraded [ac|b] 2=deny/error/c/1000000/degraded "
	 "[ac|b] 3=deny/error/c/1000000/degraded a{ allowed:3 } b{ allowed:3 } "
	 "c{ error:3 leads_blocked:3 } [a|b] left:2"},
	{"on_error local does not charge what is blocked", FAILS_AT_ONCE,
	 "local local_shadow blocks", "ask 1, ask 2, ask 3, tallies, left",
	 "[a|b!] 1=deny/blocked/c/-1/degraded [a|b!] 2=deny/blocked/c/-1/degraded "
	 "[a|b!] 3=deny/blocked/c/-1/degraded a{ allowed:3 } b{ allowed:3 } "
	 "c{ denied:3 leads_blocked:3 } [a|b] left:2"},
	{"on_error deny in shadow stops nothing", FAILS_AT_ONCE, "denies_shadow local_shadow",
	 "ask 1, left", "[|ab] 1=allow/shadow/a/degraded [a|b] left:1"},

	{"nothing but blocked does not ask the store", WAITS, "blocks blocks", "ask 1, tallies",
	 "1=deny/blocked/a/-1 a{ denied:1 leads_blocked:1 } b{ denied:1 }"},
	{"blocked makes the others look only", WAITS, "limits blocks shadow", "ask 1, answer 0",
	 "[a|c!] 1? 1>deny/blocked/b/-1"},
	{"blocked in shadow denies nothing", WAITS, "limits blocks_shadow",
	 "ask 1, answer 0, tallies",
	 "[a] 1? 1>allow/shadow/b a{ allowed:1 } b{ shadow_denied:1 leads_allowed:1 }"},
	{"those in shadow stand behind the others", WAITS, "shadow limits shadow denies",
	 "ask 1, answer 0", "[bd|ac] 1? 1>allow/ok/b"},
	{"shadow that would deny denies nothing", WAITS, "limits shadow",
	 "ask 1, answer 0 pd, tallies",
	 "[a|b] 1? 1>allow/shadow/b a{ allowed:1 } b{ shadow_denied:1 leads_allowed:1 }"},
	{"shadow that failed alone degrades", WAITS, "denies shadow", "ask 1, answer 0 pe, tallies",
	 "[a|b] 1? 1>allow/ok/a/degraded a{ allowed:1 leads_allowed:1 } b{ error:1 }"},
	{"what the store decided is not asked locally", WAITS, "local shadow",
	 "ask 1, answer 0 pe, local", "[a|b] 1? 1>allow/ok/a/degraded local:0"},
	{"shadow that failed is charged locally when the request is allowed", WAITS,
	 "limits local_shadow", "ask 1, answer 0 pe, tallies, left",
	 "[a|b] 1? 1>allow/ok/a/degraded a{ allowed:1 leads_allowed:1 } b{ allowed:1 } "
	 "[a|b] left:1"},
	{"shadow that failed is not charged when the request is denied", WAITS,
	 "limits local_shadow", "ask 1, answer 0 de, tallies, left",
	 "[a|b] 1? 1>deny/limited/a/1000/degraded a{ denied:1 leads_blocked:1 } "
	 "b{ allowed:1 } [a|b] left:2"},
	{"what is skipped is no error, and is not asked locally", KNOWS,
	 "limits denies local shadow", "ask 1, tallies, local",
	 "known 1=deny/limited/a/1000 a{ denied:1 leads_blocked:1 } b{ skipped:1 } "
	 "c{ skipped:1 } d{ skipped:1 } local:0"},
	{"what is known needs no room", WAITS, "limits limits limits limits limits limits",
	 "ask 1, ask 2, ask 3, store knows, ask 4, flight, answer 0, answer 1",
	 "[abcdef] 1? [abcdef] 2? 3=allow/error/a/degraded known 4=deny/limited/a/1000 flight:12 "
	 "1>allow/ok/a 2>allow/ok/a"},
	{"shadow that failed is charged locally when all failed", WAITS, "limits local_shadow",
	 "ask 1, answer 0 ee, tallies, left",
	 "[a|b] 1? 1>allow/error/a/degraded a{ error:1 leads_allowed:1 } b{ allowed:1 } "
	 "[a|b] left:1"},
};

TEST_ROWS(scripts)
{
	struct world *world = world_new(row->store, ON_ERROR_ALLOW, 16);

	set_terms(world, row->terms);
	play(world, row->script);

	assert_string_equal(world->trace.text, row->trace);
	world_free(world);
}

/* ---- the cases that are no scripts ---- */

TEST(decide_unasked_decides_by_on_error_and_asks_no_store)
{
	static const struct {
		const char *terms;
		bool allowed, degraded;
	} cases[] = {
		{"limits", true, true}, {"denies", false, true},  {"limits denies", false, true},
		{"local", true, true},  {"blocks", false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 1);
		struct asker asker = {.open = &world->open, .owner = world};
		set_terms(world, cases[i].terms);
		struct inquiry *inquiry = engine_begin(world->engine);
		struct attribute src = {BYTES("src"), value_text(BYTES("192.0.2.1"))};
		engine_add(inquiry, &(struct attributes){&src, 1});
		engine_decide_unasked(inquiry, &asker, NOW_US, MONO_US);

		assert_int_equal(engine_verdict(inquiry)->allowed, cases[i].allowed);
		assert_int_equal(engine_verdict(inquiry)->degraded, cases[i].degraded);
		assert_null(world->fake.asked[0]);
		assert_int_equal(engine_stats(world->engine).full, cases[i].degraded);
		assert_int_equal(engine_stats(world->engine).in_flight, 0);
		engine_end(inquiry);
		world_free(world);
	}
}

/* More checks than --max-in-flight, of a store that nothing waits for. */
TEST(submit_store_that_is_the_local_one_is_never_full)
{
	struct store *memory = memory_store_new(MEMORY_LIMIT_MIN);
	struct policies *policies = policies_of("first", ON_ERROR_DENY);
	struct engine *engine = engine_new(
		&(struct engine_config){
			.store = memory, .local = memory, .max_in_flight = 1, .mono_us = mono_us},
		policies);
	struct inquiry *inquiry = engine_begin(engine);
	struct attribute one = {BYTES("src"), value_text(BYTES("1"))};
	struct attribute two = {BYTES("src"), value_text(BYTES("2"))};

	engine_add(inquiry, &(struct attributes){&one, 1});
	engine_add(inquiry, &(struct attributes){&two, 1});
	assert_int_equal(engine_submit(inquiry, &(struct asker){0}, NOW_US, MONO_US), ENGINE_DONE);
	assert_int_equal(engine_verdict(inquiry)->reason, REASON_OK);
	assert_int_equal(engine_stats(engine).full, 0);
	engine_end(inquiry);
	policies_unref(policies);
	engine_free(engine);
	store_free(memory);
}

TEST(submit_without_a_policy_that_fits_does_not_ask_the_store)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);
	struct inquiry *inquiry = engine_begin(world->engine);
	struct asker asker = {.done = on_done, .open = &world->open, .owner = world};

	assert_int_equal(engine_submit(inquiry, &asker, NOW_US, MONO_US), ENGINE_DONE);
	assert_int_equal(engine_verdict(inquiry)->reason, REASON_NONE);
	assert_true(engine_verdict(inquiry)->allowed);
	assert_int_equal(world->fake.asked_count, 0);
	engine_end(inquiry);
	world_free(world);
}

TEST(on_error_local_charges_nothing_when_another_check_denies)
{
	struct world *world = world_new(FAILS_AT_ONCE, ON_ERROR_LOCAL, 16);
	struct policies *policies = policies_of("deny", ON_ERROR_DENY);
	struct policy second = *policies_at(policies, 0);

	strcpy(second.name, "local");
	second.terms.on_error = ON_ERROR_LOCAL;
	assert_true(policies_add(policies, &second));
	struct policies *only_local = policies_new(ON_ERROR_LOCAL);
	assert_true(policies_add(only_local, &second));

	engine_set_policies(world->engine, policies);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ask(world), ENGINE_DONE);
		assert_false(world->last.allowed);
		assert_int_equal(world->last.reason, REASON_ERROR);
	}
	engine_set_policies(world->engine, only_local);
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_true(world->last.allowed);
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_true(world->last.allowed); /* both of its two are there */
	policies_unref(policies);
	policies_unref(only_local);
	world_free(world);
}

TEST(store_that_never_answers_costs_slots_then_answers_at_once)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 4);

	for (uint64_t id = 0; id < 4; id++)
		assert_int_equal(ask_at(world, id, "192.0.2.1", MONO_US), ENGINE_PENDING);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	assert_int_equal(world->done_count, 4);

	for (uint64_t id = 4; id < 50; id++) {
		assert_int_equal(ask_at(world, id, "192.0.2.1", MONO_US), ENGINE_DONE);
		assert_int_equal(world->last.reason, REASON_ERROR);
		assert_true(world->last.degraded);
	}
	assert_int_equal(world->fake.asked_count, 4);

	answer(&world->fake, 1); /* one slot is given back, so one may wait again */
	assert_int_equal(ask_at(world, 50, "192.0.2.1", MONO_US), ENGINE_PENDING);
	assert_int_equal(ask_at(world, 51, "192.0.2.1", MONO_US), ENGINE_DONE);
	for (size_t i = 0; i < 5; i++)
		if (i != 1)
			answer(&world->fake, i);
	world_free(world);
}

TEST(set_policies_the_store_forgets_what_it_knows)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);
	size_t before = world->fake.forgotten;

	set_terms(world, "limits");

	assert_int_equal(world->fake.forgotten, before + 1);
	world_free(world);
}

TEST(set_policies_open_requests_keep_those_that_they_began_with)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);
	struct policies *second = policies_of("second", ON_ERROR_ALLOW);

	(void)ask(world);
	engine_set_policies(world->engine, second);
	policies_unref(second);
	(void)ask(world);
	answer(&world->fake, 0);
	assert_string_equal(world->last_policy, "first");
	answer(&world->fake, 1);
	assert_string_equal(world->last_policy, "second");
	world_free(world);
}

/* They hold slots as long as the request waits: a store that is dead must not use up all. */
TEST(submit_blocked_counts_in_flight_with_those_that_wait)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 40);

	set_terms(world, "blocks blocks blocks blocks blocks blocks blocks blocks blocks blocks "
			 "blocks blocks blocks blocks blocks limits");
	assert_int_equal(ask(world), ENGINE_PENDING);
	assert_int_equal(ask(world), ENGINE_PENDING);
	assert_int_equal(engine_stats(world->engine).in_flight, 32);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ask(world), ENGINE_DONE);
		assert_int_equal(world->last.reason, REASON_BLOCKED);
		assert_true(world->last.degraded);
	}
	assert_int_equal(engine_stats(world->engine).full, 10);

	answer(&world->fake, 0);
	assert_int_equal(engine_stats(world->engine).in_flight, 16);
	assert_int_equal(ask(world), ENGINE_PENDING);
	answer(&world->fake, 1);
	answer(&world->fake, 2);
	assert_int_equal(engine_stats(world->engine).in_flight, 0);
	world_free(world);
}

static const struct {
	const char *name;
	enum on_error flag;
} invalid_messages[] = {
	{"allow", ON_ERROR_ALLOW},
	{"deny", ON_ERROR_DENY},
	{"local", ON_ERROR_LOCAL},
};

TEST_ROWS(invalid_messages)
{
	struct world *world = world_new(ANSWERS_AT_ONCE, row->flag, 16);
	struct inquiry *inquiry = engine_begin(world->engine);
	struct attribute bad = {BYTES("cost"), value_text(BYTES("x"))};
	struct attribute good = {BYTES("src"), value_text(BYTES("192.0.2.1"))};
	struct asker asker = {.done = on_done, .open = &world->open, .owner = world};

	engine_add(inquiry, &(struct attributes){&bad, 1});
	engine_add(inquiry, &(struct attributes){&good, 1});

	assert_int_equal(engine_submit(inquiry, &asker, NOW_US, MONO_US), ENGINE_DONE);
	assert_int_equal(engine_verdict(inquiry)->reason, REASON_INVALID);
	assert_int_equal(engine_verdict(inquiry)->allowed, row->flag != ON_ERROR_DENY);
	/* A request that is denied charges nobody; else the good message counts. */
	assert_int_equal(world->fake.asked_count, row->flag != ON_ERROR_DENY);
	engine_end(inquiry);
	world_free(world);
}

/* ---- what the store says is kept, for on_error=local ---- */

static void see(struct fake_store *fake, size_t index, const struct balance *balance,
		bool is_charged)
{
	struct store_op *op = fake->asked[index];

	op->seen(op, op->checks[0], balance, is_charged, balance->plain.fixed.last_us);
}

/*
 * The store charged the first check; after that so much of the window was used, at that time by
 * the store's clock.
 */
static void answer_used(struct fake_store *fake, size_t index, int64_t used, int64_t now_us)
{
	struct balance balance = {.plain.fixed = {used, now_us}};

	see(fake, index, &balance, true);
	answer_each(fake, index, "p");
}

TEST(on_error_local_begins_with_what_the_store_said)
{
	struct world *world = world_new(WAITS, ON_ERROR_LOCAL, 10);

	assert_int_equal(ask(world), ENGINE_PENDING);
	answer_used(&world->fake, 0, 1, NOW_US);
	world->fake.behaviour = FAILS_AT_ONCE;
	for (int left = 1; left > 0; left--) {
		assert_int_equal(ask(world), ENGINE_DONE);
		assert_true(world->last.allowed && world->last.degraded);
	}
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	assert_true(world->last.degraded);

	/* Whom it never saw has the whole limit. */
	assert_int_equal(ask_at(world, 2, "192.0.2.2", MONO_US), ENGINE_DONE);
	assert_int_equal(world->last.lead->outcome.remaining, 1);
	world_free(world);
}

TEST(on_error_local_counts_by_the_clock_of_the_store)
{
	struct world *world = world_new(WAITS, ON_ERROR_LOCAL, 10);
	/* Its hour ends in a second; ours did long ago, or will. */
	int64_t store_us = (NOW_US / 3600000000 + 7) * 3600000000 - 1000000;

	assert_int_equal(ask(world), ENGINE_PENDING);
	answer_used(&world->fake, 0, 2, store_us);
	world->fake.behaviour = FAILS_AT_ONCE;

	assert_int_equal(ask_at(world, 1, "192.0.2.1", MONO_US + 400000), ENGINE_DONE);
	assert_false(world->last.allowed);
	assert_int_equal(world->last.retry_after_us, 600000);
	assert_int_equal(ask_at(world, 1, "192.0.2.1", MONO_US + 999999), ENGINE_DONE);
	assert_false(world->last.allowed);
	assert_int_equal(ask_at(world, 1, "192.0.2.1", MONO_US + 1000000), ENGINE_DONE);
	assert_true(world->last.allowed);
	world_free(world);
}

TEST(on_error_local_begins_with_what_a_late_reply_said)
{
	struct world *world = world_new(WAITS, ON_ERROR_LOCAL, 10);

	assert_int_equal(ask(world), ENGINE_PENDING);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	assert_true(world->last.allowed);
	answer_used(&world->fake, 0, 2, NOW_US);
	world->fake.behaviour = FAILS_AT_ONCE;

	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	world_free(world);
}

/* Of 2, the store charged one late, so that one is left here too. */
TEST(late_request_that_the_store_charged_counts_once)
{
	struct world *world = world_new(WAITS, ON_ERROR_LOCAL, 10);

	assert_int_equal(ask(world), ENGINE_PENDING);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	answer_used(&world->fake, 0, 1, NOW_US);
	world->fake.behaviour = FAILS_AT_ONCE;

	assert_int_equal(ask(world), ENGINE_DONE);
	assert_true(world->last.allowed);
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	world_free(world);
}

/* The store never got the late one, and says so: 1 of 2 that it charged, and 1 here. */
TEST(late_request_that_the_store_did_not_charge_is_taken_off)
{
	struct world *world = world_new(WAITS, ON_ERROR_LOCAL, 10);

	assert_int_equal(ask(world), ENGINE_PENDING);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	assert_true(world->last.allowed);
	answer_error(&world->fake, 0, STORE_TIMEOUT);
	assert_int_equal(ask(world), ENGINE_PENDING);
	answer_used(&world->fake, 1, 1, NOW_US);
	world->fake.behaviour = FAILS_AT_ONCE;

	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	world_free(world);
}

/*
 * Both of 2 are granted here, and the store says of the first that it charged it: what is left
 * there is the second one's, whose reply is lost.
 */
TEST(late_requests_count_here_before_the_store_answers_them)
{
	struct world *world = world_new(WAITS, ON_ERROR_LOCAL, 10);

	assert_int_equal(ask(world), ENGINE_PENDING);
	assert_int_equal(ask(world), ENGINE_PENDING);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	assert_true(world->last.allowed);
	answer_used(&world->fake, 0, 1, NOW_US);
	world->fake.behaviour = FAILS_AT_ONCE;

	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	answer_error(&world->fake, 1, STORE_CONNECTION);
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	world_free(world);
}

/* The store charged both, and then nothing is left that would be taken off twice. */
TEST(late_requests_that_the_store_charged_are_taken_off_no_more)
{
	struct world *world = world_new(WAITS, ON_ERROR_LOCAL, 10);

	assert_int_equal(ask(world), ENGINE_PENDING);
	assert_int_equal(ask(world), ENGINE_PENDING);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	answer_used(&world->fake, 0, 1, NOW_US);
	answer_used(&world->fake, 1, 2, NOW_US);
	/* Somebody has forgiven the client in the store. */
	assert_int_equal(ask(world), ENGINE_PENDING);
	answer_used(&world->fake, 2, 1, NOW_US);
	world->fake.behaviour = FAILS_AT_ONCE;

	assert_int_equal(ask(world), ENGINE_DONE);
	assert_true(world->last.allowed);
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	world_free(world);
}

/* Granted here; there b denied the request, so a was not charged and has 2 left, with 1 here. */
TEST(late_request_that_the_store_denied_is_taken_off)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 10);
	struct balance unused = {.plain.fixed = {0, NOW_US}};

	set_terms(world, "local limits");
	assert_int_equal(ask(world), ENGINE_PENDING);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	assert_true(world->last.allowed);
	see(&world->fake, 0, &unused, false);
	answer_each(&world->fake, 0, "pd");
	set_terms(world, "local");
	world->fake.behaviour = FAILS_AT_ONCE;

	assert_int_equal(ask(world), ENGINE_DONE);
	assert_true(world->last.allowed);
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	world_free(world);
}

TEST(on_error_local_decides_what_there_is_no_room_for)
{
	struct world *world = world_new(WAITS, ON_ERROR_LOCAL, 1);

	assert_int_equal(ask(world), ENGINE_PENDING);
	answer_used(&world->fake, 0, 2, NOW_US);
	assert_int_equal(ask(world), ENGINE_PENDING); /* takes the only slot */

	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	answer_used(&world->fake, 1, 2, NOW_US);
	world_free(world);
}

TEST(reply_about_another_on_error_is_not_kept)
{
	static const enum on_error others[] = {ON_ERROR_ALLOW, ON_ERROR_DENY};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct world *world = world_new(WAITS, others[i], 10);
		assert_int_equal(ask(world), ENGINE_PENDING);
		answer_used(&world->fake, 0, 1, NOW_US);
		assert_int_equal(memory_store_stats(world->local).balances, 0);
		world_free(world);
	}
}
