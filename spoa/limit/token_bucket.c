/*
 * The level is kept in 1/refill_us tokens, so that refilling is a multiplication and exact: at 1/3
 * token a second (1 token every 3000000 us) a microsecond adds 1, a token is 3000000, and three
 * seconds add exactly one token however they are cut up.
 */
#include "base/clock.h"
#include "limit/balance.h"
#include "limit/share.h"

/*
 * part * factor / unit, rounded down, for a part below the unit. The product can have 104 bits, so
 * this is a long multiplication, from the highest bit of the factor on, that divides at each bit.
 * Lua has to do it so (lua/token_bucket.lua).
 */
static int64_t scale_part(int64_t part, int64_t factor, int64_t unit)
{
	int64_t quotient = 0, rest = 0;

	for (int64_t bit = QUOTA_EXACT_MAX; bit > 0; bit /= 2) {
		quotient *= 2;
		rest = 2 * rest + ((factor & bit) != 0 ? part : 0);
		quotient += rest / unit;
		rest %= unit;
	}
	return quotient;
}

/*
 * What the bucket held, in the units of the quota of today, and no more than fits in it. Another
 * rate keeps the level: of 2.5 tokens 2 stay, and the half is converted and rounded down.
 */
static int64_t level_in_units_of(const struct token_bucket *bucket, const struct quota *quota)
{
	int64_t unit = bucket->unit_us, tokens = bucket->level / unit;

	if (tokens >= quota->limit)
		return quota->limit * quota->refill_us;
	if (unit == quota->refill_us)
		return bucket->level;
	return tokens * quota->refill_us + scale_part(bucket->level % unit, quota->refill_us, unit);
}

/* Compared before it is multiplied: the product stays below the full level plus one refill. */
static int64_t refilled(int64_t level, const struct quota *quota, int64_t elapsed_us)
{
	int64_t full = quota->limit * quota->refill_us;

	if (elapsed_us >= divide_up(full - level, quota->refill_tokens))
		return full;
	return level + elapsed_us * quota->refill_tokens;
}

static int64_t full_us(const struct quota *quota)
{
	return divide_up(quota->limit * quota->refill_us, quota->refill_tokens);
}

static void look(struct balance *b, const struct quota *quota, int64_t now_us)
{
	struct token_bucket *bucket = &b->plain.bucket;

	if (b->is_new)
		*bucket = (struct token_bucket){quota->limit * quota->refill_us, quota->refill_us,
						now_us};
	int64_t time_us = balance_time(bucket->last_us, now_us, full_us(quota), &b->mended);
	int64_t elapsed_us = b->mended ? 0 : time_us - bucket->last_us;

	bucket->level = refilled(level_in_units_of(bucket, quota), quota, elapsed_us);
	bucket->unit_us = quota->refill_us;
	bucket->last_us = time_us;
}

static int64_t remaining(const struct balance *b, const struct quota *quota)
{
	(void)quota; /* the level is in its units since the look */
	return b->plain.bucket.level / b->plain.bucket.unit_us;
}

static int64_t wait_us(const struct balance *b, const struct quota *quota, int64_t now_us,
		       int64_t units)
{
	const struct token_bucket *bucket = &b->plain.bucket;
	int64_t missing = units * quota->refill_us - bucket->level;

	return bucket->last_us - now_us + divide_up(missing, quota->refill_tokens);
}

static void take(struct balance *b, int64_t units)
{
	b->plain.bucket.level -= units * b->plain.bucket.unit_us;
}

/*
 * What the bucket has refilled since then may have been for these units, so only the rest of them
 * comes back: if the bucket was full in between, all that is missing was taken later.
 */
static void give_back(struct balance *b, const struct quota *quota, int64_t taken_us, int64_t units)
{
	struct token_bucket *bucket = &b->plain.bucket;
	int64_t full = quota->limit * quota->refill_us;
	int64_t missing = units * quota->refill_us;
	int64_t elapsed_us = bucket->last_us > taken_us ? bucket->last_us - taken_us : 0;

	if (elapsed_us >= divide_up(missing, quota->refill_tokens))
		return;
	missing -= elapsed_us * quota->refill_tokens;
	bucket->level = missing < full - bucket->level ? bucket->level + missing : full;
}

/* The fraction of a token is shared too: of 5.5 tokens a half is 2.75. */
static void share(struct balance *b, const struct sharing *sharing)
{
	const struct quota *part = sharing->part;
	struct token_bucket *bucket = &b->plain.bucket;
	int64_t full = part->limit * part->refill_us;
	__int128 level = (__int128)bucket->level * sharing->share.num * part->refill_us /
			 ((__int128)bucket->unit_us * sharing->share.den);

	if (bucket->level == sharing->quota->limit * sharing->quota->refill_us || level > full)
		level = full;
	bucket->level = (int64_t)level;
	bucket->unit_us = part->refill_us;
}

/* level, last */
static bool read_reply(struct balance *b, const struct quota *quota,
		       const struct state_reply *reply)
{
	b->plain.bucket =
		(struct token_bucket){reply->numbers[0], quota->refill_us, reply->numbers[1]};
	return reply->numbers[0] <= quota->limit * quota->refill_us &&
	       reply_time_is_sane(reply, quota, reply->numbers[1]);
}

static bool is_state(const union plain_state *state)
{
	const struct token_bucket *bucket = &state->bucket;

	return state_number_is_sane(bucket->level, QUOTA_EXACT_MAX) && bucket->unit_us > 0 &&
	       bucket->unit_us <= QUOTA_EXACT_MAX &&
	       state_number_is_sane(bucket->last_us, QUOTA_EXACT_MAX);
}

const struct algorithm_traits token_bucket_traits = {
	.name = "token_bucket",
	.letter = 't',
	.format = 1,
	.can_be_leased = true,
	.is_by_rate = true,
	.state_count = 3,
	.is_state = is_state,
	.full_us = full_us,
	.look = look,
	.remaining = remaining,
	.wait_us = wait_us,
	.take = take,
	.give_back = give_back,
	.share = share,
	.reply_count = 2,
	.read_reply = read_reply,
};
