"""Reads a number from an agent's /metrics."""

import urllib.request


def metric(http_address, name):
    """The sum of all series of that name."""
    with urllib.request.urlopen(f"http://{http_address}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    found = [float(line.rpartition(" ")[2]) for line in lines
             if line.startswith((f"{name} ", f"{name}{{"))]
    assert found, f"/metrics has no {name}"
    return sum(found)
