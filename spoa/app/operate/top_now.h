/*
 * top_now.h - answers GET /top?by=&last= with the keys, over all policies, that were asked for or
 * denied most often in the last minute, in the last five minutes, or since the start
 * (limit/top_panes.h).
 */
#ifndef APP_OPERATE_TOP_NOW_H
#define APP_OPERATE_TOP_NOW_H

#include "net/http/http_answer.h"

#define TOP_NOW_KEYS_MAX 100 /* that are shown */

/* Its owner is a `struct operate`. */
void top_now_answer(void *operate, struct http_exchange *exchange);

#endif
