"""The examples of docs/policies.md, each through replay."""

import json
import re

import pytest

from agent import run
from processes import ROOT

TEXT = (ROOT / "docs/policies.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```\n\n```\n(.*?)```", TEXT, re.S)
LINE = re.compile(r" *(\d+) s   (\S+(?: \S+)*?)  +(none|(\S+) +(\S+) +(\d+ left|again in \d+ s|never))")
SCHEMA = json.loads((ROOT / "docs/policies.schema.json").read_text())
FIELDS = {*SCHEMA["properties"], *SCHEMA["$defs"]["policy"]["properties"],
          *SCHEMA["$defs"]["override"]["properties"]} - {"$schema"}


def question(seconds, words):
    attributes = dict(word.split("=", 1) for word in words.split())
    line = {"at_ms": int(seconds) * 1000, "attributes": attributes}
    if "cost" in attributes:
        line["cost"] = int(attributes.pop("cost"))
    if "policy" in attributes:
        line["policy"] = attributes.pop("policy")
    return line


def told(answer):
    """As the page writes it."""
    if answer["reason"] == "none":
        return "none"
    if answer["retry_after_ms"] == -1:
        rest = "never"
    elif answer["allowed"]:
        rest = f"{answer['remaining']} left"
    else:
        rest = f"again in {answer['retry_after_ms'] // 1000} s"
    return f"{answer['reason']} {answer['policy']} {rest}"


def test_every_field_has_an_example():
    assert FIELDS <= set(re.findall(r'"(\w+)":', "".join(policies for policies, _ in EXAMPLES)))
    assert len(EXAMPLES) == TEXT.count("```json")


@pytest.mark.parametrize("policies, table", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_true(tmp_path, policies, table):
    (tmp_path / "policies.json").write_text(policies)
    lines = [LINE.fullmatch(line) for line in table.splitlines()]
    assert all(lines), table
    asked = "".join(json.dumps(question(line[1], line[2])) + "\n" for line in lines)

    done = run("replay", "--policies", tmp_path / "policies.json", stdin=asked)

    assert done.returncode == 0, done.stderr
    answers = [told(json.loads(line)) for line in done.stdout.splitlines()]
    assert answers == [" ".join(line[3].split()) for line in lines]
