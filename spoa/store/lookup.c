#include "store/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <ev.h>

#include "base/compiler.h"

/*
 * The loop and the thread share this struct, under `lock`. Who is done with it last frees it:
 *
 *     the thread ends, then the loop learns of it        on_ready frees it
 *     the thread ends, then the loop cancels             lookup_cancel frees it
 *     the loop cancels, then the thread ends             the thread frees it
 */
struct lookup {
	struct ev_loop *loop;
	struct ev_async ready;
	lookup_done_fn *done;
	void *owner;
	char *host;
	pthread_mutex_t lock;
	bool is_done;
	bool is_cancelled;
	struct lookup_result result;
};

static struct lookup_result look_up(const char *host, int flags)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct lookup_result result = {.count = 0};
	struct addrinfo *found;

	int status = getaddrinfo(host, NULL, &hints, &found);
	if (status != 0) {
		result.why = gai_strerror(status);
		return result;
	}
	for (struct addrinfo *a = found; a != NULL && result.count < LOOKUP_ADDRESSES_MAX;
	     a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, result.addresses[result.count],
				LOOKUP_TEXT_MAX, NULL, 0, NI_NUMERICHOST) == 0)
			result.count++;
	freeaddrinfo(found);
	result.why = "no address";
	return result;
}

struct lookup_result lookup_numeric(const char *host)
{
	return look_up(host, AI_NUMERICHOST);
}

static void lookup_free(struct lookup *lookup)
{
	pthread_mutex_destroy(&lookup->lock);
	free(lookup->host);
	free(lookup);
}

static void *run_thread(void *argument)
{
	struct lookup *lookup = argument;
	struct lookup_result result = look_up(lookup->host, AI_ADDRCONFIG);

	pthread_mutex_lock(&lookup->lock);
	bool is_cancelled = lookup->is_cancelled;
	if (!is_cancelled) {
		lookup->result = result;
		lookup->is_done = true;
		ev_async_send(lookup->loop, &lookup->ready);
	}
	pthread_mutex_unlock(&lookup->lock);
	if (is_cancelled)
		lookup_free(lookup);
	return NULL;
}

static void on_ready(struct ev_loop *loop, struct ev_async *watcher, int events)
{
	struct lookup *lookup = CONTAINER_OF(watcher, struct lookup, ready);

	(void)events;
	/* The thread may still hold the lock for a moment after ev_async_send. */
	pthread_mutex_lock(&lookup->lock);
	pthread_mutex_unlock(&lookup->lock);
	ev_async_stop(loop, watcher);
	lookup->done(lookup->owner, &lookup->result);
	lookup_free(lookup);
}

/* The thread gets no signals: those are the loop's. */
static bool start_thread(struct lookup *lookup)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&thread, NULL, run_thread, lookup);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		pthread_detach(thread);
	return error == 0;
}

struct lookup *lookup_begin(struct ev_loop *loop, const char *host, lookup_done_fn *done,
			    void *owner)
{
	struct lookup *lookup = calloc(1, sizeof *lookup);

	if (lookup == NULL)
		return NULL;
	lookup->loop = loop;
	lookup->done = done;
	lookup->owner = owner;
	lookup->host = strdup(host);
	pthread_mutex_init(&lookup->lock, NULL);
	ev_async_init(&lookup->ready, on_ready);
	ev_async_start(loop, &lookup->ready);
	if (lookup->host == NULL || !start_thread(lookup)) {
		ev_async_stop(loop, &lookup->ready);
		lookup_free(lookup);
		return NULL;
	}
	return lookup;
}

void lookup_cancel(struct lookup *lookup)
{
	if (lookup == NULL)
		return;
	pthread_mutex_lock(&lookup->lock);
	ev_async_stop(lookup->loop, &lookup->ready);
	bool is_done = lookup->is_done;
	lookup->is_cancelled = true;
	pthread_mutex_unlock(&lookup->lock);
	if (is_done)
		lookup_free(lookup);
}
