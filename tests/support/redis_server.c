#include "support/redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/compiler.h"

#define PATIENCE_US (20 * US_PER_SECOND)
#define WORDS_MAX   48

struct redis_server {
	pid_t pid;
	char folder[64];
	char socket[96];
	char log[96];
	char nodes[96];   /* where a node keeps what it knows of the cluster */
	char ports[2][8]; /* of a node; else "0" and "" */
	int reserved[2];  /* sockets that keep the ports ours; -1: none */
	redisContext *context;
	redisReply *reply; /* to the last command */
};

/* ---- starting ---- */

/* Makes arguments of the words of TEST_REDIS and the options, and cuts `text` into those words. */
static void command_of(char *text, const struct redis_server *server, const char **words)
{
	const char *const options[] = {
		"--port", server->ports[0], "--unixsocket", server->socket, "--save",
		"",       "--appendonly",   "no",           "--dir",        server->folder,
		"--bind", "127.0.0.1"};
	const char *const node_options[] = {
		"--cluster-enabled",     "yes",   "--cluster-port",         server->ports[1],
		"--cluster-config-file", "nodes", "--cluster-node-timeout", "60000"};
	size_t count = 0;

	for (char *word = strtok(text, " "); word != NULL && count < WORDS_MAX / 2;
	     word = strtok(NULL, " "))
		words[count++] = word;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		words[count++] = options[i];
	for (size_t i = 0; i < ARRAY_SIZE(node_options) && *server->ports[1] != '\0'; i++)
		words[count++] = node_options[i];
	words[count] = NULL;
}

/* Runs in the child. The output of Redis goes to its log. */
static _Noreturn void become_redis(const struct redis_server *server, const char **words,
				   pid_t parent)
{
	int log = open(server->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* the parent has ended already */
		_exit(1);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execvp(words[0], (char *const *)(uintptr_t)words);
	perror(words[0]);
	_exit(127);
}

static void launch(struct redis_server *server)
{
	const char *given = getenv("TEST_REDIS");
	char *text = strdup(given != NULL ? given : "redis-server");
	const char *words[WORDS_MAX];
	pid_t parent = getpid();

	assert_non_null(text);
	command_of(text, server, words);
	assert_non_null(words[0]);
	fflush(NULL); /* or the child would write it again */
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid == 0)
		become_redis(server, words, parent);
	free(text);
}

static _Noreturn void fail_to_start(struct redis_server *server, const char *why)
{
	char log[2048] = "";
	FILE *file = fopen(server->log, "r");

	if (file != NULL) {
		log[fread(log, 1, sizeof log - 1, file)] = '\0';
		fclose(file);
	}
	redis_server_stop(server);
	print_error("%s\n%s\n", why, log);
	fail();
	abort(); /* never reached, which cmocka does not declare */
}

static bool connects(struct redis_server *server)
{
	if (server->context != NULL)
		redisFree(server->context);
	server->context = redisConnectUnix(server->socket);
	assert_non_null(server->context);
	return server->context->err == 0;
}

static void wait_until_ready(struct redis_server *server)
{
	int64_t until_us = clock_mono_us() + PATIENCE_US;

	while (!connects(server)) {
		if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
			server->pid = 0;
			fail_to_start(server, "Redis ended before it was ready");
		}
		if (clock_mono_us() > until_us)
			fail_to_start(server, "Redis did not listen in time");
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	assert_string_equal(redis_server_ask(server, "PING")->str, "PONG");
}

/*
 * Nobody else is given the port while this socket is open, which never listens; Redis may bind to
 * it, since both allow that.
 */
static void reserve_port(struct redis_server *server, size_t which)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	server->reserved[which] = fd;
	snprintf(server->ports[which], sizeof server->ports[which], "%u", ntohs(address.sin_port));
}

static struct redis_server *start(bool is_node)
{
	struct redis_server *server = calloc(1, sizeof *server);
	const char *temporary = getenv("TMPDIR");

	assert_non_null(server);
	snprintf(server->folder, sizeof server->folder, "%s/redis-XXXXXX",
		 temporary != NULL && strlen(temporary) < 40 ? temporary : "/tmp");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->socket, sizeof server->socket, "%s/socket", server->folder);
	snprintf(server->log, sizeof server->log, "%s/log", server->folder);
	snprintf(server->nodes, sizeof server->nodes, "%s/nodes", server->folder);
	server->ports[0][0] = '0';
	server->reserved[0] = server->reserved[1] = -1;
	for (size_t i = 0; i < 2 && is_node; i++)
		reserve_port(server, i);
	launch(server);
	wait_until_ready(server);
	return server;
}

struct redis_server *redis_server_start(void)
{
	return start(false);
}

struct redis_server *redis_server_start_node(void)
{
	return start(true);
}

int redis_server_port(const struct redis_server *server)
{
	return atoi(server->ports[0]);
}

int redis_server_bus_port(const struct redis_server *server)
{
	return atoi(server->ports[1]);
}

void redis_server_stop(struct redis_server *server)
{
	freeReplyObject(server->reply);
	if (server->context != NULL)
		redisFree(server->context);
	if (server->pid > 0) {
		kill(server->pid, SIGKILL);
		waitpid(server->pid, NULL, 0);
	}
	unlink(server->socket);
	unlink(server->log);
	unlink(server->nodes);
	for (size_t i = 0; i < 2; i++)
		if (server->reserved[i] >= 0)
			close(server->reserved[i]);
	rmdir(server->folder);
	free(server);
}

/* ---- asking ---- */

const char *redis_server_path(const struct redis_server *server)
{
	return server->socket;
}

static const redisReply *ask(struct redis_server *server, const char *format, va_list arguments)
{
	freeReplyObject(server->reply);
	server->reply = redisvCommand(server->context, format, arguments);
	if (server->reply == NULL)
		fail_msg("%s: %s", format, server->context->errstr);
	return server->reply;
}

const struct redisReply *redis_server_ask(struct redis_server *server, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	const redisReply *reply = ask(server, format, arguments);
	va_end(arguments);
	return reply;
}

int64_t redis_server_ask_number(struct redis_server *server, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	const redisReply *reply = ask(server, format, arguments);
	va_end(arguments);
	if (reply->type == REDIS_REPLY_INTEGER)
		return reply->integer;
	if (reply->type != REDIS_REPLY_STATUS)
		fail_msg("%s: %s", format, reply->str != NULL ? reply->str : "not a number");
	return 0;
}

void redis_server_await_number(struct redis_server *server, const char *command, int64_t most)
{
	int64_t until_us = clock_mono_us() + PATIENCE_US;

	while (redis_server_ask_number(server, command) > most) {
		if (clock_mono_us() > until_us)
			fail_msg("%s: more than %lld for 20 s", command, (long long)most);
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
}
