"""Policy files, good and bad, on which the agent and docs/policies.schema.json must agree.

Each bad file stands with words of the agent's error. SCHEMA_CANNOT are bad files that a schema
can't refuse.
"""

import json

BUCKET = {"algorithm": "token_bucket", "capacity": 10, "refill_rate": 1, "key": ["src"]}
WINDOW = {"algorithm": "fixed_window", "limit": 10, "window": "1m", "key": ["src"]}
LOG = {**WINDOW, "algorithm": "sliding_window"}
COUNTER = {**WINDOW, "algorithm": "sliding_window_counter"}
ACME = {"match": {"tenant": "acme"}}


def named(**policies):
    return json.dumps({"policies": policies})


def bucket(**fields):
    return named(p={**BUCKET, **fields})


def window(**fields):
    return named(p={**WINDOW, **fields})


def log(**fields):
    return named(p={**LOG, **fields})


def overridden(policy, *overrides):
    return named(p={**policy, "overrides": list(overrides)})


def without(policy, field):
    return named(p={name: value for name, value in policy.items() if name != field})


def listed(*matches, **more):
    return json.dumps({"block": list(matches), "policies": {}, **more})


def renamed(name):
    return json.dumps({"policies": {name: WINDOW}})


GOOD = [
    '{"policies":{}}',
    '{"$schema":"policies.schema.json","policies":{}}',
    '{"policies":{},"$schema":""}',
    ' {\n\t"policies" :\r\n {} } \n',
    json.dumps({"hash_tag": "src", "policies": {"p": BUCKET}}),
    json.dumps({"policies": {"p": BUCKET}, "hash_tag": "nobody counts by it"}),
    listed(),
    listed({"src": ["10.0.0.0/8", "::1"]}, {"apikey": "x*", "path": "/admin/*"}, allow=[]),
    listed(allow=[{"src": "192.0.2.1"}]),
    bucket(),
    window(),
    log(),
    named(p=COUNTER),
    named(a=BUCKET, b=WINDOW, c=LOG, d=COUNTER),
    renamed("A-Z_0.9"),
    renamed("x" * 64),
    renamed("Inline"),
    bucket(capacity=1),
    bucket(capacity=10.0),
    bucket(capacity=1_000_000, refill_rate="1000/1m"),
    bucket(refill_rate=0.5),
    bucket(refill_rate="0.5"),
    bucket(refill_rate="1/3s"),
    bucket(refill_rate="1e3/1.5h"),
    bucket(refill_rate=2.5e-3),
    window(limit=10**15 - 1),
    log(limit=1_000_000),
    window(window=60),
    window(window=0.001),
    window(window="1ms"),
    window(window="1.5s"),
    window(window="3650d"),
    window(key=[]),
    window(key=["src", "path", "x-y z"]),
    window(key=[f"a{n}" for n in range(16)]),
    window(key=["ä"]),
    window(match={}),
    window(match={"method": "POST"}),
    window(match={"method": "POST", "path": ["/login", "/api/login/*"]}),
    window(match={f"a{n}": "x" for n in range(255)}),
    window(match={"path": ""}),
    window(match={"path": "*"}),
    window(match={"src": ["10.0.0.0/8", "2001:db8::/32", "::ffff:10.0.0.0/104", "192.0.2.1"]}),
    window(match={"src": ["0.0.0.0/0", "::/0", "192.0.2.1/32", "::1/128"]}),
    window(match={"path": ["10.0.0.0/x", "/10.0.0.0/33", "10.0.0.0/*"]}),
    window(cost=1),
    window(cost=10**15 - 1),
    window(cost="bytes"),
    window(shadow=True),
    window(shadow=False, on_error="allow"),
    *(window(shadow=share) for share in ("0%", "90%", "0.5%", "99.9999%", "100%", "100.0000%")),
    overridden({**WINDOW, "shadow": "10%"}, {**ACME, "shadow": "7.25%"}),
    window(on_error="deny"),
    window(on_error="local"),
    window(ipv4_prefix=0, ipv6_prefix=0),
    window(ipv4_prefix=32, ipv6_prefix=128),
    window(overrides=[]),
    overridden(WINDOW, ACME),
    overridden(WINDOW, {**ACME, "limit": 100}, {"match": {"tenant": "x-*"}, "window": "1h"}),
    overridden(BUCKET, {**ACME, "capacity": 100}, {**ACME, "refill_rate": "5/1m"}),
    overridden(WINDOW, {**ACME, "cost": 2, "shadow": True, "on_error": "deny"}),
    overridden(WINDOW, {**ACME, "cost": "bytes"}),
    overridden(WINDOW, {**ACME, "unlimited": True}),
    overridden(WINDOW, {**ACME, "blocked": True}),
    overridden(WINDOW, {**ACME, "blocked": True, "shadow": True}),
    overridden(WINDOW, {**ACME, "unlimited": False, "blocked": False, "limit": 5}),
    overridden(LOG, {**ACME, "limit": 1_000_000}),
]

BAD = [
    # the file
    ("", "line 1, column 1: not JSON"),
    ("{", "line 1, column 2: not JSON"),
    ('{"policies":\n  {,}}', "line 2, column 4: not JSON"),
    ('{"policies":{}} x', "line 1, column 17: not JSON"),
    ('{"policies":{},}', "line 1, column 16: not JSON"),
    ("{'policies':{}}", "line 1, column 2: not JSON"),
    ('// limits\n{"policies":{}}', "line 1, column 1: not JSON"),
    (window(limit=1).replace("1,", "01,"), "line 1, column 60: not JSON"),
    (window(limit=float("nan")), "not JSON"),
    (window(key=["\n"]).replace("\\n", "\n"), "a control character in a string"),
    ("[]", "must be an object with the field policies, not a list"),
    ("null", "must be an object"),
    ("{}", "policies: is missing"),
    ('{"polices":{}}', "polices: unknown field (did you mean policies?); accepted are"),
    ('{"policies":[]}', "policies: must be an object of policies by name, not a list"),
    ('{"policies":{},"version":1}', "version: unknown field; accepted are policies, $schema"),

    (listed("10.0.0.0/8"), 'block[0]: "10.0.0.0/8" is not an object of attributes'),
    (listed({}), "block[0]: a match of a list names at least one attribute"),
    (listed({"src": []}), "block[0].src: an empty list"),
    (listed({"src": 1}), "block[0].src: 1 is not text"),
    (listed({"": "x"}), 'block[0]."": "" is not the name of an attribute'),
    (listed(allow={"src": "::1"}), "allow: must be a list of matches, not an object"),
    (listed(allow=None), "allow: must be a list of matches, not null"),
    (listed(blocks=[]), "blocks: unknown field (did you mean block?)"),
    ('{"$schema":1,"policies":{}}', '"$schema": 1 is not the address of a schema'),
    ('{"$schema":null,"policies":{}}', '"$schema": null is not the address of a schema'),
    ('{"$schema":"x"}', "policies: is missing"),
    ('{"hash_tag":1,"policies":{}}', "hash_tag: 1 is not"),
    ('{"hash_tag":"","policies":{}}', "hash_tag: "),
    ('{"hash_tag":"key","policies":{}}', "hash_tag: "),
    ('{"hash_tag":["src"],"policies":{}}', "hash_tag: "),
    ('{"schema":"x","policies":{}}', "schema: unknown field (did you mean $schema?); accepted"),
    ('\ufeff{"policies":{}}', "line 1, column 1: a byte order mark (BOM), which is not JSON; "
     "accepted is UTF-8 without one"),

    # a policy and its name
    *((renamed(name), "is not a name; accepted are 1 to 64 of A-Z a-z 0-9 . _ -")
      for name in ("", "inline", "none", "blocked", "a b", "a/b", "é", "x" * 65)),
    (named(p=[]), "policies.p: must be an object, not a list"),
    (named(p=None), "policies.p: must be an object, not null"),
    (window(colour=1), "policies.p.colour: unknown field; accepted are algorithm, capacity"),
    (window(limits=1), "policies.p.limits: unknown field (did you mean limit?"),
    (window(onerror="deny"), "policies.p.onerror: unknown field (did you mean on_error?"),
    (window(Shadow=True), "policies.p.Shadow: unknown field (did you mean shadow?"),
    (window(blocked=True), "policies.p.blocked: is a field of overrides only"),

    # its numbers
    (without(WINDOW, "algorithm"), "policies.p.algorithm: is missing"),
    (window(algorithm="leaky"), 'policies.p.algorithm: "leaky" is unknown; accepted are token_'),
    (window(algorithm="fixed-window"), 'window" is unknown (did you mean fixed_window?); accepted'),
    (window(algorithm=1), "policies.p.algorithm: 1 is unknown"),
    (without(BUCKET, "capacity"), "policies.p.capacity: is missing"),
    (without(BUCKET, "refill_rate"), "policies.p.refill_rate: is missing"),
    (without(WINDOW, "limit"), "policies.p.limit: is missing"),
    (without(WINDOW, "window"), "policies.p.window: is missing"),
    (window(capacity=1), "policies.p.capacity: is not a field of a fixed_window"),
    (bucket(window="1m"), "policies.p.window: is not a field of a token_bucket"),
    (bucket(capacity=0), "policies.p.capacity: 0 is not a whole number from 1 to 999999999999999"),
    (bucket(capacity=1.5), "policies.p.capacity: 1.5 is not a whole number"),
    (bucket(capacity="10"), 'policies.p.capacity: "10" is not a whole number'),
    (bucket(refill_rate=0), "policies.p.refill_rate: 0 is not a rate; accepted are tokens per"),
    (bucket(refill_rate="0.0"), 'policies.p.refill_rate: "0.0" is not a rate'),
    (bucket(refill_rate="1/3"), 'policies.p.refill_rate: "1/3" is not a rate'),
    (bucket(refill_rate="1/0s"), 'policies.p.refill_rate: "1/0s" is not a rate'),
    (window(limit=-1), "policies.p.limit: -1 is not a whole number"),
    (window(limit=10**15), "policies.p.limit: 1000000000000000 is not a whole number from 1 to "
                           "999999999999999, the most that a RateLimit field can say"),
    (window(limit=2**52), "policies.p.limit: 4503599627370496 is not a"),
    (bucket(capacity=10**15), "policies.p.capacity: 1000000000000000 is not a whole number from 1"),
    (overridden(WINDOW, {**ACME, "limit": 10**15}), "policies.p.overrides[0].limit: 10000000000000"),
    (log(limit=1_000_001), "policies.p.limit: a sliding_window takes at most 1000000"),
    (window(window="1x"), 'policies.p.window: "1x" is not a duration; accepted are such as'),
    (window(window="60"), 'policies.p.window: "60" is not a duration'),
    (window(window="0s"), 'policies.p.window: must be from 1ms to 3650d; it is "0s"'),
    (window(window=0.0001), "policies.p.window: must be from 1ms to 3650d; it is 0.0001"),
    (window(window=True), "policies.p.window: true is not a duration"),

    # key, match, cost and the others
    (without(WINDOW, "key"), "policies.p.key: is missing; [] counts everything together"),
    (window(key="src"), 'policies.p.key: "src" is not a list of names of attributes'),
    (window(key=["src", 1]), "policies.p.key[1]: 1 is not the name of an attribute"),
    (window(key=[""]), 'policies.p.key[0]: "" is not the name of an attribute'),
    (window(key=["src", "src"]), 'policies.p.key[1]: "src" stands there twice'),
    (window(key=["policy"]), 'policies.p.key[0]: "policy" is a reserved name'),
    (window(key=[f"a{n}" for n in range(17)]), "policies.p.key: more than 16 attributes"),
    (window(match=["POST"]), "policies.p.match: a list is not an object of attributes"),
    (window(match={"method": 1}), "policies.p.match.method: 1 is not text"),
    (window(match={"method": []}), "policies.p.match.method: an empty list"),
    (window(match={"method": ["GET", None]}), "policies.p.match.method[1]: null is not text"),
    (window(match={"": "x"}), 'policies.p.match."": "" is not the name of an attribute'),
    (window(match={"key": "x"}), 'policies.p.match.key: "key" is a reserved name'),
    (window(match={f"a{n}": "x" for n in range(256)}), "more than 255 attributes"),
    (window(cost=10**15), "policies.p.cost: 1000000000000000 is not a whole number from 1"),
    (window(cost=0), "policies.p.cost: 0 is not a whole number from 1 to 999999999999999"),
    (window(cost=True), "policies.p.cost: true is neither a whole number from 1 on nor the name"),
    (window(cost="2"), 'policies.p.cost: "2": a number stands without quotes'),
    (window(cost="cost"), 'policies.p.cost: "cost" is a reserved name'),
    (window(shadow="yes"), 'policies.p.shadow: "yes" is neither true nor false'),
    *((window(shadow=share), "is neither true nor false nor a share of the keys")
      for share in ("", "%", "90", "90 %", " 90%", "101%", "100.0001%", "-1%", "+1%", "05%", ".5%",
                    "5.%", "0.00001%", "9e1%", "90%%", "1000%", 90, 0.9, None, ["90%"])),
    (window(on_error="denied"), 'policies.p.on_error: "denied" is unknown; accepted are allow'),
    (window(ipv4_prefix=33), "policies.p.ipv4_prefix: 33 is not a number of bits from 0 to 32"),
    (window(ipv6_prefix=129), "policies.p.ipv6_prefix: 129 is not a number of bits from 0 to 128"),
    (window(ipv4_prefix=-1), "policies.p.ipv4_prefix: -1 is not a number of bits"),
    (window(ipv6_prefix=0.5), "policies.p.ipv6_prefix: 0.5 is not a number of bits"),

    # overrides
    (window(overrides=ACME), "policies.p.overrides: must be a list, not an object"),
    (overridden(WINDOW, "acme"), 'policies.p.overrides[0]: must be an object, not "acme"'),
    (overridden(WINDOW, {"limit": 1}), "policies.p.overrides[0].match: is missing"),
    (overridden(WINDOW, {"match": {}}), "overrides[0].match: an override names at least one"),
    (overridden(WINDOW, ACME, {**ACME, "limit": 0}), "policies.p.overrides[1].limit: 0 is not"),
    (overridden(WINDOW, {**ACME, "capacity": 1}), "capacity: is not a field of a fixed_window"),
    (overridden(BUCKET, {**ACME, "limit": 1}), "limit: is not a field of a token_bucket"),
    (overridden(LOG, {**ACME, "limit": 1_000_001}), "a sliding_window takes at most 1000000"),
    (overridden(WINDOW, {**ACME, "key": []}), "[0].key: is not a field of an override"),
    (overridden(WINDOW, {**ACME, "unlimitd": True}), "did you mean unlimited?"),
    (overridden(WINDOW, {**ACME, "unlimited": 1}), "unlimited: 1 is neither true nor false"),
    (overridden(WINDOW, {**ACME, "unlimited": True, "blocked": True}), "beside unlimited"),
    (overridden(WINDOW, {**ACME, "unlimited": True, "limit": 1}), "unlimited: stands beside num"),
    (overridden(WINDOW, {**ACME, "blocked": True, "cost": 2}), "blocked: stands beside numbers"),
    (overridden(WINDOW, {"match": {"src": ["a", 7]}}), "overrides[0].match.src[1]: 7 is not text"),
]

TWICE = window()[:-3]  # a file without its last three braces

SCHEMA_CANNOT = [
    ('{"$schema":"a","policies":{},"$schema":"b"}', '"$schema": stands there twice'),
    # A tree of values does not show that a name stood in the file twice.
    ('{"policies":{},"policies":{}}', "policies: stands there twice"),
    (f'{TWICE}}}, {window()[14:]}', "policies.p: stands there twice"),
    (TWICE + ', "limit": 5}}}', "policies.p.limit: stands there twice"),
    (window(match={"a": "1", "b": "2"}).replace('"b"', '"a"'), "match.a: stands there twice"),

    # Numbers that depend on each other, or on how they are written.
    (bucket(capacity=10**12, refill_rate=0.0001), "with a capacity of 1000000000000 it can't be"),
    (bucket(capacity=10**15 - 1), "policies.p.refill_rate: with a capacity of"),
    (overridden({**BUCKET, "refill_rate": 0.0001}, {**ACME, "capacity": 10**12}),
     "policies.p.overrides[0].refill_rate: with a capacity of 1000000000000 it can't be kept"),
    (bucket(refill_rate=0.1234567890123456),
     "policies.p.refill_rate: 0.1234567890123456 has too many digits to be kept exactly"),
    (bucket(refill_rate=1e-300), "policies.p.refill_rate: 1e-300 is not a rate"),
    (named(p={**COUNTER, "limit": 10**15 - 1}), "policies.p.limit: must be at most"),
    (window(window="0.5ms"), 'policies.p.window: must be from 1ms to 3650d; it is "0.5ms"'),
    (window(window="3651d"), 'policies.p.window: must be from 1ms to 3650d; it is "3651d"'),
    (window(window=0.0010001), "policies.p.window: 0.0010001 is not a duration"),

    # Texts whose meaning is wrong.
    (window(match={"src": "10.0.0.0/33"}), 'match.src: "10.0.0.0/33" is not a network; accepted'),
    (window(match={"src": ["::1", "::1/129"]}), 'match.src[1]: "::1/129" is not a network'),
    (window(match={"src": "::ffff:10.0.0.0/8"}), '"::ffff:10.0.0.0/8" is not a network'),
    (window(match={"src": "10.0.0.0/255.0.0.0"}), '"10.0.0.0/255.0.0.0" is not a network'),
    (window(key=["a\0"]), "a NUL character"),
]
