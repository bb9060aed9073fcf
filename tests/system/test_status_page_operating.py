"""What an operator does on the page at /, in a real browser: clients that are looked up, changes
with a token, and the list of exceptions."""

import json
import urllib.parse

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from agent import bucket, policies_text, window
from http_client import HttpClient
from test_admin_tokens import ANN, ASKER, bearer
from test_http_status_page import (HOSTILE, assert_nothing_ran, browser, open_page,
                                   plain)  # pylint: disable=unused-import

POLICIES = policies_text(
    login={**window(5), "match": {"path": "/login"}}, per_ip=bucket(50),
    pair=window(7, key=["src", "user"]), everybody=window(100, key=[]))
CLIENT = "203.0.113.9"


class Operator(HttpClient):
    """Who has an admin's token; `page` is the browser's."""

    page = None

    def request(self, method, path, body=None, headers=None):
        return super().request(method, path, body, {**bearer(ANN), **(headers or {})})

    def block(self, policy="", **names):
        path = f"/exceptions{policy and '/'}{policy}?{urllib.parse.urlencode(names)}"
        answer = self.request("PUT", path, json.dumps({"blocked": True}),
                              {"Content-Type": "application/json"})
        assert answer.status == 200, answer
        return answer.json["id"]

    def exceptions(self):
        return self.get("/exceptions").json["exceptions"]


def state(page):
    return page.run("return document.querySelector('#state').dataset.state")


def focus(page):
    return page.run("return document.activeElement.id")


def is_shown(page, selector):
    return page.run("return document.querySelector(arguments[0]).checkVisibility()", selector)


def press(page, *keys):
    ActionChains(page.driver).send_keys(*keys).perform()


def tab_to(page, selector):
    """Goes there as who has no pointer does."""
    for _ in range(60):
        if page.run("return document.activeElement.matches(arguments[0])", selector):
            return
        press(page, Keys.TAB)
    raise AssertionError(f"{selector} can't be reached by the keyboard")


def wait_for_text(page, selector, *words):
    page.wait_for(lambda: all(word in page.text(selector) for word in words), f"{words}")


def look_up(page, names, policy=""):
    for selector, text in (("#look-names", names), ("#look-policy", policy)):
        page.find(selector).clear()
        page.find(selector).send_keys(text)
    page.run("document.querySelector('#look-said').textContent = ''")
    page.find("#look-form button").click()
    wait_for_text(page, "#look-said", " ")
    return page.text("#look-said")


@pytest.fixture
def start_operated(start_agent, tmp_path):
    def start_with(*tokens, store=None):
        options = ["--store-timeout", "2s"]
        for option, text in tokens:
            file = tmp_path / option
            file.write_text(text + "\n")
            file.chmod(0o600)
            options += [f"--{option}-token-file", file]
        agent = start_agent(*options, http=True, policies=POLICIES, store=store)
        return agent if store is None else agent.wait_for_store()
    return start_with


def open_with_token(open_page, address, token):  # pylint: disable=redefined-outer-name
    page = open_page(f"http://{address}/")
    page.wait_for(lambda: state(page) == "token", "the question for a token")
    press(page, token, Keys.ENTER)  # the focus is there already
    page.wait_for(lambda: state(page) == "live", "an answer")
    page.driver.get_log("browser")  # that a token was missing
    return page


@pytest.fixture
def operator(start_operated, open_page):  # pylint: disable=redefined-outer-name
    """On the page of an agent that knows the operator, whose token has been typed."""
    agent = start_operated(("admin", f"ann {ANN}"))
    with Operator(agent) as client:
        client.page = open_with_token(open_page, agent.http_address, ANN)
        yield client


def test_by_the_keyboard_alone_a_client_is_looked_up_blocked_and_let_go(operator):
    page = operator.page

    tab_to(page, "#look-names")
    press(page, f"src={CLIENT}", Keys.TAB, "login", Keys.ENTER)
    wait_for_text(page, "#look-said", "Would be allowed: ok, least is left of login")
    assert focus(page) == "look-policy"
    tab_to(page, "#change-note")
    press(page, "scans", Keys.ENTER)  # is no decision
    tab_to(page, "#block")
    press(page, Keys.ENTER)
    wait_for_text(page, "#change-said", f"Blocked: src={CLIENT} under login", "this agent alone")
    wait_for_text(page, "#look-said", "Would be denied: blocked, by login")
    assert focus(page) == "block"

    exception, = operator.exceptions()
    assert (exception["who"], exception["note"], exception["policy"]) == ("ann", "scans", "login")
    assert operator.check(attributes={"src": CLIENT, "path": "/login"}).json["reason"] == "blocked"
    assert operator.check(attributes={"src": CLIENT, "path": "/"}).json["allowed"]

    page.wait_for(lambda: page.texts("#exception-rows .remove"), "the exception")
    tab_to(page, "#exception-rows .remove")
    press(page, Keys.SPACE)
    wait_for_text(page, "#exceptions-said", f"Removed: blocked for src={CLIENT}")
    page.wait_for(lambda: focus(page) == "exceptions-title", "the focus")
    assert operator.exceptions() == []
    assert operator.check(attributes={"src": CLIENT, "path": "/login"}).json["allowed"]
    assert page.complaints() == []


def test_a_key_that_is_denied_is_a_click_from_its_balance_and_its_reset(operator):
    page = operator.page
    for _ in range(9):
        operator.check(policy="pair", attributes={"src": CLIENT, "user": "a|b %2f \x1b\u202e"})
    page.wait_for(lambda: page.texts("#top-denied button.key") ==
                  [f"{CLIENT}|a%7cb%20%252f%20%1b%e2%80%ae"], "the key")

    page.find("#top-denied button.key").click()
    wait_for_text(page, "#look-said", "Would be denied: limited, by pair")
    assert page.run("return document.querySelector('#look-names').value") == \
        f'src={CLIENT} user="a|b %2f \\x1b\\u202e"'
    assert focus(page) == "asked-title"
    assert page.texts("#balance-rows [data-col=used]") == ["7"]
    page.find("#reset").click()

    wait_for_text(page, "#change-said", "Full again: ", "1 balance")
    wait_for_text(page, "#look-said", "Would be allowed")
    wait_for_text(page, "#balances-note", "nothing is used")
    assert operator.check(policy="pair", attributes={
        "src": CLIENT, "user": "a|b %2f \x1b\u202e"}).json["remaining"] == 6
    assert page.complaints() == []


def test_a_request_is_looked_up_by_all_policies_and_narrowed_to_one(operator):
    page = operator.page

    assert "least is left of login" in look_up(page, f"src={CLIENT} path=/login")
    assert page.texts("#applying-rows th") == ["login", "per-ip", "everybody"]
    assert page.text("#others-count") == "1 policy does not apply"
    assert page.texts("#other-rows td") == \
        ['key: no attribute "user"; there are "src", "path"']
    assert not is_shown(page, "#reset")  # of which policy?
    page.find("#applying-rows button").click()

    page.wait_for(lambda: page.texts("#asked-title") == [f"src={CLIENT} under login"], "one policy")
    assert is_shown(page, "#reset")
    look_up(page, f"src={CLIENT} path=/login", "login")  # whose key is `src` alone
    assert page.text("#balances-note") == "nothing is used; of this agent"
    look_up(page, f"src={CLIENT} path=/login")
    page.find("#allow").click()
    wait_for_text(page, "#change-said", "Not checked: ")
    wait_for_text(page, "#look-said", "Would be allowed", "decided")
    assert operator.exceptions()[0]["names"] == {"src": CLIENT, "path": "/login"}


def test_the_entry_of_a_list_and_the_line_of_a_file_are_named(start_agent, open_page, tmp_path):
    (tmp_path / "blocked.txt").write_text("# scanners\n198.51.100.0/24\n")
    (tmp_path / "paths.txt").write_text("/x\n/login\n")
    file = tmp_path / "policies.json"
    file.write_text(json.dumps({
        "block": [{"src": "203.0.113.9"}, {"src": "@blocked.txt", "path": ["/a", "/login"]}],
        "policies": {"login": {**window(3), "match": {"path": "@paths.txt"}}}}))
    agent = start_agent("--policies", file, http=True)
    page = open_page(f"http://{agent.http_address}/")
    page.wait_for(lambda: state(page) == "live", "an answer")

    said = look_up(page, "src=198.51.100.7 path=/login")
    assert said.startswith("Would be denied: blocked")
    assert "The policy file’s list block decided: block[1] fits by block[1].src: blocked.txt, line 2 " \
           "and block[1].path[1]: /login." in said
    assert "list" not in look_up(page, "src=192.0.2.7 path=/login")
    assert "by policies.login.match.path: paths.txt, line 2" in page.text("#applying-rows")


@pytest.mark.parametrize("names, policy, words", [
    ("", "", "Type at least one attribute"), ("src", "", "Write name=value"),
    ('src="a', "", "Write name=value"), ("src=a src=b", "", "src is there twice"),
    (r'src="\ud800"', "", "half a character"), ("src=a", "nobody", "nobody"),
    ("cost=x src=a", "", "cost"),
])
def test_what_is_typed_wrong_is_said_and_changes_nothing(operator, names, policy, words):
    assert words in look_up(operator.page, names, policy)


@pytest.mark.parametrize("time, names, words", [
    ("soon", "src=a", "for: "), ("1h", "src=10.0.0.0/7", "wide"), ("1h", "path=@x", "@"),
])
def test_a_change_that_is_refused_says_why(operator, time, names, words):
    look_up(operator.page, names)
    operator.page.find("#change-for").clear()
    operator.page.find("#change-for").send_keys(time)
    operator.page.find("#block").click()

    wait_for_text(operator.page, "#change-said", "Not done: ", words)
    assert operator.exceptions() == []


def test_without_a_token_nothing_can_be_changed(start_operated, open_page):
    """On an agent that has no operators, whose page everybody on this machine may see."""
    agent = start_operated()
    page = open_page(f"http://{agent.http_address}/")
    page.wait_for(lambda: state(page) == "live", "an answer")
    look_up(page, f"src={CLIENT}", "login")

    for selector in ("#change-form", "#block", "#allow", "#reset"):
        assert not is_shown(page, selector)
    page.find("#admin-token").send_keys("a-guess\n")
    page.wait_for(lambda: is_shown(page, "#block"), "the buttons")
    page.find("#block").click()
    wait_for_text(page, "#change-said", "Not done: a change needs a token of "
                                        "--admin-token-file", "set one of these options")
    page.find("#reset").click()
    wait_for_text(page, "#change-said", "Not done: ")
    with HttpClient(agent) as client:
        assert client.get("/exceptions").json["exceptions"] == []
        assert client.check(attributes={"src": CLIENT, "path": "/login"}).json["allowed"]
    page.find("#forget").click()
    assert not is_shown(page, "#block") and is_shown(page, "#admin-token")


def test_the_askers_token_shows_the_page_and_changes_nothing(start_operated, open_page):
    agent = start_operated(("http", ASKER))
    page = open_with_token(open_page, agent.http_address, ASKER)

    look_up(page, f"src={CLIENT}", "login")
    page.find("#block").click()

    wait_for_text(page, "#change-said", "Not done: a change needs a token")


def test_with_redis_a_change_is_for_all_agents_and_without_it_there_is_none(
        start_operated, open_page, redis):
    agent = start_operated(("admin", f"ann {ANN}"), store=redis.url)
    page = open_with_token(open_page, agent.http_address, ANN)
    look_up(page, f"src={CLIENT}", "login")
    assert page.text("#balances-note") == "nothing is used; of all agents"
    page.find("#block").click()
    wait_for_text(page, "#change-said", "Blocked: ", "on all agents of its store")

    redis.kill()
    agent.wait_for_event("store_down")
    page.find("#reset").click()

    wait_for_text(page, "#change-said", "Not done: ", "the store")
    wait_for_text(page, "#exceptions-note", "the store is away, and this is what this agent knows")
    look_up(page, "src=x", "login")
    wait_for_text(page, "#balances-note", "the store is away")


def test_many_exceptions_are_listed_in_parts(operator):
    page, count = operator.page, "return document.querySelectorAll('#exception-rows tr').length"
    for number in range(1003):
        operator.block("login", src=f"10.0.{number // 256}.{number % 256}")
    page.run("listExceptions()")
    page.wait_for(lambda: page.run(count) == 1000, "the first ones")
    assert page.text("#exceptions-note") == "1,003, of this agent"

    page.find("#exceptions-next").click()
    page.wait_for(lambda: page.run(count) == 3, "the next ones")
    assert not is_shown(page, "#exceptions-next")
    page.find("#exceptions-first").click()
    page.wait_for(lambda: page.run(count) == 1000, "the first ones again")


def test_the_token_is_in_the_memory_of_the_page_alone(operator):
    page = operator.page

    kept = page.run("return JSON.stringify([{...sessionStorage}, {...localStorage},"
                    "document.cookie, location.href, document.documentElement.outerHTML,"
                    "[...document.querySelectorAll('input')].map(input => input.value)])")
    assert ANN not in kept
    page.driver.refresh()
    page.wait_for(lambda: state(page) == "token", "the question for a token")
    assert page.texts("#policy-rows th") == []


def test_the_focus_and_what_is_typed_stay_when_the_page_refreshes(operator):
    page = operator.page
    for name in ("a", "b", "c"):
        operator.block("login", src=name)
    page.run("listExceptions()")
    page.wait_for(lambda: len(page.texts("#exception-rows .remove")) == 3, "the exceptions")
    page.find("#look-names").send_keys("src=half")
    page.run("document.querySelectorAll('#exception-rows .remove')[1].focus();"
             "window.focused = document.activeElement")

    operator.block("login", src="d")
    page.run("listExceptions(); tick()")
    page.wait_for(lambda: len(page.texts("#exception-rows .remove")) == 4, "a refresh")
    uptime = page.text("#uptime")
    page.wait_for(lambda: page.text("#uptime") != uptime, "another refresh")

    assert page.run("return document.activeElement === window.focused")
    assert page.run("return document.querySelector('#look-names').value") == "src=half"


def nodes_of(page):
    """The tree that a screen reader reads: (role, name), in no order."""
    nodes = page.tell("Accessibility.getFullAXTree")["nodes"]
    return [(node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes if not node["ignored"]]


def test_a_screen_reader_has_names_for_all_of_it(operator):
    page = operator.page
    operator.check(policy="login", key=CLIENT)
    operator.block("login", src=CLIENT)
    look_up(page, f"src={CLIENT}", "login")
    page.run("listExceptions()")
    page.wait_for(lambda: page.texts("#exception-rows .remove"), "the exceptions")

    nodes = nodes_of(page)
    wanted = {("search", "Look up a client"), ("textbox", "Attributes"), ("combobox", "Policy"),
              ("form", "Change"), ("textbox", "For"), ("textbox", "Note"), ("button", "Block"),
            ("button", "Log scale"), ("table", "Exceptions"), ("table", "Balances"),
            ("table", "Policies"), ("heading", f"src={CLIENT} under login"),
            ("button", f"Remove: blocked, src={CLIENT}, login"),
            ("columnheader", "Until"), ("rowheader", f"src={CLIENT}")}
    assert wanted - set(nodes) == set()
    unnamed = [role for role, name in nodes if not name and role in (
        "button", "textbox", "combobox", "checkbox", "table", "region", "form", "image", "link")]
    assert unnamed == []
    assert page.run("return ['state', 'look-said', 'change-said', 'exceptions-said'].every("
                    "id => document.getElementById(id).role === 'status')")


def test_the_arrow_keys_read_the_chart_and_a_click_makes_it_logarithmic(operator):
    page = operator.page
    page.run("""show = () => {}; // from now on the agent's answers
        shown.history = {step_s: 1, steps_max: 150, end_ms: Date.now(),
            allowed: [3, 3, 50000, 3, 2], blocked: [0, 0, 40000, 0, 0]};
        showChart(shown.history);
        document.querySelector('#chart').focus();""")
    height = """const svg = document.querySelector('#chart'), {y} = picture;
        return (y(0) - y(3)) / svg.clientHeight"""
    press(page, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert "3.0 allowed, 0 denied" in page.text("#readout")
    assert page.run(height) < 0.01

    page.find("#log-scale").click()

    assert page.run(height) > 0.08
    assert page.run("return document.querySelector('#log-scale').getAttribute('aria-pressed')") \
        == "true"
    assert "on a log scale" in page.run("return document.querySelector('#chart').ariaLabel")
    assert page.run("return [...document.querySelectorAll('#chart text')].map(e => e.textContent)"
                    ".filter(text => !/min|now/.test(text))") == \
        ["0", "1", "10", "100", "1,000", "10k", "100k"]


def test_hostile_clients_are_text_and_can_be_typed(operator):
    page = operator.page
    for text in HOSTILE:
        assert page.run("const pairs = [['src', arguments[0]], ['__proto__', arguments[0]]];"
                        "return JSON.stringify(readNames(writeNames(pairs))) ==="
                        "JSON.stringify(pairs)", text), text
    hostile = HOSTILE[0] + "\u202e\x1b[31m\u2028\"\\"
    typed = page.run("return writeNames([['src', arguments[0]]])", hostile)
    assert look_up(page, typed, "login").startswith("Would be allowed")
    page.find("#block").click()
    wait_for_text(page, "#look-said", "Would be denied: blocked")

    assert operator.check(policy="login", key=hostile).json["reason"] == "blocked"
    page.wait_for(lambda: page.texts("#exception-rows th"), "the exception")
    assert page.texts("#asked-title") == [typed + " under login"]
    assert page.texts("#exception-rows th") == page.texts("#found-rows th") == [typed]
    assert plain(typed) == typed
    assert_nothing_ran(page)


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_sticks_out_of_a_narrow_screen(operator, width):
    page = operator.page
    page.tell("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500})
    operator.block(src="a" * 400, path="/" + "b" * 90)
    look_up(page, "src=" + "a" * 400 + " path=/login user=x")
    page.find("#block").click()
    wait_for_text(page, "#change-said", "Blocked: ")
    page.wait_for(lambda: len(page.texts("#exception-rows .remove")) == 2, "the exceptions")

    assert page.run("return innerWidth") == width
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_it_says_whose_numbers_these_are(operator):
    assert operator.address in operator.page.text("#whose")
    assert "alone" in operator.page.text("#whose")
