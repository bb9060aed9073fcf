"""A Redis Cluster on loopback: its nodes, its slots, and what an operator does to it."""

from processes import wait_until
from redis import Redis, reserve_port

SLOTS = 16384
NODE_TIMEOUT_MS = 1000
PATIENCE = 60  # a promotion takes two seconds, and more when the machine stalls


class Cluster:
    """`primaries` nodes own the slots in equal parts; with `has_replicas` each has a replica. A
    node that is silent for `node_timeout_ms` counts as dead: a test in which none dies needs a long
    time, since a busy machine holds nodes up."""

    def __init__(self, start_redis, flavour="redis-7.0", primaries=3, has_replicas=False,
                 options=(), node_timeout_ms=NODE_TIMEOUT_MS):
        self.start_redis, self.flavour, self.options = start_redis, flavour, options
        self.node_timeout_ms = node_timeout_ms
        self.bus_ports = {}
        self.primaries = [self._start() for _ in range(primaries)]
        self.replicas = [self._start() for _ in range(primaries)] if has_replicas else []
        self._assign_slots()
        for node in self.nodes[1:]:
            self.meet(node)
        wait_until(self._is_whole, "the cluster")
        for primary, replica in zip(self.primaries, self.replicas):
            replica.ask("CLUSTER", "REPLICATE", self.id_of(primary))
        for replica in self.replicas:
            wait_until(lambda r=replica: b"master_link_status:up" in r.ask("INFO", "replication"),
                       "the replica")
        wait_until(lambda: all(len(self.ranges_of(node)[0]) >= 3 + has_replicas
                               for node in self.nodes), "the replicas, known to all")

    def _start(self):
        port, reserved = reserve_port()
        node = self.start_redis(self.flavour, options=[
            "--cluster-enabled", "yes", "--cluster-port", port, "--cluster-node-timeout",
            self.node_timeout_ms, "--cluster-replica-validity-factor", 0,
            "--repl-diskless-sync-delay", 0, "--cluster-allow-replica-migration", "no",
            *self.options])
        reserved.close()
        self.bus_ports[node.port] = port
        return node

    def _assign_slots(self):
        count = len(self.primaries)
        for n, node in enumerate(self.primaries):
            node.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS * n // count, SLOTS * (n + 1) // count - 1)
        for n, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", n + 1)

    @property
    def nodes(self):
        return self.primaries + self.replicas

    @property
    def url(self):
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def meet(self, node):
        node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port,
                 self.bus_ports[self.nodes[0].port])

    def _is_whole(self):
        return all(b"cluster_state:ok" in info and b"cluster_known_nodes:%d\r" % len(self.nodes)
                   in info for info in (node.ask("CLUSTER", "INFO") for node in self.nodes))

    @staticmethod
    def id_of(node):
        return node.ask("CLUSTER", "MYID")

    @staticmethod
    def ranges_of(node):
        return node.ask("CLUSTER", "SLOTS")

    def add(self):
        """A node without slots, which all know."""
        node = self._start()
        self.meet(node)
        self.primaries.append(node)
        wait_until(self._is_whole, "the new node")
        return node

    def remove(self, node):
        """A node without slots, which all forget."""
        number = self.id_of(node)
        self.primaries.remove(node)
        node.ask("CLUSTER", "RESET", "HARD")
        for other in self.nodes:
            other.ask("CLUSTER", "FORGET", number)
        wait_until(self._is_whole, "the cluster without that node")

    def fail_over(self, replica):
        """By command: the replica waits until it has all that its primary charged."""
        replica.ask("CLUSTER", "FAILOVER")
        self.wait_for_promotion(replica)

    def wait_for_promotion(self, replica):
        """Until all nodes that run send clients to it."""
        def is_owner(node):
            return any(range_[2][1] == replica.port for range_ in self.ranges_of(node))
        wait_until(lambda: all(map(is_owner, filter(Redis.is_running, self.nodes))),
                   "the promotion", PATIENCE)

    def slot_of(self, key):
        return self.nodes[0].ask("CLUSTER", "KEYSLOT", key)

    def owner_of(self, slot):
        """By the primary that says so of itself."""
        for node in self.primaries:
            if not node.is_running():
                continue
            for first, last, (_, port, *_), *_ in self.ranges_of(node):
                if first <= slot <= last and port == node.port:
                    return node
        raise AssertionError(f"nobody owns {slot}")

    def begin_move(self, slot, target):
        source = self.owner_of(slot)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))
        return source

    @staticmethod
    def move_keys(slot, source, target, count=1000):
        keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, count)
        if keys:
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def end_move(self, slot, source, target):
        """The new owner first, so that there is always one."""
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))

    def move(self, slot, target):
        """As `redis-cli --cluster reshard` does it."""
        source = self.begin_move(slot, target)
        while self.move_keys(slot, source, target, 10):
            pass
        self.end_move(slot, source, target)

    def keys(self):
        return sorted(key for node in self.primaries if node.is_running() for key in node.keys())
