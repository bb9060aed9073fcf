"""Each recipe: who is limited, and what a denied visitor gets."""

import pytest

from agent import bucket, policies_text, window
from client import HOST, Talk, ask, statuses
from proxy_recipes import BEHIND_CDN, PAGE, RECIPES
from site_behind import Site

LIMIT = 3
POLICIES = policies_text(per_ip=bucket(LIMIT))


def test_each_visitor_has_a_balance(recipe, start_proxy):
    proxy = start_proxy(recipe, POLICIES)
    reached = proxy.site.requests

    for visitor in ("127.0.0.2", "127.0.0.3"):
        assert statuses(proxy.port, visitor, LIMIT + 2) == [200] * LIMIT + [429] * 2
    assert proxy.site.requests == reached + 2 * LIMIT


# What of the agent's answer reaches a visitor who is denied, and one who is not.
ALL = {"retry-after", "ratelimit", "ratelimit-policy", "cache-control"}
REACHES = {"traefik": (ALL, set()), "traefik-failover": (ALL, set()), "caddy": (ALL, set()),
           "envoy": (ALL, {"ratelimit", "ratelimit-policy"}),
           "nginx": (ALL - {"cache-control"}, {"ratelimit", "ratelimit-policy"}),
           "ingress-nginx": ({"retry-after"}, set())}


def test_a_denied_visitor_gets_what_the_page_says(recipe, start_proxy):
    proxy = start_proxy(recipe, POLICIES)

    answers = [ask(proxy.port, "127.0.0.2") for _ in range(LIMIT + 1)]

    of_denied, of_allowed = REACHES[recipe]
    assert ALL & set(answers[0].headers) == of_allowed
    assert ALL & set(answers[-1].headers) == of_denied
    assert 3500 < int(answers[-1].headers["retry-after"]) <= 3600
    if "ratelimit" in of_denied:
        assert answers[-1].headers["ratelimit"].startswith('"per-ip";r=0;t=')
    if "nginx" in recipe:
        assert answers[-1].body == b"slow down\n"
    else:
        assert answers[-1].headers["content-type"].startswith("application/json")
        assert b'"allowed":false' in answers[-1].body


def test_ingress_nginx_keeps_what_is_no_denial_of_the_agent(start_proxy):
    proxy = start_proxy("ingress-nginx", POLICIES, [
        ("error_page 403", "deny 127.0.0.9; error_page 403")])

    assert ask(proxy.port, "127.0.0.9").status == 403
    assert ask(proxy.port, "127.0.0.2", target="/forbidden").status == 403


def test_ingress_nginx_says_403_without_the_snippet(start_proxy):
    proxy = start_proxy("ingress-nginx", POLICIES, [("error_page 403 = /.ratelimit-denied;", "")])

    answers = [ask(proxy.port, "127.0.0.2") for _ in range(LIMIT + 1)]

    assert [answer.status for answer in answers] == [200] * LIMIT + [403]
    assert not ALL & set(answers[-1].headers)


CDN = "127.0.0.8"


@pytest.mark.parametrize("name", BEHIND_CDN)
def test_behind_a_cdn_its_visitors_count(start_proxy, name):
    networks = [] if name == "envoy" else [("198.51.100.0/24", f"{CDN}/32")]
    proxy = start_proxy(BEHIND_CDN[name], policies_text(login=bucket(LIMIT) | {
        "match": {"path": "/login", "method": "POST", "host": HOST}}), networks)

    def ask_by_cdn(entries):
        return ask(proxy.port, CDN, "POST", "/login", [
            ("X-Forwarded-For", entries), ("X-Forwarded-Method", "GET"),
            ("X-Forwarded-Uri", "/"), ("X-Forwarded-Host", "elsewhere")], b"").status

    for visitor in ("203.0.113.1", "203.0.113.2"):
        # What stands before the entry of the CDN was written by the visitor.
        for entries in (visitor, f"192.0.2.1, {visitor}", f"{visitor}, {visitor}"):
            assert ask_by_cdn(entries) == 200
        assert ask_by_cdn(f"192.0.2.2, {visitor}") == 429


@pytest.mark.parametrize("name, direct", [("traefik", 429), ("caddy", 429),
                                          ("ingress-nginx", 200)])
def test_who_comes_around_the_cdn_has_one_address(start_proxy, name, direct):
    proxy = start_proxy(BEHIND_CDN[name], POLICIES, [("198.51.100.0/24", f"{CDN}/32")])

    got = [ask(proxy.port, "127.0.0.2", headers=[("X-Forwarded-For", f"203.0.113.{number}")]).status
           for number in range(LIMIT + 1)]

    assert got == [direct] * LIMIT + [429]


# What the agent does not get, by recipe. Caddy and ingress-nginx can't pass on only what is named.
SECRETS = {"cookie", "authorization"}
PASSED = {name: {"x-other"} if name in ("caddy", "ingress-nginx") else set() for name in RECIPES}


def test_the_agent_gets_no_secrets(recipe, site, started, tmp_path):
    agent = Site()
    started.append(agent)
    started.append(proxy := RECIPES[recipe](tmp_path, agent.address, site.address))
    sent = [("Cookie", "session=1"), ("Authorization", "Bearer x"), ("X-Other", "1")]

    assert ask(proxy.port, "127.0.0.2", "POST", "/a?b", sent, b"body").status == 200

    asked = [seen for seen in agent.seen if seen.target.startswith("/auth?")][-1]
    assert asked.body_bytes == 0
    assert (SECRETS | {"x-other"}) & set(asked.headers) == PASSED[recipe]
    reached = site.seen[-1]
    assert (reached.method, reached.target, reached.body_bytes) == ("POST", "/a?b", 4)
    assert {name.lower(): value for name, value in sent}.items() <= reached.headers.items()


def test_the_longest_answer_is_understood(recipe, start_proxy):
    policies = {f"{number:02}" + 62 * "x": window(10**14, "1h", "fixed_window")
                for number in range(15)}
    proxy = start_proxy(recipe, policies_text(**policies, last=bucket(LIMIT)))

    assert statuses(proxy.port, "127.0.0.2", LIMIT + 2) == [200] * LIMIT + [429] * 2


def test_large_cookies_pass(recipe, start_proxy):
    proxy = start_proxy(recipe, POLICIES)
    # nginx takes 8 KB in one line.
    cookies = [("Cookie", f"{name}=" + 6500 * "x") for name in "ab"]

    assert statuses(proxy.port, "127.0.0.2", LIMIT + 1, headers=cookies) == [200] * LIMIT + [429]


@pytest.mark.parametrize("size", [33_000, 45_000, 58_000])
def test_a_request_that_is_too_large_for_the_agent_is_denied(recipe, start_proxy, size):
    """A proxy that took the end of the connection for an agent that is away would go on."""
    proxy = start_proxy(recipe, POLICIES)
    reached = proxy.site.requests

    got = [ask(proxy.port, "127.0.0.2", target=target, headers=fields).status
           for target, fields in [("/" + size * "x", []), ("/", [("Host", size * "x")])] * 10]

    # Those other than 429 are the proxy's own.
    assert set(got) <= {400, 414, 429, 431}
    assert proxy.site.requests == reached


def test_requests_without_a_host_are_no_way_around(recipe, start_proxy):
    proxy = start_proxy(recipe, POLICIES)
    reached = proxy.site.requests

    for _ in range(LIMIT + 3):
        with Talk(proxy.port, "127.0.0.2", b"GET / HTTP/1.0\r\n\r\n") as talk:
            last = talk.read_answer()

    assert last in (426, 429)  # Envoy takes no HTTP/1.0
    assert proxy.site.requests <= reached + LIMIT


def test_all_that_caddy_takes_from_a_visitor_is_taken_by_the_agent(start_proxy):
    proxy = start_proxy("caddy", POLICIES)

    got = [ask(proxy.port, "127.0.0.2", headers=[("X-Large", size * "x")]).status
           for size in (20_000, 40_000)]

    assert got == [200, 431]


def test_the_table_of_the_page_has_every_recipe():
    for title in ("Traefik", "Caddy", "Envoy", "ingress-nginx"):
        assert f"| [{title}](#{title.lower()})" in PAGE
        assert f"\n## {title}\n" in PAGE
