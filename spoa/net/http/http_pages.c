/*
 * The copy of a page:
 *
 *            asked for                    small, or the last piece is written
 *     NONE ------------> being written --------------------------------------> sent
 *      ^                   |   ^   |                                             |
 *      |                   |   `---' a piece a turn; who asks meanwhile waits    |
 *      |                   |                                                     |
 *      |  nobody waits any |                            nobody reads it any more |
 *      `-------------------+-----------------------------------------------------'
 *
 * A copy that is sent is shared while it is young; an older one is left to those who read it.
 */
#include "net/http/http_pages.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/clock.h"

#define FIELDS_MAX 1024
#define SHARED_US  US_PER_SECOND
#define PIECE_US   500 /* that the loop spends on a page in one turn */

struct copy {
	struct http_pages *pages;
	const struct http_page *page;
	int64_t begun_us; /* of the copy that is written or was written last */
	/* While it is being written: */
	void *writing;
	FILE *to;
	char *text; /* what `to` writes: complete when that is closed */
	size_t len;
	struct list waiting;   /* exchanges, by `open` */
	struct ev_timer piece; /* is due at once: the next piece comes in the next turn */
	/* While it is being sent, weak: NULL when the last one who reads it is gone. */
	struct stream_body *body;
};

struct http_pages {
	struct ev_loop *loop;
	const struct http_page *first;
	size_t count;
	const void *owner;
	int64_t (*mono_us)(void);
	struct copy copies[]; /* one for each page */
};

/* ---- the answer ---- */

/* Cuts "Name: value" off the front; the text is cut up for it. */
static void add_fields(struct http_answer *answer, char *lines)
{
	char *line, *rest = lines;

	while ((line = strsep(&rest, "\n")) != NULL) {
		char *colon = strchr(line, ':');
		if (colon == NULL)
			continue;
		*colon = '\0';
		http_answer_add(answer, line, colon + 1 + strspn(colon + 1, " "));
	}
}

/* Takes the reference; NULL when memory was short. */
static void answer(const struct copy *copy, struct http_exchange *exchange,
		   struct stream_body *body)
{
	const struct http_page *page = copy->page;
	char lines[FIELDS_MAX] = "";
	struct http_answer answer = {.status = 200, .large = body};

	if (body == NULL) {
		http_answer_problem(exchange, 503, "out of memory");
		return;
	}
	if (page->status != NULL)
		answer.status = page->status(copy->pages->owner);
	http_answer_add(&answer, "Content-Type", page->content_type);
	http_answer_add(&answer, "Cache-Control", "no-store");
	http_answer_add(&answer, "X-Content-Type-Options", "nosniff");
	http_answer_add(&answer, "Referrer-Policy", "no-referrer");
	if (page->headers != NULL) {
		const char *headers = page->headers();
		ASSERT(strlen(headers) < sizeof lines);
		strcpy(lines, headers);
		add_fields(&answer, lines);
	}
	http_answer_send(exchange, &answer);
}

/* ---- writing ---- */

static bool begin(struct copy *copy)
{
	const struct http_page *page = copy->page;

	copy->text = NULL;
	copy->len = 0;
	copy->begun_us = copy->pages->mono_us();
	copy->to = open_memstream(&copy->text, &copy->len);
	if (copy->to == NULL || page->begin == NULL)
		return copy->to != NULL;
	copy->writing = page->begin(copy->pages->owner);
	return copy->writing != NULL;
}

/* Ends the writing. Returns the page's text; NULL when a part of the page is missing. */
static char *end(struct copy *copy, bool is_whole)
{
	if (copy->writing != NULL)
		copy->page->end(copy->writing);
	copy->writing = NULL;
	is_whole = is_whole && !ferror(copy->to);
	if (copy->to != NULL)
		is_whole = fclose(copy->to) == 0 && is_whole;
	copy->to = NULL;
	if (is_whole)
		return copy->text;
	free(copy->text);
	return NULL;
}

/* Returns whether there is more to write. */
static bool write_piece(const struct copy *copy)
{
	int64_t (*mono_us)(void) = copy->pages->mono_us;
	int64_t until_us = mono_us() + PIECE_US;

	do {
		if (!copy->page->write_some(copy->writing, copy->to))
			return false;
	} while (mono_us() < until_us);
	return true;
}

/* The reference is the caller's. NULL when memory is short. */
static struct stream_body *make_body(struct copy *copy, struct http_exchange *exchange, char *text)
{
	struct stream_body *body =
		text == NULL ? NULL : stream_body_new(exchange->streams, text, copy->len);

	if (body == NULL || copy->page->status != NULL) /* its body says what its status says */
		return body;
	if (copy->body != NULL)
		copy->body->weak = NULL;
	copy->body = body;
	body->weak = &copy->body;
	return body;
}

/* Answers all who wait; at least one does. */
static void finish(struct copy *copy, bool is_whole)
{
	struct http_exchange *exchange =
		CONTAINER_OF(copy->waiting.next, struct http_exchange, open);
	struct stream_body *body = make_body(copy, exchange, end(copy, is_whole));

	while (!list_is_empty(&copy->waiting)) {
		exchange = CONTAINER_OF(copy->waiting.next, struct http_exchange, open);
		list_remove(&exchange->open);
		answer(copy, exchange, body == NULL ? NULL : stream_body_ref(body));
	}
	if (body != NULL)
		stream_body_unref(body);
}

static void go_on_next_turn(struct copy *copy)
{
	ev_timer_set(&copy->piece, 0., 0.);
	ev_timer_start(copy->pages->loop, &copy->piece);
}

static void on_piece(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct copy *copy = CONTAINER_OF(timer, struct copy, piece);

	(void)loop;
	(void)events;
	if (list_is_empty(&copy->waiting))
		(void)end(copy, false);
	else if (write_piece(copy))
		go_on_next_turn(copy);
	else
		finish(copy, true);
}

static void write_for_all(struct copy *copy)
{
	const struct http_page *page = copy->page;

	if (!begin(copy))
		finish(copy, false);
	else if (page->write != NULL)
		finish(copy, page->write(copy->pages->owner, copy->to));
	else if (write_piece(copy))
		go_on_next_turn(copy);
	else
		finish(copy, true);
}

/* ---- pages ---- */

void http_pages_answer(struct http_pages *pages, struct http_exchange *exchange)
{
	struct copy *copy =
		&pages->copies[(const struct http_page *)exchange->route - pages->first];

	if (copy->body != NULL && pages->mono_us() - copy->begun_us < SHARED_US) {
		answer(copy, exchange, stream_body_ref(copy->body));
		return;
	}
	list_append(&copy->waiting, &exchange->open);
	if (copy->to == NULL)
		write_for_all(copy);
}

void http_pages_forget(struct http_exchange *exchange)
{
	list_remove(&exchange->open);
}

struct http_pages *http_pages_new(struct ev_loop *loop, const struct http_page *first, size_t count,
				  const void *owner, int64_t (*mono_us)(void))
{
	struct http_pages *pages = calloc(1, sizeof *pages + count * sizeof pages->copies[0]);

	if (pages == NULL)
		return NULL;
	pages->loop = loop;
	pages->first = first;
	pages->count = count;
	pages->owner = owner;
	pages->mono_us = mono_us;
	for (size_t i = 0; i < count; i++) {
		struct copy *copy = &pages->copies[i];
		copy->pages = pages;
		copy->page = &first[i];
		list_init(&copy->waiting);
		ev_init(&copy->piece, on_piece);
	}
	return pages;
}

void http_pages_free(struct http_pages *pages)
{
	if (pages == NULL)
		return;
	for (size_t i = 0; i < pages->count; i++) {
		struct copy *copy = &pages->copies[i];
		ASSERT(list_is_empty(&copy->waiting));
		ev_timer_stop(pages->loop, &copy->piece);
		if (copy->to != NULL)
			(void)end(copy, false);
	}
	free(pages);
}
