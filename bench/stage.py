"""For bench/run-haproxy, run-growth and run-redis: servers, each on one core, and what is made of figures.

Everything listens on loopback ports that are free, or on Unix sockets, and is ended by its pid."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build/bench"
PATIENCE = 60  # seconds, for a server to start
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df")


def fail(text):
    sys.exit(f"bench/{Path(sys.argv[0]).name}: {text}")


def build():
    done = subprocess.run("cmake --preset bench && cmake --build --preset bench -j2", shell=True,
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        fail(f"the build failed\n{done.stdout[-2000:]}")


def on_core(core, *command):
    return ["taskset", "-c", str(core), *map(str, command)]


class Running:
    """A server on one core. The environment may have settings for another agent, so it gets none."""

    def __init__(self, core, command, log):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RATELIMIT_")}
        with open(log, "wb") as file:
            self.popen = subprocess.Popen(on_core(core, *command), stdout=file, stderr=file,
                                          env=environment)
        self.pid, self.log = self.popen.pid, Path(log)

    def wait_until(self, condition):
        """What the condition returned; it is asked again until that is true."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            if self.popen.poll() is not None or time.monotonic() > deadline:
                fail(f"a server did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)
        return found

    def wait_for(self, pattern):
        return self.wait_until(lambda: re.search(pattern, self.log.read_text()))

    def listens_at(self, protocol):
        return self.wait_for(r'"event":"listening","address":"([^"]*)","protocol":"%s"' % protocol)[1]

    def end(self):
        self.popen.terminate()
        self.popen.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Redis(Running):
    """On a Unix socket, without a disk. Its settings leave out what would disturb a measurement."""

    def __init__(self, folder, core):
        self.path = folder / "redis.sock"
        super().__init__(core, ["redis-server", "--port", 0, "--unixsocket", self.path, "--save", "",
                                "--appendonly", "no", "--dir", folder], folder / "redis.log")
        self.wait_for("[Rr]eady to accept connections")
        self.url = f"redis+unix://{self.path}"

    def cli(self, *words, text=None):
        done = subprocess.run(["redis-cli", "-s", self.path, "-e", *map(str, words)], input=text,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            fail(f"Redis: {done.stdout}{done.stderr}")
        return done.stdout.strip()


class Agent(Running):
    """`policies` is a dict; `store` a URL. Its name tells the files of several agents apart."""

    def __init__(self, folder, core, policies, store, *flags, name="agent", spop="127.0.0.1:0"):
        file = folder / f"{name}.json"
        file.write_text(json.dumps({"policies": policies}))
        super().__init__(core, [BUILD / "ratelimit-spoa", "--spop-listen", spop, "--http-listen",
                                "127.0.0.1:0", "--policies", file, "--store", store,
                                "--store-timeout", "4s", *flags], folder / f"{name}.log")
        self.wait_for('"event":"started"' if store == "memory:" else "store_up")
        self.spop, self.http = self.listens_at("spop"), self.listens_at("http")

    def metric(self, name, labels=""):
        """The sum of a metric over all of its labels, or over those that have `labels` in them."""
        page = urllib.request.urlopen(f"http://{self.http}/metrics").read().decode()
        pattern = rf"^{name}{{[^}}]*{labels}[^}}]*}} (\S+)$" if labels else rf"^{name}(?:{{.*}})? (\S+)$"
        return sum(map(float, re.findall(pattern, page, re.M)))

    def rss_kb(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def said_by(core, program, *flags):
    """The JSON that a load generator prints."""
    return end_of(start(core, program, *flags))


def start(core, program, *flags):
    return subprocess.Popen(on_core(core, BUILD / program, *flags), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def end_of(load):
    said, errors = load.communicate()
    if load.returncode != 0:
        fail(errors.strip())
    return json.loads(said)


def median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


# --- SVG ---------------------------------------------------------------------------------------


class Svg:
    """A picture on white, put together of lines of text."""

    def __init__(self, width, height):
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                      'font-family="sans-serif" font-size="12">',
                      f'<rect width="{width}" height="{height}" fill="#fff"/>']

    def text(self, x, y, text, anchor="start", colour="#1f2328", weight="normal"):
        escaped = str(text).replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
                          f'font-weight="{weight}">{escaped}</text>')

    def bar(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{height:.1f}" fill="{colour}"/>')

    def line(self, points, colour, width=2):
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" '
                          f'stroke-width="{width}"/>')

    def save(self, path):
        Path(path).write_text("\n".join([*self.parts, "</svg>"]) + "\n")
