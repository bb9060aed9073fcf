"""Runs programs, and types into a shell on a terminal."""

import os
import pty
import select
import subprocess
import time

from processes import PATIENCE, clean_environment


def run(*words, env=None, timeout=600, check=True, **options):
    """Returns what the program printed, errors included."""
    done = subprocess.run([str(word) for word in words], env=clean_environment(env), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, check=False,
                          errors="backslashreplace", **options)
    assert done.returncode == 0 or not check, \
        f"{' '.join(map(str, words))}: exit status {done.returncode}\n{done.stdout}"
    return done.stdout


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, *command, env=None):
        self.here, there = pty.openpty()
        self.shown = ""
        # A terminal that can do next to nothing makes the shell show plain text.
        self.popen = subprocess.Popen(
            command, stdin=there, stdout=there, stderr=there, start_new_session=True,
            env=clean_environment({"TERM": "dumb", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8",
                                   "COLUMNS": "200", **(env or {})}))
        os.close(there)

    def type(self, text):
        """Types, and forgets what was shown before."""
        self.shown = ""
        os.write(self.here, text.encode())

    def wait_for(self, is_there, what):
        """Reads what the shell shows until the condition on it holds."""
        deadline = time.monotonic() + PATIENCE
        while not is_there(self.shown):
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self.here], [], [], left)[0]:
                raise AssertionError(f"{PATIENCE} s passed without {what}: {self.shown!r}")
            self.shown += os.read(self.here, 65536).decode(errors="replace")
        return self.shown

    def finish(self):
        self.popen.kill()
        self.popen.wait()
        os.close(self.here)
