"""Makes man(7) of the Markdown that docs/ is written in: headings, paragraphs, lists, tables and code.

A table becomes a list, since terminals are too narrow for its columns: the first column is the tag of
an entry, and the last one its text."""

import re
import textwrap

WIDTH = 76
SPECIAL = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti",
           "…": "...", "≥": "\\(>=", "≤": "\\(<=", "×": "\\(mu", "–": "\\(en", "\u00a0": " "}
INLINE = re.compile(r"`` ?(.+?) ?``|`([^`]+)`|\*\*(.+?)\*\*|\[([^]]*)\]\(([^)]*)\)|\*(\S.*?)\*")
ITEM = re.compile(r"(- |\d+\. )")


def escape(text):
    return "".join(SPECIAL.get(c, c) for c in text)


def bold(text):
    return f"\\fB{escape(text)}\\fR"


def italic(text):
    return f"\\fI{escape(text)}\\fR"


def link(text, target):
    """A link to another page names the page, and one within the page is its text."""
    page = target.partition("#")[0].rpartition("/")[2]
    shown = inline(text)
    return shown if not page or page in text or "://" in target else f"{shown} ({escape(page)})"


def inline(text):
    """One line of Markdown with fonts and escapes of roff."""
    done, at = "", 0
    for found in INLINE.finditer(text):
        done += escape(text[at:found.start()])
        ticks, code, strong, words, target, weak = found.groups()
        if ticks or code:
            done += bold(ticks or code)
        elif strong:
            # Code in bold text has the same font.
            done += bold(re.sub(r"`([^`]*)`", r"\1", strong))
        elif weak:
            done += italic(weak)
        else:
            done += link(words, target)
        at = found.end()
    return done + escape(text[at:])


def guard(line):
    """A line of text that begins like a request of roff is still text."""
    return "\\&" + line if line[:1] in (".", "'") else line


def wrap(text):
    """Fills lines as long as roff's own style wants them."""
    words = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [guard(line) for line in words]


def paragraph(markdown):
    return wrap(inline(" ".join(markdown.split())))


def code(lines):
    # The lines of roff end where those of the code do; a tab is four columns.
    return [".PP", ".in +4n", ".nf",
            *[guard(escape(line.expandtabs(4))) if line else "\\&" for line in lines],
            ".fi", ".in"]


def cells_of(row):
    return [cell.strip().replace("\\|", "|")
            for cell in re.split(r" (?<!\\)\| ", row.strip().strip("|"))]


def entry(tag, *paragraphs):
    """An entry of a list: a tag that is roff already, and paragraphs in Markdown."""
    lines = [".TP", tag]
    for number, text in enumerate(paragraphs):
        lines += [".IP", *paragraph(text)] if number else paragraph(text)
    return lines


def table(rows):
    head, _, *body = [cells_of(row) for row in rows]
    lines = []
    for first, *more in body:
        tag = inline(first)
        if len(more) == 2 and more[0]:
            tag += f" ({inline(more.pop(0))})"
        elif len(more) > 2:
            # Columns between the first and the last one are named.
            more = [". ".join(f"{name}: {cell}" for name, cell in zip(head[1:-1], more)
                              if cell) + ".", more[-1]]
        lines += entry(tag, *more)
    return lines


def bullets(block):
    """The items of a list, each in one line."""
    items = []
    for line in block:
        found = ITEM.match(line)
        if found:
            items.append([found[1], line[found.end():]])
        elif items:
            items[-1][1] += " " + line.strip()
    return items


def item_list(block):
    lines = []
    for mark, text in bullets(block):
        lines += [".IP \\(bu 2" if mark == "- " else f".IP {mark.strip()} 4", *paragraph(text)]
    return lines


def blocks_of(markdown):
    """Cuts the text into blocks, as (kind, lines)."""
    kind, block = None, []
    for line in [*markdown.splitlines(), ""]:
        if kind == "code":
            if line.startswith("```"):
                yield kind, block
                kind, block = None, []
            else:
                block.append(line)
            continue
        if line.startswith("```"):
            starts = "code"
        elif line.startswith("#"):
            starts = "heading"
        elif line.startswith("|"):
            starts = "table"
        elif ITEM.match(line):
            starts = "list"
        elif not line.strip():
            # An empty line within a list separates its items only.
            starts = None
        else:
            starts = kind if kind in ("list", "text") else "text"
        if starts != kind or kind == "heading":
            if block:
                yield kind, block
            kind, block = starts, []
        if kind and kind != "code":
            block.append(line)


def document(markdown, skip_tables=()):
    """The whole text as man(7). Tables whose first column is called so are left out."""
    lines = []
    for kind, block in blocks_of(markdown):
        if kind == "heading":
            lines += [f".SS {escape(block[0].lstrip('# '))}"]
        elif kind == "code":
            lines += code(block)
        elif kind == "table":
            if cells_of(block[0])[0] not in skip_tables:
                lines += table(block)
        elif kind == "list":
            lines += item_list(block)
        elif kind == "text":
            lines += [".PP", *paragraph(" ".join(block))]
    return tidy(lines)


def tidy(lines):
    """Without the paragraph macro behind a heading, which means nothing there."""
    return [line for number, line in enumerate(lines)
            if not (line == ".PP" and number and lines[number - 1].startswith((".SS", ".SH")))]
