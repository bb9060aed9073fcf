"""The man pages, which packaging/pages/make-man makes of the agent's help and of docs/reference.md."""

import json
import re

import pytest

import agent
from processes import ROOT
from roff import document, tidy
from tools import run

NAMES = ["man1/ratelimit-spoa.1", "man8/ratelimit-spoa.8", "man5/ratelimit-spoa-policies.5"]
COMMANDS = re.findall(r"^(?:usage:|      ) ratelimit-spoa \[?([a-z-]+)",
                      agent.run("--help").stdout, re.MULTILINE)


def without_overstrikes(text):
    """Bold text is each character twice, with a backspace between."""
    return re.sub(".\x08", "", text)


def rendered(page):
    """What a reader sees."""
    return without_overstrikes(run("mandoc", "-Tutf8", "-O", "width=100", page))


def tags(page):
    """The first lines of the entries of lists."""
    return re.findall(r"^\.TP\n(.*)", page.read_text(), re.MULTILINE)


def flags_of(help_text):
    return re.findall(r"^  --(\S+)", help_text, re.MULTILINE)


def entries_of(page):
    """The flags that have an entry."""
    return [tag.replace("\\-", "-") for tag in
            re.findall(r"^\.TP\n\\fB\\-\\-([a-z\\-]+)\\fR", page.read_text(), re.MULTILINE)]


def test_these_are_the_pages(pages):
    assert sorted(str(path.relative_to(pages)) for path in pages.glob("man*/*")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_mandoc_finds_nothing_to_say(pages, name):
    assert run("mandoc", "-Tlint", pages / name) == ""


@pytest.mark.parametrize("name", NAMES)
def test_the_other_man_has_no_warnings(pages, name):
    """Debian's man sets pages by groff, and lintian looks for its warnings."""
    command = 'man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null'
    assert run("bash", "-c", command, "bash", pages / name,
               env={"LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"}) == ""


def test_each_option_of_the_agent_has_an_entry(pages):
    flags = flags_of(agent.run("serve", "--help").stdout)

    assert len(flags) > 20
    assert entries_of(pages / "man8/ratelimit-spoa.8") == flags


def test_each_variable_of_the_agent_is_there(pages):
    page = rendered(pages / "man8/ratelimit-spoa.8")
    secrets = re.findall(r"^  (RATELIMIT_\S+)$", agent.run("--help").stdout, re.MULTILINE)
    flags = flags_of(agent.run("serve", "--help").stdout)

    names = {*secrets, *("RATELIMIT_" + flag.upper().replace("-", "_") for flag in flags)}

    assert secrets and names <= set(re.findall(r"\bRATELIMIT_[A-Z_]+\b", page))


# The page of section 8 has those of serve, and version has none.
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("serve", "version")])
def test_each_option_of_a_command_has_an_entry(pages, command):
    told = agent.run(command, "--help").stdout
    own = flags_of(told.partition("takes all options of serve")[0])
    page = (pages / "man1/ratelimit-spoa.1").read_text()

    part = re.search(rf"^\.SS {command.replace('-', chr(92) + chr(92) + '-')}\n(.*?)^\.S[SH] ", page,
                     re.MULTILINE | re.DOTALL)[1]

    assert re.findall(r"^\.TP\n\\fB\\-\\-(\S+)\\fR", part.replace("\\-", "-").replace(
        ".TP\n\\fB--", ".TP\n\\fB\\-\\-"), re.MULTILINE) == own


def test_the_usage_of_each_command_is_in_the_synopsis(pages):
    page = rendered(pages / "man1/ratelimit-spoa.1")

    for command in COMMANDS:
        usage = re.match(r"usage: (.*)", agent.run(command, "--help").stdout)[1]
        assert usage in page


def test_each_field_of_a_policy_has_an_entry(pages):
    schema = json.loads((ROOT / "docs/policies.schema.json").read_text())["$defs"]
    fields = {*schema["policy"]["properties"], *schema["override"]["properties"]}

    entries = {tag.partition(" ")[0] for tag in tags(pages / "man5/ratelimit-spoa-policies.5")}

    assert {f"\\fB{field}\\fR" for field in fields} <= entries


def test_the_example_of_a_policy_file_stands_as_it_is(pages):
    example = re.search(r"```json\n(.*?)```", (ROOT / "docs/reference.md").read_text(), re.DOTALL)[1]
    lines = [line.strip() for line in
             rendered(pages / "man5/ratelimit-spoa-policies.5").splitlines()]

    at = lines.index("{")
    shown = lines[at:at + len(example.splitlines())]

    assert shown == [line.strip() for line in example.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_no_markdown_is_left(pages, name):
    text = rendered(pages / name)
    for mark in ("](", "**", "|---", "```"):
        assert mark not in text


@pytest.mark.parametrize("name", NAMES)
def test_the_date_is_that_of_the_source(pages, name):
    assert '"2023-11-14"' in (pages / name).read_text().splitlines()[0]


MARKDOWN = """
.begins with a dot, and \\n is no newline

'quoted' `a\\b` **bold `code`** [a page](other.md#place) [here](#there)

- one
  two

| a | b | c |
|---|---|---|
| `x` | y | z \\| w |
"""


def test_text_that_roff_would_take_as_its_own_stays_text(tmp_path):
    page = tmp_path / "x.1"
    head = ['.TH X 1 "2023-11-14" "x"', ".SH NAME", "x \\- y", ".SH DESCRIPTION"]
    page.write_text("\n".join(tidy([*head, *document(MARKDOWN)])) + "\n")

    shown = rendered(page)

    assert run("mandoc", "-Tlint", page) == ""
    for text in (".begins with a dot, and \\n is no newline",
                 "'quoted' a\\b bold code a page (other.md) here", "one two", "x (y)", "z | w"):
        assert text in shown
