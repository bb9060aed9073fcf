/*
 *     (start)  --READY=1-->  ready  --RELOADING=1-->  reloading  --READY=1-->  ready
 *
 *     from each of them      --STOPPING=1-->  stopping, which is the last
 *
 * systemd counts a reload as done at READY=1. A second SIGHUP while the agent reloads makes no
 * second RELOADING=1: the agent is ready when both are done.
 */
#include "app/systemd_notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/parse.h"

#define DAY_US ((uint64_t)86400 * US_PER_SECOND)
/* What systemd is given beyond the time that the agent allows itself for its end. */
#define STOPPING_SLACK_US (5 * US_PER_SECOND)

/* Only the first failure is logged: the next one would have the same reason. */
static void note_failure(struct systemd_notify *notify)
{
	if (!notify->has_failed)
		log_event(LOG_WARN, "systemd_not_told", LOG_TEXT("reason", strerror(errno)));
	notify->has_failed = true;
}

static void tell(struct systemd_notify *notify, const char *text)
{
	if (notify->fd < 0)
		return;
	if (sendto(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&notify->address, notify->address_len) < 0)
		note_failure(notify);
}

static void on_watchdog(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)loop, (void)events;
	tell(CONTAINER_OF(timer, struct systemd_notify, watchdog), "WATCHDOG=1");
}

/* ---- what systemd asks for ---- */

/* `@name` is a socket in the abstract namespace, which begins with a NUL byte there. */
static bool read_address(struct systemd_notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path == NULL ? 0 : strlen(path);

	if (len < 2 || (path[0] != '/' && path[0] != '@') || len >= sizeof notify->address.sun_path)
		return false;
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, path, len);
	notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (path[0] == '@')
		notify->address.sun_path[0] = '\0';
	else
		notify->address_len++; /* the NUL behind a path */
	return true;
}

/* How often systemd wants a sign, in microseconds; 0: never. The sign of another process is no
 * sign of this one. */
static uint64_t read_watchdog_us(void)
{
	const char *pid = getenv("WATCHDOG_PID"), *period = getenv("WATCHDOG_USEC");
	uint64_t number, period_us;

	if (pid != NULL && (!parse_whole(bytes_from_text(pid), INT32_MAX, &number) ||
			    number != (uint64_t)getpid()))
		return 0;
	if (period == NULL || !parse_whole(bytes_from_text(period), DAY_US, &period_us))
		return 0;
	return period_us;
}

void systemd_notify_init(struct systemd_notify *notify, struct ev_loop *loop)
{
	*notify = (struct systemd_notify){.loop = loop, .fd = -1};
	ev_init(&notify->watchdog, on_watchdog);
	if (!read_address(notify))
		return;
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0) {
		note_failure(notify);
		return;
	}
	notify->watchdog.repeat = (double)read_watchdog_us() / 2 / 1e6;
	if (notify->watchdog.repeat > 0)
		ev_timer_again(loop, &notify->watchdog);
}

void systemd_notify_release(struct systemd_notify *notify)
{
	if (notify->loop == NULL)
		return;
	ev_timer_stop(notify->loop, &notify->watchdog);
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

/* ---- what the agent tells ---- */

void systemd_notify_ready(struct systemd_notify *notify)
{
	if (notify == NULL || notify->is_ready || notify->is_stopping)
		return;
	notify->is_ready = true;
	tell(notify, "READY=1");
}

void systemd_notify_reloading(struct systemd_notify *notify)
{
	char text[64];

	if (notify == NULL || !notify->is_ready || notify->is_stopping)
		return;
	notify->is_ready = false;
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
	tell(notify, text);
}

void systemd_notify_stopping(struct systemd_notify *notify, int64_t within_us)
{
	char text[128];

	if (notify == NULL || notify->is_stopping)
		return;
	notify->is_stopping = true;
	snprintf(text, sizeof text, "STOPPING=1\nSTATUS=ending\nEXTEND_TIMEOUT_USEC=%lld",
		 (long long)(within_us + STOPPING_SLACK_US));
	tell(notify, text);
}

/* ---- what systemd keeps ---- */

bool systemd_notify_can_keep(void)
{
	const char *most = getenv("FDSTORE"), *path = getenv("NOTIFY_SOCKET");
	uint64_t number;

	return path != NULL && most != NULL &&
	       parse_whole(bytes_from_text(most), INT32_MAX, &number) && number > 1;
}

bool systemd_notify_keep(struct systemd_notify *notify, const char *name, int fd)
{
	char text[128];
	union {
		struct cmsghdr head; /* for its alignment */
		char bytes[CMSG_SPACE(sizeof fd)];
	} control = {.bytes = {0}};
	struct iovec line = {.iov_base = text};
	struct msghdr message = {
		.msg_name = &notify->address,
		.msg_namelen = notify->address_len,
		.msg_iov = &line,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};

	if (notify->fd < 0)
		return false;
	line.iov_len = (size_t)snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(head), &fd, sizeof fd);
	if (sendmsg(notify->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	note_failure(notify);
	return false;
}

void systemd_notify_drop(struct systemd_notify *notify, const char *name)
{
	char text[128];

	snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	tell(notify, text);
}

/* ---- the status ---- */

/* Without line breaks, because the text behind one would be another NAME=VALUE. */
static void copy_in_one_line(char *line, const char *text)
{
	snprintf(line, SYSTEMD_STATUS_MAX, "%s", text);
	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
}

void systemd_notify_status(struct systemd_notify *notify, const char *status)
{
	char text[SYSTEMD_STATUS_MAX + sizeof "STATUS="] = "STATUS=";
	char *line = text + strlen(text);

	copy_in_one_line(line, status);
	if (notify->is_stopping || strcmp(line, notify->status) == 0)
		return;
	memcpy(notify->status, line, sizeof notify->status);
	tell(notify, text);
}
