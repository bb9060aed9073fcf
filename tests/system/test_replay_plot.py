"""`ratelimit-spoa replay --plot`, and the page whose picture it made."""

import os
import re
import subprocess
from collections import Counter
from xml.etree import ElementTree

import pytest

from agent import BINARY, bucket, policies_text
from processes import ROOT, clean_environment
from replay import line, request, run

SVG = "{http://www.w3.org/2000/svg}"
PAGE = (ROOT / "docs/algorithms.md").read_text()
A = {"src": "192.0.2.1"}


def picture(directory, policies, lines, *options):
    path = directory / "x.svg"
    run(directory, policies, lines, "--plot", path, *options).good()
    return ElementTree.parse(path).getroot()


def bars(svg):
    """How many pieces there are of each kind; one of each is the legend's."""
    kinds = Counter(rect.get("class") for rect in svg.iter(SVG + "rect"))
    return kinds["allowed"] - 1, kinds["denied"] - 1


def texts(svg):
    return ["".join(text.itertext()) for text in svg.iter(SVG + "text")]


def test_each_policy_that_was_asked_has_a_panel(tmp_path):
    policies = policies_text(few=bucket(2), many=bucket(100), unused=bucket(5, key=["user"]))
    lines = [line(1000 * i, policy=name, key="k") for i in range(10) for name in ("few", "many")]

    svg = picture(tmp_path, policies, lines)

    assert [name for name in ("few", "many", "unused", "inline")
            if any(text.startswith(name) for text in texts(svg))] == ["few", "many"]
    assert "few2 allowed, 8 denied" in texts(svg) and "many10 allowed, 0 denied" in texts(svg)
    assert bars(svg) == (12, 8)
    assert {"allowed", "denied", "requests in 100 ms", "9 s"} <= set(texts(svg))


def test_what_would_be_denied_has_a_colour_of_its_own(tmp_path):
    policies = policies_text(tried={**bucket(2), "shadow": True})

    svg = picture(tmp_path, policies, [request(1000 * i, **A) for i in range(5)])

    assert "tried2 allowed, 0 denied, 3 in shadow" in texts(svg)
    assert "would be denied (shadow)" in texts(svg)
    assert Counter(rect.get("class") for rect in svg.iter(SVG + "rect"))["shadow"] == 3 + 1


def test_what_stands_on_the_axis_has_the_length_of_the_trace(tmp_path):
    start_ms = 1795520668000
    for span_ms, mark, step in [(90, "11:44:28.020", "1 ms"), (40_000, "11:44:30", "500 ms"),
                                (3 * 3600_000, "11-24 12:00", "5 min"),
                                (40 * 86400_000, "2026-12-03", "12 h")]:
        svg = picture(tmp_path, policies_text(p=bucket(5)),
                      [request(start_ms + span_ms * i / 100, **A) for i in range(101)])

        assert mark in texts(svg)
        assert f"requests in {step}, UTC" in texts(svg)


def test_nothing_is_a_picture_too(tmp_path):
    svg = picture(tmp_path, policies_text(p=bucket(5)), "")

    assert bars(svg) == (0, 0)


def test_an_old_picture_is_replaced_and_one_of_a_failed_run_is_not_made(tmp_path):
    path = tmp_path / "x.svg"
    path.write_text("old " * 10_000)

    failed = run(tmp_path, policies_text(p=bucket(5)), "bad\n", "--plot", path)
    assert (failed.status, path.read_text()[:4]) == (1, "old ")

    picture(tmp_path, policies_text(p=bucket(5)), [request(1, **A)])
    assert path.read_text().startswith("<svg") and path.read_text().endswith("</svg>\n")


# --- docs/algorithms.md ------------------------------------------------------------------------

def test_the_picture_of_the_page_is_made_by_its_command(tmp_path):
    command = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)[1]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/algorithms.json").symlink_to(ROOT / "docs/algorithms.json")
    path = tmp_path / "bin"
    path.mkdir()
    (path / "ratelimit-spoa").symlink_to(BINARY)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, text=True, capture_output=True,
        env=clean_environment({"PATH": f"{path}:{os.environ['PATH']}"}), timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "docs/algorithms.svg").read_text() == \
        (ROOT / "docs/algorithms.svg").read_text()


def test_what_the_page_says_of_the_picture_is_so(tmp_path):
    times = [*range(0, 8000, 2000), *range(8000, 12_000, 100), *range(12_000, 30_000, 500)]
    policies = (ROOT / "docs/algorithms.json").read_text()

    allowed = {}
    for name in ("token-bucket", "sliding-window", "sliding-window-counter", "fixed-window"):
        answers = run(tmp_path, policies, [line(ms, policy=name, key="k") for ms in times]).allowed
        allowed[name] = [ms for ms, is_allowed in zip(times, answers) if is_allowed]

    def most_in(name, ms):
        return max(sum(begin <= at < begin + ms for at in allowed[name]) for begin in allowed[name])
    assert most_in("sliding-window", 10_000) == 10
    assert most_in("fixed-window", 3000) == int(re.search(r"(\d+) requests in 3 s", PAGE)[1])
    assert most_in("token-bucket", 10_000) <= 20
    assert all(b - a <= 1000 for a, b in zip(allowed["token-bucket"][10:],
                                             allowed["token-bucket"][11:]))


@pytest.mark.parametrize("place", re.findall(r"\]\(([a-z.]+)\)", PAGE))
def test_what_the_page_links_is_there(place):
    assert (ROOT / "docs" / place).exists()
