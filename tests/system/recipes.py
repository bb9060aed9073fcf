"""The snippets of docs/haproxy.md, put where the first line of each says."""

import re

from haproxy import SHIPPED
from processes import ROOT

PAGE = (ROOT / "docs/haproxy.md").read_text()
PLACE = re.compile(r'# (haproxy\.cfg|ratelimit-spoe\.conf): '
                   r'(above|below|in place of|at)( the| its)?( first)? (?:line with "(.+)"|end)')


def section_of(title):
    """The text below a heading of the page."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert found, f"the page has no section {title!r}"
    return found[1]


def blocks_of(title, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", section_of(title), re.M | re.S)


def policies_of(title):
    """The policy file of a recipe, or the shipped one."""
    return next(iter(blocks_of(title, "json")), (SHIPPED / "policies.json").read_text())


def line_with(text, words):
    """The first line that has these words, or the comment that has nothing else."""
    lines = text.splitlines(keepends=True)
    found = [line for line in lines if line.strip() == f"# {words}" or
             (words in line and not line.lstrip().startswith("#"))]
    assert found, f"no line with {words!r}"
    return found[0]


def replacement(files, snippet):
    """Which file a snippet is for, and the (old, new) that puts it there."""
    head, _, body = snippet.partition("\n")
    found = PLACE.fullmatch(head)
    assert found, head
    file, where, words = found[1], found[2], found[5]
    if where == "at":  # the last section, whose addresses a test changes
        last = "backend ratelimit-agents\n"
        return file, (last, f"{body}\n{last}")
    line = line_with(files[file], words)
    body = "".join("    " + each + "\n" for each in body.splitlines())
    return file, (line, {"above": body + line, "below": line + body, "in place of": body}[where])


def replacements_of(*titles):
    """What start_haproxy takes: the changes of the shipped files by these recipes."""
    files = {name: (SHIPPED / name).read_text() for name in ("haproxy.cfg", "ratelimit-spoe.conf")}
    changes = {"haproxy.cfg": [], "ratelimit-spoe.conf": []}
    for title in titles:
        for snippet in blocks_of(title, "haproxy"):
            file, change = replacement(files, snippet)
            changes[file].append(change)
    return {"conf": changes["haproxy.cfg"], "spoe": changes["ratelimit-spoe.conf"]}
