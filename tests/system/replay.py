"""`ratelimit-spoa replay`, as tests run it."""

import json
import subprocess

from agent import BINARY
from processes import PATIENCE, clean_environment


def line(at_ms, **fields):
    """A line of the input with these fields."""
    return json.dumps({"at_ms": at_ms, **fields})


def request(at_ms, **attributes):
    return line(at_ms, attributes=attributes)


class Replayed:
    """A run of replay that has ended."""

    def __init__(self, done):
        self.status, self.output, self.told = done.returncode, done.stdout, done.stderr

    @property
    def answers(self):
        return [json.loads(text) for text in self.output.splitlines()]

    @property
    def allowed(self):
        return [answer["allowed"] for answer in self.answers]

    def row(self, policy):
        """The numbers of a policy in the summary: checked, denied, denied in shadow."""
        rows = [text.split() for text in self.told.splitlines() if text.startswith(policy + " ")]
        return [int(number) for number in rows[0][1:4]]

    def good(self):
        assert self.status == 0, self.told
        return self


def run(directory, policies, lines, *options, env=None):
    path = directory / "replayed.json"
    path.write_text(policies)
    text = lines if isinstance(lines, str) else "".join(text + "\n" for text in lines)
    return Replayed(subprocess.run(
        [BINARY, "replay", "--policies", path, *map(str, options)], input=text, text=True,
        capture_output=True, env=clean_environment(env), timeout=6 * PATIENCE, check=False))
