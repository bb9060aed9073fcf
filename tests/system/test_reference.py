"""docs/reference.md says what is there: its tables are compared with the agent, both ways."""

import json
import re

import pytest

import agent
import spop
from agent import bucket, policies_text
from processes import ROOT

TEXT = (ROOT / "docs/reference.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = {path: path.read_text() for path in sorted((ROOT / "spoa").rglob("*.c"))}


def section(title):
    """What stands below a heading, down to the next one of its level."""
    marks = re.search(rf"^(#+) {re.escape(title)}$", TEXT, re.MULTILINE)
    rest = TEXT[marks.end():]
    end = re.search(rf"^#{{1,{len(marks[1])}}} ", rest, re.MULTILINE)
    return rest[:end.start()] if end else rest


def table(title, first):
    """The rows of the table of a section whose first column is called so."""
    block = re.search(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", section(title), re.MULTILINE)[1]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines()]


def plain(cell):
    return cell.replace("`", "")


# --- options -------------------------------------------------------------------------------------

HELP = re.compile(r"^  --(\S+)(?: \S+ \(default: (.*)\))?\n      (.*)\n(?:      accepted: (.*)\n)?",
                  re.MULTILINE)


def help_parts():
    """Of the agent, the variables, check-config, replay."""
    return re.split(r"^(?:Only as|check-config has|replay reads).*\n",
                    agent.run("--help").stdout, flags=re.MULTILINE)


@pytest.mark.parametrize("title,part", [("Options", 0), ("Replay", 3)])
def test_the_options_are_those_of_help(title, part):
    told = [[f"--{name}", default or "none", meaning, accepted or "no value"]
            for name, default, meaning, accepted in HELP.findall(help_parts()[part])]

    assert told
    assert [[plain(cell) for cell in row] for row in table(title, "flag")] == told


def test_the_help_of_replay_has_its_table_and_the_options_that_count():
    flags = [name for name, *_ in HELP.findall(agent.run("replay", "--help").stdout)]

    own = [plain(row[0])[2:] for row in table("Replay", "flag")]
    counting = re.search(r"Of the agent's options, (.*?) count here", section("Replay"), re.DOTALL)
    assert flags[:len(own)] == own
    assert set(flags[len(own):]) == set(re.findall(r"`--([\w-]+)`", counting[1]))


def test_the_usage_of_replay_is_that_of_help():
    usage = re.match(r"usage: (.*)\n", agent.run("replay", "--help").stdout)[1]

    assert usage in agent.run("--help").stdout
    assert f"`{usage}`" in section("Command line") and f"`{usage}`" in section("Replay")
    assert f"`{usage}`" in (ROOT / "docs/replay.md").read_text()


def test_the_flag_of_check_config_is_that_of_help():
    own = section("Options").partition("`check-config` has")[2]

    assert [name for name, *_ in HELP.findall(help_parts()[2])] == re.findall(r"^\| `--(\S+)`", own,
                                                                           re.MULTILINE)


def test_the_variables_of_secrets_are_those_of_help():
    told = re.findall(r"^  (RATELIMIT_\S+)\n      (.*)", help_parts()[1], re.MULTILINE)

    assert [["`RATELIMIT_STORE`"], *[[f"`{name}`", meaning] for name, meaning in told]] == \
        [row[:1] if row[0] == "`RATELIMIT_STORE`" else row
         for row in table("Command line", "variable")]


# --- the rest ------------------------------------------------------------------------------------

def test_the_fields_of_a_policy_are_those_of_the_schema():
    schema = json.loads((ROOT / "docs/policies.schema.json").read_text())["$defs"]

    in_schema = {*schema["policy"]["properties"], *schema["override"]["properties"]}

    assert {plain(row[0]) for row in table("Policy file", "field")} == in_schema


@pytest.mark.parametrize("text", re.findall(r'```json\n(\{\n  "policies".*?)```', TEXT, re.DOTALL))
def test_an_example_of_the_policy_file_is_good(tmp_path, text):
    (tmp_path / "policies.json").write_text(text)

    done = agent.run("check-config", "--policies", tmp_path / "policies.json")

    assert (done.returncode, done.stderr) == (0, "")


def test_the_variables_are_those_of_an_ack(start_agent):
    running = start_agent(policies=policies_text(per_ip=bucket(3)))
    with running.connect() as peer:
        answer = peer.ask(src=spop.ip("192.0.2.1"))
        nothing = peer.ask(path="/")

    rows = table("What HAProxy gets", "variable")
    assert {plain(row[0]) for row in rows} == set(answer.vars)
    assert {plain(row[0]) for row in rows if row[2] == "with a check"} == nothing.unset


SPOE_FILES = [path for folder in ("haproxy-conf", "k8s")
              for path in sorted((ROOT / folder).rglob("*spoe*.conf"))]


@pytest.mark.parametrize("path", SPOE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_shipped_file_registers_all_variables(path):
    """HAProxy refuses to set a variable that nobody registered; `err` is HAProxy's own."""
    registered = re.findall(r"^ *register-var-names (.*)", path.read_text(), re.MULTILINE)
    variables = [plain(row[0]) for row in table("What HAProxy gets", "variable")]
    assert sorted(" ".join(registered).split()) == sorted([*variables, "err"])


def test_the_endpoints_are_those_of_openapi():
    paths = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]

    described = {(path, "any" if operation.get("x-any-method") else method.upper())
                 for path, methods in paths.items() for method, operation in methods.items()
                 if method in ("get", "post", "put", "delete")}

    assert {(plain(row[0]), row[1]) for row in table("HTTP", "endpoint")} == described


def test_the_statuses_of_openapi_have_a_row():
    paths = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]
    described = {status for methods in paths.values() for method in methods.values()
                 for status in method.get("responses", {})}

    assert described <= {row[0] for row in table("Verdicts and problems", "status")}


def test_the_events_are_those_of_the_sources():
    """Of debug events only some are worth a row."""
    found = {}
    for text in SOURCES.values():
        for level, event in re.findall(r'\bLOG_(ERROR|WARN|INFO|DEBUG),\s*"(\w+)"', text):
            found[event] = level.lower()

    rows = {plain(row[0]): row[1] for row in table("Log", "event")}
    assert rows.items() <= found.items()
    assert {event for event, level in found.items() if level != "debug"} <= set(rows)


# --- who points at what --------------------------------------------------------------------------

def anchors(path):
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_links_is_there(page):
    for place, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
        if place.startswith("http"):
            continue
        linked = page.parent / place if place else page
        assert linked.exists(), f"{page.name} links {place}"
        assert not anchor or anchor in anchors(linked), f"{page.name} links {place}#{anchor}"


CODE = [path for folder in ("spoa", "lua", "tests", "bench")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".c", ".h", ".py", ".lua", ".txt")]


def test_the_sections_that_the_code_cites_are_there():
    titles = [title.lower() for title in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)]
    # A comment may break within the name of a section.
    texts = [re.sub(r"\n[ *]*", " ", path.read_text()) for path in CODE]
    places = re.findall(r"docs/reference\.md, section ([\w -]+)", "\n".join(texts))

    assert len(places) > 20
    for place in places:
        assert any(place.lower().startswith(title) for title in titles), place


def test_no_code_cites_a_page_that_is_not_here():
    cited = {name for path in CODE for name in re.findall(r"\b[A-Z]{3,}\.md\b", path.read_text())}

    assert {name for name in cited if not (ROOT / name).exists()} == set()
