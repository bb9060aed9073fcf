#include "steps.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "model.h"
#include "support/chance.h"
#include "support/test.h"

#define HOUR_US     (INT64_C(3600) * US_PER_SECOND)
#define TIME_MAX_US (QUOTA_EXACT_MAX - US_PER_SECOND)
#define RUN_STEPS   100 /* with one key, before the quota changes */

static struct chance chance;

static uint64_t random_bits(void)
{
	return chance_bits(&chance);
}

static int64_t random_between(int64_t low, int64_t high)
{
	return chance_between(&chance, low, high);
}

#define PICK(array) CHANCE_PICK(&chance, array)

/* ---- the balance under test, kept as the contract of balance.h says ---- */

struct subject {
	bool exists;
	union plain_state plain;
	struct window_entry entries[MODEL_TAKES_MAX];
	size_t entry_count;
	int64_t total_before;
	int64_t full_us;          /* when it is full, by the terms of its last write ... */
	struct quota terms;       /* ... which are these */
	bool is_ahead, is_mended; /* whether its time was ahead, or was mended, at the last step */
};

static struct window_entry entry_of(const void *state, size_t index)
{
	return ((const struct subject *)state)->entries[index];
}

static struct balance read_subject(const struct subject *s, enum algorithm algorithm,
				   int64_t now_us)
{
	struct balance b = {.is_new = !s->exists};

	if (s->exists && algorithm_traits(algorithm)->is_by_rate && now_us >= s->full_us)
		b.is_new = true;
	if (algorithm_traits(algorithm)->is_log)
		b.log = (struct window_log){.count = s->entry_count,
					    .entry = entry_of,
					    .state = s,
					    .total_before = s->total_before};
	else
		b.plain = s->plain;
	return b;
}

static void write_log(struct subject *s, const struct window_log *log, int64_t units)
{
	size_t dropped = log->mended ? s->entry_count : log->expired;

	if (dropped > 0)
		s->total_before = s->entries[dropped - 1].total;
	s->entry_count -= dropped;
	memmove(s->entries, s->entries + dropped, s->entry_count * sizeof *s->entries);
	int64_t total = s->entry_count > 0 ? s->entries[s->entry_count - 1].total : s->total_before;
	if (s->entry_count == 0 || s->entries[s->entry_count - 1].time_us != log->last_us)
		s->entry_count++;
	assert_true(s->entry_count <= MODEL_TAKES_MAX);
	s->entries[s->entry_count - 1] =
		(struct window_entry){log->last_us, total + (log->mended ? log->used : units)};
}

static void write_subject(struct subject *s, const struct balance *b, const struct quota *quota,
			  int64_t units, int64_t full_us)
{
	s->exists = true;
	s->full_us = full_us;
	s->terms = *quota;
	if (algorithm_traits(quota->algorithm)->is_log)
		write_log(s, &b->log, units);
	else
		s->plain = b->plain;
}

static int64_t last_us_of(const struct balance *b, enum algorithm algorithm)
{
	switch (algorithm) {
	case TOKEN_BUCKET:
		return b->plain.bucket.last_us;
	case SLIDING_WINDOW:
		return b->log.last_us;
	case SLIDING_WINDOW_COUNTER:
		return b->plain.counter.last_us;
	case FIXED_WINDOW:
		return b->plain.fixed.last_us;
	case ALGORITHM_COUNT:
		break;
	}
	return 0;
}

static struct outcome subject_ask(struct subject *s, const struct quota *quota, int64_t now_us,
				  int64_t cost, bool vetoed)
{
	struct balance b = read_subject(s, quota->algorithm, now_us);

	balance_look(&b, quota, now_us);
	s->is_mended = b.mended && s->exists;
	s->is_ahead = last_us_of(&b, quota->algorithm) > now_us;
	bool charged = !vetoed && cost <= balance_remaining(&b, quota);
	if (charged && cost > 0)
		balance_take(&b, quota, cost);
	struct outcome outcome = balance_outcome(&b, quota, now_us, cost, charged);
	/* A store asks for this time by itself, to know when it may forget the balance. */
	assert_int_equal(balance_wait_us(&b, quota, now_us, quota->limit), outcome.reset_us);
	if ((charged && cost > 0) || s->is_mended)
		write_subject(s, &b, quota, charged ? cost : 0, now_us + outcome.reset_us);
	return outcome;
}

/* ---- quotas ---- */

/* Half of 2^53, in the parts of a unit that the algorithm counts. */
static int64_t largest_exact_limit(const struct quota *quota)
{
	switch (quota->algorithm) {
	case TOKEN_BUCKET:
		return (QUOTA_EXACT_MAX - quota->refill_tokens) / 2 / quota->refill_us;
	case SLIDING_WINDOW:
		return QUOTA_LOG_LIMIT_MAX;
	case SLIDING_WINDOW_COUNTER:
		return QUOTA_EXACT_MAX / 2 / quota_ticks(quota);
	case FIXED_WINDOW:
		return QUOTA_EXACT_MAX / 2;
	case ALGORITHM_COUNT:
		break;
	}
	return 0;
}

/* The largest limit of a policy. */
static int64_t largest_limit(const struct quota *quota)
{
	int64_t exact = largest_exact_limit(quota);

	return exact < QUOTA_UNITS_MAX ? exact : QUOTA_UNITS_MAX;
}

/* Products with this limit need nearly all 53 bits. The log counts units, a million at most. */
static bool is_large(const struct quota *quota)
{
	return quota->limit >= largest_limit(quota) - largest_limit(quota) / 8;
}

static struct quota random_bucket(enum algorithm algorithm)
{
	static const char *const rates[] = {"1/3s",  "0.1",      "1000000",        "1",   "0.5",
					    "7/13s", "1000/1m",  "123.456",        "3e5", "1/1h",
					    "3e6",   "1000/1ms", "1000003/999983s"};
	static const int64_t capacities[] = {1, 2, 3, 7, 10, 100, 1000, 4096, 1000000};
	struct quota quota;
	struct ratio rate;
	struct err err;

	do
		assert_true(refill_rate_parse(bytes_from_text(PICK(rates)), &rate));
	while (!quota_set_bucket(&quota, algorithm, PICK(capacities), rate, &err));
	if (random_bits() % 6 == 0) {
		int64_t largest = largest_limit(&quota);
		assert_false(quota_set_bucket(&quota, algorithm, largest + 1, rate, &err));
		assert_true(quota_set_bucket(&quota, algorithm, largest, rate, &err));
	}
	return quota;
}

static struct quota random_limit(enum algorithm algorithm, int64_t window_us)
{
	static const int64_t limits[] = {1, 2, 3, 5, 10, 100, 1000, 999983, 1000000};
	struct quota quota;
	struct err err;

	assert_true(quota_set_window(&quota, algorithm, PICK(limits), window_us, &err));
	if (random_bits() % 4 == 0) {
		int64_t largest = largest_limit(&quota);
		assert_false(quota_set_window(&quota, algorithm, largest + 1, window_us, &err));
		assert_true(quota_set_window(&quota, algorithm, largest, window_us, &err));
	}
	return quota;
}

static struct quota random_window(enum algorithm algorithm)
{
	static const int64_t windows_us[] = {
		1000,        1007,     999999,  1000000,     1000001,      1500000,
		7 * 1234567, 60000000, HOUR_US, HOUR_US + 1, 24 * HOUR_US, QUOTA_WINDOW_MAX_US};

	return random_limit(algorithm, PICK(windows_us));
}

static struct quota random_quota(enum algorithm algorithm)
{
	return algorithm_traits(algorithm)->is_by_rate ? random_bucket(algorithm)
						       : random_window(algorithm);
}

/* Changes the quota as a reload does: another limit, and for a bucket another rate. */
static struct quota changed(const struct quota *quota)
{
	return algorithm_traits(quota->algorithm)->is_by_rate
		       ? random_bucket(quota->algorithm)
		       : random_limit(quota->algorithm, quota->window_us);
}

/* ---- steps ---- */

struct tally {
	int64_t steps, at_edge, us_before, ms_before;
	int64_t gone; /* full by the terms before */
	/* What was denied [0], and what was allowed [1]: of all, with a limit that is about the
	 * largest, at a time that is, with a clock that had stepped back, and so far that the state
	 * was mended.
	 */
	int64_t all[2], large[2], late[2], behind[2], mended[2];
};

struct run {
	int64_t number;
	struct quota quota;
	struct subject subject;
	struct model model;
	int64_t now_us;
	int64_t remaining; /* at the last step */
	struct tally *tally;
	step_fn *observe;
	void *owner;
};

static void fail_step(const struct run *run, const char *field, int64_t ours, int64_t model,
		      int64_t cost)
{
	fail_msg("step %" PRId64 ", %s, limit %" PRId64 ", now %" PRId64 ", cost %" PRId64
		 ": %s is %" PRId64 ", the model says %" PRId64,
		 run->tally->steps, algorithm_name(run->quota.algorithm), run->quota.limit,
		 run->now_us, cost, field, ours, model);
}

/*
 * Whether it is a bucket that is full, at that time, by the terms of its last write, which are
 * others than today's. A window is empty at the same moment by both.
 */
static bool is_full_by_others(const struct run *run, int64_t time_us)
{
	const struct subject *s = &run->subject;

	return s->exists && algorithm_traits(run->quota.algorithm)->is_by_rate &&
	       time_us >= s->full_us &&
	       (s->terms.limit != run->quota.limit ||
		s->terms.refill_tokens != run->quota.refill_tokens ||
		s->terms.refill_us != run->quota.refill_us);
}

static void tell(const struct run *run, int64_t cost, bool vetoed, bool is_gone,
		 struct outcome outcome)
{
	if (run->observe == NULL)
		return;
	run->observe(run->owner, &(struct step){.run = run->number,
						.number = run->tally->steps,
						.quota = run->quota,
						.now_us = run->now_us,
						.cost = cost,
						.vetoed = vetoed,
						.is_gone = is_gone,
						.is_mended = run->subject.is_mended,
						.outcome = outcome});
}

static void count(const struct run *run, bool is_gone, bool is_allowed)
{
	struct tally *tally = run->tally;

	tally->steps++;
	tally->all[is_allowed]++;
	tally->large[is_allowed] += is_large(&run->quota);
	tally->gone += is_gone;
	tally->late[is_allowed] += run->now_us >= QUOTA_EXACT_MAX - QUOTA_EXACT_MAX / 16;
	tally->behind[is_allowed] += run->subject.is_ahead;
	tally->mended[is_allowed] += run->subject.is_mended;
}

static struct outcome ask_both(struct run *run, int64_t cost, bool vetoed)
{
	bool is_gone = is_full_by_others(run, run->now_us);
	struct outcome ours = subject_ask(&run->subject, &run->quota, run->now_us, cost, vetoed);
	struct outcome model = model_ask(&run->model, &run->quota, run->now_us, cost, vetoed);

	if (ours.allowed != model.allowed)
		fail_step(run, "allowed", ours.allowed, model.allowed, cost);
	if (ours.remaining != model.remaining)
		fail_step(run, "remaining", ours.remaining, model.remaining, cost);
	if (ours.retry_after_us != model.retry_after_us)
		fail_step(run, "retry_after", ours.retry_after_us, model.retry_after_us, cost);
	if (ours.reset_us != model.reset_us)
		fail_step(run, "reset", ours.reset_us, model.reset_us, cost);
	if (ours.grows_us != model.grows_us)
		fail_step(run, "grows", ours.grows_us, model.grows_us, cost);
	tell(run, cost, vetoed, is_gone, ours);
	count(run, is_gone, ours.allowed);
	run->remaining = ours.remaining;
	return ours;
}

static int64_t random_cost(const struct run *run)
{
	const struct quota *quota = &run->quota;

	switch (random_bits() % 16) {
	case 0:
		return 0;
	case 1:
		return quota->limit + random_between(1, 5);
	case 2:
		return random_bits() % 64 == 0 ? INT64_MAX : quota->limit;
	case 3:
	case 4:
	case 5:
		return random_between(1, quota->limit);
	case 6:
		return run->remaining + random_between(0, 1); /* one unit more or less matters */
	default:
		/* So many units that a few steps fill the balance: otherwise large limits would
		 * never deny. */
		return divide_up(quota->limit, random_between(1, 12));
	}
}

static int64_t random_time_step(const struct quota *quota)
{
	int64_t full_us = quota_full_us(quota);

	switch (random_bits() % 16) {
	case 0:
	case 1:
	case 2:
		return 0;
	case 3:
		return 1;
	case 4:
		return random_between(1, 1000);
	case 5:
		return HOUR_US * random_between(1, 30);
	case 6:
		return -random_between(1, 2000);
	case 7:
		return random_bits() % 4 != 0 ? -random_between(0, full_us) : -full_us - 1;
	case 8:
		return random_bits() % 8 != 0 ? 0 : -full_us * 2 - HOUR_US * random_between(0, 50);
	case 9:
		return full_us + random_between(-1, 1);
	default:
		return random_between(0, divide_up(full_us, random_between(1, 8)));
	}
}

/*
 * The answered wait must be right: a millisecond and a microsecond before its end the check is
 * denied, and at its end the check passes. The wait in milliseconds, which is rounded up, must be
 * right too.
 */
static void walk_to_retry(struct run *run, int64_t cost, int64_t retry_after_us)
{
	int64_t target_us = run->now_us + retry_after_us;
	int64_t answered_us = run->now_us + divide_up(retry_after_us, US_PER_MS) * US_PER_MS;

	if (target_us - US_PER_MS > run->now_us) {
		run->now_us = target_us - US_PER_MS;
		assert_false(ask_both(run, cost, false).allowed);
		run->tally->ms_before++;
	}
	if (answered_us - US_PER_MS > run->now_us) {
		run->now_us = answered_us - US_PER_MS;
		assert_false(ask_both(run, cost, false).allowed);
	}
	if (target_us - 1 >= run->now_us) {
		run->now_us = target_us - 1;
		assert_false(ask_both(run, cost, false).allowed);
		run->tally->us_before++;
	}
	run->now_us = random_bits() % 4 == 0 ? answered_us : target_us;
	assert_true(ask_both(run, cost, false).allowed);
	run->tally->at_edge++;
}

/* The time must be from the epoch on, and a number that Lua holds exactly. */
static bool is_time(int64_t time_us)
{
	return time_us > 0 && time_us <= TIME_MAX_US;
}

/* The next step is often one at which the balance is just full by its old terms, or not yet. */
static void change_terms(struct run *run)
{
	const struct subject *s = &run->subject;

	run->quota = changed(&run->quota);
	int64_t full_us = s->full_us + random_between(-1, 1);
	if (s->exists && random_bits() % 4 == 0 && full_us > run->now_us && is_time(full_us))
		run->now_us = full_us;
}

static void take_step(struct run *run)
{
	int64_t cost = random_cost(run);

	if (random_bits() % 64 == 0)
		change_terms(run);
	int64_t time_step_us = random_time_step(&run->quota);
	if (is_time(run->now_us + time_step_us))
		run->now_us += time_step_us;
	struct outcome outcome = ask_both(run, cost, random_bits() % 16 == 0);
	/* What is full by other terms before the wait is over passes earlier. */
	if (outcome.retry_after_us > 0 && is_time(run->now_us + outcome.retry_after_us) &&
	    !is_full_by_others(run, run->now_us + outcome.retry_after_us) && random_bits() % 4 == 0)
		walk_to_retry(run, cost, outcome.retry_after_us);
}

/* Starts today, or so late that time reaches the largest exact number during the run. */
static int64_t random_start_us(const struct quota *quota)
{
	int64_t start_us = INT64_C(1600000000) * US_PER_SECOND + (int64_t)(random_bits() >> 14);

	if (random_bits() % 4 != 0)
		return start_us;
	int64_t from_end_us = random_between(0, 40) * (quota_full_us(quota) / 2);
	return is_time(TIME_MAX_US - from_end_us) ? TIME_MAX_US - from_end_us : start_us;
}

/* Starts with another key, which has no balance yet. */
static void begin(struct run *run, enum algorithm algorithm)
{
	run->number++;
	run->quota = random_quota(algorithm);
	run->subject.exists = false;
	run->subject.entry_count = 0;
	run->subject.total_before = 0;
	run->model.exists = false;
	run->now_us = random_start_us(&run->quota);
	run->remaining = run->quota.limit;
}

static void assert_share(const struct tally *tally, int64_t count, int64_t per_mille)
{
	assert_true(count * 1000 >= tally->steps * per_mille);
}

static void assert_both(const struct tally *tally, const char *name, const int64_t counts[2],
			int64_t per_mille)
{
	print_message("%s: %" PRId64 " allowed, %" PRId64 " denied\n", name, counts[true],
		      counts[false]);
	assert_share(tally, counts[true], per_mille);
	assert_share(tally, counts[false], per_mille);
}

/* Enough steps must have hit the edges: of a million at least 10,000 at each. */
static void assert_worth(const struct tally *tally, enum algorithm algorithm)
{
	print_message("%" PRId64 " steps: %" PRId64 " at a retry_after, %" PRId64
		      " 1 us and %" PRId64 " 1 ms before one\n",
		      tally->steps, tally->at_edge, tally->us_before, tally->ms_before);
	assert_share(tally, tally->at_edge, 10);
	assert_share(tally, tally->us_before, 10);
	assert_share(tally, tally->ms_before, 10);
	assert_both(tally, "all", tally->all, 300);
	assert_both(tally, "with the largest limits", tally->large, 20);
	if (algorithm_traits(algorithm)->is_by_rate)
		assert_share(tally, tally->gone, 2);
	assert_both(tally, "at the largest times", tally->late, 20);
	assert_both(tally, "with a clock that stepped back", tally->behind, 10);
	assert_both(tally, "mended", tally->mended, 2);
}

void steps_take(enum algorithm algorithm, step_fn *observe, void *owner)
{
	steps_take_some(algorithm, environment_number("MODEL_STEPS", 1000000) / 4, observe, owner);
}

void steps_take_some(enum algorithm algorithm, int64_t steps, step_fn *observe, void *owner)
{
	static struct run run;
	int64_t seed = environment_number("MODEL_SEED", 20261124);
	struct tally tally = {0};

	chance.state = (uint64_t)seed * 4 + algorithm;
	print_message("MODEL_SEED=%" PRId64 " MODEL_STEPS=%" PRId64 "\n", seed, steps * 4);
	run.number = 0;
	run.tally = &tally;
	run.observe = observe;
	run.owner = owner;
	while (tally.steps < steps) {
		begin(&run, algorithm);
		for (int i = 0; i < RUN_STEPS; i++)
			take_step(&run);
	}
	assert_worth(&tally, algorithm);
}
