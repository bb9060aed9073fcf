"""Three Sentinels, a master and two replicas."""

from processes import wait_until
from redis import Redis, Refused, Sentinel

NAME = "mymaster"
# A failover takes two seconds, and more when the machine stalls.
PATIENCE = 60


class Trio:
    """All servers run on this machine, and are stopped with `started`, the fixture."""

    def __init__(self, directory, started, flavour="redis-7.0", conf=(), options=()):
        self.directory, self.started, self.flavour = directory, started, flavour
        self.options = ("--repl-diskless-sync-delay", 0, *options)
        self.master = self._start(Redis, "master", self.options)
        replicaof = ("--replicaof", "127.0.0.1", self.master.port)
        self.replicas = [self._start(Redis, f"replica{n}", (*self.options, *replicaof))
                         for n in range(2)]
        for replica in self.replicas:
            wait_until(lambda r=replica: b"master_link_status:up" in r.ask("INFO", "replication"),
                       "the replica", PATIENCE)
        lines = [f"sentinel monitor {NAME} 127.0.0.1 {self.master.port} 2",
                 f"sentinel down-after-milliseconds {NAME} 1000",
                 f"sentinel failover-timeout {NAME} 5000",
                 f"sentinel parallel-syncs {NAME} 2", *conf]
        self.sentinels = [self._start(Sentinel, f"sentinel{n}", conf="\n".join(lines) + "\n")
                          for n in range(3)]
        for sentinel in self.sentinels:
            wait_until(lambda s=sentinel: self._knows_all(s), "all of them", PATIENCE)

    def _start(self, kind, name, options=(), **keywords):
        directory = self.directory / name
        directory.mkdir()
        server = kind(self.flavour, directory, options, **keywords)
        self.started.append(server)
        return server

    @staticmethod
    def _knows_all(sentinel):
        said = sentinel.master()
        return (said["num-slaves"], said["num-other-sentinels"]) == ("2", "2")

    @property
    def servers(self):
        return [self.master, *self.replicas]

    def url(self, sentinels=None):
        places = ",".join(f"127.0.0.1:{s.port}" for s in sentinels or self.sentinels)
        return f"redis+sentinel://{places}/{NAME}"

    def named_by(self, sentinel):
        """The server that it names."""
        port = int(sentinel.master()["port"])
        return next(server for server in self.servers if server.port == port)

    def fail_over(self):
        """By command. Returns the new master when all Sentinels name it."""
        old = self.named_by(self.sentinels[0])

        def is_taken():
            try:
                return self.sentinels[0].ask("SENTINEL", "FAILOVER", NAME) == "OK"
            except Refused:  # it is too early after another one, or it sees no good replica yet
                return False
        wait_until(is_taken, "the failover", PATIENCE)
        return self.wait_for_another(old)

    def wait_for_another(self, old):
        """Waits until all Sentinels that run name the same master, and not `old`."""
        def found():
            named = {self.named_by(s) for s in self.sentinels if s.is_running()}
            return named.pop() if len(named) == 1 and old not in named else None
        return wait_until(found, "a failover", PATIENCE)


def has_replica(server):
    """Whether some replica has all that the server has."""
    return b"state=online" in server.ask("INFO", "replication")
