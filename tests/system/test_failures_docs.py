"""docs/failures.md, and bench/run-failures, which made its tables."""

import importlib.machinery
import importlib.util
import subprocess
import sys

import pytest

from processes import PATIENCE, ROOT, clean_environment, undisturbed

COMMAND = ROOT / "bench/run-failures"
PAGE = ROOT / "docs/failures.md"


def run(*options, timeout=PATIENCE):
    return subprocess.run([COMMAND, *options], capture_output=True, text=True, timeout=timeout,
                          env=clean_environment(), check=False)


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def rows(text):
    return [cells(line) for line in text.splitlines() if line.startswith("| ")]


# --- the page ----------------------------------------------------------------------------------


def listed():
    done = run("--list")
    assert done.returncode == 0, done.stderr
    return [line.split(None, 1)[1] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("what", listed())
def test_the_page_has_a_row_for(what):
    found = [row for row in rows(PAGE.read_text()) if row[0] == what]

    assert len(found) == 1, f"docs/failures.md has {len(found)} rows for {what!r}"


def test_the_page_has_the_columns_of_the_command_and_nothing_was_wrong():
    table = rows(PAGE.read_text())
    head, *faults = [row for row in table if len(row) == 9]

    assert f"| {' | '.join(head)} |" in COMMAND.read_text().replace(' "\n        "', " ")
    for what, sent, answered, wrong, *_, over, bound in faults:
        assert (answered, wrong) == (sent, "0"), what
        assert int(over) <= int(bound), what


# --- the command -------------------------------------------------------------------------------


def try_fault(fault):
    """(what the command ended with, the numbers of the fault's row). Whatever the machine does
    meanwhile, each request is answered, and no answer is wrong."""
    done = run("--rate", "200", "--store-timeout", "1s", "--processing", "10s", fault, timeout=200)
    sent, answered, wrong, *more = map(float, rows(done.stdout)[1][1:])
    assert sent == answered > 500 and wrong == 0, (done.stdout, done.stderr)
    return done, more


def is_undisturbed(tried):
    done, (undecided, *_) = tried
    return done.returncode == undecided == 0


@pytest.mark.alone
@pytest.mark.timeout(1100)
@pytest.mark.parametrize("fault, over_min, over_max", [
    ("redis-flushed", 50, 1000),  # half of the exhausted paths at least won their limit anew
    ("broken-policies", 0, 0),
    ("agent-term", 0, 0),
    ("cluster-resharding", 0, 0),
    pytest.param("cluster-node-joins", 0, 0, marks=pytest.mark.long)])
def test_a_fault_is_tried_and_nothing_is_wrong(
        server_trees, fault, over_min, over_max):  # pylint: disable=unused-argument
    """Time-outs are long, so that only the faults count and not how busy the machine is. But an
    agent gives up a Redis that stands still for half a second, whatever the time-outs are, and so
    the fault is tried again when the machine kept Redis waiting for so long."""
    done, numbers = undisturbed(lambda: try_fault(fault), is_undisturbed)

    assert done.returncode == 0, done.stderr
    undecided, longest, again, over, _ = numbers
    assert undecided == again == 0 and longest > 0
    assert over_min <= over <= over_max


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(1100)
@pytest.mark.parametrize("fault", ["cluster-failover", "cluster-primary-killed"])
def test_a_promotion_in_a_cluster_is_tried(server_trees, fault):  # pylint: disable=unused-argument
    """By the command's own judgement, as the table has it."""
    done = undisturbed(lambda: run(fault, timeout=200), lambda done: done.returncode == 0)

    assert done.returncode == 0, (done.stdout, done.stderr)


def test_what_does_not_exist_is_refused():
    done = run("redis-stolen")

    assert done.returncode == 2
    assert "redis-stolen" in done.stderr


# --- its judgement -----------------------------------------------------------------------------


@pytest.fixture(scope="module", name="command")
def load_command():
    loader = importlib.machinery.SourceFileLoader("run_failures", str(COMMAND))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_failures",
                                                                             loader))
    sys.modules["run_failures"] = module
    loader.exec_module(module)
    return module


@pytest.fixture(name="answers")
def make_answers(command):
    """One answer for each letter, one after the other: A(llowed), D(enied), or O, which on_error
    allowed."""
    def make(letters, path="/new/1"):
        return [command.Answer(path, when, when + 0.5, letter != "D", letter != "O", True)
                for when, letter in enumerate(letters)]
    return make


@pytest.mark.parametrize("letters, losses, wrong", [
    ("AAAAADDD", 0, 0),
    ("AAAAAADD", 0, 1),  # a sixth of five
    ("AAAADDDA", 0, 3),  # something was left
    ("AAAAODDD", 0, 0),  # what on_error answered may have been charged
    ("OOOOOAAAAA", 0, 0),
    ("AAAAADDDAAAAADD", 1, 0),
    ("AAAAADDDAAAAAAA", 1, 2),
], ids=str)
def test_an_answer_is_wrong(command, answers, letters, losses, wrong):
    fault = command.FAULTS["nothing"]._replace(losses=losses)

    assert command.count_wrong(answers(letters), fault, began=7.9) == wrong


def test_a_denial_by_what_was_lost_is_wrong(command, answers):
    assert command.count_wrong(answers("AAAAADDD"), command.FAULTS["redis-flushed"], began=5.8) == 2


def test_a_loss_that_took_a_while_makes_no_earlier_denial_wrong(command, answers):
    fault = command.FAULTS["redis-flushed"]

    assert command.count_wrong(answers("AAAAADDD"), fault, began=5.8, lost_by=6.5) == 1
    assert command.judge(answers("AAAAADDD"), fault, 5.8, 8, True, lost_at=6.5).wrong == 1
    assert command.judge(answers("AAAAADDD"), fault, 5.8, 8, True, lost_at=7.5).wrong == 0


def test_what_passed_over_the_limits_is_held_against_the_bound(command, answers):
    outcome = command.judge(answers("AAAAAOOO"), command.FAULTS["redis-stopped"], 5, 8, True)

    assert (outcome.over, outcome.bound, outcome.undecided) == (3, 3, 3)
    assert not list(command.failures_of(command.FAULTS["redis-stopped"], outcome))
    outcome = command.judge(answers("AAAAAOOO"), command.FAULTS["redis-stopped"], 5, 8, False)
    assert list(command.failures_of(command.FAULTS["redis-stopped"], outcome)) == [
        "3 passed over the limits, and 0 may"]
