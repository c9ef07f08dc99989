"""Markdown to lines: headings, paragraphs, lists, code and tables, for any width.

What Markdown is says markdown-it; what stands here is how it looks. Textual's own widget makes a
widget of every block, which takes seconds for a page of ours. Nothing is cut: text is flowed, and a
table that has no room becomes a list of its rows.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tui.draw.flow import flow
from tui.draw.text import Line, Role, Span, cells, join, line_text, line_width, pad

_GAP: Final = 2
_LEAST_COLUMN: Final = 12
"""Cells below which a column of sentences is read a word a line: a list of rows reads better."""
_INDENT: Final = "  "
_ROLES: Final[dict[str, Role]] = {
    "strong_open": "title",
    "em_open": "title",
    "link_open": "text",
}


def markdown_lines(text: str, width: int) -> list[Line]:
    """Return a text in Markdown as lines of at most `width` cells."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    lines = list(_blocks(tokens, max(1, width)))
    return [line for before, line in pairwise(((), *lines)) if line or before] or [()]


def _blocks(tokens: Sequence[Token], width: int) -> Iterator[Line]:
    """Give the lines of blocks, a blank line after each."""
    at = 0
    while at < len(tokens):
        end = _end_of(tokens, at)
        yield from _block(tokens[at : end + 1], width)
        at = end + 1


def _end_of(tokens: Sequence[Token], at: int) -> int:
    """Return where the block ends that begins at a token."""
    depth = 0
    for place in range(at, len(tokens)):
        depth += tokens[place].nesting
        if depth <= 0:
            return place
    return len(tokens) - 1


def _block(tokens: Sequence[Token], width: int) -> Iterator[Line]:
    first = tokens[0]
    match first.type:
        case "heading_open":
            role: Role = "head" if first.tag == "h1" else "title"
            yield from flow(_inline(tokens[1], role), width)
        case "paragraph_open":
            for part in _broken(_inline(tokens[1], "text")):
                yield from flow(part, width)
        case "bullet_list_open" | "ordered_list_open":
            yield from _list(tokens, width)
        case "table_open":
            yield from _table(tokens, width)
        case "fence" | "code_block":
            yield from _code(first.content, width)
        case "blockquote_open":
            for line in _blocks(tokens[1:-1], width - 2):
                yield join(((("│ ", "faint"),), line))
            return
        case "hr":
            yield (("─" * width, "border"),)
        case _:
            return  # HTML: comments for our own tools
    yield ()


def _list(tokens: Sequence[Token], width: int) -> Iterator[Line]:
    number = int(tokens[0].attrs.get("start", 1)) if tokens[0].type.startswith("ordered") else 0
    at = 1
    while at < len(tokens) - 1:
        end = _end_of(tokens, at)
        bullet = f"{number}. " if number else "- "
        inner = list(_blocks(tokens[at + 1 : end], width - len(bullet)))
        while inner and not inner[-1]:
            inner.pop()
        for row, line in enumerate(inner):
            start = bullet if row == 0 else " " * len(bullet)
            yield join((((start, "dim"),), line)) if line else ()
        number += bool(number)
        at = end + 1


def _code(text: str, width: int) -> Iterator[Line]:
    """Give lines of code as they are; what is longer than a line goes on in the next."""
    room = max(1, width - len(_INDENT))
    for line in text.rstrip("\n").split("\n"):
        rest = line
        while True:
            part, size = "", 0
            for character in rest:
                if size + cells(character) > room and part:
                    break
                part += character
                size += cells(character)
            yield ((_INDENT, "text"), (part, "accent")) if part else ()
            rest = rest[len(part) :]
            if not rest:
                break


def _table(tokens: Sequence[Token], width: int) -> Iterator[Line]:
    rows: list[list[list[Span]]] = []
    for place, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            role: Role = "head" if token.type == "th_open" else "text"
            rows[-1].append(list(_inline(tokens[place + 1], role)))
    heads, *body = rows
    columns = list(zip(*rows, strict=True))
    longest = [max(_width(cell) for cell in column) for column in columns]
    least = [
        max([min(most, _LEAST_COLUMN), *(_longest_word(cell) for cell in column)])
        for most, column in zip(longest, columns, strict=True)
    ]
    room = width - _GAP * (len(columns) - 1)
    if sum(least) > room:
        yield from _rows_as_list(heads, body, width)
        return
    widths = _shared(least, longest, room)
    if any(_width(head) for head in heads):
        yield from _row(heads, widths)
        yield ((_gapped(["─" * each for each in widths]), "border"),)
    wraps = any(_width(cell) > each for row in body for cell, each in zip(row, widths, strict=True))
    for row in body:
        yield from _row(row, widths)
        if wraps and len(columns) > 2:
            yield ()


def _shared(least: Sequence[int], longest: Sequence[int], room: int) -> list[int]:
    """Return widths of columns: what each needs at least, and more by turns to those that wrap."""
    widths = list(least)
    spare = room - sum(widths)
    while spare > 0:
        wrapped = [at for at, width in enumerate(widths) if width < longest[at]]
        if not wrapped:
            break
        # The one that would take most lines: so a row is as low as it can be.
        worst = max(wrapped, key=lambda at: longest[at] / widths[at])
        widths[worst] += 1
        spare -= 1
    return widths


def _row(row: Sequence[Sequence[Span]], widths: Sequence[int]) -> Iterator[Line]:
    flowed = [flow(cell, width) for cell, width in zip(row, widths, strict=True)]
    for at in range(max(map(len, flowed), default=0)):
        parts: list[Line] = []
        for lines, width in zip(flowed, widths, strict=True):
            if parts:
                parts.append(((" " * _GAP, "text"),))
            parts.append(pad(lines[at] if at < len(lines) else (), width))
        yield _trimmed(join(parts))


def _rows_as_list(
    heads: Sequence[Sequence[Span]], body: Sequence[Sequence[Sequence[Span]]], width: int
) -> Iterator[Line]:
    if _width(heads[0]):
        yield from flow(heads[0], width)
        yield ()
    for row in body:
        yield from flow(row[0] or [("–", "text")], width)
        for head, cell in zip(heads[1:], row[1:], strict=True):
            if not _width(cell):
                continue
            name = line_text(tuple(head))
            start: list[Span] = [(f"{name}: ", "dim")] if name.strip() else []
            for line in flow([*start, *cell], width - len(_INDENT)):
                yield join((((_INDENT, "text"),), line))
        yield ()


def _trimmed(line: Line) -> Line:
    """Return a line without the blanks at its end."""
    kept = list(line)
    while kept and not kept[-1][0].strip():
        kept.pop()
    if kept:
        kept[-1] = (kept[-1][0].rstrip(), kept[-1][1])
    return tuple(kept)


def _gapped(parts: Sequence[str]) -> str:
    return (" " * _GAP).join(parts)


def _width(spans: Sequence[Span]) -> int:
    return line_width(tuple(spans))


def _longest_word(spans: Sequence[Span]) -> int:
    return max(map(cells, line_text(tuple(spans)).split()), default=0)


def _broken(spans: Iterator[Span]) -> Iterator[list[Span]]:
    """Give what stands between hard breaks."""
    part: list[Span] = []
    for span in spans:
        if span[0] == "\n":
            yield part
            part = []
        else:
            part.append(span)
    yield part


def _inline(token: Token, role: Role) -> Iterator[Span]:
    """Give the text of a paragraph or a cell; pictures have their words alone."""
    roles: list[Role] = [role]
    for child in token.children or ():
        match child.type:
            case "text":
                yield child.content, roles[-1]
            case "code_inline":
                yield child.content, "accent"
            case "softbreak":
                yield " ", roles[-1]
            case "hardbreak":
                yield "\n", roles[-1]
            case "image":
                yield f"[{child.content}]", "dim"
            case name if name.endswith("_open"):
                roles.append(_ROLES.get(name, roles[-1]) if role == "text" else role)
            case name if name.endswith("_close"):
                roles.pop()
            case _:
                pass
