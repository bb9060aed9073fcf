"""Real answers, the errors included, against docs/openapi.json."""

import json
import re
import signal
import urllib.parse

import jsonschema
import pytest

import http_client
from cases import named
from http_client import CAPACITY, HttpClient
from processes import ROOT, wait_until

DOCUMENT = json.loads((ROOT / "docs/openapi.json").read_text())
INLINE = {"key": "x", "algorithm": "token_bucket", "capacity": 2, "refill_rate": "1/1h"}


def resolve(part):
    while "$ref" in part:
        found = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def validate(value, schema):
    """Against a part of the document, whose references are the document's."""
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}) \
        .validate(value)


def assert_is_described(answer, method, path):
    """Its status, type, headers and body are what the document says."""
    operation = DOCUMENT["paths"][path][method]
    assert str(answer.status) in operation["responses"], answer
    response = resolve(operation["responses"][str(answer.status)])
    for name, header in response.get("headers", {}).items():
        header, value = resolve(header), answer.headers.get(name.lower())
        assert value is not None or not header.get("required"), (name, answer)
        if value is not None:
            validate(value, header["schema"])
    said = {name for name in answer.headers if name in
            ("ratelimit", "ratelimit-policy", "retry-after", "allow", "accept-post")}
    assert said <= {name.lower() for name in response.get("headers", {})}, answer
    kind = answer.type.split(";")[0]
    assert kind in response["content"], answer
    body = answer.json if "json" in kind else answer.body.decode()
    validate(body, response["content"][kind]["schema"])


SPREAD = {"/check": "key", "/auth": "from"}  # the objects that are spread over a query


def is_valid(value, schema):
    try:
        validate(value, schema)
        return True
    except jsonschema.ValidationError:
        return False


def is_valid_query(fields, path="/check"):
    """Of GET. The fields that are no parameter of their own are those of the object that is spread
    over the query. The name of this object is not sent, and would be refused if it stood alone."""
    parameters = {parameter["name"]: parameter
                  for parameter in DOCUMENT["paths"][path]["get"]["parameters"]}
    spread = parameters.pop(SPREAD[path])
    assert (spread["in"], spread["style"], spread["explode"]) == ("query", "form", True)
    rest = {name: value for name, value in fields.items() if name not in parameters}
    return is_valid(rest, spread["schema"]) and \
        all(is_valid(value, parameters[name]["schema"])
            for name, value in fields.items() if name in parameters)


def is_valid_request(body):
    schema = DOCUMENT["paths"]["/check"]["post"]["requestBody"]["content"]["application/json"]
    return is_valid(body, schema["schema"])


GOOD_BODIES = {
    "policy": {"policy": "login", "key": "x"},
    "inline": INLINE,
    "attributes": {"attributes": {"src": "x", "n": 1, "b": True, "z": None}},
    "none": {"attributes": {}},
    "nulls": {"attributes": {"src": "x"}, "policy": None, "key": None, "algorithm": None,
              "cost": None, "capacity": None, "window": None},
    "nulls of an inline policy": {**INLINE, "policy": None, "limit": None, "attributes": None},
    "numbers that are not used": {"attributes": {}, "capacity": 5, "window": "1m", "limit": "7"},
    "an inline policy beside attributes": {**INLINE, "attributes": {"src": "x"}},
    "texts of numbers": {"algorithm": "token_bucket", "key": True, "capacity": "010",
                         "refill_rate": "0.5", "cost": "0"},
    "a batch of what is no check": {"checks": [{}, {"key": "x"}, 1, "x", None, [], INLINE]},
    "cost": {"policy": "login", "key": "x", "cost": 0},
    "a batch": {"checks": [{"policy": "login", "key": "x"}, INLINE]},
    "denied for ever": {"policy": "login", "key": "x", "cost": 99},
    "limit 10^15 - 1": {"algorithm": "fixed_window", "limit": 10**15 - 1, "window": 1, "key": 5},
    "window": {"algorithm": "sliding_window", "limit": 5, "window": "1m", "key": 5},
    "an example": DOCUMENT["paths"]["/check"]["post"]["requestBody"]["content"]
                  ["application/json"]["examples"]["batch"]["value"],
}
BAD_BODIES = {
    "all are null": {"policy": None, "algorithm": None, "attributes": None},
    "key beside nulls": {"key": "x", "policy": None, "algorithm": None, "attributes": None},
    "key beside attributes": {"key": "x", "attributes": {"src": "x"}},
    "policy beside algorithm": {**INLINE, "policy": "login"},
    "key is null": {**INLINE, "key": None}, "a number is null": {**INLINE, "capacity": None},
    "a window's number for a bucket": {"key": "x", "algorithm": "token_bucket", "limit": 1,
                                       "window": 1},
    "a reserved name as an attribute": {"attributes": {"cost": 1}},
    "an empty name": {"attributes": {"": 1}}, "2^63": {"attributes": {"n": 2**63}},
    "cost a text": {"policy": "login", "key": "x", "cost": "1.0"},
    "a rate of 0": {**INLINE, "refill_rate": "0.0"}, "no rate": {**INLINE, "refill_rate": "1/0s"},
    "a log of 1,000,001": {"key": "x", "algorithm": "sliding_window", "limit": 1_000_001,
                           "window": 1},
    "a window of 1 us": {"key": "x", "algorithm": "fixed_window", "limit": 1, "window": 0.000001},
    "half a microsecond": {"key": "x", "algorithm": "fixed_window", "limit": 1,
                           "window": 1.0000005},
    "101 of what is no check": {"checks": [1] * 101},
    "empty": {}, "key alone": {"key": "x"}, "an array": [], "no checks": {"checks": []},
    "unknown field": {"policy": "login", "key": "x", "a": 1},
    "cost -1": {"policy": "login", "key": "x", "cost": -1},
    "cost 1.5": {"policy": "login", "key": "x", "cost": 1.5},
    "a list": {"attributes": {"src": []}}, "algorithm": {**INLINE, "algorithm": "leaky"},
    "101": {"checks": [INLINE] * 101}, "both": {"checks": [INLINE], "cost": 1},
    "capacity 0": {**INLINE, "capacity": 0}, "capacity 10^15": {**INLINE, "capacity": 10**15},
    "limit 10^15": {"algorithm": "fixed_window", "limit": 10**15, "window": 1, "key": "x"}, "key a list": {"policy": "login", "key": [1]},
}


@pytest.mark.parametrize("body", named(GOOD_BODIES))
def test_a_good_request_is_described_and_so_is_its_answer(client, body):
    assert is_valid_request(body)
    answer = client.post(body)
    assert answer.status in (200, 429)
    assert_is_described(answer, "post", "/check")


@pytest.mark.parametrize("body", named(BAD_BODIES))
def test_a_bad_request_is_bad_by_the_document_too(client, body):
    assert not is_valid_request(body)
    answer = client.post(body)
    assert answer.status == 400
    assert_is_described(answer, "post", "/check")


GOOD_QUERIES = {
    "a named policy": {"policy": "login", "key": "x", "cost": 0}, "nothing": {},
    "attributes": {"src": "192.0.2.1", "path": "/login"},
    "inline": {"algorithm": "token_bucket", "capacity": 2, "refill_rate": "1/1h", "key": "x"},
    "inline with an attribute": {"algorithm": "fixed_window", "limit": "5", "window": "1m",
                                 "key": "x", "src": "y"},
}
BAD_QUERIES = {
    "key alone": {"key": "x"}, "key beside attributes": {"key": "x", "src": "y"},
    "policy beside algorithm": {"policy": "login", "key": "x", "algorithm": "fixed_window",
                                "limit": 1, "window": 1},
    "inline without key": {"algorithm": "fixed_window", "limit": 1, "window": 1},
    "inline without a number": {"algorithm": "fixed_window", "limit": 1, "key": "x"},
    "an algorithm that is none": {"algorithm": "leaky", "key": "x"},
    "a cost below 0": {"policy": "login", "key": "x", "cost": -1},
    "an empty name": {"": "x"}, "a NUL character": {"src": "\0"},
}


@pytest.mark.parametrize("fields", [*GOOD_QUERIES.values()], ids=[*GOOD_QUERIES])
def test_a_good_query_is_described_and_so_is_its_answer(client, fields):
    assert is_valid_query(fields)
    answer = client.get("/check?" + urllib.parse.urlencode(fields))
    assert answer.status in (200, 429)
    assert_is_described(answer, "get", "/check")


@pytest.mark.parametrize("fields", [*BAD_QUERIES.values()], ids=[*BAD_QUERIES])
def test_a_bad_query_is_bad_by_the_document_too(client, fields):
    assert not is_valid_query(fields)
    answer = client.get("/check?" + urllib.parse.urlencode(fields))
    assert answer.status == 400
    assert_is_described(answer, "get", "/check")


@pytest.mark.parametrize("body", named({
    "a bucket": {**INLINE, "capacity": 10**9, "refill_rate": 0.1},
    "a bucket of text": {**INLINE, "capacity": "1000000000", "refill_rate": "1/1d"},
    "a rate of many digits": {**INLINE, "refill_rate": 0.12345678901234567},
    "a rate near 0": {**INLINE, "refill_rate": 5e-324},
    "a rate that nobody needs": {"attributes": {}, "refill_rate": "1e400"},
    "counters": {"key": "x", "algorithm": "sliding_window_counter", "limit": 10**12, "window": 1}}))
def test_numbers_that_can_not_be_kept_exactly_together_conflict(client, body):
    """A schema can't say which, so they have a status of their own and not that of a bad field."""
    assert is_valid_request(body)
    answer = client.post(body)
    assert answer.status == 409
    assert_is_described(answer, "post", "/check")


@pytest.mark.parametrize("deny_status", ["", "deny_status=401", "deny_status=403"])
def test_denials_are_described(client, deny_status):
    for _ in range(CAPACITY + 1):
        got = client.get(f"/check?policy=login&key=x&{deny_status}")
        posted = client.post({"policy": "login", "key": "y"}, f"/check?{deny_status}")
        assert_is_described(got, "get", "/check")
        assert_is_described(posted, "post", "/check")
    assert got.status == posted.status == int(deny_status[-3:] or 429)


@pytest.mark.parametrize("status, method, arguments", named({
    "400": (400, "get", ("GET", "/check?a=b&a=c")),
    "404": (404, "get", ("GET", "/check?policy=nope&key=x")),
    "409": (409, "get", ("GET", "/check?algorithm=token_bucket&capacity=1000000000&refill_rate=0.1"
                         "&key=x")),
    "405": (405, "get", ("PUT", "/check")),
    "413": (413, "post", ("POST", "/check", b" " * 70000, {"Content-Type": "application/json"})),
    "414": (414, "get", ("GET", "/check?a=" + "b" * 13000)),
    "414 of a POST": (414, "post", ("POST", "/check?a=" + "b" * 13000, b"{}",
                                    {"Content-Type": "application/json"})),
    "415": (415, "post", ("POST", "/check", b"{}", {"Content-Type": "text/plain"})),
    "404 of a POST": (404, "post", ("POST", "/check", b'{"policy":"nope","key":"x"}',
                                    {"Content-Type": "application/json"})),
    "a batch of problems": (200, "post", ("POST", "/check", b'{"checks":[1,{"policy":"a"}]}',
                                          {"Content-Type": "application/json"})),
}))
def test_problems_are_described(client, status, method, arguments):
    answer = client.request(*arguments)
    assert answer.status == status
    assert_is_described(answer, method, "/check")


AUTH = {"X-Original-Method": "GET", "X-Original-Host": "a", "X-Original-URI": "/",
        "X-Real-IP": "192.0.2.1"}


@pytest.mark.parametrize("status, query", named({
    "allowed": (200, "from=nginx&policy=wide&wide=x"), "denied": (403, "from=nginx&policy=login"),
    "a field is missing": (429, "from=caddy&policy=login"),
    "a mistake": (400, "from=nginx&cost=0"),
    "401": (401, "from=nginx&policy=login&deny_status=401"), "404": (404, "from=nginx&policy=no"),
}))
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_answers_to_proxies_are_described(client, status, query, method):
    for _ in range(CAPACITY):
        client.request(method, "/auth?from=nginx&policy=login", headers=AUTH)
    answer = client.request(method, f"/auth?{query}", headers=AUTH)
    assert answer.status == status
    assert_is_described(answer, "get", "/auth")


# Each proxy's fields at once: a proxy reads just its own.
ALL_FIELDS = {**AUTH, "X-Original-URL": "http://a/", "X-Forwarded-Method": "GET",
              "X-Forwarded-Host": "a", "X-Forwarded-Uri": "/", "X-Forwarded-For": "192.0.2.1"}
GOOD_AUTH_QUERIES = {
    **{proxy: {"from": proxy} for proxy in ("traefik", "caddy", "nginx", "ingress-nginx")},
    "envoy": {"from": "envoy", "uri": "/a?b=c"},
    "a status for nginx": {"from": "nginx", "deny_status": 401},
    "a status for caddy": {"from": "caddy", "deny_status": 403},
    "the first entry": {"from": "ingress-nginx", "xff": "001"},
    "headers": {"from": "envoy", "header": ["X-API-Key", "tenant"], "uri": "/"},
    "a header of the name of a parameter": {"from": "nginx", "header": ["From", "xff"]},
    "attributes": {"from": "nginx", "policy": "wide", "wide": "x"},
    "249 attributes": {"from": "nginx", **{f"a{number}": "" for number in range(249)}},
}
BAD_AUTH_QUERIES = {
    "nothing": {}, "no proxy": {"policy": "wide"}, "an unknown proxy": {"from": "haproxy"},
    "uri from another": {"from": "caddy", "uri": "/"}, "xff of nginx": {"from": "nginx", "xff": 1},
    "xff 0": {"from": "caddy", "xff": 0}, "xff 32771": {"from": "caddy", "xff": "32771"},
    "429 for nginx": {"from": "nginx", "deny_status": 429},
    "429 for ingress-nginx": {"from": "ingress-nginx", "deny_status": 429},
    "503": {"from": "caddy", "deny_status": 503}, "key": {"from": "caddy", "key": "x"},
    "cost": {"from": "caddy", "cost": 0}, "src": {"from": "caddy", "src": "192.0.2.1"},
    "a header src": {"from": "caddy", "header": ["SRC"]},
    "a header cost": {"from": "caddy", "header": ["a", "Cost"]},
    "a header twice": {"from": "caddy", "header": ["a", "a"]},
    "no header's name": {"from": "caddy", "header": ["a b"]},
    "250 headers": {"from": "caddy", "header": [f"a{number}" for number in range(250)]},
    "251 attributes": {"from": "nginx", **{f"a{number}": "" for number in range(250)}},
    "an empty name": {"from": "caddy", "": "x"}, "a NUL character": {"from": "caddy", "a": "\0"},
}
# What the description says and a schema can't: contract_hooks.py of tests/proxies/ leaves it out.
BAD_TOGETHER = {
    "headers that differ by case": {"from": "caddy", "header": ["a", "A"]},
    "an attribute and a header": {"from": "caddy", "tenant": "a", "header": ["Tenant"]},
    "too many together": {"from": "caddy", "header": [f"a{number}" for number in range(249)],
                          "tenant": "a"},
    "uri before the others": {"uri": "/", "from": "envoy"},
}


def ask_for_proxy(client, fields):
    return client.request("GET", "/auth?" + urllib.parse.urlencode(fields, doseq=True, safe="/"),
                          headers=ALL_FIELDS)


@pytest.mark.parametrize("fields", [*GOOD_AUTH_QUERIES.values()], ids=[*GOOD_AUTH_QUERIES])
def test_a_good_query_of_a_proxy_is_described_and_so_is_its_answer(client, fields):
    assert is_valid_query(fields, "/auth")
    answer = ask_for_proxy(client, fields)
    assert answer.status == 200
    assert_is_described(answer, "get", "/auth")


@pytest.mark.parametrize("fields", [*BAD_AUTH_QUERIES.values()], ids=[*BAD_AUTH_QUERIES])
def test_a_bad_query_of_a_proxy_is_bad_by_the_document_too(client, fields):
    assert not is_valid_query(fields, "/auth")
    answer = ask_for_proxy(client, fields)
    assert answer.status == 400
    assert_is_described(answer, "get", "/auth")


@pytest.mark.parametrize("fields", [*BAD_TOGETHER.values()], ids=[*BAD_TOGETHER])
def test_parameters_that_do_not_go_together_are_bad_as_their_description_says(client, fields):
    assert is_valid_query(fields, "/auth")
    assert ask_for_proxy(client, fields).status == 400


@pytest.mark.parametrize("query, status", [("from=nginx&a=", 403), ("a=", 414)])
def test_a_line_that_is_too_long_is_described_for_proxies(client, query, status):
    answer = client.get(f"/auth?{query}{'b' * 33000}", AUTH)
    assert answer.status == status
    assert_is_described(answer, "get", "/auth")


PAGES = [path for path in DOCUMENT["paths"]
         if path not in ("/check", "/auth", "/explain", "/balances/{policy}", "/exceptions/{policy}",
                         "/policies", "/policies/history")]  # these want --policies store:


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_described(client, path):
    for number in range(40):
        client.check(policy="login", key=f"{number % 7}")
    client.post(INLINE)
    for method in ("GET", "POST"):
        answer = client.request(method, path)
        assert answer.status == {"GET": 200, "POST": 405}[method]
        assert_is_described(answer, "get", path)


def test_the_document_is_served_as_it_is(client):
    assert client.get("/openapi.json").json == DOCUMENT


def test_errors_of_the_store_are_described(start_agent):
    agent = start_agent("--on-error", "deny", http=True, store="redis://127.0.0.1:1",
                        policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        answer = client.check_get(policy="login", key="x")
        assert answer.status == 503
        assert_is_described(answer, "get", "/check")
        assert_is_described(client.post({"policy": "login", "key": "x"}), "post", "/check")
        assert_is_described(client.post({"checks": [INLINE]}), "post", "/check")
        answer = client.get("/auth?from=nginx&policy=login", AUTH)
        assert answer.status == 403
        assert_is_described(answer, "get", "/auth")
        wait_until(lambda: client.get("/health").json["store"]["state"] == "down", "an outage")
        for path in ("/health", "/status"):
            assert_is_described(client.get(path), "get", path)


def test_an_end_of_readiness_is_described(start_agent):
    agent = start_agent("--drain-delay", "60s", http=True, policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        agent.signal(signal.SIGTERM)
        answer = wait_until(lambda: (got := client.get("/ready")).status == 503 and got, "503")
        assert_is_described(answer, "get", "/ready")


def test_a_missing_token_is_described(start_agent, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    token.chmod(0o600)
    agent = start_agent("--http-token-file", token, http=True, policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        for path in ("/check", "/metrics", "/status", "/top"):
            answer = client.get(path)
            assert answer.status == 401
            assert_is_described(answer, "get", path)
            good = client.get(path, {"Authorization": "Bearer secret"})
            assert_is_described(good, "get", path)
            assert good.status == 200
        assert client.get("/health").status == client.get("/ready").status == 200


def test_the_document_itself():
    text = json.dumps(DOCUMENT)
    assert re.fullmatch(r"3\.1\.\d", DOCUMENT["openapi"])
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for reference in re.findall(r'"\$ref": "([^"]+)"', text):
        assert resolve({"$ref": reference})
    for kind in ("schemas", "responses", "headers"):
        for name in DOCUMENT["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, f"{name} is used nowhere"
    operations = [one["operationId"] for path in DOCUMENT["paths"].values()
                  for one in path.values()]
    assert len(operations) == len(set(operations))
