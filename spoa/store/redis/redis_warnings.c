/*
 * A right: each node that lacks it is told, so that the log has a line for each connection. That
 * the right is there again is told once, when the last node that lacked it has it, or is gone.
 *
 * A maxmemory-policy: of all nodes one policy is told, one that deletes keys without a TTL if any
 * node has such a policy. It is told again when another node with such a policy comes, and when
 * the policy to be told changes.
 */
#include "store/redis/redis_warnings.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"

void redis_warnings_init(struct redis_warnings *all, const struct store_config *config)
{
	*all = (struct redis_warnings){.config = config};
	list_init(&all->nodes);
}

void redis_warnings_add(struct redis_warnings *all, struct redis_node_warnings *node)
{
	*node = (struct redis_node_warnings){.all = all};
	list_init(&node->link);
	list_append(&all->nodes, &node->link);
}

void redis_warnings_remove(struct redis_node_warnings *node)
{
	list_remove(&node->link);
}

static struct redis_node_warnings *node_at(const struct list *link)
{
	return CONTAINER_OF(link, struct redis_node_warnings, link);
}

/* ---- rights ---- */

static bool is_lacking(const struct redis_warnings *all)
{
	for (const struct list *l = all->nodes.next; l != &all->nodes; l = l->next)
		if (node_at(l)->pttl_hint != NULL)
			return true;
	return false;
}

void redis_warnings_lack(struct redis_node_warnings *node, const char *command, const char *hint)
{
	const struct store_config *config = node->all->config;

	node->pttl_hint = hint;
	if (config->lacks_right != NULL)
		config->lacks_right(config->owner, command, hint);
}

void redis_warnings_regain(struct redis_node_warnings *node)
{
	const struct store_config *config = node->all->config;
	const char *hint = node->pttl_hint;

	node->pttl_hint = NULL;
	if (hint != NULL && !is_lacking(node->all) && config->regained_right != NULL)
		config->regained_right(config->owner, hint);
}

/* ---- maxmemory-policy ---- */

static bool deletes_without_ttl(const char *policy)
{
	return strncmp(policy, "allkeys-", strlen("allkeys-")) == 0;
}

/* That of a node which deletes keys without a TTL; else that of the newest one that says it. */
static const char *policy_of_all(const struct redis_warnings *all, const char *newest)
{
	for (const struct list *l = all->nodes.next; l != &all->nodes; l = l->next)
		if (deletes_without_ttl(node_at(l)->eviction))
			return node_at(l)->eviction;
	return newest;
}

static void tell_eviction(struct redis_warnings *all, const char *newest, bool is_news)
{
	const struct store_config *config = all->config;
	const char *policy = policy_of_all(all, newest);

	if (!is_news && strcmp(policy, all->told) == 0)
		return;
	snprintf(all->told, sizeof all->told, "%s", policy);
	if (config->told_eviction != NULL)
		config->told_eviction(config->owner, all->told);
}

void redis_warnings_set_eviction(struct redis_node_warnings *node, const char *policy)
{
	snprintf(node->eviction, sizeof node->eviction, "%s", policy);
	tell_eviction(node->all, node->eviction, deletes_without_ttl(node->eviction));
}

/* ---- a node that has left ---- */

void redis_warnings_withdraw(struct redis_node_warnings *node)
{
	redis_warnings_remove(node);
	redis_warnings_regain(node);
	if (deletes_without_ttl(node->eviction))
		tell_eviction(node->all, "", false);
}
