"""Starts programs, and waits for what they do."""

import os
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# An upper bound for steps that take milliseconds, since the machine may be busy.
PATIENCE = 20


def wait_until(condition, what, timeout=PATIENCE):
    """Waits until `condition` returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{timeout} s passed without {what}")
        time.sleep(0.005)
    return result


def undisturbed(measure, is_good, attempts=5):
    """Returns what `measure` returned at the first attempt at which it was good, or at the last one.

    For times that the agent keeps each time, and that the machine makes longer now and then, when it
    has other things to do. A fault of the agent shows in all attempts."""
    for _ in range(attempts):
        result = measure()
        if is_good(result):
            break
    return result


def clean_environment(extra=None):
    """The environment without options of an agent, so that only the test's own options count."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RATELIMIT_")}
    return {**kept, **(extra or {})}


class Process:
    """A program in the foreground whose output goes to a file."""

    def __init__(self, command, output, env=None, **options):
        self.output = Path(output)
        with open(self.output, "ab") as file:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=file,
                stderr=file, env=clean_environment(env), **options)
        self.pid = self.popen.pid

    def lines(self):
        return self.output.read_text(errors="replace").splitlines()

    def is_running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=PATIENCE):
        return self.popen.wait(timeout)

    def kill(self):
        """Kills the process, as a crash does; also when it is stopped by SIGSTOP."""
        if self.is_running():
            self.popen.kill()
        self.popen.wait()

    def finish(self):
        """Ends the process after its test."""
        self.kill()

    def stop(self):
        """Ends the process as an operator does, and returns its exit status."""
        if self.is_running():
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def status_field(self, name):
        """A number from /proc/PID/status, such as VmRSS in KiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise AssertionError(f"/proc has no {name}")

    def cpu_seconds(self):
        after_name = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(after_name[11]) + int(after_name[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
