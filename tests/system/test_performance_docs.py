"""docs/performance.md, and the programs of bench/ that made its figures."""

import importlib.machinery
import importlib.util
import json
import re
import subprocess
import sys

import pytest

from processes import PATIENCE, ROOT, clean_environment

HAPROXY = ROOT / "bench/run-haproxy"
GROWTH = ROOT / "bench/run-growth"
REDIS = ROOT / "bench/run-redis"
PAGE = (ROOT / "docs/performance.md").read_text()
BENCH_PAGE = (ROOT / "bench/README.md").read_text()
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


def module_of(command, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    name = command.name.replace("-", "_")
    loader = importlib.machinery.SourceFileLoader(name, str(command))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    monkeypatch.setitem(sys.modules, name, module)
    loader.exec_module(module)
    return module


def sections(text):
    """(title, what stands below it) of each section of a page, and of each one below a section."""
    return re.findall(r"^##+ (.*)\n((?:(?!##+ ).*\n)*)", text, re.M)


# --- the page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("title, text", [pair for pair in sections(PAGE) if "|---" in pair[1]],
                         ids=lambda value: value if "\n" not in value else "")
def test_tables_of_figures_stand_below_the_command_that_made_them(title, text):
    before_table = text.partition("|---")[0]
    commands = re.findall(r"^(bench/run-\S+)(.*)$", before_table, re.M)

    assert commands, f"{title}: no command"
    for command, options in commands:
        told = run(ROOT / command, "--help").stdout
        assert "minute" in told, f"{command} --help does not say how long it takes"
        assert set(re.findall(r"--\S+", options)) <= set(re.findall(r"--[\w-]+", told)), command


def has_figures(text):
    return re.search(r"^\|.*\| [\d., ]+ \|", text, re.M)


@pytest.mark.parametrize("title, text", [pair for pair in sections(BENCH_PAGE) if has_figures(pair[1])],
                         ids=lambda value: value if "\n" not in value else "")
def test_figures_of_the_bench_come_with_a_command(title, text):
    commands = re.findall(r"(?:^|`|sudo )((?:build/)?bench/[\w-]+|spop-load|time ratelimit-spoa)", text, re.M)

    assert commands, f"{title}: no command"
    for command in commands:
        assert "/" not in command or command.startswith("build/") or (ROOT / command).exists(), command


def test_the_page_has_every_row_that_is_measured_through_haproxy(monkeypatch):
    module = module_of(HAPROXY, monkeypatch)
    table, ratios = rows(dict(sections(PAGE))["Through HAProxy"])

    newer, = rows(dict(sections(PAGE))["HAProxy 3.2"])

    assert list(table) == listed()
    assert len(newer) > 1 and newer.keys() <= set(listed())
    assert list(ratios) == [title for title, *_ in module.RATIOS]
    assert [cells[1] for cells in ratios.values()] == [aim for *_, aim in module.RATIOS]


def test_the_page_has_every_kind_of_growth_and_every_figure_with_redis(monkeypatch):
    growth, redis = module_of(GROWTH, monkeypatch), module_of(REDIS, monkeypatch)
    parts = dict(sections(PAGE))

    assert [title for table in rows(parts["How the cost grows"]) for title in table] == [
        f"{kind.title}: CPU of {kind.who}, µs a check" for kind in growth.KINDS.values()]
    table, = rows(parts["What reaches Redis"])
    assert list(table) == [figure.title for figure in redis.FIGURES.values()]


def test_the_pictures_show_the_figures_of_the_tables():
    parts = dict(sections(PAGE))
    drawn = (ROOT / "docs/performance.svg").read_text()
    for title, (rate, *_) in rows(parts["Through HAProxy"])[0].items():
        assert f">{title.replace('`', '')}<" in drawn and f">{rate}<" in drawn
    drawn = (ROOT / "docs/growth.svg").read_text()
    for table in rows(parts["How the cost grows"]):
        for *values, _, _, _ in table.values():
            assert all(f">{value}<" in drawn for value in values)


# --- the programs ------------------------------------------------------------------------------


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

    done = run(GROWTH, "--only", "keys", "--points", 2, "--rounds", 1, "--svg", drawn, timeout=ROUND)

    assert done.returncode == 0, done.stderr
    table, = rows(done.stdout)
    (one, ten, growth, spread, _), = table.values()
    assert float(one) > 0 and float(ten) > 0
    assert float(growth.split()[0]) == pytest.approx(float(ten) / float(one), rel=0.05)
    assert float(spread.split()[0]) >= 1
    assert f">{ten}<" in drawn.read_text()
    assert int(re.search(r"takes (\d+) kB of memory when it has started", done.stdout)[1]) <= 6 * 1024


@pytest.mark.alone
def test_a_short_run_with_redis_has_a_figure_in_each_row():
    done = run(REDIS, "--only", "attack", "one-in-flight", "--rounds", 1, "--seconds", 1, timeout=ROUND)

    assert done.returncode == 0, done.stderr
    table, = rows(done.stdout)
    figures = {title: float(cell.split()[0]) for title, (cell, _) in table.items()}
    assert len(figures) == 6 and all(value > 0 for value in figures.values())
    allowed = figures["one client at 5,000/s of a policy of 50/s: requests allowed a second"]
    assert allowed <= 110  # twice what the policy grants: the machine may have held the load up
    assert figures["one client at 5,000/s of a policy of 50/s: requests sent to Redis a second"] >= allowed


@pytest.mark.parametrize("options", [["--rounds", 0], ["--haproxy", "1.8"], ["--rows", "some"]], ids=str)
def test_a_run_that_is_asked_for_wrongly_says_how(options):
    done = run(HAPROXY, *options)

    assert done.returncode == 2 and done.stdout == ""
    assert "bench/run-haproxy" in done.stderr
