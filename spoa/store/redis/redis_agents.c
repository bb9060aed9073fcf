/*
 * The script does all that has to be atomic (lua/main.lua, `agents`); this module asks it:
 *
 *     the timer --> is the link up? --no--> again in 0.1 s
 *                         | yes
 *                         v
 *                  EVALSHA agents --> a number: again in 1 s
 *                                `--> NOSCRIPT: the script is loaded; again in 0.1 s
 *                                `--> another error, or no reply: again in 1 s
 */
#include "store/redis/redis_agents.h"

#include <stdlib.h>

#include <ev.h>
#include <sodium.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/writer.h"
#include "store/redis/redis_command.h"
#include "store/redis/redis_connection.h"
#include "store/redis/redis_link.h"
#include "store/redis/redis_script.h"

#define ASK_SECONDS   1.0
#define RETRY_SECONDS 0.1
#define GAP_US        (3 * US_PER_SECOND) /* without a number: Redis was away */
#define SPARE_SEATS   16
#define ID_BYTES      8
#define ID_LEN        16 /* in hex */
#define SEAT_BYTES    (REDIS_PREFIX_MAX + sizeof REDIS_AGENTS_SEAT + 4)
#define COMMAND_MAX   (256 + REDIS_AGENTS_MAX * (SEAT_BYTES + 8))

struct redis_agents {
	struct redis_agents_config config;
	struct ev_loop *loop;
	struct ev_timer timer;
	struct redis_asked asked;
	bool is_asked;
	unsigned seats; /* to look at */
	struct agents_number number;
	/* The connection (redis_link_connects) whose user lacks the right; 0: none. */
	uint64_t told_of;
	bool lacks_right; /* it was told, and is not mended yet */
	char id[ID_LEN + 1];
	uint8_t command[COMMAND_MAX];
};

void agents_number_add(struct agents_number *number, unsigned counted, int64_t now_us)
{
	bool is_after_gap = now_us - number->last_us > GAP_US;

	number->last_us = now_us;
	if (is_after_gap) {
		number->since_us = now_us;
		number->largest = 0;
	}
	if (counted >= number->believed) {
		*number = (struct agents_number){counted, 0, now_us, now_us};
		return;
	}
	if (counted > number->largest)
		number->largest = counted;
	if (now_us - number->since_us >= REDIS_AGENTS_HOLD_US)
		*number = (struct agents_number){number->largest, 0, now_us, now_us};
}

/* NULL while it can't be asked. */
static struct redis_link *find_link(const struct redis_agents *agents)
{
	struct redis_link *link = agents->config.link(agents->config.owner);

	return link != NULL && redis_link_is_up(link) ? link : NULL;
}

static void ask_again_in(struct redis_agents *agents, double seconds)
{
	agents->timer.repeat = seconds;
	ev_timer_again(agents->loop, &agents->timer);
}

/* ---- the reply ---- */

static void take_number(struct redis_agents *agents, unsigned counted)
{
	unsigned before = agents->number.believed;
	unsigned wanted = 2 * counted + SPARE_SEATS;

	agents_number_add(&agents->number, counted, clock_mono_us());
	/* Agents that sit behind a seat that became free need some time to move. */
	agents->seats = wanted > agents->seats / 2 ? wanted : agents->seats / 2;
	if (agents->seats > REDIS_AGENTS_MAX)
		agents->seats = REDIS_AGENTS_MAX;
	if (agents->number.believed != before)
		agents->config.counted(agents->config.owner, agents->number.believed);
}

#define LACKS_SEATS                                                                              \
	"agents can't count each other, so --local-share auto grants all of a limit; allow the " \
	"user "                                                                                  \
	"the keys that begin with --key-prefix, and +get and +set"

static void take_error(struct redis_agents *agents, struct bytes why)
{
	struct redis_link *link = find_link(agents);
	uint64_t connection = link == NULL ? 0 : redis_link_connects(link);

	if (redis_error_kind(why) == STORE_NOSCRIPT) {
		if (link != NULL)
			redis_link_load_script(link);
		ask_again_in(agents, RETRY_SECONDS);
	} else if (bytes_begin_with(why, BYTES("NOPERM")) && agents->told_of != connection) {
		agents->told_of = connection;
		agents->lacks_right = true;
		agents->config.lacks_right(agents->config.owner, "EVALSHA", LACKS_SEATS);
	}
}

static void note_right(struct redis_agents *agents)
{
	if (agents->lacks_right)
		agents->config.regained_right(agents->config.owner, LACKS_SEATS);
	agents->lacks_right = false;
}

static void on_replied(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_agents *agents = CONTAINER_OF(asked, struct redis_agents, asked);

	agents->is_asked = false;
	if (reply == NULL || !ev_is_active(&agents->timer))
		return;
	const struct redis_item *item = &reply->items[0];
	if (item->kind == REDIS_NUMBER && item->number > 0 && item->number <= REDIS_AGENTS_MAX) {
		note_right(agents);
		take_number(agents, (unsigned)item->number);
	} else if (item->kind == REDIS_ERROR) {
		take_error(agents, item->text);
	}
}

/* ---- the call ---- */

static void put_seat(struct writer *w, struct bytes prefix, unsigned seat)
{
	uint8_t name[SEAT_BYTES];
	struct writer key = writer_on(name, sizeof name);

	writer_put(&key, prefix);
	writer_put(&key, BYTES(REDIS_AGENTS_SEAT));
	writer_put_unsigned(&key, seat);
	redis_command_put(w, writer_bytes(&key));
}

static void ask_for_seat(struct redis_agents *agents, struct redis_link *link)
{
	struct writer w = writer_on(agents->command, sizeof agents->command);

	redis_command_begin(&w, 3 + agents->seats + 3);
	redis_command_put(&w, BYTES("EVALSHA"));
	redis_command_put(&w, bytes_from_text(redis_link_hash(link)));
	redis_command_put_number(&w, agents->seats);
	for (unsigned seat = 0; seat < agents->seats; seat++)
		put_seat(&w, agents->config.prefix, seat);
	redis_command_put(&w, BYTES("agents"));
	redis_command_put(&w, bytes_from_text(agents->id));
	redis_command_put_number(&w, REDIS_AGENTS_LIFE_MS);
	ASSERT(!w.full);
	agents->is_asked = true;
	redis_link_send(link, writer_bytes(&w), &agents->asked);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct redis_agents *agents = CONTAINER_OF(timer, struct redis_agents, timer);

	(void)loop, (void)events;
	struct redis_link *link = find_link(agents);
	if (link != NULL && !agents->is_asked)
		ask_for_seat(agents, link);
	ask_again_in(agents, link != NULL ? ASK_SECONDS : RETRY_SECONDS);
}

/* ---- start and end ---- */

struct redis_agents *redis_agents_new(struct ev_loop *loop,
				      const struct redis_agents_config *config)
{
	struct redis_agents *agents = calloc(1, sizeof *agents);
	uint8_t id[ID_BYTES];

	if (agents == NULL)
		return NULL;
	agents->config = *config;
	agents->loop = loop;
	agents->seats = SPARE_SEATS;
	agents->asked.replied = on_replied;
	ev_init(&agents->timer, on_timer);
	randombytes_buf(id, sizeof id);
	sodium_bin2hex(agents->id, sizeof agents->id, id, sizeof id);
	return agents;
}

void redis_agents_free(struct redis_agents *agents)
{
	if (agents == NULL)
		return;
	ev_timer_stop(agents->loop, &agents->timer);
	free(agents);
}

/* The seat of an agent that counts no longer becomes free by itself. */
void redis_agents_set_counting(struct redis_agents *agents, bool is_counting)
{
	if (is_counting == (ev_is_active(&agents->timer) != 0))
		return;
	if (is_counting)
		ask_again_in(agents, RETRY_SECONDS);
	else
		ev_timer_stop(agents->loop, &agents->timer);
}

unsigned redis_agents_number(const struct redis_agents *agents)
{
	return agents->number.believed;
}
