"""Many exceptions at once, put where an agent finds them: into a state file, or into Redis beside
the agents, as an agent would have put them."""

import hashlib
import json
import random
import time

from processes import ROOT

KEYS = ("version", "values", "changes", "ends", "gone")
AT_ONCE = 500  # calls that Redis gets in one write


def exception(policy=None, **names):
    """The value of a record: a block, of a policy with a token bucket or of all policies."""
    what = {"policy": policy}
    if policy:
        what |= {"algorithm": "token_bucket", "key": list(names)}
    what["names"] = names
    if policy:
        what["counted_as"] = ":".join(names.values())
    return "e" + json.dumps({**what, "blocked": True, "until": None, "note": "", "who": "ann",
                             "from": "127.0.0.1:1"}, separators=(",", ":"))


def address(number):
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def blocks(count, policy=None):
    """(id, value) of as many exceptions, each of another address."""
    ids = random.Random(count)
    return [(f"{ids.getrandbits(64):016x}", exception(policy, src=address(number)))
            for number in range(count)]


def state_file(records):
    now_ms = int(time.time() * 1000)
    text = "ratelimit-spoa state 1\n" + "".join(
        f"record {len(name)} {len(value)} {now_ms} 0 0\n{name}{value}\n" for name, value in records)
    return f"{text}end {len(records)} {hashlib.sha256(text.encode()).hexdigest()}\n"


def put_in_redis(redis, records, prefix="rl:"):
    """`redis` is a redis.Client. As an agent does, one call each, but many in one write."""
    script = redis.ask("SCRIPT", "LOAD", (ROOT / "lua/records/records.lua").read_text())
    keys = [f"{prefix}{{records}}:{key}" for key in KEYS]
    for first in range(0, len(records), AT_ONCE):
        redis.ask_all([
            ("EVALSHA", script, len(keys), *keys, "put", "0" * 16, name, 0, 0, value, 0, 100000,
             100000, 604800000, 0) for name, value in records[first:first + AT_ONCE]])
