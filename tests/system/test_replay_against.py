"""`ratelimit-spoa replay --against`: two policy files side by side; and the summary as JSON."""

import json
import re
from xml.etree import ElementTree

import pytest

from agent import bucket, policies_text, window
from processes import ROOT
from replay import line, request, run
from test_replay import NAMES, RICH, random_lines
from test_replay_plot import SVG, texts

OLD = policies_text(both=window(2, "1h"), gone=window(3, "1h"), same=window(100, "1h"))
NEW = policies_text(both=window(4, "1h"), same=window(100, "1h"), added=window(1, "1h", key=["user"]))


def requests():
    """A client that comes five times, one that comes twice, and one of them by its name."""
    return ([request(i, src="192.0.2.1") for i in range(5)] +
            [request(10 + i, src="192.0.2.2", user="u") for i in range(2)])


def compare(directory, lines, *options, old=OLD, new=NEW):
    path = directory / "new.json"
    path.write_text(new)
    return run(directory, old, lines, "--against", path, *options)


def summary(done):
    """The JSON on standard error, which is one line."""
    return json.loads(done.told.splitlines()[0])


def test_it_says_per_policy_what_changes_and_for_whom(tmp_path):
    done = compare(tmp_path, requests()).good()

    told = done.told.replace(str(tmp_path) + "/", "")
    assert told.splitlines()[:4] == [
        "requests: 7, 4 allowed, 3 denied", "against new.json: 5 allowed, 2 denied",
        "  denied by replayed.json only: 2", "  denied by new.json only: 1"]
    rows = re.sub(r"  \d+ at \d+ s", "", told[told.index("\nboth ") + 1:])
    rows = [text for text in rows.splitlines() if "seen most" not in text and
            "  denied most" not in text]
    assert [re.sub(" +", " ", text) for text in rows] == [
        "both 7 3 0", " against 7 1 0", " denied by replayed.json only: 2", " keys: 192.0.2.1 2",
        "gone 7 0 0", " against - - -",
        "same 7 0 0", " against 7 0 0",
        "added - - -", " against 2 1 0", " denied by new.json only: 1", " keys: u 1"]


def test_the_answers_are_those_of_the_first_file(tmp_path):
    alone = run(tmp_path, OLD, requests()).good()

    assert compare(tmp_path, requests()).good().output == alone.output


def test_equal_files_change_nothing(tmp_path):
    lines = list(random_lines(3, 2000, NAMES[::2]))

    done = compare(tmp_path, lines, "--json", old=RICH, new=RICH).good()

    told = summary(done)
    assert (told["against"]["denied_here_only"], told["against"]["denied_there_only"]) == (0, 0)
    for policy in told["policies"]:
        assert policy["denied_here_only"] == policy["denied_there_only"] == \
            {"count": 0, "keys": []}
        own = {name: policy[name] for name in policy["against"]}
        assert own == policy["against"]
    assert told["against"]["denied"] == told["denied"] > 0


def test_the_order_of_the_files_is_the_direction(tmp_path):
    there = summary(compare(tmp_path, requests(), "--json").good())
    back = summary(compare(tmp_path, requests(), "--json", old=NEW, new=OLD).good())

    assert there["against"]["denied_here_only"] == back["against"]["denied_there_only"] == 2
    assert there["against"]["denied_there_only"] == back["against"]["denied_here_only"] == 1
    assert there["denied"] == back["against"]["denied"]


def test_a_policy_that_denies_no_longer_in_shadow_changes(tmp_path):
    done = compare(tmp_path, requests(), "--json",
                   old=policies_text(p={**window(2, "1h"), "shadow": True}),
                   new=policies_text(p=window(2, "1h"))).good()

    policy, = summary(done)["policies"]
    assert (policy["denied"], policy["shadow_denied"], policy["against"]["denied"]) == (0, 3, 3)
    assert policy["denied_there_only"]["count"] == 3


def test_keys_are_hashed_where_the_agent_hashes_them(tmp_path):
    done = compare(tmp_path, requests(), "--hash-keys=on").good()

    assert "192.0.2.1" not in done.told
    assert re.search(r"denied by \S+ only: 2\n    keys: #\S+ 2\n", done.told)


def test_few_of_many_keys_are_named(tmp_path):
    lines = [request(i, src=f"10.0.{i // 250 % 40}.{i % 250}") for i in range(20_000)]
    lines += [request(30_000 + i, src="192.0.2.9") for i in range(2000)]

    done = compare(tmp_path, lines, "--json", old=policies_text(p=window(9, "1h")),
                   new=policies_text(p=window(1, "1h"))).good()

    told = summary(done)["policies"][0]["denied_there_only"]
    assert told["count"] == 10_000 + 8
    assert len(told["keys"]) <= 5


def test_named_policies_of_one_file_alone(tmp_path):
    """A line that asks for a policy which the second file has not is allowed there."""
    lines = [line(i, policy="gone", key="k") for i in range(5)]

    done = compare(tmp_path, lines, "--json").good()

    told = summary(done)
    assert told["denied"] == told["against"]["denied_here_only"] == 2
    assert told["against"]["allowed"] == 5
    assert compare(tmp_path, [line(1, policy="added", key="k")]).status == 1


def test_checks_of_a_batch_are_compared(tmp_path):
    checks = [{"policy": "both", "key": "k"}] * 4

    done = compare(tmp_path, [line(1, checks=checks)], "--json").good()

    assert summary(done)["against"]["denied_here_only"] == 2


def test_redis_compares_alike(tmp_path, redis):
    lines = list(random_lines(5, 1000, NAMES[::2]))
    new = RICH.replace('"capacity": 20', '"capacity": 12')
    assert new != RICH

    memory = compare(tmp_path, lines, "--json", old=RICH, new=new).good()
    shared = compare(tmp_path, lines, "--json", "--store", redis.url, old=RICH, new=new).good()

    assert (shared.output, shared.told) == (memory.output, memory.told)
    assert summary(memory)["against"]["denied_there_only"] > 0
    assert redis.keys() == []


def test_the_picture_shows_both(tmp_path):
    path = tmp_path / "x.svg"
    compare(tmp_path, requests(), "--plot", path).good()

    shown = [text.replace(str(tmp_path) + "/", "")
             for text in texts(ElementTree.parse(path).getroot())]
    assert [text for text in shown if " allowed, " in text] == [
        "both, replayed.json4 allowed, 3 denied", "both, new.json6 allowed, 1 denied",
        "gone, replayed.json7 allowed, 0 denied", "same, replayed.json7 allowed, 0 denied",
        "same, new.json7 allowed, 0 denied", "added, new.json1 allowed, 1 denied"]


def test_the_panels_of_a_policy_have_one_scale(tmp_path):
    """Though the policy of the second file is asked about one request in eight."""
    path = tmp_path / "x.svg"
    lines = [request(0, src="192.0.2.1", path="/" if n else "/login") for n in range(8)]
    compare(tmp_path, lines, "--plot", path, old=policies_text(p=window(9)),
            new=policies_text(p={**window(9), "match": {"path": "/login"}})).good()

    svg = ElementTree.parse(path).getroot()
    levels = [text.text for text in svg.iter(SVG + "text")
              if text.get("class") == "end" and text.text.isdigit()]
    assert levels == ["0", "4", "8"] * 2


def test_a_file_with_any_name_is_shown_as_text(tmp_path):
    path, other = tmp_path / "x.svg", tmp_path / 'a<b>&"\u00e4.json'
    other.write_text(NEW)
    run(tmp_path, OLD, requests(), "--against", other, "--plot", path).good()

    assert any('a<b>&".json' in text for text in texts(ElementTree.parse(path).getroot()))


@pytest.mark.parametrize("content,why", [
    (None, "No such file"), ("{", "JSON"), ('{"policies":{"p":{}}}', "algorithm")])
def test_a_second_file_that_is_not_good_is_wrong_usage(tmp_path, content, why):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)

    done = run(tmp_path, OLD, requests(), "--against", path)

    assert (done.status, done.output) == (2, "")
    assert done.told.startswith("ratelimit-spoa: --against: ") and why in done.told


# --- the summary as JSON -----------------------------------------------------------------------

def test_the_summary_as_json(tmp_path):
    done = run(tmp_path, policies_text(p=bucket(2)), [
        *[request(1000 + i, src="192.0.2.1") for i in range(5)], request(9000, src="192.0.2.2")],
               "--json").good()

    assert summary(done) == {
        "requests": 6, "allowed": 3, "denied": 3, "first_ms": 1000, "last_ms": 9000,
        "lines": {"read": 6, "not_valid": 0, "without_request": 0, "bad_requests": 0,
                  "cut_off": 0, "other_captures": 0, "late": 0},
        "checks_left_out": 0, "balances_forgotten": 0,
        "policies": [{
            "policy": "p", "checked": 6, "denied": 3, "shadow_denied": 0,
            "busiest_second": {"at_ms": 1000, "count": 5},
            "seen_most": [{"key": "192.0.2.1", "count": 5, "error": 0},
                          {"key": "192.0.2.2", "count": 1, "error": 0}],
            "denied_most": [{"key": "192.0.2.1", "count": 3, "error": 0}]}],
        "policies_left_out": 0}


def test_errors_are_lines_behind_the_json(tmp_path):
    done = run(tmp_path, policies_text(p=bucket(2)), ["x"], "--json", "--format", "haproxy")

    assert done.status == 1
    assert summary(done)["lines"]["without_request"] == 1
    assert done.told.splitlines()[1].startswith("ratelimit-spoa: only 0 of 1 lines")


def test_the_fields_of_the_reference_are_those_of_the_json(tmp_path):
    told = summary(compare(tmp_path, requests(), "--json").good())
    reference = (ROOT / "docs/reference.md").read_text()
    part = reference[reference.index("`--json` prints"):]
    part = part[:part.index("\n\n")]

    def names(value):
        if isinstance(value, list):
            value = {i: item for i, item in enumerate(value)}
        if not isinstance(value, dict):
            return set()
        own = {name for name in value if isinstance(name, str)}
        return own.union(*[names(item) for item in value.values()])
    assert names(told) <= set(re.findall(r"`([a-z_]+)`", part))
