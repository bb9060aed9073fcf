"""The page at /, in a real browser."""

import http.server
import json
import threading
import unicodedata

import pytest

from agent import bucket, policies_text
from browser import Browser
from http_client import CAPACITY, POLICIES, HttpClient

LIVE = "#state[data-state=live]"
HOSTILE = [
    "<script>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>",
    "'\"><svg onload=window.hacked=1>", "</title></script><script>window.hacked=1</script>",
    "<!--", "]]>", "&lt;b&gt;&amp;", "javascript:window.hacked=1", "${window.hacked=1}",
    "{{window.hacked=1}}", "__proto__", "constructor", "\u202egnp.exe", "\u2028window.hacked=1//",
    "\x7f\x01\x1b[31m", "</span></td></tr></table><h1 id=hacked>", "é漢🙂", "a" * 500, " ", "",
    "<a href=javascript:alert(1) autofocus onfocus=window.hacked=1>",
]


def plain(text):
    """As the page writes it: what is not seen, or moves the text around it, stands as \\x1b."""
    def written(character):
        code = ord(character)
        if unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp"):
            return character
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return "".join(map(written, text))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Browser(tmp_path_factory.mktemp("browser"))
    yield started
    started.finish()


@pytest.fixture
def open_page(browser):
    """The one browser, as if it were new: each agent's port is an origin of its own."""
    browser.forget()
    yield browser.open
    browser.open("about:blank")


@pytest.fixture
def page(client, open_page):
    """Of an agent that has seen a denied client."""
    for _ in range(CAPACITY + 2):
        client.check(policy="login", key="203.0.113.9")
    opened = open_page(client.url + "/")
    opened.wait_for(lambda: opened.run(f"return !!document.querySelector('{LIVE}')"), "live")
    return opened


def row(page, policy):
    """A policy's line, by column."""
    return page.run("""
        const row = [...document.querySelectorAll('#policy-rows tr')]
            .find(row => row.dataset.policy === arguments[0]);
        return row && Object.fromEntries([...row.cells].filter(cell => cell.dataset.col)
            .map(cell => [cell.dataset.col, cell.firstChild.textContent]));""", policy)


def test_it_draws(page, client):
    status = client.get("/status").json
    assert page.text("#version") == status["version"]
    assert page.text("#pid") == str(client.agent.pid)
    assert page.text("#store-state").lower() == "up"
    assert page.text("#allowed-total") == str(CAPACITY)
    found = row(page, "login")
    assert (found["checks"], found["denied"], found["errors"]) == (str(CAPACITY + 2), "2", "0")
    assert (found["hottest"], found["remaining"]) == ("203.0.113.9", "0")
    assert page.texts("#top-denied .key") == ["203.0.113.9"]
    assert page.texts("#policy-rows th") == [policy["policy"] for policy in status["policies"]]
    page.wait_for(lambda: int(page.run("return document.querySelector('#chart').dataset.points"))
                  > 1, "a picture")
    assert page.run("return document.querySelectorAll('#chart polygon').length") >= 1
    assert page.run("const box = document.querySelector('#chart').getBoundingClientRect();"
                    "return box.width > 300 && box.height > 100")
    assert page.complaints() == []


def test_it_asks_nobody_else(page, client):
    assert page.requested() - {client.url + "/favicon.ico"} == \
        {client.url + "/", client.url + "/status", client.url + "/exceptions"}


def test_it_updates_without_a_reload(page, client):
    page.run("window.kept = 1")
    for number in range(3):
        client.check(policy="second", key=f"{number}")
        page.wait_for(lambda: row(page, "second")["checks"] == f"{number + 1}", "a newer count")
    with client.agent.connect() as peer:
        peer.ask(src="over-spop")
        page.wait_for(lambda: "over-spop" in page.texts("#top-seen .key"), "a newer key")
        page.wait_for(lambda: page.text("#spop-connections") == "1", "a connection")
    assert page.run("return window.kept") == 1
    assert page.complaints() == []


def test_a_failed_reload_is_shown_with_its_reason(page, client):
    assert not page.run("return document.querySelector('#reload-failed').checkVisibility()")
    client.agent.policy_file.write_text('{"policies":{"a":{"window":"<b>x"}}}')
    client.agent.signal(1)

    page.wait_for(lambda: "policies.a" in page.text("#reload-reason"), "the reason")
    assert page.run("return document.querySelector('#reload-failed').checkVisibility()")
    client.agent.policy_file.write_text(POLICIES)
    client.agent.signal(1)
    page.wait_for(lambda: not page.run("return document.querySelector('#reload-failed')"
                                       ".checkVisibility()"), "the good reload")
    assert page.complaints() == []


def test_it_says_what_haproxy_sends(page, client):
    assert page.text("#haproxy-asked") == "HAProxy has never asked"
    with client.agent.connect() as peer:
        peer.ask(src="203.0.113.9", apikey=None)
        peer.ask(**{"src": "203.0.113.9", "apikey": "k", "<b>": "x"})

        page.wait_for(lambda: page.texts("#attribute-rows .key") == ["src", "apikey", "<b>"],
                      "the attributes")
    rows = page.run("return [...document.querySelectorAll('#attribute-rows tr')].map("
                    "row => [...row.cells].map(cell => cell.textContent))")
    assert rows == [["src", "2", "–"], ["apikey", "2", "1, 50 %"], ["<b>", "1", "–"]]
    assert page.text("#haproxy-asked").startswith("asked last ")
    assert page.complaints() == []


def test_it_survives_the_agent_restarting(page, client, start_agent):
    page.run("window.kept = 1")
    old = client.agent
    client.connection.close()
    old.kill()
    page.wait_for(lambda: page.run("return state.dataset.state") == "lost", "a loss")
    assert "not reachable since" in page.text("#state-text")

    new = start_agent(http=old.http_address, policies=POLICIES)

    page.wait_for(lambda: page.text("#pid") == str(new.pid), "the new agent")
    assert page.run("return state.dataset.state") == "live"
    assert row(page, "login")["checks"] == "0"
    with HttpClient(new) as other:
        other.check(policy="login", key="x")
    page.wait_for(lambda: row(page, "login")["checks"] == "1", "a count of the new agent")
    assert page.run("return window.kept") == 1
    assert page.complaints() == []


def test_a_reload_of_other_policies_is_shown(page, client):
    page.run("window.kept = 1")
    client.agent.policy_file.write_text(policies_text(brand_new=bucket(7)))
    client.agent.signal(1)

    page.wait_for(lambda: row(page, "brand-new") is not None, "the new policy")
    assert row(page, "login") is None
    assert page.run("return window.kept") == 1


def assert_nothing_ran(page):
    assert page.run("return window.hacked") is None
    assert page.run("return document.querySelectorAll('#hacked, table script, table img, table a,"
                    "table svg').length") == 0
    assert page.run("return document.title") == "ratelimit-spoa"
    assert page.run("return document.querySelectorAll('script').length") == 1
    assert page.complaints() == []


def test_hostile_keys_are_text(page, client):
    for start in range(0, len(HOSTILE), 10):
        keys = HOSTILE[start:start + 10]
        for key in keys:
            client.check(checks=[{"policy": "login", "key": key}] * (20 + 50 * start))
        shown = [key["key"] for key in client.get("/status").json["top"]["denied"]]
        page.wait_for(lambda: page.texts("#top-denied .key")[:1] ==
                      [shown[0] or "(all together)"], "hostile keys")
    assert_nothing_ran(page)


EXCEPTIONS = {"count": 1, "scope": "this agent", "exceptions": [
    {"id": "1", "when": "2026-11-30T12:46:01.5Z", "policy": "login", "names": {"src": "x"},
     "blocked": True, "until": "2026-11-30T13:46:01.5Z", "note": "", "who": "ann", "void": False}]}


class Impostor(http.server.BaseHTTPRequestHandler):
    """The agent's page, and what `server.status` and `server.exceptions` say."""

    def do_GET(self):
        page = self.server.page
        is_page = self.path == "/"
        said = self.server.exceptions if self.path == "/exceptions" else self.server.status
        body = page.body if is_page else json.dumps(said).encode()
        self.send_response(200)
        for name in ("Content-Type", "Content-Security-Policy"):
            if is_page:
                self.send_header(name, page.headers[name.lower()])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def hostile(value, text):
    """The same, with `text` for every text but where the page expects certain words."""
    if isinstance(value, dict):
        return {name: each if name in ("algorithm", "state") else hostile(each, text)
                for name, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, text) for each in value]
    return text if isinstance(value, str) else value


def test_hostile_text_of_any_kind_is_text(client, open_page):
    """The agent escapes some of what a key may have; the page does not rely on it."""
    client.check(checks=[{"policy": "login", "key": "x"}] * 20)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Impostor) as server:
        server.daemon_threads, server.page = True, client.get("/")
        status = client.get("/status").json
        status["policies"] = status["policies"][:1]
        server.status = hostile(status, HOSTILE[0])
        server.exceptions = hostile(EXCEPTIONS, HOSTILE[0])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            page = open_page(f"http://127.0.0.1:{server.server_port}/")
            for text in HOSTILE:
                server.status = hostile(status, text)
                server.exceptions = hostile(EXCEPTIONS, text)
                page.run("tick(); listExceptions()")
                page.wait_for(lambda: page.texts("#version") == [plain(text)], "hostile text")
                assert page.texts("#top-denied .key") == [plain(text) or "(all together)"]
                assert page.texts("#policy-rows th") == [plain(text)]
                page.wait_for(lambda: page.run("return document.querySelector('#exception-rows tr')"
                                               ".dataset.id") == text, "a hostile exception")
                assert page.texts("#exception-rows [data-col=note]") == [plain(text) or "–"]
            assert_nothing_ran(page)
        finally:
            server.shutdown()
            thread.join()


def test_what_comes_in_from_outside_may_not_run(page):
    """The policy of the page's content stops what escaping would let through."""
    page.run("""const script = document.createElement('script');
        script.textContent = 'window.hacked = 1'; document.body.append(script);
        const div = document.createElement('div');
        div.innerHTML = '<img src=x onerror="window.hacked = 1">'; document.body.append(div);""")
    page.wait_for(lambda: len(page.driver.get_log("browser")) > 0, "a refusal")
    assert page.run("return window.hacked") is None


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_sticks_out_on_a_narrow_screen(client, open_page, width):
    client.check(policy="login", key="a" * 400)
    page = open_page("about:blank")
    page.tell("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500})
    page.open(client.url + "/")
    page.wait_for(lambda: row(page, "login"), "the table")

    assert page.run("return innerWidth") == width
    assert page.run("return document.documentElement.scrollWidth") <= width


def contrast(page):
    return page.run("""
        const light = text => { const [r, g, b] = text.match(/\\d+/g).map(Number);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const style = getComputedStyle(document.body);
        return [light(style.color), light(style.backgroundColor)];""")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_dark_and_light(page, scheme):
    page.tell("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    ink, paper = contrast(page)
    assert (ink < 80 and paper > 200) if scheme == "light" else (ink > 200 and paper < 80)


def test_it_asks_for_the_token(start_agent, open_page, tmp_path):
    file = tmp_path / "token"
    file.write_text("open-sesame\n")
    file.chmod(0o600)
    agent = start_agent("--http-token-file", file, http=True, policies=POLICIES)
    page = open_page(f"http://{agent.http_address}/")
    page.wait_for(lambda: page.run("return state.dataset.state") == "token", "the question")

    page.find("#token-input").send_keys("wrong\n")
    page.wait_for(lambda: page.find("#token-wrong").is_displayed(), "a refusal")
    assert page.texts("#policy-rows th") == []
    page.find("#token-input").send_keys("open-sesame\n")

    page.wait_for(lambda: row(page, "login"), "the table")
    assert not page.find("#token").is_displayed()
