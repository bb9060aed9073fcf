"""Bad values under the keys of the agent, and servers that are not Redis."""

import random

import pytest

import fake_redis
from agent import bucket, policies_text, window
from cases import named
from processes import wait_until
from redis import FLAVOURS, Sentinel, reserve_port

LIMIT = 10
POLICIES = {
    "bucket": bucket(LIMIT, "1/1h", ["k"]), "log": window(LIMIT, "100d", key=["k"]),
    "counter": window(LIMIT, "100d", "sliding_window_counter", ["k"]),
    "fixed": window(LIMIT, "100d", "fixed_window", ["k"])}
LONG_LOG = {"long-log": window(2000, "100d", key=["k"])}
ONE = policies_text(p=bucket(LIMIT, "1/1h", ["k"]))

PATIENT = ("--store-timeout", "5s")


def assert_error(verdict, is_allowed=True):
    assert (verdict.reason, verdict.degraded, verdict.allowed) == ("error", True, is_allowed)


def assert_sound(verdict, limit):
    """Either nothing was decided, or what was said is possible."""
    if verdict.reason == "error":
        assert verdict.degraded
        return
    assert (verdict.degraded, verdict.limit) == (False, limit)
    assert 0 <= verdict.remaining <= limit
    assert 0 <= verdict.reset <= 2 * 8_640_000 + 1
    assert -1 <= verdict.retry_after_ms <= 2 * 8_640_000_000


def error_events(agent):
    return [event for event in agent.events() if event["event"] in ("store_error", "store_down")]


# --- values under our keys -----------------------------------------------------------------------


@pytest.fixture(name="peer_of")
def peer_of_an_agent(start_agent, redis):
    """A connection to an agent with that policy, which has one key in Redis."""
    def start(name, policy, *options):
        agent = start_agent(*PATIENT, *options, store=redis.url, policies=policies_text(p=policy))
        agent.wait_for_store()
        peer = agent.connect()
        for _ in range(600 if name in LONG_LOG else 1):
            assert peer.ask(k="x").allowed
        return agent, peer, redis.keys()[0]
    return start


def value_of(redis, key):
    """The string; of a long log, which is a hash, the field that has its numbers."""
    return redis.ask("HGET", key, "log") if redis.ask("TYPE", key) == "hash" else \
        redis.ask("GET", key)


def put(redis, key, value, whole):
    """`whole` is what DUMP said of the key: of a long log the other fields are those again."""
    redis.ask("RESTORE", key, 3_600_000, whole, "REPLACE")
    if redis.ask("TYPE", key) == "hash":
        redis.ask("HSET", key, "log", value)
    else:
        redis.ask("SET", key, value, "PX", 3_600_000)


def spoil(redis, key, how):
    if how[0] not in ("APPEND", "SETRANGE"):
        redis.ask("DEL", key)
    elif redis.ask("TYPE", key) == "hash":
        longer = redis.ask("HGET", key, "log") + b"x" * (1 if how[0] == "APPEND" else how[1])
        redis.ask("HSET", key, "log", longer)
        return
    redis.ask(how[0], key, *how[1:])


FOREIGN = {
    "list": ("RPUSH", "a"), "set": ("SADD", "a"), "hash": ("HSET", "a", "b"),
    "sorted set": ("ZADD", "1", "a"), "stream": ("XADD", "*", "a", "b"), "empty": ("SET", ""),
    "number": ("SET", "1"), "one byte more": ("APPEND", "x"), "text": ("SET", "hello world"),
    "7 bytes": ("SET", b"\0" * 7), "511 bytes": ("SET", b"\0" * 511), "10 MB": (
        "SETRANGE", 10_000_000, "x")}
# An empty log is none.
NOT_SEEN = {"log": ["empty"], "long-log": ["empty"]}


@pytest.mark.parametrize("name, policy", (POLICIES | LONG_LOG).items(), ids=POLICIES | LONG_LOG)
def test_a_foreign_value_is_an_error_of_its_own_requests(peer_of, redis, name, policy):
    agent, peer, key = peer_of(name, policy, "--on-error", "deny")
    whole = redis.ask("DUMP", key)
    for kind, how in FOREIGN.items():
        if kind in NOT_SEEN.get(name, ()):
            continue
        spoil(redis, key, how)
        assert_error(peer.ask(k="x"), is_allowed=False)
        if peer.ask(k="other").reason != "ok":
            # The machine stalled, so that no heartbeat was answered in time: nothing else ends the link.
            agent.wait_for_event("store_down", kind="timeout")
            agent.wait_for_store()
            assert_error(peer.ask(k="x"), is_allowed=False)
            assert peer.ask(k="other").reason == "ok"

        redis.ask("DEL", key, *redis.keys())
        redis.ask("RESTORE", key, 3_600_000, whole)

    assert peer.ask(k="x").reason == "ok"
    assert agent.is_always_up()
    (event,) = agent.events("store_error", kind="other")
    assert event["level"] == "warn"
    assert {said["kind"] for said in agent.events("store_error")} <= {"other", "timeout"}
    assert event["policy"] == "p" and event["reason"]
    peer.close()


@pytest.mark.parametrize("name, policy", (POLICIES | LONG_LOG).items(), ids=POLICIES | LONG_LOG)
def test_absurd_numbers_of_the_right_length_are_errors_or_mended(peer_of, redis, name, policy):
    agent, peer, key = peer_of(name, policy)
    good, whole, dice = value_of(redis, key), redis.ask("DUMP", key), random.Random(11)
    limit = policy.get("limit", LIMIT)
    for value in absurd_values(good, dice):
        put(redis, key, value, whole)
        for _ in range(2):  # what the first one wrote is read by the second
            assert_sound(peer.ask(k="x", cost=dice.choice([0, 1, limit])), limit)

    put(redis, key, good, whole)
    assert not peer.ask(k="x").degraded
    assert agent.is_always_up()
    assert len(agent.events("store_error", kind="other")) <= 1
    assert {said["kind"] for said in agent.events("store_error")} <= {"other", "timeout"}
    peer.close()


def absurd_values(good, dice):
    size = min(len(good), 64)  # of a long one, where its header is
    rest = good[size:]
    for word in (b"\0" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x80" + b"\0" * 7,
                 b"\0\x20" + b"\0" * 6, b"\0\x1f" + b"\xff" * 6, b"\0" * 7 + b"\1"):
        yield word * (size // 8) + rest
        for at in range(0, size, 8):
            yield good[:at] + word + good[at + 8:]
    for _ in range(150):
        yield bytes(dice.randrange(256) for _ in range(size)) + rest
        at = dice.randrange(size)
        yield good[:at] + bytes([dice.randrange(256)]) + good[at + 1:]


@pytest.mark.parametrize("name, policy", named({n: (n, p) for n, p in POLICIES.items()}))
def test_a_time_far_ahead_is_not_waited_for(peer_of, redis, name, policy):
    """A clock that was a century ahead for a moment must not lock clients out for as long."""
    _, peer, key = peer_of(name, policy)
    good = redis.ask("GET", key)
    ahead = (2**52).to_bytes(8, "big")
    put(redis, key, good[:-16] + ahead + good[-8:] if name == "log" else good[:-8] + ahead,
        redis.ask("DUMP", key))

    verdict = peer.ask(k="x")

    assert (verdict.allowed, verdict.reason, verdict.degraded) == (True, "ok", False)
    assert verdict.reset < 2 * 8_640_000 + 1
    peer.close()


# --- servers that are no Redis -------------------------------------------------------------------


@pytest.fixture(name="serve")
def start_server(started):
    def start(server):
        started.append(server)
        return server
    return start


@pytest.fixture(name="assert_is_down")
def agent_of_a_bad_store(start_agent):
    """That an agent says what is wrong with its store, once, and answers by on_error."""
    def check(url, kind):
        agent = start_agent("--on-error", "deny", store=url, policies=ONE)
        with agent.connect() as peer:
            for _ in range(20):
                assert_error(peer.ask(k="x"), is_allowed=False)
            event = agent.wait_for_event("store_down")
            for _ in range(50):
                assert_error(peer.ask(k="x"), is_allowed=False)
        assert event["kind"] == kind, event
        assert "reason" in event and event["level"] == "warn"
        said = [(e["event"], e["kind"], e["reason"]) for e in error_events(agent)]
        # When the machine stalls, a try may end without an answer in time: that is another reason.
        others = [line for line in said if line != ("store_down", "timeout", "no answer in time")]
        if kind == "timeout":
            assert len(said) == 1, said
        else:
            assert len(set(others)) == 1 and len(others) <= 1 + len(said) - len(others), said
        return agent
    return check


ERRORS = {
    "LOADING Redis is loading the dataset in memory": "loading",
    "READONLY You can't write against a read only replica.": "readonly",
    "MOVED 3999 127.0.0.1:6381": "moved",
    "OOM command not allowed when used memory > 'maxmemory'.": "oom",
    "NOSCRIPT No matching script. Please use EVAL.": "noscript",
    "NOAUTH Authentication required.": "other", "ERR unknown command 'x'": "other",
    "BUSY Redis is busy running a script.": "other", "": "other", "x" * 5000: "other",
    'quotes " and \\ and \x01\x7f\xff': "other"}


@pytest.mark.parametrize("error, kind", ERRORS.items(), ids=lambda text: text[:12])
def test_a_server_that_answers_with_an_error_alone(serve, assert_is_down, error, kind):
    reply = b"-" + error.encode("latin-1") + b"\r\n"

    assert_is_down(serve(fake_redis.Parrot(reply=reply)).url, kind)


SHAPES = {
    "OK": b"+OK\r\n", "one": b":1\r\n", "nil": b"$-1\r\n", "nil array": b"*-1\r\n",
    "none": b"*0\r\n",
    "text": b"$5\r\nhello\r\n", "bad number": b":x\r\n", "bad length": b"$x\r\n",
    "negative": b"$-7\r\n", "huge text": b"$99999999999\r\n", "huge array": b"*2000000000\r\n",
    "deep": b"*1\r\n" * 50 + b":1\r\n", "resp 3": b"%1\r\n+a\r\n+b\r\n",
    "double": b",1.5\r\n", "bool": b"#t\r\n", "null": b"_\r\n", "push": b">1\r\n+a\r\n",
    "set": b"~2\r\n,1\r\n#f\r\n",
    "http": b"HTTP/1.1 200 OK\r\n\r\n",
    "nothing": b"\r\n", "zeros": b"\0" * 100, "tls alert": b"\x15\x03\x01\x00\x02\x02\x16"}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_server_that_answers_nonsense(serve, assert_is_down, shape):
    assert_is_down(serve(fake_redis.Parrot(reply=SHAPES[shape])).url,
                   # Its end is waited for as long as any reply.
                   "timeout" if shape == "huge text" else "other")


@pytest.mark.parametrize("greeting", named({
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n", "mail": b"220 mail.example.com ESMTP\r\n",
    "OK": b"+OK\r\n" * 10, "noise": bytes(range(128, 256))}))
def test_a_server_that_speaks_first(serve, assert_is_down, greeting):
    assert_is_down(serve(fake_redis.Parrot(greeting)).url, "other")


def test_a_server_that_says_nothing(serve, assert_is_down):
    assert_is_down(serve(fake_redis.Parrot()).url, "timeout")


def test_a_server_that_hangs_up(serve, assert_is_down):
    server = serve(fake_redis.Parrot(then_close=True))

    assert_is_down(server.url, "connection")

    # It is asked again, at most every 20 ms or so.
    before = server.connections
    wait_until(lambda: server.connections > before + 1, "more connections")


def test_a_web_server(origin, assert_is_down):
    assert_is_down(f"redis://{origin.address}", "other")
    assert origin.requests == 0


def test_a_server_whose_line_does_not_end(serve, assert_is_down):
    assert_is_down(serve(fake_redis.Flood()).url, "other")


# --- other roles of Redis ------------------------------------------------------------------------


def cluster(*own):
    port, reserved = reserve_port()
    return reserved, ["--cluster-enabled", "yes", "--cluster-port", port, *own]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_cluster_node_without_slots(start_redis, assert_is_down, flavour):
    reserved, options = cluster()
    redis = start_redis(flavour, options=options)
    reserved.close()

    assert_is_down(redis.url, "moved")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_cluster_of_one_node_takes_a_prefix_with_a_hash_tag(start_redis, start_agent, flavour):
    reserved, options = cluster()
    redis = start_redis(flavour, options=options)
    reserved.close()
    redis.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: b"cluster_state:ok" in redis.ask("CLUSTER", "INFO"), "the cluster")
    agent = start_agent(*PATIENT, "--on-error", "deny", "--key-prefix", "{rl}:", store=redis.url,
                        policies=policies_text(p=bucket(LIMIT, "1/1h", ["k"]),
                                               q=window(2, "100d", key=["path"])))
    agent.wait_for_store()

    with agent.connect() as peer:
        verdicts = [peer.ask(k="x", path="/") for _ in range(3)]
    assert [verdict.reason for verdict in verdicts] == ["ok", "ok", "limited"]
    assert [key.partition(b":")[0] for key in redis.keys()] == [b"{rl}"] * 2


def test_a_cluster_node_that_sends_elsewhere(start_redis, assert_is_down):
    nodes = []
    for _ in range(2):
        reserved, options = cluster("--cluster-node-timeout", 2000)
        nodes.append(start_redis(options=options))
        reserved.close()
    nodes[1].ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", nodes[1].port, nodes[1].options[-3])
    wait_until(lambda: b"cluster_state:ok" in nodes[0].ask("CLUSTER", "INFO"), "the cluster")

    assert_is_down(nodes[0].url, "moved")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_sentinel(start_redis, assert_is_down, flavour):
    agent = assert_is_down(start_redis(flavour, kind=Sentinel).url, "other")

    assert "Sentinel" in agent.events("store_down")[0]["reason"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_replica_that_can_only_be_read(start_redis, start_agent, redis, flavour):
    replica = start_redis(flavour, options=["--replicaof", "127.0.0.1", redis.port])
    agent = start_agent(*PATIENT, "--on-error", "deny", store=replica.url, policies=ONE)
    with agent.connect() as peer:
        for _ in range(20):
            assert_error(peer.ask(k="x"), is_allowed=False)

        event = wait_until(lambda: error_events(agent), "what is wrong")[0]
        assert (event["kind"], event["level"]) == ("readonly", "warn")
        assert len(error_events(agent)) == 1
        replica.ask("REPLICAOF", "NO", "ONE")
        wait_until(lambda: not peer.ask(k="x").degraded, "the promoted one to be used")


def test_a_user_who_may_not_run_scripts(start_redis, start_agent):
    redis = start_redis()
    redis.ask("ACL", "SETUSER", "agent", "on", ">p", "~*", "+@all", "-@scripting")
    agent = start_agent("--on-error", "deny", store=redis.url, policies=ONE, env={
        "RATELIMIT_REDIS_USER": "agent", "RATELIMIT_REDIS_PASSWORD": "p"})

    assert agent.wait_for_event("store_down")["kind"] == "other"
    with agent.connect() as peer:
        assert_error(peer.ask(k="x"), is_allowed=False)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_user_with_the_rights_of_an_earlier_version(start_redis, start_agent, flavour):
    """Large logs need more of them: what is missing is named, and small logs go on."""
    redis = start_redis(flavour)
    rights = ("+evalsha +script|load +ping +select +info +get +set +getrange +setrange +strlen "
              "+pexpire +time").split()
    redis.ask("ACL", "SETUSER", "agent", "on", ">p", "~rl:*", "resetchannels", "-@all", *rights)
    agent = start_agent(*PATIENT, "--on-error", "deny", store=redis.url,
                        policies=policies_text(p=window(100, "100d", key=["k"])), env={
                            "RATELIMIT_REDIS_USER": "agent", "RATELIMIT_REDIS_PASSWORD": "p"})
    agent.wait_for_event("store_up")

    with agent.connect() as peer:
        for remaining in range(99, 68, -1):
            assert peer.ask(k="x").remaining == remaining
        for _ in range(3):
            assert_error(peer.ask(k="x"), is_allowed=False)
        assert peer.ask(k="other").reason == "ok"

        (event,) = agent.events("store_error")
        assert event["reason"].startswith("NOPERM") and "UNLINK" in event["reason"]
        redis.ask("ACL", "SETUSER", "agent", *(f"+{command}" for command in (
            "type", "hget", "hset", "hdel", "hstrlen", "unlink", "rename")))
        assert peer.ask(k="x").remaining == 68


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_user_without_the_right_to_pttl(start_redis, start_agent, flavour):
    """All limits hold; what is missing is said once a connection."""
    redis = start_redis(flavour)
    redis.ask("ACL", "SETUSER", "agent", "on", ">p", "~rl:*", "resetchannels", "+@all", "-pttl")
    policies = policies_text(
        b=bucket(3, key=["k"]), s=window(40, key=["k"]),
        c=window(3, algorithm="sliding_window_counter", key=["k"], length="100d"),
        f=window(3, algorithm="fixed_window", key=["k"], length="100d"))
    agent = start_agent(*PATIENT, "--on-error", "deny", store=redis.url, policies=policies, env={
        "RATELIMIT_REDIS_USER": "agent", "RATELIMIT_REDIS_PASSWORD": "p"})
    agent.wait_for_event("store_up")

    line = agent.wait_for_event("store_lacks_right", level="warn", command="PTTL")
    assert "+pttl" in line["hint"]
    with agent.connect() as peer:
        for policy, limit in (("b", 3), ("s", 40), ("c", 3), ("f", 3)):
            for n in range(limit + 1):
                verdict = peer.ask(k="x", policy=policy)
                assert (verdict.reason, verdict.remaining) == \
                    (("ok", limit - n - 1) if n < limit else ("limited", 0))
    assert len(agent.events("store_lacks_right")) == 1 and not agent.events("store_error")


def test_a_user_who_may_not_touch_our_keys(start_redis, start_agent):
    redis = start_redis()
    redis.ask("ACL", "SETUSER", "agent", "on", ">p", "~others:*", "+@all")
    agent = start_agent(*PATIENT, store=redis.url, policies=ONE, env={
        "RATELIMIT_REDIS_USER": "agent", "RATELIMIT_REDIS_PASSWORD": "p"})

    def is_said():
        assert_error(peer.ask(k="x"))
        return error_events(agent)

    # It may be asked before there is a connection.
    with agent.connect() as peer:
        assert wait_until(is_said, "what is wrong")[0]["kind"] == "other"
