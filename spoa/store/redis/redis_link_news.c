#include "store/redis/redis_link_news.h"

#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"

#define TELL_AGAIN_US (60 * US_PER_SECOND)
#define LACKS_PTTL                                                                                 \
	"a raised capacity may let clients whose bucket was drained start with a full one, while " \
	"agents with the old capacity still run; allow +pttl"

void redis_link_news_init(struct redis_link_news *news, const struct redis_link_config *config)
{
	*news = (struct redis_link_news){.config = config};
}

void redis_link_news_begin(struct redis_link_news *news)
{
	news->are_warnings_told = false;
}

static void tell_up(struct redis_link_news *news)
{
	if (news->is_told_up)
		return;
	news->is_told_up = true;
	memset(news->is_told, 0, sizeof news->is_told);
	news->config->changed(news->config->owner, true, STORE_OK, "");
}

static void tell_warnings(struct redis_link_news *news, const struct redis_greeting *greeting)
{
	const struct redis_link_config *config = news->config;

	if (news->are_warnings_told)
		return;
	news->are_warnings_told = true;
	if (greeting->lacks_pttl && config->lacks_right != NULL)
		config->lacks_right(config->owner, "PTTL", LACKS_PTTL);
	else if (news->lacked_pttl && config->regained_right != NULL)
		config->regained_right(config->owner, LACKS_PTTL);
	news->lacked_pttl = greeting->lacks_pttl;
	if (config->told_eviction != NULL)
		config->told_eviction(config->owner, greeting->eviction);
	if (greeting->forgets != NULL && config->forgets != NULL)
		config->forgets(config->owner, greeting->forgets->policy, greeting->forgets->hint);
}

void redis_link_news_up(struct redis_link_news *news, const struct redis_greeting *greeting)
{
	tell_up(news);
	tell_warnings(news, greeting);
}

/*
 * With a proxy in between the reasons may differ at every try: closed, reset, closed. So that the
 * log is not flooded, an error of a name that was told before has to wait for a minute.
 */
static bool is_news(const struct redis_link_news *news, enum store_error error, const char *why)
{
	if (news->is_told_up || !news->is_told[store_error_first(error)])
		return true;
	return strcmp(news->told_why, why) != 0 && clock_mono_us() - news->told_us >= TELL_AGAIN_US;
}

void redis_link_news_down(struct redis_link_news *news, enum store_error error, const char *why)
{
	if (!is_news(news, error, why))
		return;
	ASSERT(strlen(why) < sizeof news->told_why);
	news->is_told_up = false;
	news->is_told[store_error_first(error)] = true;
	news->told_us = clock_mono_us();
	memcpy(news->told_why, why, strlen(why) + 1);
	news->config->changed(news->config->owner, false, error, why);
}
