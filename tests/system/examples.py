"""The examples of haproxy-conf/examples/, and what the tests ask of an HAProxy that runs one."""

import re

from haproxy import SHIPPED
from http_client import HttpClient
from web import get

EXAMPLES = SHIPPED / "examples"
NAMES = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())
# A busy machine is no reason to go on without the agent.
PATIENT = [("timeout processing 50ms", "timeout processing 10s")]

# Replacements: an address of loopback is the CDN of behind-cdn, and buckets hardly refill.
CDN = [("198.51.100.0/24", "127.0.0.8/32")]
SLOW = [('"refill_rate": 5', '"refill_rate": "1/1h"')]


def policies_of(name, replacements=()):
    """The policy file of an example, with the (old, new) replacements."""
    text = (EXAMPLES / name / "policies.json").read_text()
    for old, new in replacements:
        assert old in text, f"{old!r} does not stand there"
        text = text.replace(old, new)
    return text


def statuses(haproxy, count, *args, **request):
    return [get(haproxy.port, *args, **request).status for _ in range(count)]


def metric(haproxy, sample):
    with HttpClient(haproxy.agent) as client:
        page = client.get("/metrics").body.decode()
    return int(re.search(rf"^{re.escape(sample)} (\d+)$", page, re.M)[1])


def asked(haproxy):
    """How many NOTIFYs came."""
    return metric(haproxy, 'ratelimit_spop_frames_received_total{type="notify"}')


def checks(haproxy, policy, result):
    return metric(haproxy, f'ratelimit_checks_total{{policy="{policy}",result="{result}"}}')
