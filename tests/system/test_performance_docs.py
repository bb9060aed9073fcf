"""docs/performance.md, and the programs of bench/ that made its figures."""

import json
import re
import subprocess

import pytest

from processes import PATIENCE, ROOT, clean_environment

HAPROXY = ROOT / "bench/run-haproxy"
GROWTH = ROOT / "bench/run-growth"
REDIS = ROOT / "bench/run-redis"
ROUND = 200  # seconds that a short run may take on a busy machine


def run(command, *options, timeout=PATIENCE):
    return subprocess.run([command, *map(str, options)], capture_output=True, text=True, timeout=timeout,
                          env=clean_environment(), check=False)


def rows(text):
    """The tables of a text in Markdown: each a dict from the first cell of a row to the others."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.M)
    return [{cells[0].strip(): [cell.strip() for cell in cells[1:]]
             for cells in (line.strip("|").split("|") for line in table.splitlines()[2:])}
            for table in found]


def listed():
    done = run(HAPROXY, "--list")
    assert done.returncode == 0, done.stderr
    return [line.split(None, 1)[1] for line in done.stdout.splitlines()]


@pytest.mark.alone
@pytest.mark.timeout(ROUND + 30)
def test_a_short_run_through_haproxy_has_a_figure_in_each_row(server_trees, tmp_path):  # pylint: disable=unused-argument
    """Figures of so short a run mean nothing, but no request is without a verdict, no client below its
    limit is denied, and no attack passes: else the program ends with an error."""
    some = ["table", "null", "memory", "redis", "attack-table", "attack-shield"]
    drawn, kept = tmp_path / "drawn.svg", tmp_path / "kept.json"

    done = run(HAPROXY, "--rounds", 1, "--measured-ms", 200, "--warmup-ms", 100, "--svg", drawn, "--json",
               kept, "--rows", *some, timeout=ROUND)

    assert done.returncode == 0, done.stderr
    table, ratios = rows(done.stdout)
    assert len(table) == 1 + len(some) and table.keys() <= set(listed())
    for title, (rate, _, haproxy, agent, redis, *_) in table.items():
        assert int(rate) > 0 and float(haproxy) > 0
        assert bool(agent) == ("agent" in title) and bool(redis) == ("Redis" in title)
        assert f">{title.replace('`', '')}<" in drawn.read_text()
        assert f">{rate}<" in drawn.read_text()
    kept, = json.loads(kept.read_text())
    assert kept.keys() == {"none", *some}
    rate, _, _ = ratios["memory to the null agent: requests a second"][0].partition(" ")
    assert float(rate) == pytest.approx(kept["memory"]["rate"] / kept["null"]["rate"], abs=0.006)


@pytest.mark.alone
def test_a_short_run_of_growth_compares_its_points(tmp_path):
    drawn = tmp_path / "drawn.svg"

    done = run(GROWTH, "--only", "policies", "--points", 2, "--rounds", 1, "--svg", drawn, timeout=ROUND)

    assert done.returncode == 0, done.stderr
    table, = rows(done.stdout)
    (one, ten, growth, spread, _), = table.values()
    assert float(one) > 0 and float(ten) > 0
    assert float(growth.split()[0]) == pytest.approx(float(ten) / float(one), rel=0.05)
    assert float(spread.split()[0]) >= 1
    assert f">{ten}<" in drawn.read_text()


@pytest.mark.alone
def test_a_short_run_with_redis_has_a_figure_in_each_row():
    done = run(REDIS, "--only", "attack", "one-in-flight", "--rounds", 1, "--seconds", 1, timeout=ROUND)

    assert done.returncode == 0, done.stderr
    table, = rows(done.stdout)
    figures = {title: float(cell.split()[0]) for title, (cell, _) in table.items()}
    assert len(figures) == 6 and all(value > 0 for value in figures.values())
    allowed = figures["one client at 5,000/s of a policy of 50/s: requests allowed a second"]
    assert allowed <= 100  # in a second of which the bucket may be full at the start
    assert figures["one client at 5,000/s of a policy of 50/s: requests sent to Redis a second"] >= allowed


@pytest.mark.parametrize("options", [["--rounds", 0], ["--haproxy", "1.8"], ["--rows", "some"]], ids=str)
def test_a_run_that_is_asked_for_wrongly_says_how(options):
    done = run(HAPROXY, *options)

    assert done.returncode == 2 and done.stdout == ""
    assert "bench/run-haproxy" in done.stderr
