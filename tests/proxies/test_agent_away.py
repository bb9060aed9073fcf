"""What each recipe does when the agent is gone, and when it hangs."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent import bucket, kept_for_another, policies_text
from cases import named
from client import ask, statuses
from processes import wait_until
from proxy_recipes import GOES_ON, RECIPES
from site_behind import Site

LIMIT = 3
POLICIES = policies_text(per_ip=bucket(LIMIT))
VISITOR, DENIED = "127.0.0.2", "127.0.0.3"
# 500 ms is what the page says; a busy machine may take longer.
SOON = 3


@pytest.fixture(name="proxy", params=GOES_ON)
def proxy_that_goes_on(request, start_proxy):
    proxy = start_proxy(request.param, POLICIES, is_patient=False)
    wait_until(lambda: ask(proxy.port, DENIED).status == 429, "the denial of a visitor")
    return proxy


def ask_often(proxy):
    """The answers to requests of two visitors at once, one of whom the agent had denied."""
    requests = 30 * [(visitor, method, body) for visitor in (VISITOR, DENIED)
                     for method, body in (("GET", None), ("POST", b"x"))]
    with ThreadPoolExecutor(12) as pool:
        return list(pool.map(lambda request: ask(
            proxy.port, request[0], request[1], body=request[2]), requests))


def assert_all_pass(proxy):
    reached = proxy.site.requests
    answers = ask_often(proxy)
    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < SOON
    assert proxy.site.requests == reached + len(answers)


def test_requests_go_on_when_the_agent_is_gone(proxy, start_agent):
    proxy.agent.kill()

    with kept_for_another(proxy.agent.http_address):
        assert_all_pass(proxy)

        start_agent(http=proxy.agent.http_address, policies=POLICIES)
    wait_until(lambda: 429 in statuses(proxy.port, DENIED, LIMIT + 1), "limits of a new agent")


def test_requests_go_on_while_the_agent_hangs(proxy):
    proxy.agent.signal(signal.SIGSTOP)

    assert_all_pass(proxy)

    proxy.agent.signal(signal.SIGCONT)
    wait_until(lambda: ask(proxy.port, DENIED).status == 429, "limits after the agent hung")


@pytest.mark.parametrize("recipe", ["traefik-failover", "caddy", "envoy"])
def test_requests_soon_no_longer_wait_for_an_agent_that_hangs(recipe, start_proxy):
    """A question takes 500 ms, until a health check fails."""
    proxy = start_proxy(recipe, POLICIES, is_patient=False)
    proxy.agent.signal(signal.SIGSTOP)

    wait_until(lambda: max(ask(proxy.port, VISITOR).seconds for _ in range(3)) < 0.4,
               "requests that do not wait")


@pytest.mark.parametrize("status, passes", [
    (503, True), (429, False), (403, False), (400, False), (404, False)])
@pytest.mark.parametrize("recipe", GOES_ON)
def test_an_answer_lets_pass_only_if_it_is_a_fault(recipe, site, started, tmp_path, status, passes):
    agent = Site()
    started.append(agent)
    started.append(proxy := RECIPES[recipe](tmp_path, agent.address, site.address))
    reached = site.requests

    agent.status = status
    got = ask(proxy.port, VISITOR, "POST", body=b"x").status

    assert site.requests == reached + passes
    assert (got == 200) == passes


# The recipe, what the page says to change in it, and what visitors get: with the agent gone, while
# the agent hangs, and after how many seconds at most.
REFUSES = named({
    "traefik": ("traefik", [], {500}, {500}, 30 + SOON),
    "caddy": ("caddy", [("reverse_proxy @away 127.0.0.1:8000", "")], {502, 503}, {503, 504}, SOON),
    "envoy": ("envoy", [("failure_mode_allow: true", "failure_mode_allow: false")], {403}, {403},
              SOON),
    "ingress-nginx": ("ingress-nginx", [("error_page 502 503 504 = /.ratelimit-away;", "")], {500},
                      {500}, SOON)})


@pytest.mark.parametrize("recipe, edits, gone, hung, seconds", REFUSES)
def test_requests_are_refused_where_the_page_says_so(
        start_proxy, recipe, edits, gone, hung, seconds):
    proxy = start_proxy(recipe, POLICIES, edits, is_patient=False)
    wait_until(lambda: ask(proxy.port, VISITOR).status == 200, "an answer of the site")
    reached = proxy.site.requests

    proxy.agent.signal(signal.SIGSTOP)
    answers = [ask(proxy.port, VISITOR) for _ in range(1 if seconds > SOON else 10)]
    assert {answer.status for answer in answers} <= hung
    assert max(answer.seconds for answer in answers) < seconds

    proxy.agent.kill()
    wait_until(lambda: {ask(proxy.port, VISITOR).status} <= gone, f"one of {gone}")
    answers = [ask(proxy.port, VISITOR) for _ in range(10)]
    assert {answer.status for answer in answers} <= gone
    assert max(answer.seconds for answer in answers) < SOON
    assert proxy.site.requests == reached
