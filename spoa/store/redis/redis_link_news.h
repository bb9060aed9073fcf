/*
 * redis_link_news.h - what a link tells its owner, so that each thing is told once: that the link
 * is up or down, and what the server's settings mean for the agent.
 *
 * It only calls what stands in the link's config (redis_link.h says when), and sends nothing.
 */
#ifndef STORE_REDIS_LINK_NEWS_H
#define STORE_REDIS_LINK_NEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/redis/redis_greeting.h"
#include "store/redis/redis_link.h"
#include "store/store_error.h"

#define REDIS_LINK_WHY_MAX 200 /* bytes of the reason for which a link is down, with its NUL */

struct redis_link_news {
	const struct redis_link_config *config;
	bool are_warnings_told; /* of this connection */
	bool lacked_pttl;       /* at the last connection that warnings were told of */
	bool is_told_up;
	bool is_told[STORE_ERROR_COUNT]; /* since it was up; only at store_error_first */
	char told_why[REDIS_LINK_WHY_MAX];
	int64_t told_us; /* when that was told, by clock_mono_us */
};

/* `config` lives as long as the news. */
void redis_link_news_init(struct redis_link_news *news, const struct redis_link_config *config);
/* The connection is a new one. */
void redis_link_news_begin(struct redis_link_news *news);
/* The link has been up for a heartbeat; `greeting` is that of its connection. */
void redis_link_news_up(struct redis_link_news *news, const struct redis_greeting *greeting);
/* `why` is shorter than REDIS_LINK_WHY_MAX. */
void redis_link_news_down(struct redis_link_news *news, enum store_error error, const char *why);

#endif
