"""The page of a hand-over as Markdown, for a ticket or a chat.

Rule 1: every text is escaped: it stands there as it is and becomes neither markup nor a link,
whoever wrote it. `@` and `www.` are links to many readers even without markup.
Rule 2: charts stay on the HTML page; of the worst probes, what their captions tell stands here.
"""

import re
from collections.abc import Iterator
from typing import Final

from probes.handover.document import (
    Block,
    Bullets,
    Document,
    Grid,
    Pairs,
    Paragraph,
    Picture,
)

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>#|~&$^])|:(?=//)|(?<=[wW]{3})\.")
"""What is markup anywhere, and what makes an address of a word."""
_AT_THE_START: Final = re.compile(r"^([-+=]+|\d+[.)])(?=\s|$)")
"""What makes a list or a heading of a line; times of day and minus signs stay readable."""


def markdown(text: str) -> str:
    """Return a text as Markdown that shows it as it is."""
    escaped = _SPECIAL.sub(r"\\\g<0>", text)
    # A backslash keeps no mention from being found afterwards.
    escaped = escaped.replace("@", "﹫")
    return _AT_THE_START.sub(_backslashed, escaped)


def _backslashed(found: re.Match[str]) -> str:
    """Return the beginning of a line with a backslash before its last character."""
    return f"{found[0][:-1]}\\{found[0][-1]}"


def markdown_page(document: Document) -> str:
    """Return the page as Markdown."""
    lines = [f"# {markdown(document.title)}", "", markdown(document.summary), ""]
    lines += [*_block(document.head), ""]
    for section in document.sections:
        told = [block for block in section.blocks if section.id != "charts"]
        if not told:
            continue
        blocks = [line for block in told for line in (*_block(block), "")]
        lines += [f"## {markdown(section.title)}", "", *blocks]
    return "\n".join([*lines, markdown(document.foot), ""])


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield markdown(text)
        case Bullets(items):
            yield from (f"- {markdown(item)}" for item in items)
        case Pairs(rows):
            yield from (f"- **{markdown(name)}**: {markdown(text)}" for name, text in rows)
        case Grid(head, rows, figures):
            yield _row(head)
            rule = ("---:" if index >= figures else "---" for index in range(len(head)))
            yield f"| {' | '.join(rule)} |"
            yield from map(_row, rows)
        case Picture(caption=caption):
            yield f"- {markdown(caption)}"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(markdown(cell) for cell in cells)} |"
