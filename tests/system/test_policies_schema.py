"""docs/policies.schema.json and check-config: both take, and both refuse, the same policy files."""

import json

import jsonschema
import pytest

import agent as agents
from policy_files import BAD, GOOD, SCHEMA_CANNOT
from processes import ROOT

SCHEMA = json.loads((ROOT / "docs/policies.schema.json").read_text())
FIELDS = SCHEMA["$defs"]["policy"]["properties"]
OVERRIDE_FIELDS = SCHEMA["$defs"]["override"]["properties"]


def refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def is_valid(text):
    """As an editor sees it; what is not JSON is not valid."""
    try:
        value = json.loads(text, parse_constant=refuse_constant)
    except ValueError:
        return False
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(value)


def check(path, text):
    path.write_text(text)
    return agents.run("check-config", "--policies", path)


def assert_refused(done, says):
    assert (done.returncode, done.stdout) == (2, ""), done
    assert says in done.stderr


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_table_is_large_enough_to_mean_something():
    assert len(GOOD) + len(BAD) + len(SCHEMA_CANNOT) >= 60
    texts = [*GOOD, *(text for text, _ in BAD + SCHEMA_CANNOT)]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("text", GOOD)
def test_both_take_a_good_file(tmp_path, text):
    done = check(tmp_path / "p.json", text)

    assert (done.returncode, done.stderr) == (0, "")
    assert is_valid(text)


@pytest.mark.parametrize("text,says", BAD)
def test_both_refuse_a_bad_file(tmp_path, text, says):
    assert_refused(check(tmp_path / "p.json", text), says)
    assert not is_valid(text)


@pytest.mark.parametrize("text,says", SCHEMA_CANNOT)
def test_what_a_schema_cannot_express_the_agent_refuses(tmp_path, text, says):
    assert_refused(check(tmp_path / "p.json", text), says)
    assert is_valid(text)


@pytest.mark.parametrize("path", [path.relative_to(ROOT)
                                  for path in (ROOT / "haproxy-conf").rglob("*.json")], ids=str)
def test_both_take_a_shipped_file(path):
    assert is_valid((ROOT / path).read_text())
    assert agents.run("check-config", "--policies", ROOT / path).returncode == 0


@pytest.mark.parametrize("text,fields", [
    ('{"policies":{"p":{"?":1}}}', FIELDS),
    ('{"policies":{"p":{"overrides":[{"?":1}]}}}', OVERRIDE_FIELDS)], ids=["policy", "override"])
def test_the_schema_has_the_fields_that_the_agent_has(tmp_path, text, fields):
    done = check(tmp_path / "p.json", text)

    line = next(line for line in done.stderr.splitlines() if "unknown field" in line)
    assert set(line.partition("accepted are ")[2].split(", ")) == set(fields)


def test_an_editor_has_something_to_show_for_each_field():
    for name, field in {**FIELDS, **OVERRIDE_FIELDS}.items():
        if "$ref" in field:
            field = SCHEMA["$defs"][field["$ref"].removeprefix("#/$defs/")]
        assert field["title"] and field["description"], name
