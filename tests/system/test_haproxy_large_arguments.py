"""Requests whose attributes do not fit into one frame: nobody gets around a limit by a long one."""

import pytest

import http2
from examples import NAMES, PATIENT, asked
from haproxy import SHIPPED
from processes import wait_until
from web import get

LONGEST = 14000  # of a path that HAProxy's buffer of 16 KB takes with the rest of a request
MORE = ("    args ", "    args url=url again=url ")


@pytest.fixture(name="shipped")
def start_shipped(start_agent, start_haproxy):
    """HAProxy with the shipped files, which may have other arguments."""
    def start(*spoe):
        agent = start_agent(policies=(SHIPPED / "policies.json").read_text(), http=True)
        haproxy = start_haproxy(agent.address, spoe=[*PATIENT, *spoe])
        wait_until(lambda: haproxy.agent_is("UP"), "the agent")
        haproxy.agent = agent
        return haproxy
    return start


def test_what_the_shipped_files_send_always_fits(shipped):
    haproxy = shipped()

    assert get(haproxy.port, path="/" + LONGEST * "a").was_asked
    assert get(haproxy.port, headers={"Host": LONGEST * "a"}).was_asked
    assert get(haproxy.port, path="/" + 7000 * "a", headers={"Host": 7000 * "a"}).was_asked
    assert http2.ask(haproxy.port, path=b"/" + LONGEST * b"a")[0] == 200
    assert asked(haproxy) == 4


def test_what_does_not_fit_is_refused(shipped):
    haproxy = shipped(MORE)

    assert get(haproxy.port, path="/" + 5000 * "a").was_asked  # it is sent three times
    for length in (9000, LONGEST):
        answer = get(haproxy.port, path="/" + length * "a")
        assert (answer.status, answer.was_asked) == (413, False)
    assert http2.ask(haproxy.port, path=b"/" + LONGEST * b"a")[0] == 413
    assert get(haproxy.port).was_asked
    assert asked(haproxy) == 2


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tcp"])
def test_what_does_not_fit_is_refused_by_each_example(start_agent, start_haproxy, name):
    folder = SHIPPED / "examples" / name
    agent = start_agent(policies=(folder / "policies.json").read_text())
    haproxy = start_haproxy(agent.address, folder=folder, spoe=[*PATIENT, MORE])
    wait_until(lambda: haproxy.agent_is("UP"), "the agent")

    answer = get(haproxy.port, method="POST", path="/" + LONGEST * "a")

    assert answer.status == 413
