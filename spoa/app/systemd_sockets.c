/*
 * The variables come from outside, and an earlier process may have left them: a descriptor is used
 * only if LISTEN_PID is this process, and if it is a listening stream socket. Anything else ends
 * the start, since the agent would otherwise listen somewhere else than the units say.
 */
#include "app/systemd_sockets.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/parse.h"

#define FIRST_FD 3 /* sd_listen_fds(3): they come right behind standard error */
/* All sockets, and what was kept: more of that than is used, since the rest is closed. */
#define FDS_MAX        (3 * ADDRESS_LIST_MAX + 4 * STORED_MAX)
#define NAMES_ACCEPTED "accepted in FileDescriptorName= are spop, http and admin"

/* ---- which sockets there are ---- */

/* Another process may have inherited the variables, with descriptors that are no sockets of ours.
 */
static bool is_for_this_process(void)
{
	const char *pid = getenv("LISTEN_PID");
	uint64_t number;

	return pid != NULL && parse_whole(bytes_from_text(pid), INT32_MAX, &number) &&
	       number == (uint64_t)getpid();
}

static bool read_count(size_t *ret_count, struct err *err)
{
	const char *text = getenv("LISTEN_FDS");
	uint64_t count;

	if (text == NULL || !parse_whole(bytes_from_text(text), FDS_MAX, &count))
		return err_set(err, "LISTEN_FDS: %s is not accepted; accepted is a number up to %d",
			       text == NULL ? "nothing" : quoted(bytes_from_text(text)).text,
			       FDS_MAX);
	*ret_count = (size_t)count;
	return true;
}

/* ---- one socket ---- */

static int get_option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

static bool can_be_listened_on(int fd)
{
	int domain = get_option(fd, SO_DOMAIN);

	return (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX) &&
	       get_option(fd, SO_TYPE) == SOCK_STREAM && get_option(fd, SO_ACCEPTCONN) == 1;
}

/* Connections in the backlog may be gone when accept() looks, and accept() must not wait then. */
static bool set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
	       fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static struct address_list *find_list(struct options *options, struct bytes name)
{
	if (bytes_equal(name, BYTES("spop")))
		return &options->spop_listen;
	if (bytes_equal(name, BYTES("http")))
		return &options->http_listen;
	if (bytes_equal(name, BYTES("admin")))
		return &options->admin_listen;
	return NULL;
}

static bool add_socket(struct address_list *list, struct bytes name, int fd, struct err *err)
{
	if (!can_be_listened_on(fd) || !set_flags(fd))
		return err_set(err,
			       "LISTEN_FDS: descriptor %d, %s, is no stream socket that listens; "
			       "accepted is ListenStream= with Accept=no",
			       fd, quoted(name).text);
	if (list->count == ADDRESS_LIST_MAX)
		return err_set(err, "LISTEN_FDS: %s has more than %d sockets", quoted(name).text,
			       ADDRESS_LIST_MAX);
	if (!address_of_inherited(fd, &list->items[list->count]))
		return err_set(err, "LISTEN_FDS: descriptor %d has no address", fd);
	list->count++;
	return true;
}

/* ---- what was kept ---- */

static bool is_kept_name(struct bytes name)
{
	return bytes_begin_with(name, BYTES(SYSTEMD_BALANCES)) && name.len < STORED_NAME_MAX;
}

/* What it is, its user finds out. Of too many, those that came last are closed. */
static void add_kept(struct options *options, struct bytes name, int fd)
{
	if (options->stored_count == STORED_MAX) {
		(void)close(fd);
		return;
	}
	struct stored_descriptor *kept = &options->stored[options->stored_count++];
	*kept = (struct stored_descriptor){.fd = fd};
	memcpy(kept->name, name.data, name.len);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* ---- all of them ---- */

/* The first socket of a name takes the place of the option's addresses. */
static bool take_socket(struct options *options, struct bytes name, int fd, struct err *err)
{
	struct address_list *list = find_list(options, name);

	if (list == NULL)
		return err_set(err, "LISTEN_FDNAMES: descriptor %d is called %s; " NAMES_ACCEPTED,
			       fd, name.len == 0 ? "nothing" : quoted(name).text);
	if (list->count > 0 && !list->items[0].is_inherited)
		list->count = 0;
	return add_socket(list, name, fd, err);
}

bool systemd_sockets_take(struct options *options, struct err *err)
{
	const char *names_text = getenv("LISTEN_FDNAMES");
	struct bytes names = bytes_from_text(names_text == NULL ? "" : names_text);
	size_t count;

	options->stored_count = 0;
	if (!is_for_this_process())
		return true;
	if (!read_count(&count, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct bytes name = {0};
		(void)bytes_next_item(&names, ':', &name);
		if (is_kept_name(name))
			add_kept(options, name, FIRST_FD + (int)i);
		else if (!take_socket(options, name, FIRST_FD + (int)i, err))
			return false;
	}
	return true;
}

static bool is_inherited(const struct address_list *list)
{
	return list->count > 0 && list->items[0].is_inherited;
}

bool systemd_sockets_outlive(const struct options *options)
{
	if (options->spop_listen.count > 0)
		return is_inherited(&options->spop_listen);
	return is_inherited(&options->http_listen) || is_inherited(&options->admin_listen);
}
